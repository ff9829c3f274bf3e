"""The rows of a delivery, read from its original."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.records import RecordFile, contracts, read
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.store.tables import deliveries, files


def read_rows(engine: sa.Engine, delivery_id: int) -> RecordFile:
    """The rows of a delivery's file, checked as a whole when it was registered.

    Raises StageError if its original is gone or changed, FileRefused if it cannot be read any more.
    """
    with engine.connect() as connection:
        delivery = connection.execute(
            sa.select(
                deliveries.c.id,
                deliveries.c.contract,
                files.c.institute,
                files.c.file_name,
                files.c.sha256,
                files.c.stored_as,
                files.c.moving_from,
            )
            .join(files, files.c.id == deliveries.c.file_id)
            .where(deliveries.c.id == delivery_id)
        ).one()
    contract = contracts()[delivery.contract]
    return read(contract, _original(delivery), environment=settings().environment, file_name=delivery.file_name)


def _original(delivery: Any) -> bytes:
    """The bytes as they arrived."""
    try:
        data = filing.original(InboxFolders(delivery.institute), delivery)
    except FileNotFoundError:
        raise StageError(
            f"The original of delivery {delivery.id} is gone from {delivery.stored_as}. Put it back, then clear the"
            " task."
        ) from None
    if hashlib.sha256(data).hexdigest() != delivery.sha256:
        raise StageError(
            f"The original {delivery.stored_as} of delivery {delivery.id} is not the file that was registered: its"
            " check sum differs. Put the registered file back, then clear the task."
        )
    return data
