"""`reku deliveries watch`: how far the dispatch of the day has come, by the ledger's counts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.output import Json, console, printable, show

if TYPE_CHECKING:
    import sqlalchemy as sa
    from rich.console import Group

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
    """
    engine = database()
    if delivery is not None:
        _check(engine, delivery)
    if once or as_json or not console().is_terminal:
        show(_counts(engine, delivery), as_json=as_json, nothing="Nothing is due or in hand.")
    else:
        _watch(engine, delivery)


def _check(engine: sa.Engine, delivery: int) -> None:
    from reku.store.delivery import load_delivery

    with engine.connect() as connection:
        load_delivery(connection, delivery)


def _watch(engine: sa.Engine, delivery: int | None) -> None:
    from rich.live import Live

    looks: dict[int, deque[tuple[float, int]]] = {}
    with Live(console=console(), auto_refresh=False) as screen:
        while True:
            begun = time.monotonic()
            rows = _counts(engine, delivery, looks)
            for row in rows:
                looks.setdefault(row["delivery"], deque(maxlen=_LOOKS)).append((begun, row["due"] - _left(row)))
            screen.update(_bars(rows, looks), refresh=True)
            if not any(map(_left, rows)):
                break
            # A look takes a moment where there are a million messages, and shall not slow down what it looks at.
            time.sleep(max(1.0, 9 * (time.monotonic() - begun)))
    if not looks:
        typer.echo("Nothing is due or in hand.")


def _bars(rows: Sequence[Mapping[str, Any]], looks: Mapping[int, Sequence[tuple[float, int]]]) -> Group:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    parts: list[Table | str] = []
    for row in rows:
        done = row["due"] - _left(row)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            printable(f"{row['delivery']}: {row['institute']} {row['order']} {row['number']:06d}"),
            ProgressBar(row["due"], done, width=30),
            f"{100 * done // row['due']} %",
        )
        parts += [bar, f"  {_told(row, looks[row['delivery']])}"]
    return Group(*parts)


def _left(row: Mapping[str, Any]) -> int:
    left: int = row["open"] + row["put_off"]
    return left


def _told(row: Mapping[str, Any], looks: Sequence[tuple[float, int]]) -> str:
    """`1190 sent, 10 withheld, 3800 open; 400 a second, 0:00:10 to go`. `looks`: moments and how many had ended."""
    names = ("sent", "withheld", "rejected", "not_in_time", "in_doubt", "open", "put_off")
    told = ", ".join(f"{row[name]} {name.replace('_', ' ')}" for name in names if row[name])
    (first, before), (last, now) = looks[0], looks[-1]
    if now > before and _left(row):
        rate = (now - before) / (last - first)
        told += f"; {rate:.1f} a second, {timedelta(seconds=round(_left(row) / rate))} to go"
    return told


def _counts(engine: sa.Engine, delivery: int | None, also: Collection[int] = ()) -> list[dict[str, Any]]:
    """What is due today, by delivery: of those that have some of it open or in hand, of the one given, of `also`.

    `due` is the sum of all that follow. Messages of earlier days count only if they were still open today.
    """
    import sqlalchemy as sa

    from reku.foundation import clock
    from reku.store.states import MAY_STILL_GO_OUT, MessageState
    from reku.store.tables import claims, deliveries, messages

    begins = clock.at(clock.today())
    ends = clock.at(clock.today() + timedelta(days=1))
    of = messages.c
    is_due = of.due_at < ends
    if delivery is not None:
        wanted = deliveries.c.id == delivery
    else:
        in_hand = sa.select(claims.c.delivery_id)
        busy = sa.select(of.delivery_id).where(of.state == MessageState.OPEN, is_due).union(in_hand)
        wanted = deliveries.c.id.in_(busy) | deliveries.c.id.in_(also)

    def count(name: str, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.count().filter(*conditions).label(name)

    is_put_off = (of.state == MessageState.OPEN) & (of.retry_at > clock.now())
    states = {
        "sent": MessageState.SENT,
        "withheld": MessageState.WITHHELD,
        "rejected": MessageState.REJECTED,
        "not_in_time": MessageState.UNDELIVERED,
        "in_doubt": MessageState.IN_DOUBT,
    }
    counted = (
        sa.select(
            deliveries.c.id.label("delivery"),
            deliveries.c.institute,
            deliveries.c.order_number.label("order"),
            deliveries.c.delivery_number.label("number"),
            sa.func.count().label("due"),
            *(count(name, of.state == state) for name, state in states.items()),
            count("open", of.state.in_(MAY_STILL_GO_OUT), is_put_off.is_not(sa.true())),
            count("put_off", is_put_off),
        )
        .join(messages, of.delivery_id == deliveries.c.id)
        .where(wanted, is_due)
        .where(of.state.in_(MAY_STILL_GO_OUT) | (sa.func.coalesce(of.ended_at, of.begun_at) >= begins))
        .group_by(deliveries.c.id)
        .order_by(deliveries.c.id)
    )
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(counted).mappings()]
