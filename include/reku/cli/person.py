"""`reku person`: what is kept of a person, and erasing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Blz, actor
from reku.cli.output import Json, print_json, show
from reku.foundation.errors import StageError

if TYPE_CHECKING:
    from reku.privacy.erase import Receipt

app = typer.Typer(
    no_args_is_help=True,
    help="Requests of people: what is kept of somebody, and erasing it. Nothing personal is shown.",
    rich_markup_mode=None,
)

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The person number as delivered, with leading zeros.")]


@app.command("show")
def show_person(
    institute: Blz,
    number: Number,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Write all contents as JSON into a new file (mode 600), for the person.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where something is kept of a person.

    Every table and every file is searched. Only places and counts are shown; the contents go into a file. Exits with 1
    if nothing is kept.

    Example: `reku person show 99990001 1234567890 --to person.json`.
    """
    from reku.privacy.person import look_up, write_private

    person = look_up(database(), institute, number)
    if to is not None:
        write_private(to, {"person_number": number} | person.contents())
    if as_json:
        print_json({"institute": institute, "places": person.places(), "unreadable": list(person.unreadable)})
        return
    show(person.places(), as_json=False, nothing="")
    for path in person.unreadable:
        typer.echo(f"A broken archive, nobody can look into it: {path}")
    if to is not None:
        typer.echo(f"All of it is written to {to}. Hand it over by a safe way, then remove it.")


@app.command("erase")
def erase_person(
    institute: Blz,
    number: Number,
    note: Annotated[str, typer.Option("--note", help="Why; kept in audit and receipt. No personal data.")],
    receipt: Annotated[
        Path | None,
        typer.Option(
            "--receipt", metavar="FILE", help="Write the receipt as JSON into a new file.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Erase a person.

    From lists, delivered rows, contacts, appointments and kept originals. Open mails are stopped. The ledger keeps its
    rows under a pseudonym, objections stay in force as keyed hashes. Refused, with nothing done, while a file or
    delivery with the person is on its way, a mail is being dispatched or in doubt, or an event is not reported yet.

    Example: `reku person erase 99990001 1234567890 --note "ticket 815"`.
    """
    from reku.privacy.erase import erase
    from reku.privacy.person import write_private

    if receipt is not None and receipt.exists():
        raise StageError(f"{receipt} exists already and is not overwritten. Name another file. Nothing is erased.")
    done = erase(database(), institute, number, actor=actor(), note=note)
    if as_json:
        print_json(done.as_dict())
    else:
        _show_receipt(done)
    if receipt is not None:  # last: what is done is told, whether the file can be written or not
        write_private(receipt, done.as_dict())


def _show_receipt(done: Receipt) -> None:
    typer.echo(
        f"Erased at institute {done.institute}: {done.person} (pseudonym). {done.stopped} open mails were stopped."
    )
    typer.echo("\nRemoved:")
    show(done.removed, as_json=False, nothing="nothing; it was removed before")
    typer.echo("\nKept:")
    show(done.kept, as_json=False, nothing="nothing")
