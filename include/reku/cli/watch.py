"""`reku deliveries watch`: how far the dispatch of the day has come, by the ledger's counts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.database import database
from reku.cli.output import Json, console, printable, show

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.console import Group

    from reku.views.progress import DispatchProgress

_LOOKS = 10
"""The rate shown is that of so many looks."""


def watch(
    delivery: Annotated[
        int | None, typer.Argument(metavar="ID", help="Only this delivery.", show_default=False)
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the numbers once.")] = False,
    as_json: Json = False,
) -> None:
    """Watch the deliveries that are being dispatched.

    A bar for each one that has messages due today or in hand, with what became of those that ended today, until nothing
    is left to do or Ctrl-C. With --once or --json, and where there is no terminal, the numbers are printed once.

    Example: `reku deliveries watch --once`.
    """
    from reku.views.progress import dispatch_progress

    engine = database()
    progress = dispatch_progress(engine, delivery)
    if once or as_json or not console().is_terminal:
        show(map(asdict, progress), as_json=as_json, nothing="Nothing is due or in hand.")
    else:
        _watch(engine, delivery)


def _watch(engine: sa.Engine, delivery: int | None) -> None:
    from rich.live import Live

    from reku.views.progress import dispatch_progress

    looks: dict[int, deque[tuple[float, int]]] = {}
    with Live(console=console(), auto_refresh=False) as screen:
        while True:
            begun = time.monotonic()
            rows = dispatch_progress(engine, delivery, looks)
            for row in rows:
                looks.setdefault(row.delivery, deque(maxlen=_LOOKS)).append((begun, row.done))
            screen.update(_bars(rows, looks), refresh=True)
            if not any(row.left for row in rows):
                break
            # A look takes a moment where there are a million messages, and shall not slow down what it looks at.
            time.sleep(max(1.0, 9 * (time.monotonic() - begun)))
    if not looks:
        typer.echo("Nothing is due or in hand.")


def _bars(rows: Sequence[DispatchProgress], looks: Mapping[int, Sequence[tuple[float, int]]]) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    parts: list[Table | str] = []
    for row in rows:
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            printable(f"{row.delivery}: {row.institute} {row.order} {row.number:06d}"),
            ProgressBar(row.due, row.done, width=30),
            f"{100 * row.done // row.due} %",
        )
        parts += [bar, f"  {_told(row, looks[row.delivery])}"]
    return Group(*parts)


def _told(row: DispatchProgress, looks: Sequence[tuple[float, int]]) -> str:
    """`1190 sent, 10 withheld, 3800 open; 400 a second, 0:00:10 to go`. `looks`: moments and how many had ended."""
    names = ("sent", "prepared", "withheld", "rejected", "not_in_time", "in_doubt", "open", "put_off")
    counts = asdict(row)
    told = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts[name])
    (first, before), (last, now) = looks[0], looks[-1]
    if now > before and row.left:
        rate = (now - before) / (last - first)
        told += f"; {rate:.1f} a second, {timedelta(seconds=round(row.left / rate))} to go"
    return told
