"""Messages: the ledger, row by row, without anybody's data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.tables import messages, orders, past_messages
from reku.views.rows import filters, read


@dataclass(frozen=True)
class MessageLine:
    """A message in a list: when it is due, how it ended (`state`, `answer` of the relay) and why (`reason`)."""

    institute: str
    order: str
    number: int
    reference: str
    due_at: datetime
    state: str
    reason: str
    medium: str
    answer: str
    ended_at: datetime | None


def message_lines(
    engine: sa.Engine, institute: str = "", order: str = "", state: str = "", limit: int = 200
) -> list[MessageLine]:
    """The newest messages; of all, or of an institute, an order number, a state."""
    of = messages.c
    wanted = (
        sa.select(
            of.institute,
            orders.c.order_number.label("order"),
            of.delivery_number.label("number"),
            of.reference,
            of.due_at,
            of.state,
            of.reason,
            of.medium,
            of.answer,
            of.ended_at,
        )
        .join(orders, orders.c.id == of.order_id)
        .where(*filters((of.institute, institute), (orders.c.order_number, order), (of.state, state)))
        .order_by(of.id.desc())
        .limit(limit)
    )
    with engine.connect() as connection:
        return read(connection, wanted, MessageLine)


def next_message_id(engine: sa.Engine) -> int:
    """The first id that no message has, nor had one that has left by retention."""
    newest = (
        sa.select(sa.func.coalesce(sa.func.max(of.c.id), 0)).scalar_subquery() for of in (messages, past_messages)
    )
    with engine.connect() as connection:
        found: int = connection.execute(sa.select(sa.func.greatest(*newest))).scalar_one()
    return found + 1
