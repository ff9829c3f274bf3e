"""What prepared files there are, and what has become of each: for the page, and for `reku agree21 files list`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from reku.store.kinds import PreparedKind
from reku.store.tables import deliveries, prepared_files
from reku.views.rows import read

PREPARED, FETCHED, ACKNOWLEDGED, EXPIRED = "prepared", "fetched", "acknowledged", "expired"


@dataclass(frozen=True)
class PreparedFileLine:
    """A prepared file. `state`: prepared, fetched, acknowledged or expired; `rows`: as many as were put into it.

    `order` and `delivery_number` are empty in one of all deliveries. `fetchable`: whether it may be fetched (again).
    """

    id: int
    institute: str
    kind: str
    number: int
    name: str
    order: str
    delivery_number: int | None
    state: str
    rows: int
    left_out: int
    prepared_at: datetime
    last_day: date
    fetched_at: datetime | None
    acknowledged_at: datetime | None
    fetchable: bool


def prepared_files_of(engine: sa.Engine, institute: str = "", *, fetchable: bool = False) -> list[PreparedFileLine]:
    """The prepared files of a bank (or of all), newest first; `fetchable`: only those that may be fetched."""
    of = prepared_files.c
    # what a bank's EMMA account gets is nobody else's to take
    may_be_fetched = of.erased_at.is_(None) & of.expired_at.is_(None) & (of.kind != PreparedKind.EMMA)
    state = sa.case(
        (of.acknowledged_at.is_not(None), ACKNOWLEDGED),
        (of.fetched_at.is_not(None), FETCHED),
        (of.expired_at.is_not(None), EXPIRED),
        else_=PREPARED,
    )
    wanted = (
        sa.select(
            of.id,
            of.institute,
            of.kind,
            of.number,
            of.file_name.label("name"),
            sa.func.coalesce(deliveries.c.order_number, "").label("order"),
            deliveries.c.delivery_number,
            state.label("state"),
            of["rows"],
            of.left_out,
            of.stamped_at.label("prepared_at"),
            of.last_day,
            of.fetched_at,
            of.acknowledged_at,
            may_be_fetched.label("fetchable"),
        )
        .outerjoin(deliveries, deliveries.c.id == of.delivery_id)
        .where(of.institute == institute if institute else sa.true(), may_be_fetched if fetchable else sa.true())
        .order_by(of.institute, of.stamped_at.desc(), of.id.desc())
    )
    with engine.connect() as connection:
        return read(connection, wanted, PreparedFileLine)
