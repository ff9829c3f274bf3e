"""What the gate found in a delivery goes back to its sender by receipt; a refused original moves to `fehler/`."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa

from reku.foundation.bank_folders import Folder, receipt_name
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import InboxFolders
from reku.sources.inbox.receipts import Line, Status
from reku.store.delivery import load_delivery
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import files, rejects

logger = logging.getLogger(__name__)

MOST_ROWS = 100_000
"""Rejected rows that stand in a receipt. `files.receipt` cannot hold a million, which one wrong layout brings about."""


def receipt_for_rejects(engine: sa.Engine, delivery_id: int) -> str | None:
    """Write the receipt of what the gate found in a delivery: its rows in `rejects`, and whether all was refused.

    Call it after the gate's transaction, on every pass: written again it comes out byte-identical. A crash between
    fixing and writing is repaired by the next intake scan. Returns the path below the files URL, or None where no row
    was rejected. Raises StageError for an unknown delivery, OSError if the storage fails.
    """
    with engine.begin() as connection:
        delivery = load_delivery(connection, delivery_id)
        folders = InboxFolders(delivery.institute)
        of_file = files.c.id == delivery.file_id
        file = connection.execute(sa.select(files).where(of_file).with_for_update(key_share=True)).one()
        decision = _decide(connection, delivery, file)
        if not decision.receipt:
            return None
        if file.verdict != decision.verdict or file.receipt != [line.stored() for line in decision.receipt]:
            filing.record_again(connection, folders, file.id, decision)
        else:
            again = sa.func.coalesce(files.c.moving_from, files.c.stored_as)
            connection.execute(sa.update(files).where(of_file).values(moving_from=again))
    with engine.begin() as connection:
        filing.finalise(connection, folders, file.id)
    logger.info("institute %s: receipt for the rejected rows of delivery %d", delivery.institute, delivery_id)
    return folders.path(Folder.OUTBOX, receipt_name(file.file_name))


def _decide(connection: sa.Connection, delivery: sa.Row[Any], file: sa.Row[Any]) -> FileDecision:
    """What the gate's findings mean for the file; without a receipt if it found nothing."""
    of_delivery = rejects.c.delivery_id == delivery.id
    count = connection.execute(sa.select(sa.func.count()).where(of_delivery)).scalar_one()
    listed = connection.execute(
        sa.select(rejects).where(of_delivery).order_by(rejects.c.line, rejects.c.id).limit(MOST_ROWS)
    )
    lines = [Line(Status.ABGELEHNT, row.code, row.advice, row.field, row.line, row.reference) for row in listed]
    if delivery.state == DeliveryState.REFUSED:
        about_file = Line(Status.ABGELEHNT, delivery.code or "FEHLERQUOTE", delivery.advice)
        return FileDecision(FileVerdict.REFUSED, delivery.code, delivery.advice, (about_file, *lines))
    if not lines:
        return FileDecision(file.verdict, file.code, file.advice)
    advice = f"{count} von {delivery.rows} Zeilen abgelehnt, die übrigen sind angenommen"
    about_file = Line(Status.OK_MIT_WARNUNG, lines[0].code, advice)
    return FileDecision(file.verdict, file.code, file.advice, (about_file, *lines))
