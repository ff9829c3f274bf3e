"""How commands show what they found: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.foundation import clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]

_WIDE = 100_000
"""Columns of a console that is no terminal: nothing may be cut off in a pipe or a file."""


def show(rows: Iterable[Mapping[Any, Any]], *, as_json: bool, nothing: str) -> None:
    """Print rows that have the same keys; `nothing` is said to people where there are none."""
    listed = [dict(row) for row in rows]
    if as_json:
        print_json(listed)
    elif listed:
        console().print(table(listed))
    else:
        typer.echo(nothing)


def show_one(values: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: its values under one another, to people only those it has. Lists of rows become tables."""
    if as_json:
        print_json(dict(values))
        return
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    parts = {name: value for name, value in values.items() if isinstance(value, list)}
    for name, value in values.items():
        if name not in parts and value not in (None, ""):
            grid.add_row(name, printable(_for_people(value)))
    console().print(grid, markup=False)
    for name, rows in parts.items():
        typer.echo(f"\n{name}:" if rows else f"\n{name}: none")
        if rows:
            console().print(table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table of rows that have the same keys; numbers stand on the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, value in rows[0].items():
        is_number = isinstance(value, int) and not isinstance(value, bool)
        shown.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(printable(_for_people(value))) for value in row.values()))
    return shown


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
