"""Response files: what was reported to a core system, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.feedback_file import no_such_file
from reku.store.tables import feedback_files, feedback_rows, orders, responses
from reku.views.rows import filters, read


@dataclass(frozen=True)
class FeedbackFileLine:
    """A response file. `order`: None for a file of all orders; without `written_at` the next export finishes it.

    `left_out`: events of `rows` that have no line in it.
    """

    institute: str
    number: int
    file_name: str
    order: str | None
    rows: int
    left_out: int
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
    left_out: int
    stamped_at: datetime
    written_at: datetime | None
    sha256: str | None
    events: tuple[EventCount, ...]


def feedback_file_lines(engine: sa.Engine, institute: str = "") -> list[FeedbackFileLine]:
    """The response files, newest first; of all, or of an institute."""
    of = feedback_files.c
    wanted = (
        sa.select(
            of.institute,
            of.number,
            of.file_name,
            orders.c.order_number.label("order"),
            of.rows,
            of.left_out,
            of.stamped_at,
            of.written_at,
        )
        .outerjoin(orders, orders.c.id == of.order_id)
        .where(*filters((of.institute, institute)))
        .order_by(of.id.desc())
    )
    with engine.connect() as connection:
        return read(connection, wanted, FeedbackFileLine)


def feedback_file_details(engine: sa.Engine, institute: str, number: int) -> FeedbackFileDetails:
    """One response file with its events by kind. Raises StageError if there is none of this number."""
    of = feedback_files.c
    with engine.connect() as connection:
        file = connection.execute(
            sa.select(
                of.id,
                of.institute,
                of.number,
                of.file_name,
                orders.c.order_number.label("order"),
                of.rows,
                of.left_out,
                of.stamped_at,
                of.written_at,
                of.sha256,
            )
            .outerjoin(orders, orders.c.id == of.order_id)
            .where(of.institute == institute, of.number == number)
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
