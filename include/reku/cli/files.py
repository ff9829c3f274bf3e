"""`reku files`: everything that arrived, and what a person may do about what was set aside."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Id, Institute, Note, actor, one_of
from reku.cli.output import Json, print_json, show

app = typer.Typer(
    no_args_is_help=True,
    help="Files: everything that arrived.",
    rich_markup_mode=None,
)


@app.command("list")
def list_files(
    institute: Institute = "",
    verdict: Annotated[
        str,
        typer.Option(
            "--verdict",
            help="Only this verdict: PROCESSED, REGISTERED, PARKED, DUPLICATE, REFUSED, UNKNOWN or SET_ASIDE.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    r"""List the files that arrived, newest first.

    The verdict is what intake made of a file. UNKNOWN: no contract knows the name. SET_ASIDE: it was tried three times
    in vain; its advice says why. Mend the cause and have it tried again (`retry`), or leave it refused (`drop`).
    Characters of a name that do not print are written as \x1b and the like.

    Example: `reku files list --verdict UNKNOWN`.
    """
    from reku.store.states import FileVerdict
    from reku.views.file_overview import file_lines

    only = one_of(verdict, FileVerdict, "--verdict") or ""
    lines = file_lines(database(), institute, only)
    show(map(asdict, lines), as_json=as_json, nothing="No files.")


@app.command("retry")
def retry_file(file: Id, note: Note, as_json: Json = False) -> None:
    """Have a file that was set aside taken in again.

    For when its cause has been mended on our side. The next scan takes it in as if it had just arrived; if that goes
    wrong three times more, it is set aside again. Who asked for it, and why, stands in the audit.

    Example: `reku files retry 5 --note "storage mended"`.
    """
    from reku.sources.inbox.set_aside import retry

    retry(database(), file, actor=actor(), note=note)
    if as_json:
        print_json({"file": file, "verdict": None})
    else:
        typer.echo(f"File {file} is taken in again by the next scan.")


@app.command("drop")
def drop_file(file: Id, note: Note, as_json: Json = False) -> None:
    """Leave a file that was set aside refused for good.

    For when its sender delivers anew, or it was never meant for us. Its original stays in `fehler/` until its retention
    ends. Who dropped it, and why, stands in the audit.

    Example: `reku files drop 5 --note "sent by mistake"`.
    """
    from reku.sources.inbox.set_aside import drop
    from reku.store.states import FileVerdict

    drop(database(), file, actor=actor(), note=note)
    if as_json:
        print_json({"file": file, "verdict": FileVerdict.REFUSED})
    else:
        typer.echo(f"File {file} is dropped: it stays refused.")
