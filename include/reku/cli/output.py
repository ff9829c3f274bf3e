"""How commands show what they found: a table for people, JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.foundation import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

GAP = 2
"""Blanks between two columns."""
GLUE = "\N{NO-BREAK SPACE}"
"""Between two words that stay on one line."""
_WIDE = 100_000
"""Columns of a console that is no terminal: nothing may be cut off in a pipe or a file."""


def show(rows: Iterable[Mapping[Any, Any]], *, as_json: bool, nothing: str) -> None:
    """Print rows that have the same keys; `nothing` is said to people where there are none."""
    listed = [dict(row) for row in rows]
    if as_json:
        print_json(listed)
    elif listed:
        print_table(listed)
    else:
        typer.echo(nothing)


def show_one(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: its values under one another, to people only those it has. Lists of rows become tables."""
    if as_json:
        print_json(dict(values))
        return
    parts = {name: value for name, value in values.items() if isinstance(value, list)}
    given = {name: value for name, value in values.items() if name not in parts and value not in (None, "")}
    begin = max(map(len, given), default=0) + 2
    for name, value in given.items():
        for number, line in enumerate(_wrapped(printable(_for_people(value)), console().width - begin)):
            typer.echo(f"{'' if number else name:{begin}}{line}")
    for name, rows in parts.items():
        typer.echo(f"\n{name}:" if rows else f"\n{name}: none")
        if rows:
            print_table(rows)


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that have the same keys as a table in which no value is broken; numbers stand on the right.

    Columns that the terminal has no room for stand below their row, name and value.
    """
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    names = list(rows[0])
    cells = [[printable(_for_people(value)) for value in row.values()] for row in rows]
    widths = [max(cell_len(str(value)) for value in column) for column in zip(names, *cells, strict=True)]
    terminal = console()
    fitting = _columns_that_fit(widths, terminal.width)
    numeric = [isinstance(value, int) and not isinstance(value, bool) for value in rows[0].values()]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if is_number else set_cell_size(value, max(width, cell_len(value)))
            for value, width, is_number in zip(values[:fitting], widths, numeric, strict=False)
        )
        return (" " * GAP).join(padded).rstrip()

    if fitting:
        terminal.print(Text(line(list(map(str, names))), style="bold"), soft_wrap=True)
        terminal.print("─" * (sum(widths[:fitting]) + GAP * (fitting - 1)), soft_wrap=True)
    for values in cells:
        terminal.print(Text(line(values)), soft_wrap=True)
        room = terminal.width - 2 * GAP
        below = zip(names[fitting:], values[fitting:], strict=True)
        pairs = [f"{name}{GLUE if len(value) < room / 2 else ' '}{value}" for name, value in below if value]
        for part in _wrapped((" " * GAP).join(pairs), room):
            terminal.print(Text(" " * 2 * GAP + part, style="dim"), soft_wrap=True)


def _columns_that_fit(widths: Sequence[int], room: int) -> int:
    """How many of the first columns stand side by side in that room."""
    used = -GAP
    for number, width in enumerate(widths):
        used += GAP + width
        if used > room:
            return number
    return len(widths)


def _wrapped(text: str, room: int) -> list[str]:
    """A text in lines of at most that many characters; no word is broken, since it may be a key that is copied."""
    lines = textwrap.wrap(text, max(room, 1), break_long_words=False, break_on_hyphens=False)
    return [line.replace(GLUE, " ") for line in lines] or [""]


def console() -> Console:
    """Where tables go: as wide as the terminal, or without end where there is none."""
    from rich.console import Console

    terminal = Console(highlight=False, markup=False)
    return terminal if terminal.is_terminal else Console(highlight=False, markup=False, width=_WIDE)


def working(what: str) -> Status:
    """A sign on stderr that something takes a while, for people at a terminal: use with `with`."""
    from rich.console import Console

    return Console(stderr=True, markup=False).status(what)


def print_json(value: object) -> None:
    """Print a value as one line of JSON; moments are ISO 8601 in UTC."""
    typer.echo(json.dumps(value, default=_for_json))


def printable(text: str) -> str:
    r"""The text on one line, with everything a terminal might obey written as \x1b and the like.

    Names of files come from outside: they may hold line breaks, escape sequences, marks that turn the reading order.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _for_people(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{clock.berlin(value):%Y-%m-%d %H:%M:%S}"
        case time():
            return f"{value:%H:%M}"
        case dict():
            return ", ".join(f"{name} {_for_people(count)}" for name, count in value.items())
        case tuple():
            return ", ".join(map(_for_people, value))
        case _:
            return str(value)


def _for_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"not for JSON: {type(value).__name__}")
