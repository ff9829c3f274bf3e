"""Where the rows of each order have gone, and whether the numbers add up (DESIGN 6.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from reku.store.tables import (
    UNFINISHED,
    DeliveryState,
    MessageState,
    ResponseKind,
    deliveries,
    messages,
    orders,
    responses,
)

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class FunnelRow:
    """One order of an institute; all counts are of rows, that is of people.

    `not_loaded`: rows of deliveries that are parked, refused or still on their way; `rows`, `rejected` and `accepted`
    are of those in the ledger, loaded or declined. `states`: messages by state. `reasons`: withheld ones by reason.
    `responses`: messages to which at least one response of the kind came. `adds_up`: in every delivery of the ledger
    rows = accepted + rejected, and accepted = the sum of its messages' states.
    """

    institute: str
    order_number: str
    name: str
    occasion: str
    not_loaded: int
    rows: int
    rejected: int
    accepted: int
    adds_up: bool
    states: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    responses: Mapping[str, int] = field(default_factory=dict)

    def state(self, *states: MessageState) -> int:
        """Messages in any of these states."""
        return sum(self.states.get(state, 0) for state in states)

    def response(self, kind: ResponseKind) -> int:
        """Messages with a response of this kind."""
        return self.responses.get(kind, 0)

    def as_dict(self) -> dict[str, Any]:
        """The row with the words of the table, for JSON."""
        return {
            "institute": self.institute,
            "order": self.order_number,
            "name": self.name,
            "occasion": self.occasion,
            "not_loaded": self.not_loaded,
            "rows": self.rows,
            "rejected": self.rejected,
            "accepted": self.accepted,
            "sent": self.state(MessageState.SENT),
            "withheld": dict(self.reasons),
            "rejected_by_server": self.state(MessageState.REJECTED),
            "not_in_time": self.state(MessageState.UNDELIVERED),
            "in_doubt": self.state(MessageState.IN_DOUBT),
            "open": self.state(*UNFINISHED),
            "opened": self.response(ResponseKind.OEFF),
            "clicked": self.response(ResponseKind.KLIC),
            "unsubscribed": self.response(ResponseKind.ABME),
            "hard": self.response(ResponseKind.HBOU),
            "soft": self.response(ResponseKind.SBOU),
            "adds_up": self.adds_up,
        }


def funnel(engine: sa.Engine) -> list[FunnelRow]:
    """One row per order that anything was delivered for, by institute and order number.

    A delivery parked without an order counts under the order number that its file names.
    """
    with engine.connect() as connection:
        # One snapshot for all queries, or a dispatcher at work would make the numbers disagree.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        counted = connection.execute(_deliveries()).all()
        states = _grouped(connection.execute(_messages(messages.c.state)))
        reasons = _grouped(
            connection.execute(_messages(messages.c.reason).where(messages.c.state == MessageState.WITHHELD))
        )
        came_back = _grouped(connection.execute(_responses()))
    return [
        FunnelRow(
            **row._asdict(),
            states=states.get((row.institute, row.order_number), {}),
            reasons=reasons.get((row.institute, row.order_number), {}),
            responses=came_back.get((row.institute, row.order_number), {}),
        )
        for row in counted
    ]


def funnel_table(rows: Sequence[FunnelRow]) -> Table:
    """The rows as a Rich table of 80 columns; what is zero is left out of it, but for rows and sent."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False)
    shown.add_column("order", overflow="fold")
    for name in ("rows", "messages", "responses", "adds\nup"):
        shown.add_column(name, no_wrap=True)
    for row in rows:
        told = row.as_dict()
        messages = _figures({name: told[name] for name in _MESSAGES}, always="sent")
        reasons = [f"{count:>6} {reason}" for reason, count in row.reasons.items()]
        if reasons:
            reasons.insert(0, f"{sum(row.reasons.values()):>4} withheld:")
        shown.add_row(
            Text(f"{row.institute}\n{row.order_number}\n{row.name}\n{row.occasion}"),
            _figures({name: told[name] for name in _ROWS}, always="rows"),
            "\n".join((messages, *reasons)),
            _figures({name: told[name] for name in _RESPONSES}),
            "yes" if row.adds_up else "NO",
        )
    return shown


_IN_LEDGER = (DeliveryState.LOADED, DeliveryState.DECLINED)
"""States of deliveries whose every accepted row has a message; those of a declined one are withheld."""

_ROWS = ("rows", "accepted", "rejected", "not_loaded")
_MESSAGES = ("sent", "open", "rejected_by_server", "not_in_time", "in_doubt")
_RESPONSES = ("opened", "clicked", "unsubscribed", "hard", "soft")
_MEANING = {"hard": "hard bounces", "soft": "soft bounces"}


def _figures(counts: Mapping[str, int], always: str = "") -> str:
    shown = {name: count for name, count in counts.items() if count or name == always}
    return "\n".join(f"{count:>4} {_MEANING.get(name, name.replace('_', ' '))}" for name, count in shown.items())


def _deliveries() -> sa.Select[Any]:
    """Counts per order, with the check of each delivery for itself: two faults must not make up for each other."""
    opened = (
        sa.select(sa.func.count())
        .where(messages.c.delivery_id == deliveries.c.id)
        .correlate(deliveries)
        .scalar_subquery()
    )
    each = sa.select(
        deliveries.c.institute,
        deliveries.c.order_number,
        deliveries.c.occasion,
        deliveries.c.state.in_(_IN_LEDGER).label("in_ledger"),
        sa.func.coalesce(deliveries.c.rows, 0).label("rows"),
        deliveries.c.rejected,
        deliveries.c.accepted,
        sa.and_(
            deliveries.c.rows == deliveries.c.accepted + deliveries.c.rejected, deliveries.c.accepted == opened
        ).label("adds_up"),
    ).subquery()
    in_ledger = each.c.in_ledger

    def total(column: sa.ColumnElement[Any], which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.coalesce(sa.func.sum(column).filter(which), 0), sa.Integer)

    return (
        sa.select(
            each.c.institute,
            each.c.order_number,
            sa.func.coalesce(sa.func.max(orders.c.name), "").label("name"),
            sa.func.coalesce(sa.func.max(orders.c.occasion), sa.func.max(each.c.occasion)).label("occasion"),
            total(each.c.rows, ~in_ledger).label("not_loaded"),
            total(each.c.rows, in_ledger).label("rows"),
            total(each.c.rejected, in_ledger).label("rejected"),
            total(each.c.accepted, in_ledger).label("accepted"),
            sa.func.coalesce(sa.func.bool_and(sa.func.coalesce(each.c.adds_up, False)).filter(in_ledger), True).label(
                "adds_up"
            ),
        )
        .outerjoin(orders, (orders.c.institute == each.c.institute) & (orders.c.order_number == each.c.order_number))
        .group_by(each.c.institute, each.c.order_number)
        .order_by(each.c.institute, each.c.order_number)
    )


def _messages(column: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(orders.c.institute, orders.c.order_number, column, sa.func.count())
        .join(orders, orders.c.id == messages.c.order_id)
        .group_by(orders.c.institute, orders.c.order_number, column)
        .order_by(column)
    )


def _responses() -> sa.Select[Any]:
    return (
        sa.select(
            orders.c.institute,
            orders.c.order_number,
            responses.c.kind,
            sa.func.count(responses.c.message_id.distinct()),
        )
        .join(orders, orders.c.id == responses.c.order_id)
        .group_by(orders.c.institute, orders.c.order_number, responses.c.kind)
        .order_by(responses.c.kind)
    )


def _grouped(result: sa.CursorResult[Any]) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    row: Any
    for row in result:
        institute, order_number, key, count = row
        found.setdefault((institute, order_number), {})[key] = count
    return found
