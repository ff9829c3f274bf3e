"""What people did by hand, put on record in the transaction that does it."""

from __future__ import annotations

import sqlalchemy as sa

from reku.foundation import clock
from reku.store.tables import EVERY_INSTITUTE, audit


def put_on_record(
    connection: sa.Connection, institute: str | None, *, actor: str, action: str, subject: str, note: str
) -> None:
    """Write an entry of the audit. `institute` None: all of them. `subject`: `table:id` or a Referenz, no person."""
    connection.execute(
        sa.insert(audit).values(
            institute=institute or EVERY_INSTITUTE,
            at=clock.now(),
            actor=actor,
            action=action,
            subject=subject,
            note=note,
        )
    )
