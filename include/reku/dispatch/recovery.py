"""Put right what a dispatcher that died has left of a delivery. To be called only under the delivery's lock.

With the batch's journal: what was answered is recorded, what was begun and not answered is in doubt, the rest is open
again. Without it (the machine is lost or was restarted) nothing is touched before the lease has ended; then everything
of the batch that has no known answer is in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.dispatch import journal, ledger
from reku.dispatch.journal import Ended, JournalContent, Owner
from reku.foundation.errors import PassingError
from reku.foundation.one_by_one import one_by_one
from reku.store.states import MessageState
from reku.store.tables import claims, messages


class StillLeased(PassingError):
    """A batch of the delivery is, or may be, in the hands of another dispatcher; try again later.

    `wait`: after that time the leases of a silent machine have ended; None while a process here is alive.
    """

    def __init__(self, text: str, wait: timedelta | None) -> None:
        super().__init__(text)
        self.wait = wait


@dataclass(frozen=True)
class RecoveryResult:
    """What was put right: batches, messages whose answer only the journal knew, messages now in doubt."""

    batches: int = 0
    answered: int = 0
    in_doubt: int = 0


def recover(engine: sa.Engine, delivery: int, journals: Path) -> RecoveryResult:
    """Put right every batch that was left. Raises StillLeased while one may still be in somebody's hands."""
    with engine.connect() as connection:
        left = connection.execute(
            sa.select(
                claims.c.fence,
                (claims.c.lease_until - sa.func.clock_timestamp()).label("lease"),
            )
            .where(claims.c.delivery_id == delivery)
            .order_by(claims.c.fence)
        ).all()
    result = RecoveryResult()
    is_alive = False
    leases: list[timedelta] = []

    def put_right(batch: sa.Row[Any, Any]) -> None:
        nonlocal result, is_alive
        content = journal.read(journals, delivery, batch.fence)
        if content.owner is Owner.ALIVE:
            is_alive = True
        elif content.owner is Owner.UNKNOWN and batch.lease > timedelta():
            leases.append(batch.lease)
        else:
            answered, in_doubt = _put_right(engine, delivery, batch.fence, content)
            result = RecoveryResult(result.batches + 1, result.answered + answered, result.in_doubt + in_doubt)

    done = one_by_one(left, put_right, named=lambda batch: f"batch {batch.fence} of delivery {delivery}")
    if done.failures:
        raise done.failures[0].error  # the others are put right; nothing more is claimed before this one is
    if is_alive:
        raise StillLeased(
            f"Delivery {delivery} is still being dispatched: a process on this machine still has a batch of it. "
            "Nothing was handed over here; it is tried again. To go on at once, end the old process.",
            None,
        )
    if leases:
        raise StillLeased(
            f"Delivery {delivery} may still be being dispatched: a batch was claimed by a machine that is silent, and "
            f"is waited for {max(leases).total_seconds():.0f} s more. Nothing was handed over here; it is tried again.",
            max(leases),
        )
    journal.remove_settled(journals, delivery)
    return result


def _put_right(engine: sa.Engine, delivery: int, fence: int, content: JournalContent) -> tuple[int, int]:
    doubtful = [
        Ended(one.id, MessageState.IN_DOUBT, one.at, one.at, message_id=one.message_id, medium=one.medium)
        for one in content.begun.values()
    ]
    with engine.begin() as connection:
        ledger.record_answers(connection, [(fence, one) for one in (*content.ended, *doubtful)])
        left = ledger.claimed_ids(connection, delivery, fence)
        if content.owner is Owner.DEAD:
            ledger.reopen(connection, {fence: left})
        else:
            _doubt(connection, left)
        ledger.close_batches(connection, delivery, [fence])
    return len(content.ended), len(doubtful) + (len(left) if content.owner is Owner.UNKNOWN else 0)


def _doubt(connection: sa.Connection, ids: list[int]) -> None:
    connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(ids))
        .values(state=MessageState.IN_DOUBT, begun_at=messages.c.claimed_at, attempts=messages.c.attempts + 1)
    )
