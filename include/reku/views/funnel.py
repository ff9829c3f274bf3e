"""Where the rows of each order have gone, and whether the numbers add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from reku.store.kinds import EventKind
from reku.store.replaced import replaced_by
from reku.store.states import MAY_STILL_GO_OUT, STANDS_IN_THE_LEDGER, MessageState
from reku.store.tables import deliveries, messages, orders, responses


@dataclass(frozen=True)
class FunnelRow:
    """One order of an institute, or one of its periods; all counts are of rows, that is of people.

    `period`: the due date that begins it; None for a whole order and for deliveries parked without a period.
    `not_loaded`: rows of deliveries that are parked, refused (and not replaced) or still on their way; `rows`,
    `rejected` and `accepted` are of those in the ledger, loaded or declined. `states`: messages by state. `reasons`:
    withheld ones by reason. `responses`: messages to which at least one response of the kind came. `adds_up`: in every
    delivery of the ledger rows = accepted + rejected, and accepted = the sum of its messages' states.
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
    period: date | None = None
    states: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    responses: Mapping[str, int] = field(default_factory=dict)

    def state(self, *states: MessageState) -> int:
        """Messages in any of these states."""
        return sum(self.states.get(state, 0) for state in states)

    def response(self, kind: EventKind) -> int:
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
            "prepared": self.state(MessageState.PREPARED),
            "withheld": dict(self.reasons),
            "rejected_by_server": self.state(MessageState.REJECTED),
            "not_in_time": self.state(MessageState.UNDELIVERED),
            "in_doubt": self.state(MessageState.IN_DOUBT),
            "open": self.state(*MAY_STILL_GO_OUT),
            "opened": self.response(EventKind.OPENED),
            "clicked": self.response(EventKind.CLICKED),
            "unsubscribed": self.response(EventKind.UNSUBSCRIBED),
            "hard": self.response(EventKind.BOUNCED_HARD),
            "soft": self.response(EventKind.BOUNCED_SOFT),
            "unknown": self.response(EventKind.BOUNCED_UNKNOWN),
            "complained": self.response(EventKind.COMPLAINED),
            "adds_up": self.adds_up,
        }


def funnel(engine: sa.Engine, institute: str = "", order: str = "") -> list[FunnelRow]:
    """One row per order that anything was delivered for, by institute and order number; of all, or of those named.

    A delivery parked without an order counts under the order number that its file names.
    """
    return whole_orders(funnel_by_period(engine, institute, order))


def funnel_by_period(
    engine: sa.Engine, institute: str = "", order: str = "", *, since: date | None = None
) -> list[FunnelRow]:
    """Like `funnel`, one row per order and period of its rhythm, oldest first. A period without a delivery has none.

    `since`: only periods that begin then or later.
    """
    wanted = [deliveries.c.period_start >= since] if since else []
    wanted += [
        column == value
        for column, value in ((deliveries.c.institute, institute), (deliveries.c.order_number, order))
        if value
    ]
    with engine.connect() as connection:
        # One snapshot for all queries, or a dispatcher at work would make the numbers disagree.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        counted = connection.execute(_deliveries().where(*wanted)).all()
        withheld = messages.c.state == MessageState.WITHHELD
        states = _grouped(connection.execute(_messages(messages.c.state).where(*wanted)))
        reasons = _grouped(connection.execute(_messages(messages.c.reason).where(withheld, *wanted)))
        came_back = _grouped(connection.execute(_responses().where(*wanted)))
    return [
        FunnelRow(
            **row._asdict(),
            states=states.get(row[:3], {}),
            reasons=reasons.get(row[:3], {}),
            responses=came_back.get(row[:3], {}),
        )
        for row in counted
    ]


def whole_orders(periods: Iterable[FunnelRow]) -> list[FunnelRow]:
    """The rows of an order's periods, which stand side by side, as one row each."""
    return [_sum(list(rows)) for _, rows in groupby(periods, key=lambda row: (row.institute, row.order_number))]


def _sum(rows: list[FunnelRow]) -> FunnelRow:
    def added(name: str) -> dict[str, int]:
        total = Counter[str]()
        for row in rows:
            total.update(getattr(row, name))
        return dict(sorted(total.items()))

    return FunnelRow(
        institute=rows[0].institute,
        order_number=rows[0].order_number,
        name=rows[0].name,
        occasion=max(row.occasion for row in rows),
        not_loaded=sum(row.not_loaded for row in rows),
        rows=sum(row.rows for row in rows),
        rejected=sum(row.rejected for row in rows),
        accepted=sum(row.accepted for row in rows),
        adds_up=all(row.adds_up for row in rows),
        states=added("states"),
        reasons=added("reasons"),
        responses=added("responses"),
    )


_KEY = (deliveries.c.institute, deliveries.c.order_number, deliveries.c.period_start.label("period"))
"""What a row stands for, of whatever is counted."""


def _deliveries() -> sa.Select[Any]:
    """Counts per order and period; each delivery is checked for itself: two faults must not make up for each other."""
    opened = (
        sa.select(sa.func.count())
        .where(messages.c.delivery_id == deliveries.c.id)
        .correlate(deliveries)
        .scalar_subquery()
    )
    adds_up = sa.func.coalesce(
        sa.and_(deliveries.c.rows == deliveries.c.accepted + deliveries.c.rejected, deliveries.c.accepted == opened),
        False,
    )
    in_ledger = deliveries.c.state.in_(STANDS_IN_THE_LEDGER)

    def total(column: sa.ColumnElement[Any], which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.cast(sa.func.coalesce(sa.func.sum(column).filter(which), 0), sa.Integer)

    return (
        sa.select(
            *_KEY,
            sa.func.coalesce(sa.func.max(orders.c.name), "").label("name"),
            sa.func.coalesce(sa.func.max(orders.c.occasion), sa.func.max(deliveries.c.occasion)).label("occasion"),
            total(deliveries.c.rows, ~in_ledger & replaced_by().is_(None)).label("not_loaded"),
            total(deliveries.c.rows, in_ledger).label("rows"),
            total(deliveries.c.rejected, in_ledger).label("rejected"),
            total(deliveries.c.accepted, in_ledger).label("accepted"),
            sa.func.coalesce(sa.func.bool_and(adds_up).filter(in_ledger), True).label("adds_up"),
        )
        .outerjoin(
            orders,
            (orders.c.institute == deliveries.c.institute) & (orders.c.order_number == deliveries.c.order_number),
        )
        .group_by(*_KEY)
        .order_by(*_KEY)
    )


def _messages(column: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return (
        sa.select(*_KEY, column, sa.func.count())
        .join(deliveries, deliveries.c.id == messages.c.delivery_id)
        .group_by(*_KEY, column)
        .order_by(column)
    )


def _responses() -> sa.Select[Any]:
    return (
        sa.select(*_KEY, responses.c.kind, sa.func.count(responses.c.message_id.distinct()))
        .join(messages, messages.c.id == responses.c.message_id)
        .join(deliveries, deliveries.c.id == messages.c.delivery_id)
        .group_by(*_KEY, responses.c.kind)
        .order_by(responses.c.kind)
    )


def _grouped(result: sa.CursorResult[Any]) -> dict[Any, dict[str, int]]:
    """Counts by what `_KEY` selects, then by the column after it."""
    groups: dict[Any, dict[str, int]] = {}
    row: Any
    for row in result:
        *place, name, count = row
        groups.setdefault(tuple(place), {})[name] = count
    return groups
