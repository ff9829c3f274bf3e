"""`reku bounces`: the return mailboxes, and what lies in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from reku.cli.output import Json, print_json, show
from reku.foundation.errors import StageError

app = typer.Typer(
    no_args_is_help=True,
    help="The return mailboxes: bounces, complaints and answers. Counts only; mails hold people's data.",
    rich_markup_mode=None,
)


@app.command("status")
def status(as_json: Json = False) -> None:
    """Count the mails in the return mailboxes.

    `new` wait to be taken in, `gesehen` are dealt with, `ungeklaert` nobody could make sense of: a person should look
    at those with a mail program. All but `new` leave after REKU_KEEP_BOUNCE_MAILS_DAYS.
    """
    from reku.mailbox import mailboxes

    counts: list[dict[str, Any]] = []
    for opened in mailboxes():
        with opened as mailbox:
            counts.append({"mailbox": mailbox.place} | mailbox.count())
    show(counts, as_json=as_json, nothing="No return mailbox is set: REKU_BOUNCE_MAILDIR or REKU_BOUNCE_IMAP_HOST.")


@app.command("show")
def show_mail(
    mail: Annotated[str, typer.Argument(metavar="MAIL", help="Its name, as `reku why` tells it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file, made with mode 600.")],
    as_json: Json = False,
) -> None:
    """Write the evidence of an event to a file.

    That is the beginning of a mail of the return mailbox, byte by byte. It holds people's data: remove the file when it
    has served. Exits with 1 if the mail is gone.
    """
    from reku.privacy.person import in_return_mailboxes, write_new

    mails = in_return_mailboxes({mail})
    if mail not in mails:
        raise StageError(
            "No mail of this name lies in the return mailboxes (any more). Mails leave after "
            "REKU_KEEP_BOUNCE_MAILS_DAYS, and with the person that is erased."
        )
    write_new(to, mails[mail])
    if as_json:
        print_json({"mail": mail, "file": str(to), "bytes": len(mails[mail])})
    else:
        typer.echo(f"Written to {to}.")
