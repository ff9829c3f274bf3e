"""`reku deliveries retry`: a refused delivery's original is read again, after what was wrong has been put right."""

from __future__ import annotations

import hashlib
import logging

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation.errors import StageError
from reku.records import contracts
from reku.sources.inbox import filing
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus import delivery_files as registering
from reku.sources.osplus.admission import Key
from reku.sources.source import Retried
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.locks import Lock, session_lock
from reku.store.states import HOLDS_ITS_NUMBER, DeliveryState
from reku.store.tables import deliveries, delivery_rows, files, metrics, rejects, releases, rule_counts

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60.0


def retry(engine: sa.Engine, delivery_id: int, actor: str) -> Retried:
    """Read a refused delivery's original again and judge it anew; `actor` stands in the audit.

    Raises StageError if there is no such delivery, if it is not refused, if another delivery holds its number by now,
    if its institute is not in the configuration, if its original is gone or changed, or if a scan holds the institute
    for more than a minute.
    """
    with engine.connect() as connection:
        institute: str = load_delivery(connection, delivery_id).institute
    with session_lock(engine, Lock.FILES, int(institute), wait_seconds=WAIT_SECONDS) as connection:
        if connection is None:
            raise StageError(f"Another scan of institute {institute} is at work. Try again when it is done.")
        with connection.begin():
            retried, file_id = _read_again(connection, institute, delivery_id, actor)
        with connection.begin():
            filing.finalise(connection, InboxFolders(institute), file_id)
    logger.info("institute %s: delivery %d read again: %s %s", institute, delivery_id, retried.state, retried.code)
    return retried


def _read_again(connection: sa.Connection, institute: str, delivery_id: int, actor: str) -> tuple[Retried, int]:
    delivery = connection.execute(
        sa.select(deliveries).where(deliveries.c.id == delivery_id).with_for_update(key_share=True)
    ).one()
    if delivery.state != DeliveryState.REFUSED:
        raise StageError(f"Delivery {delivery_id} is {delivery.state}, not REFUSED: there is nothing to read again.")
    key = Key(institute, delivery.contract, delivery.order_number, delivery.delivery_number)
    holder = connection.execute(
        sa.select(deliveries.c.id).where(
            *key.same_order(),
            deliveries.c.delivery_number == key.number,
            deliveries.c.state.in_(HOLDS_ITS_NUMBER),
        )
    ).scalar()
    if holder is not None:
        raise StageError(f"Delivery {holder} has taken the place of delivery {delivery_id}, which stays refused.")
    if institute not in institutes():
        raise StageError(f"Institute {institute} is not in the configuration. Restore institutes/{institute}.yaml.")
    bank, folders = institutes()[institute], InboxFolders(institute)
    file = connection.execute(sa.select(files).where(files.c.id == delivery.file_id)).one()
    try:
        data = filing.original(folders, file)
    except FileNotFoundError:
        raise StageError(
            f"The original of delivery {delivery_id} is no longer at {file.stored_as}. Ask the sender to deliver again."
        ) from None
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise StageError(
            f"The original of delivery {delivery_id} is no longer what arrived: it was changed by hand, or a person "
            "was erased from it. Ask the sender to deliver again."
        )
    read, judgement = registering.read_and_judge(
        connection, contracts()[key.kind], key, file.file_name, data, file.received_at
    )
    created_at = read.head.created_at if read else delivery.created_at
    # What gate and release found out about it goes: both will see it anew, and a person may be asked again.
    for table in (rejects, rule_counts, delivery_rows, metrics, releases):
        connection.execute(sa.delete(table).where(table.c.delivery_id == delivery_id))
    filing.record_again(connection, folders, file.id, judgement.ruling())
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(
            created_at=created_at,
            rows=len(read.rows) if read else None,
            accepted=None,
            rejected=None,
            released_at=None,
            owner_dag=None,
            owner_run=None,
        )
        .values(registering.standing(bank, judgement, created_at))
    )
    put_on_record(
        connection,
        institute,
        actor=actor,
        action="deliveries retry",
        subject=f"deliveries:{delivery_id}",
        note=f"{delivery.state} {delivery.code} -> {judgement.state} {judgement.code}".rstrip(),
    )
    return Retried(delivery_id, judgement.state, judgement.code, judgement.advice), file.id
