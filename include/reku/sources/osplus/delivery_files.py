"""Deliveries: registered once, parked without a processed control file, refused when they may not be taken.

Only what concerns the file as a whole is judged here; its rows are the gate's.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.loader import occasions
from reku.catalogue.rhythm import Rhythm, Schedule, due_dates, period
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.foundation.unpacking import GZIP, ArchiveTooLarge, BrokenArchive, unpack
from reku.records import Contract, Fault, FaultCode, FileRefused, RecordFile, read
from reku.sources.inbox import filing
from reku.sources.inbox.filing import Arrived, FileDecision
from reku.sources.inbox.folders import InboxFolders
from reku.sources.inbox.receipts import Line, Status
from reku.sources.osplus import admission
from reku.sources.osplus.admission import CONTROL_FILE, AdmissionDecision, Key
from reku.store.kinds import DeliverySource
from reku.store.states import HOLDS_ITS_NUMBER, DeliveryState, FileVerdict
from reku.store.tables import deliveries, files

logger = logging.getLogger(__name__)


def key_of(institute: str, contract: Contract, groups: dict[str, str]) -> Key:
    """The key in a delivery's file name, whose parts are `groups`."""
    return Key(institute, contract.kind, groups["auftrag"], int(groups["lnr"]))


def take(
    connection: sa.Connection,
    institute: Institute,
    folders: InboxFolders,
    contract: Contract,
    groups: dict[str, str],
    arrived: Arrived,
) -> tuple[int, FileDecision]:
    """Register a delivery in the caller's transaction. Returns the id in `files` and the ruling.

    The same content under the same number is a duplicate and changes nothing; other content is refused, unless all
    earlier files of this number were refused as a whole.
    """
    key = key_of(institute.blz, contract, groups)
    holder = _holder(connection, key)
    if holder is not None and _same_content(folders, holder, arrived, contract):
        advice = "Diese Lieferung ist mit gleichem Inhalt schon eingegangen."
        line = Line(Status.DUBLETTE, FaultCode.DUBLETTE, advice)
        ruling = FileDecision(FileVerdict.DUPLICATE, FaultCode.DUBLETTE, advice, (line,))
        return filing.record(connection, folders, arrived, contract.kind, ruling), ruling
    file, judgement = read_and_judge(connection, contract, key, arrived.name, arrived.data, arrived.received_at)
    if holder is not None and file is not None:
        advice = (
            f"Die Lieferungsnummer {key.number:06d} ist mit anderem Inhalt vergeben. "
            "Neue Daten unter der nächsten freien Nummer liefern."
        )
        taken = Fault(FaultCode.NUMMER_VERGEBEN, 1, "Lieferungs_Nr", advice)
        judgement = AdmissionDecision(DeliveryState.REFUSED, (taken,), judgement.order)
    ruling = judgement.ruling()
    file_id = filing.record(connection, folders, arrived, contract.kind, ruling)
    created_at = file.head.created_at if file else filing.named_moment(groups["zeit"], arrived.received_at)
    connection.execute(
        sa.insert(deliveries)
        .values(
            institute=institute.blz,
            file_id=file_id,
            source=DeliverySource.OSPLUS_FILE,
            contract=key.kind,
            order_number=key.order_number,
            delivery_number=key.number,
            created_at=created_at,
            occasion=_first_occasion(file),
            rows=len(file.rows) if file else None,
        )
        .values(standing(institute, judgement, created_at))
    )
    return file_id, ruling


def read_and_judge(
    connection: sa.Connection, contract: Contract, key: Key, file_name: str, data: bytes, received_at: datetime
) -> tuple[RecordFile | None, AdmissionDecision]:
    """The file as read (None if it cannot be) and what becomes of it, other holders of its number left aside."""
    try:
        file = read(contract, data, environment=settings().environment, file_name=file_name)
        if faults := tuple(filing.made_near(file.head.created_at, received_at)):
            raise FileRefused(faults)
    except FileRefused as refused:
        return None, AdmissionDecision(DeliveryState.REFUSED, refused.faults, admission.order_of(connection, key))
    judgement = admission.decide_admission(connection, key, file.head.created_at)
    if judgement.state == DeliveryState.REGISTERED:
        judgement = replace(judgement, faults=judgement.faults + file.warnings)
    return file, judgement


def standing(institute: Institute, judgement: AdmissionDecision, created_at: datetime) -> dict[str, Any]:
    """The columns of `deliveries` that hang on the judgement. `day` is today: the day whose run takes the delivery.

    A refused one has its period too, so that who waits for that period's delivery learns of it.
    """
    order = judgement.order
    columns = {
        "state": judgement.state,
        "code": judgement.code,
        "advice": judgement.advice,
        "day": clock.today(),
        "period_start": None,
    }
    if order is None:
        return columns
    if judgement.state != DeliveryState.PARKED:
        columns["period_start"] = _period_start(institute, order, created_at)
    return columns | {"order_id": order.id, "occasion": order.occasion}


def unpark(connection: sa.Connection, institute: Institute, folders: InboxFolders, order_number: str) -> list[int]:
    """Set an order's parked deliveries free in number order, each in a transaction of its own.

    Without a processed control file they stay parked; after the order's end they are refused. Returns the ids of
    those that are parked no more. `connection` must not be in a transaction, and hold the institute's lock.
    """
    with connection.begin():
        waiting = connection.execute(
            sa.select(deliveries.c.id)
            .where(
                deliveries.c.institute == institute.blz,
                deliveries.c.order_number == order_number,
                deliveries.c.state == DeliveryState.PARKED,
            )
            .order_by(deliveries.c.delivery_number, deliveries.c.id)
        ).scalars()
        waiting_ids = list(waiting)
    freed = []
    for delivery_id in waiting_ids:
        with connection.begin():
            delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id)).one()
            key = Key(institute.blz, delivery.contract, order_number, delivery.delivery_number)
            judgement = admission.decide_admission(connection, key, delivery.created_at)
            if judgement.state == DeliveryState.PARKED:
                continue
            filing.record_again(connection, folders, delivery.file_id, judgement.ruling())
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id == delivery_id)
                .values(standing(institute, judgement, delivery.created_at))
            )
        freed.append(delivery_id)
        with connection.begin():
            filing.finalise(connection, folders, delivery.file_id)
    if freed:
        logger.info("institute %s: %d parked deliveries of order %s set free", institute.blz, len(freed), order_number)
    return freed


def parked_orders(connection: sa.Connection, institute: str) -> list[str]:
    """Numbers of orders that have parked deliveries, sorted."""
    found = connection.execute(
        sa.select(deliveries.c.order_number)
        .where(deliveries.c.institute == institute, deliveries.c.state == DeliveryState.PARKED)
        .distinct()
        .order_by(deliveries.c.order_number)
    )
    return list(found.scalars())


def advise_again(connection: sa.Connection, institute: str, order_number: str) -> None:
    """Bring the advice of an order's parked deliveries up to date after a faulty control file."""
    for kind in CONTROL_FILE:
        key = Key(institute, kind, order_number, 0)
        fault = admission.missing_control(connection, key)
        connection.execute(
            sa.update(deliveries)
            .where(*key.same_order(), deliveries.c.state == DeliveryState.PARKED)
            .values(code=fault.code, advice=fault.advice)
        )


def _holder(connection: sa.Connection, key: Key) -> sa.Row[Any] | None:
    """The file whose delivery holds this number, or None if it is free or was refused as a whole."""
    return connection.execute(
        sa.select(files)
        .join(deliveries, deliveries.c.file_id == files.c.id)
        .where(
            *key.same_order(),
            deliveries.c.delivery_number == key.number,
            deliveries.c.state.in_(HOLDS_ITS_NUMBER),
        )
    ).first()


def _same_content(folders: InboxFolders, holder: sa.Row[Any], arrived: Arrived, contract: Contract) -> bool:
    """Whether both files hold the same, packed or not: packing anew changes the bytes but not the delivery."""
    if holder.sha256 == arrived.sha256:
        return True
    if not any(name.endswith(".gz") for name in (holder.file_name, arrived.name)):
        return False
    try:
        earlier = filing.original(folders, holder)
    except FileNotFoundError:  # left by retention: what is not equal byte for byte is another delivery
        return False
    return _unpacked_hash(earlier, contract.max_bytes) == _unpacked_hash(arrived.data, contract.max_bytes)


def _unpacked_hash(data: bytes, most: int) -> str:
    """Hash of the unpacked bytes, or of the packed ones where they cannot be unpacked or are more than `most`."""
    if data.startswith(GZIP):
        with suppress(BrokenArchive, ArchiveTooLarge):
            data = unpack(data, most)
    return hashlib.sha256(data).hexdigest()


def _first_occasion(file: RecordFile | None) -> str:
    """The occasion that the first row names, if it is one: what nobody knows is not kept, it could be anything."""
    if file is None or not file.rows or "Anlass_Code" not in file.columns:
        return ""
    code = file.rows[0][file.columns.index("Anlass_Code")]
    return code if code in occasions() else ""


def _period_start(institute: Institute, order: sa.Row[Any], created_at: datetime) -> date | None:
    """The due date that a delivery fulfils: that of the period it was made in, or the first one if it was made before.

    None where the order has no due date at all.
    """
    schedule = Schedule(
        rhythm=Rhythm(order.rhythm),
        valid_from=order.valid_from,
        valid_until=order.valid_until,
        state=institute.state,
        daily_on=institute.daily_on,
        due_on_holiday=institute.due_on_holiday,
    )
    found = period(schedule, clock.berlin(created_at).date())
    if found is not None:
        return found.start
    # A holiday moves the first due date behind Gueltig_ab, but never by a whole month.
    return next(iter(due_dates(schedule, order.valid_from, order.valid_from + timedelta(days=31))), None)
