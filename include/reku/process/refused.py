"""Refused deliveries: what a person is told who waits for one, and which one has taken its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock
from reku.process.answers import shown
from reku.process.need_words import after_refusal
from reku.release.report import find_report, write_report_or_warn
from reku.store.states import WAS_TAKEN_IN, DeliveryState
from reku.store.tables import deliveries, files


@dataclass(frozen=True)
class RefusedDelivery:
    """A delivery that was refused as a whole: when it came, and why; `advice` is German, as its receipt has it."""

    id: int
    institute: str
    number: int
    received_at: datetime
    code: str
    advice: str

    def __str__(self) -> str:
        return (
            f"it came on {shown(self.received_at)} as number {self.number:06d} and was refused for {self.code}:"
            f" {self.advice.rstrip('.')}. {after_refusal(self.id, self.code).english} It is taken as soon as it comes."
        )


def refused_for(engine: sa.Engine, order: int, day: date) -> RefusedDelivery | None:
    """The last delivery that came for an order's period that starts on that day and was refused; None without any."""
    of = deliveries.c
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(of.id, of.institute, of.delivery_number, files.c.received_at, of.code, of.advice)
            .join(files, files.c.id == of.file_id)
            .where(of.order_id == order, of.period_start == day, of.state == DeliveryState.REFUSED)
            .order_by(of.id.desc())
            .limit(1)
        ).one_or_none()
    return None if row is None else RefusedDelivery(*row)


def corrected_one(engine: sa.Engine, delivery: int) -> int:
    """The corrected delivery that has taken the place of a refused one; of any other, and without one, it itself."""
    this, other = deliveries.alias("this"), deliveries.alias("other")
    key = ("institute", "contract", "order_number", "delivery_number")
    with engine.connect() as connection:
        found: int | None = connection.scalar(
            sa.select(other.c.id)
            .join(this, sa.and_(*(other.c[name] == this.c[name] for name in key)))
            .where(this.c.id == delivery, this.c.state == DeliveryState.REFUSED, other.c.state.in_(WAS_TAKEN_IN))
        )
    return delivery if found is None else found


def report_refused(engine: sa.Engine, institute: str) -> None:
    """Make the report of each delivery of a bank that was refused at intake today or yesterday and has none yet."""
    c = deliveries.c
    wanted = sa.select(c.id).where(
        c.institute == institute,
        c.state == DeliveryState.REFUSED,
        c.created_at >= clock.now() - timedelta(days=1),
    )
    with engine.connect() as connection:
        refused = connection.scalars(wanted).all()
    for delivery in refused:
        if find_report(delivery) is None:
            write_report_or_warn(engine, delivery)
