"""The occasion's response window after the last mail is waited for; then what has come back is taken in."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.process.answers import Answer, Counts, Done, WaitUntil
from reku.process.collecting import age_of_return_mails, wait_for_return_mails
from reku.process.days import end_of_waiting
from reku.responses import hits
from reku.store.states import MessageState
from reku.store.tables import deliveries, messages, orders, responses


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:
    """Use the responses that are in once the window is over. Done with the number of events of each kind.

    The return mails that had come by then are waited for, for a bounded time; the counts say until when they are in.
    """
    last = _last_handed_over(engine, delivery)
    if last:
        until = min(last + _response_window(engine, delivery), end_of_waiting(day))
        if until > clock.now():
            return WaitUntil(until, "response window")
        if (wait := wait_for_return_mails(engine, until, "response window")) is not None:
            return wait
    hits.take_in(engine)  # for a second at most
    counts: Counts = dict(_response_counts(engine, delivery))
    return Done(counts | age_of_return_mails(engine))


def _response_window(engine: sa.Engine, delivery: int) -> timedelta:
    own = settings().response_window_seconds
    if own is not None:
        return timedelta(seconds=own)
    with engine.connect() as connection:
        code: str = connection.execute(
            sa.select(orders.c.occasion)
            .join(deliveries, deliveries.c.order_id == orders.c.id)
            .where(deliveries.c.id == delivery)
        ).scalar_one()
    occasion = occasions().get(code)
    if occasion is None:
        raise StageError(f"The occasion {code} of delivery {delivery} has no file in include/occasions. Restore it.")
    return occasion.response_window


def _last_handed_over(engine: sa.Engine, delivery: int) -> datetime | None:
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(
            sa.select(sa.func.max(messages.c.ended_at)).where(
                messages.c.delivery_id == delivery, messages.c.state == MessageState.SENT
            )
        )
        return found


def _response_counts(engine: sa.Engine, delivery: int) -> dict[str, int]:
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(responses.c.kind, sa.func.count())
            .join(messages, messages.c.id == responses.c.message_id)
            .where(messages.c.delivery_id == delivery)
            .group_by(responses.c.kind)
            .order_by(responses.c.kind)
        )
        return dict(map(tuple, rows))
