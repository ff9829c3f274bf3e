"""Mails whose window has passed are withheld as expired, unless a person asks for them all the same."""

from __future__ import annotations

import sqlalchemy as sa

from reku.dispatch.ledger import Due
from reku.foundation import clock
from reku.store.audit import put_on_record
from reku.store.tables import deliveries, delivery_rows, messages


def send_although_late(engine: sa.Engine, due: Due, *, actor: str, note: str) -> int:
    """Let the open messages go out today whose last day is over; returns how many. Put on record.

    A row's own last day (`Gueltig_bis`) holds: what is offered in that mail is over.
    """
    today = clock.today()
    own_day_is_over = sa.exists().where(delivery_rows.c.id == messages.c.row_id, delivery_rows.c.valid_until < today)
    with engine.begin() as connection:
        late = connection.execute(
            sa.update(messages)
            .where(due.condition(), messages.c.last_day < today, ~own_day_is_over)
            .values(last_day=today)
        ).rowcount
        if late:
            institute = connection.scalar(sa.select(deliveries.c.institute).where(deliveries.c.id == due.delivery))
            subject = f"deliveries:{due.delivery}"
            about = f"{late} messages, {note}"
            put_on_record(connection, institute, actor=actor, action="send late", subject=subject, note=about)
    return late
