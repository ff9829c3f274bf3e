"""Response files: what was reported to a core system, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.feedback_file import no_such_file
from reku.store.tables import feedback_files as of
from reku.store.tables import feedback_rows, orders, responses
from reku.views.rows import filters, read


@dataclass(frozen=True)
class FeedbackFileLine:
    """A response file. `order`: None for a file of all orders; without `written_at` the next export finishes it."""

    institute: str
    number: int
    file_name: str
    order: str | None
    rows: int
    stamped_at: datetime
    written_at: datetime | None


@dataclass(frozen=True)
class EventCount:
    """How many events of a kind."""

    kind: str
    count: int


@dataclass(frozen=True)
class FeedbackFileDetails:
    """One response file; `sha256` over its bytes, once it is written."""

    institute: str
    number: int
    file_name: str
    order: str | None
    rows: int
    stamped_at: datetime
    written_at: datetime | None
    sha256: str | None
    events: tuple[EventCount, ...]


def feedback_files(engine: sa.Engine, institute: str = "") -> list[FeedbackFileLine]:
    """The response files, newest first; of all, or of an institute."""
    wanted = (
        sa.select(
            *(of.c.institute, of.c.number, of.c.file_name),
            orders.c.order_number.label("order"),
            *(of.c.rows, of.c.stamped_at, of.c.written_at),
        )
        .outerjoin(orders, orders.c.id == of.c.order_id)
        .where(*filters((of.c.institute, institute)))
        .order_by(of.c.id.desc())
    )
    with engine.connect() as connection:
        return read(connection, wanted, FeedbackFileLine)


def feedback_file(engine: sa.Engine, institute: str, number: int) -> FeedbackFileDetails:
    """One response file with its events by kind. Raises StageError if there is none of this number."""
    with engine.connect() as connection:
        file = connection.execute(
            sa.select(
                *(of.c.id, of.c.institute, of.c.number, of.c.file_name),
                orders.c.order_number.label("order"),
                *(of.c.rows, of.c.stamped_at, of.c.written_at, of.c.sha256),
            )
            .outerjoin(orders, orders.c.id == of.c.order_id)
            .where(of.c.institute == institute, of.c.number == number)
        ).one_or_none()
        if file is None:
            raise no_such_file(institute, number)
        known = dict(file._mapping)
        events = (
            sa.select(responses.c.kind, sa.func.count().label("count"))
            .join(feedback_rows, feedback_rows.c.response_id == responses.c.id)
            .where(feedback_rows.c.file_id == known.pop("id"))
            .group_by(responses.c.kind)
            .order_by(responses.c.kind)
        )
        return FeedbackFileDetails(**known, events=tuple(read(connection, events, EventCount)))
