"""`reku bounces`: the return mailboxes, and what lies in them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.options import Institute, Note, actor
from reku.cli.output import Json, print_json, show
from reku.foundation.errors import StageError

app = typer.Typer(
    no_args_is_help=True,
    help="The return mailboxes: bounces, complaints and answers, and what a person decides about them.",
    rich_markup_mode=None,
)


Mail = Annotated[str, typer.Argument(metavar="MAIL", help="Its name, as `reku bounces unclear` tells it.")]


@app.command("status")
def status(
    institute: Institute = "",
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Count the mails of so many days.")] = 7,
    as_json: Json = False,
) -> None:
    """Count the mails in the return mailboxes, and what they were.

    `new` wait to be taken in, `gesehen` are dealt with, `ungeklaert` nobody could make sense of: `reku bounces unclear`
    lists them. All but `new` leave after REKU_KEEP_BOUNCE_MAILS_DAYS. Below, each reason by which a mail was taken for
    a bounce, ignored or left to a person, with how many there were; without a BLZ where no token told whose they are.

    Example: `reku bounces status --days 30`.
    """
    from reku.mailbox import mailboxes
    from reku.views.return_mail_overview import return_mail_counts

    engine = database()  # the running set-up also knows where its mailbox is
    places: list[dict[str, Any]] = []
    for opened in mailboxes():
        with opened as mailbox:
            places.append({"mailbox": mailbox.place} | mailbox.count())
    counts = [asdict(count) for count in return_mail_counts(engine, institute, days)]
    if as_json:
        print_json({"mailboxes": places, "days": days, "mails": counts})
        return
    show(places, as_json=False, nothing="No return mailbox is set: REKU_BOUNCE_MAILDIR or REKU_BOUNCE_IMAP_HOST.")
    show(counts, as_json=False, nothing=f"No mail was taken in in the last {days} days.")


@app.command("unclear")
def unclear(institute: Institute = "", as_json: Json = False) -> None:
    """List the mails that wait for a person, oldest first.

    With why nobody could make sense of them. Look at one by `reku bounces show`, then `accept` it as a complaint or
    `drop` it. Answers of people want an answer.

    Example: `reku bounces unclear --institute 99990001`.
    """
    from reku.views.return_mail_overview import unclear_mails

    show(map(asdict, unclear_mails(database(), institute)), as_json=as_json, nothing="No mail waits for a person.")


@app.command("accept")
def accept(mail: Mail, note: Note, as_json: Json = False) -> None:
    """Take an unclear mail for a complaint.

    The person is barred from all mails of the bank, and the complaint is reported. For reports that nobody vouches for,
    and for people who complain in their own words. `reku suppressions lift` takes it back.

    Example: `reku bounces accept MAIL --note "it is a complaint"`.
    """
    from reku.responses.unclear_mails import accept_complaint

    reference = accept_complaint(database(), mail, actor=actor(), note=note)
    if as_json:
        print_json({"mail": mail, "reference": reference})
    else:
        typer.echo(
            f"Taken for a complaint about {reference}: the person is barred, and the next response file says so."
        )


@app.command("drop")
def drop(mail: Mail, note: Note, as_json: Json = False) -> None:
    """Close an unclear mail: nothing is to be done about it.

    Example: `reku bounces drop MAIL --note "advertising"`.
    """
    from reku.responses.unclear_mails import drop_mail

    drop_mail(database(), mail, actor=actor(), note=note)
    if as_json:
        print_json({"mail": mail})
    else:
        typer.echo("Closed; it leaves with the others that are dealt with.")


@app.command("show")
def show_mail(
    mail: Annotated[str, typer.Argument(metavar="MAIL", help="Its name, as `reku why` or `unclear` tells it.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file, made with mode 600.")],
    as_json: Json = False,
) -> None:
    """Write a mail to a file: evidence of an event, or unclear.

    That is the beginning of a mail of the return mailbox, byte by byte. It holds people's data: remove the file when it
    has served. Exits with 1 if the mail is gone.

    Example: `reku bounces show MAIL --to mail.eml`.
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
