"""`reku suppressions`: who may not be written to, by a person's word."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.options import Blz, Institute, Note, actor, blz
from reku.cli.output import Json, print_json, show
from reku.foundation.errors import StageError

app = typer.Typer(
    no_args_is_help=True,
    help="Bar, unsubscribe, look up and lift addresses by hand. Addresses are asked for or read from standard input, "
    "never given as arguments: those stand in process lists and histories.",
    rich_markup_mode=None,
)

EVERYWHERE = "everywhere"
LONGEST_LINE = 320
"""Characters of an entry: 64 + 1 + 255 of an address."""
MOST_FAULTS = 20


def _bank(value: str) -> str:
    return value if value == EVERYWHERE else blz(value)


def _or_none(bank: str) -> str | None:
    return None if bank == EVERYWHERE else bank


def _address(what: str = "Address") -> str:
    """Asked for at a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(what))
    return sys.stdin.readline().strip()


def _entries(file: Path) -> list[str]:
    """The entries of a list. Raises StageError naming the first wrong lines, or what makes it no list at all."""
    from reku.contact.suppressions import is_entry

    entries: list[str] = []
    wrong: list[str] = []
    with file.open("rb") as lines:
        for number in count(1):
            line = lines.readline(LONGEST_LINE)
            if not line or len(wrong) == MOST_FAULTS:
                break
            entry = _text(line)
            if entry is None or (entry and not entry.startswith("#") and not is_entry(entry)):
                wrong.append(str(number))
            elif entry and not entry.startswith("#"):
                entries.append(entry)
            while line and not line.endswith(b"\n"):  # the rest of a line that is too long
                line = lines.readline(1 << 20)
    if wrong:
        more = " and perhaps more" if len(wrong) == MOST_FAULTS else ""
        raise StageError(
            f"{file.name}: line {', '.join(wrong)}{more}: neither an address nor a domain (one in each line, like "
            "name@kunde.example or kunde.example). Nothing is barred; mend these lines, then import it again."
        )
    return entries


def _text(line: bytes) -> str | None:
    """The line as text; None if it is none, or too long."""
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        return None
    try:
        return line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None


def _done(values: Mapping[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(dict(values))
    else:
        typer.echo(sentence)


Bank = Annotated[str, typer.Argument(metavar="BLZ", callback=_bank, help="The institute, or `everywhere`.")]
Person = Annotated[
    str,
    typer.Option(
        "--person",
        metavar="NUMBER",
        help="Instead of an address: a person who unsubscribed or complained, whatever the address was then.",
        show_default=False,
    ),
]


@app.command("counts")
def count_bars(institute: Institute = "", as_json: Json = False) -> None:
    """Count barred addresses and domains by kind and source.

    Kinds: UNSUBSCRIBED, COMPLAINED, BLACKLISTED, DOMAIN, and RETAINED after three hard bounces in a row. 00000000
    stands for all institutes.

    Example: `reku suppressions counts --institute 99990001`.
    """
    from reku.contact.suppressions import counts

    show(counts(database(), institute), as_json=as_json, nothing="Nobody is barred.")


@app.command("show")
def show_bars(institute: Blz, person: Person = "", as_json: Json = False) -> None:
    """Show what bars one address.

    It is asked for, or read from standard input.

    Example: `reku suppressions show 99990001`.
    """
    from reku.contact.suppressions import bars, bars_of_person

    barred = bars_of_person(database(), institute, person) if person else bars(database(), institute, _address())
    show(map(asdict, barred), as_json=as_json, nothing="Nothing bars this address or person.")


@app.command("bar")
def bar_one(institute: Bank, note: Note, as_json: Json = False) -> None:
    """Blacklist one address or domain.

    It is asked for, or read from standard input. A domain (`kunde.example`) is barred without its sub-domains.

    Example: `reku suppressions bar 99990001 --note "asked by letter"`.
    """
    from reku.contact.suppressions import bar

    entry = _address("Address or domain")
    new = bar(database(), _or_none(institute), [entry], actor=actor(), note=note)
    _done({"barred": new}, "It is barred now." if new else "It was barred already.", as_json)


@app.command("import")
def import_list(
    institute: Bank,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="UTF-8 text.")],
    note: Note,
    as_json: Json = False,
) -> None:
    """Blacklist all addresses and domains of a file.

    One in each line; empty lines and lines with # are left out. All or nothing: with one line that is neither, nothing
    is barred, and the lines are named by their numbers.

    Example: `reku suppressions import 99990001 blacklist.csv --note "ticket 815"`.
    """
    from reku.contact.suppressions import bar

    entries = _entries(file)
    new = bar(database(), _or_none(institute), entries, actor=actor(), note=note)
    _done(
        {"read": len(entries), "barred": new}, f"{len(entries)} read, {new} of them barred for the first time.", as_json
    )


@app.command("unsubscribe")
def unsubscribe_one(
    institute: Blz,
    note: Note,
    order: Annotated[
        str,
        typer.Option(
            "--order", metavar="NUMBER", help="From this order only; else from everything.", show_default=False
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Unsubscribe an address for somebody who phoned.

    Or wrote. At once, also within a running dispatch. The core system is told with the newest mail to the
    address.

    Example: `reku suppressions unsubscribe 99990001 --order R0000101 --note "by telephone"`.
    """
    from reku.contact.suppressions import unsubscribe

    address = _address()
    told = unsubscribe(database(), institute, address, order=order or None, actor=actor(), note=note)
    said = "and the next response file says so" if told else "but no mail to the address is known to report it by"
    _done({"reported": told}, f"Unsubscribed, {said}.", as_json)


@app.command("lift")
def lift_one(institute: Bank, note: Note, person: Person = "", as_json: Json = False) -> None:
    """Let an address be written to again.

    Ends unsubscribes, complaints, blacklist entries and the bounce series: for somebody who asked for it, after a
    check, or if a complaint was wrong. The note says why and stays on record. `everywhere` ends what barred it at every
    bank.

    Example: `reku suppressions lift 99990001 --note "asked for it"`.
    """
    from reku.contact.suppressions import lift, lift_everywhere, lift_person

    if institute == EVERYWHERE:
        if person:
            raise typer.BadParameter("a person is known to one institute only", param_hint="'--person'")
        lift_everywhere(database(), _address(), actor=actor(), note=note)
        _done({"lifted": EVERYWHERE}, "It is off the blacklist of every bank.", as_json)
        return
    if person:
        lifted = lift_person(database(), institute, person, actor=actor(), note=note)
    else:
        lifted = lift(database(), institute, _address(), actor=actor(), note=note)
    show(map(asdict, lifted), as_json=as_json, nothing="Nothing was lifted.")


@app.command("open")
def open_one(
    institute: Bank,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="Such as kunde.example.")],
    note: Note,
    as_json: Json = False,
) -> None:
    """Take a domain off the blacklist.

    Example: `reku suppressions open 99990001 firma.example --note "server mended"`.
    """
    from reku.contact.suppressions import open_domain

    open_domain(database(), _or_none(institute), domain, actor=actor(), note=note)
    _done({"opened": domain}, f"{domain} is open again.", as_json)
