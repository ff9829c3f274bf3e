"""What a delivery report shows, read from our tables: counts, rules and references, nothing of people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes, occasions
from reku.store import tables
from reku.store.delivery import load_delivery
from reku.store.kinds import EventKind
from reku.store.metric_names import ROWS
from reku.store.states import Decision, DeliveryState, MessageState
from reku.store.tables import deliveries, files, orders, releases

MOST_REJECTS = 1_000
"""Rejected rows that a report lists."""
MOST_HISTORY = 30
"""Deliveries of the order that its plot shows, the reported one included."""

SHOWN_RESPONSES = (
    *(EventKind.OPENED, EventKind.CLICKED, EventKind.UNSUBSCRIBED, EventKind.COMPLAINED),
    *(EventKind.BOUNCED_HARD, EventKind.BOUNCED_SOFT, EventKind.BOUNCED_UNKNOWN),
)
"""What came back and is counted, in this order."""

_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9_.:/-]+")


@dataclass(frozen=True)
class RuleCount:
    """What one rule of the gate found, in rows."""

    name: str
    field: str
    check: str
    severity: str
    code: str
    advice: str
    looked_at: int
    broken: int


@dataclass(frozen=True)
class Reject:
    """A row that the gate kept out."""

    line: int
    reference: str
    field: str
    code: str
    advice: str


@dataclass(frozen=True)
class Metric:
    """A metric of the delivery as a whole and the range that passes unasked; None: no bound on that side."""

    name: str
    value: float
    low: float | None
    high: float | None
    basis: str

    @property
    def is_judged(self) -> bool:
        """Whether there is a range to hold it against."""
        return self.low is not None or self.high is not None

    @property
    def is_inside(self) -> bool:
        """Whether it lies within its range, ends included."""
        return (self.low is None or self.low <= self.value) and (self.high is None or self.value <= self.high)


@dataclass(frozen=True)
class PastDelivery:
    """One delivery of the order on the plot: its rows and the range they were held against."""

    delivery: int
    number: int
    day: date
    rows: int
    refused: bool
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Sent:
    """What was sent of a delivery: messages by state, withheld ones by reason, and how many had something come back."""

    states: Mapping[str, int]
    reasons: Mapping[str, int]
    responses: Mapping[str, int]


@dataclass(frozen=True)
class Facts:
    """Everything about one delivery. `rejects` are the first `MOST_REJECTS`, `rejects_in_all` counts all of them;
    `history` ends with the delivery itself if its rows are known.
    """

    delivery: int
    number: int
    institute: str
    bank: str
    order_number: str
    order_name: str
    occasion: str
    occasion_title: str
    file_name: str
    received_at: datetime
    state: DeliveryState
    code: str
    advice: str
    rows: int | None
    accepted: int | None
    rejected: int | None
    asked_at: datetime | None
    decision: Decision | None
    decided_at: datetime | None
    released_at: datetime | None
    loaded_at: datetime | None
    rules: tuple[RuleCount, ...]
    rejects: tuple[Reject, ...]
    rejects_in_all: int
    metrics: tuple[Metric, ...]
    history: tuple[PastDelivery, ...]
    sent: Sent


def read_sent(engine: sa.Engine, delivery_id: int) -> Sent:
    """What was sent of a delivery up to now."""
    with engine.connect() as connection:
        return _sent(connection, delivery_id)


def read_facts(engine: sa.Engine, delivery_id: int) -> Facts:
    """The facts of a delivery as of one moment. Raises StageError if there is no such delivery."""
    with engine.connect() as connection, connection.execution_options(isolation_level="REPEATABLE READ").begin():
        found = _delivery(connection, delivery_id)
        return Facts(
            **found._mapping,
            bank=_bank_name(found.institute),
            occasion_title=_title(found.occasion),
            rules=_rules(connection, delivery_id),
            rejects=_rejects(connection, delivery_id),
            rejects_in_all=_count_rejects(connection, delivery_id),
            metrics=_metrics(connection, delivery_id),
            history=_history(connection, found.order_number, found.institute, delivery_id),
            sent=_sent(connection, delivery_id),
        )


def _delivery(connection: sa.Connection, delivery_id: int) -> sa.Row[Any]:
    of = deliveries.c
    columns: list[sa.ColumnElement[Any]] = [
        of.id.label("delivery"),
        of.delivery_number.label("number"),
        sa.func.coalesce(orders.c.name, "").label("order_name"),
        *(of.institute, of.order_number, of.occasion, of.state, of.code, of.advice),
        *(of.rows, of.accepted, of.rejected, of.released_at, of.loaded_at),
        sa.func.coalesce(files.c.file_name, "").label("file_name"),
        sa.func.coalesce(files.c.received_at, of.created_at).label("received_at"),
        *(releases.c.asked_at, releases.c.decision, releases.c.decided_at),
    ]
    wanted = (
        sa.select(*columns)
        .outerjoin(files, files.c.id == of.file_id)
        .outerjoin(orders, orders.c.id == of.order_id)
        .outerjoin(releases, releases.c.delivery_id == of.id)
    )
    return load_delivery(connection, delivery_id, wanted)


def _sent(connection: sa.Connection, delivery_id: int) -> Sent:
    of, came = tables.messages.c, tables.responses.c
    mine = of.delivery_id == delivery_id

    def counted(wanted: sa.Select[Any]) -> dict[str, int]:
        return {str(name): int(count) for name, count in connection.execute(wanted)}

    def grouped(column: sa.Column[Any], *which: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(column, sa.func.count()).where(mine, *which).group_by(column).order_by(column)

    responses = (
        sa.select(came.kind, sa.func.count(came.message_id.distinct()))
        .join(tables.messages, of.id == came.message_id)
        .where(mine, came.kind.in_(SHOWN_RESPONSES))
        .group_by(came.kind)
    )
    withheld = grouped(of.reason, of.state == MessageState.WITHHELD)
    return Sent(counted(grouped(of.state)), counted(withheld), counted(responses))


def _rules(connection: sa.Connection, delivery_id: int) -> tuple[RuleCount, ...]:
    of = tables.rule_counts.c
    columns = (of.rule.label("name"), of.field, of.check, of.severity, of.code, of.advice, of.looked_at, of.broken)
    rows = connection.execute(sa.select(*columns).where(of.delivery_id == delivery_id).order_by(of.number))
    return tuple(RuleCount(**row._mapping) for row in rows)


def _rejects(connection: sa.Connection, delivery_id: int) -> tuple[Reject, ...]:
    of = tables.rejects.c
    rows = connection.execute(
        sa.select(of.line, of.reference, of.field, of.code, of.advice)
        .where(of.delivery_id == delivery_id)
        .order_by(of.line)
        .limit(MOST_REJECTS)
    )
    return tuple(Reject(row.line, shown_reference(row.reference), row.field, row.code, row.advice) for row in rows)


def shown_reference(reference: str) -> str:
    """The reference if it is written like a key, else empty.

    In a file with swapped columns a name, an address or a person number may stand where the reference belongs. A key
    has letters and digits and no blank; a name has no digit, a person number no letter, a mail address an @.
    """
    return reference if _KEY.fullmatch(reference) else ""


def _count_rejects(connection: sa.Connection, delivery_id: int) -> int:
    of = tables.rejects.c
    return connection.scalar(sa.select(sa.func.count()).where(of.delivery_id == delivery_id)) or 0


def _metrics(connection: sa.Connection, delivery_id: int) -> tuple[Metric, ...]:
    of = tables.metrics.c
    rows = connection.execute(
        sa.select(of.name, of.value, of.low, of.high, of.basis).where(of.delivery_id == delivery_id)
    )
    return tuple(Metric(**row._mapping) for row in rows)


def _history(connection: sa.Connection, order: str, institute: str, delivery_id: int) -> tuple[PastDelivery, ...]:
    """The order's deliveries up to this one whose rows are known, oldest first. Later ones are left out, so that a
    report made again shows the same.
    """
    of, range_ = deliveries.c, tables.metrics.c
    rows = connection.execute(
        sa.select(
            of.id.label("delivery"),
            of.delivery_number.label("number"),
            of.day,
            of.rows,
            (of.state == DeliveryState.REFUSED).label("refused"),
            range_.low,
            range_.high,
        )
        .outerjoin(tables.metrics, (range_.delivery_id == of.id) & (range_.name == ROWS))
        .where(of.institute == institute, of.order_number == order, of.id <= delivery_id, of.rows.is_not(None))
        .order_by(of.id.desc())
        .limit(MOST_HISTORY)
    ).all()
    return tuple(PastDelivery(**row._mapping) for row in reversed(rows))


def _bank_name(institute: str) -> str:
    """The bank as people know it, else its BLZ: a broken file of a bank must not keep a report from being made."""
    known = institutes().whole.get(institute)
    return known.name if known else institute


def _title(occasion: str) -> str:
    known = occasions().whole.get(occasion)
    return known.title if known else ""
