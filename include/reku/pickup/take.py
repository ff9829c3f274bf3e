"""Take a prepared file: it is made with clear numbers, its messages are sent, and who took it is on record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.pickup.file_format import FileFormat, FileStamp, PreparedPerson
from reku.privacy.prepared_files import erase_file
from reku.store.audit import put_on_record
from reku.store.events import Event, record
from reku.store.kinds import EventKind, PreparedKind
from reku.store.states import IS_SENT_WITH_ITS_FILE, MessageState, in_states
from reku.store.tables import deliveries, delivery_rows, messages, prepared_files, prepared_rows
from reku.vault.numbers import NumberOpener, number_as_delivered, sealed_number
from reku.vault.sealed_rows import hidden_parts

_BATCH = 2_000


@dataclass(frozen=True)
class TakenFile:
    """A prepared file as it was made: its files by name, in their order. `first`: nobody had taken it before."""

    id: int
    name: str
    files: Mapping[str, bytes]
    first: bool


def fetch(
    engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat], file: int, *, actor: str
) -> TakenFile:
    """Make a file for somebody who takes it (`actor`), and put on record who and when; its messages are sent then.

    It may be fetched again, with the same bytes, until it is erased: a fetch that broke off is repeated. Raises
    StageError for a file that the bank does not have, that has expired or was erased, or that would come out otherwise
    than before; SetupError without the vault key; FileRefused for what the format does not allow. Nothing has changed
    then.
    """
    with engine.begin() as connection:
        row = locked_file(connection, bank.blz, prepared_files.c.id == file, str(file))
        _check_is_there(row)
        made = make(connection, bank, formats, row)
        moment = clock.now()
        if row.fetched_at is None:
            _are_sent(connection, file)
            connection.execute(sa.update(prepared_files).where(prepared_files.c.id == file).values(fetched_at=moment))
        put_on_record(
            connection,
            bank.blz,
            actor=actor,
            action="fetch file",
            subject=f"prepared_files:{file}",
            note=row.file_name,
        )
    return TakenFile(file, row.file_name, made, first=row.fetched_at is None)


def acknowledge(engine: sa.Engine, institute: str, name: str) -> bool:
    """Note that the receiver has taken the file of that name: its messages are sent, its rows and addresses leave.

    False if it was acknowledged before. Raises StageError for a file that was never
    prepared, and for one that has expired.
    """
    with engine.begin() as connection:
        row = locked_file(connection, institute, prepared_files.c.file_name == name, name)
        if row.acknowledged_at is not None:
            return False
        if row.expired_at is not None:
            raise StageError(
                f"{name} has expired on {row.last_day:%d.%m.%Y}, and is acknowledged only now. Its people count as not "
                "reached (NICHT_ABGEHOLT); if they were, enter the contacts by hand."
            )
        _are_sent(connection, row.id)
        connection.execute(
            sa.update(prepared_files).where(prepared_files.c.id == row.id).values(acknowledged_at=clock.now())
        )
        erase_file(connection, row.id, clock.now())
    return True


def locked_file(connection: sa.Connection, institute: str, which: sa.ColumnElement[bool], named: str) -> sa.Row[Any]:
    """A bank's file, locked, with its order and delivery. Raises StageError if there is none, `named` so."""
    row = connection.execute(
        sa.select(prepared_files, deliveries.c.order_number, deliveries.c.delivery_number)
        .outerjoin(deliveries, deliveries.c.id == prepared_files.c.delivery_id)
        .where(prepared_files.c.institute == institute, which)
        .with_for_update(of=prepared_files)
    ).one_or_none()
    if row is None:
        raise StageError(
            f"Institute {institute} has no prepared file {named}. `reku agree21 files list --institute {institute}` "
            "shows those there are."
        )
    return row


def _check_is_there(row: sa.Row[Any]) -> None:
    if row.expired_at is not None:
        raise StageError(
            f"{row.file_name} was to be fetched until {row.last_day:%d.%m.%Y}; now it would come too late. Its people "
            "count as not reached (NICHT_ABGEHOLT)."
        )
    if row.erased_at is not None:
        took = "acknowledged" if row.acknowledged_at else "fetched"
        when = clock.berlin(row.acknowledged_at or row.fetched_at)
        raise StageError(
            f"{row.file_name} was {took} on {when:%d.%m.%Y %H:%M}, and what it was made of is erased. Take the "
            "original from whom it was given to."
        )


def _format_of(formats: Mapping[PreparedKind, FileFormat], row: sa.Row[Any]) -> FileFormat:
    if row.kind not in formats:
        raise StageError(
            f"{row.file_name}: this version makes no files of kind {row.kind}. Run the one that prepared it."
        )
    return formats[PreparedKind(row.kind)]


def make(
    connection: sa.Connection, bank: Institute, formats: Mapping[PreparedKind, FileFormat], row: sa.Row[Any]
) -> dict[str, bytes]:
    """The files' bytes by name; the first making fixes them, and leaves out who cannot be named any more.

    `row`: of the file, as `locked_file` has it. Raises as `fetch` does.
    """
    file_format = _format_of(formats, row)
    if row.sha256 is None:
        _leave_out(connection, bank, row)
    stamp = FileStamp(row.institute, row.order_number or "", row.delivery_number or 0, row.number, row.stamped_at)
    people = people_of(connection, bank, row.id, with_rows=row.delivery_id is not None)
    made = {one.name: b"".join(one.blocks) for one in file_format.files(bank, stamp, row.file_name, people)}
    check_sum = hashlib.sha256(b"".join(made.values())).hexdigest()
    if row.sha256 is None:
        left = sa.select(sa.func.count()).where(prepared_rows.c.file_id == row.id).scalar_subquery()
        connection.execute(
            sa.update(prepared_files)
            .where(prepared_files.c.id == row.id)
            .values(sha256=check_sum, left_out=prepared_files.c.rows - left)
        )
    elif check_sum != row.sha256:
        raise StageError(
            f"{row.file_name} would not come out as it was made first: a medium, the bank's file or a contract was "
            "changed since, or a person in it was erased or has left the bank's data. Take the original from whom it "
            "was given to."
        )
    return made


def _leave_out(connection: sa.Connection, bank: Institute, file: sa.Row[Any]) -> None:
    """Take out of the file whose number or row has left since; their messages end as withheld."""
    of = prepared_rows.c
    row_is_gone = sa.and_(sa.literal(file.delivery_id is not None), delivery_rows.c.id.is_(None))
    doubtful = connection.execute(
        sa.select(of.position, of.person_number, of.message_id, row_is_gone.label("row_is_gone"))
        .outerjoin(messages, messages.c.id == of.message_id)
        .outerjoin(delivery_rows, delivery_rows.c.id == messages.c.row_id)
        .where(of.file_id == file.id, sealed_number(of.institute, of.person_number).is_(None) | row_is_gone)
        .order_by(of.position)
    ).all()
    lost = [row for row in doubtful if row.row_is_gone or number_as_delivered(bank, row.person_number) is None]
    if not lost:
        return
    connection.execute(
        sa.delete(prepared_rows).where(of.file_id == file.id, of.position.in_([row.position for row in lost]))
    )
    moment, gone = clock.now(), Reason.BESTAND
    ended = connection.scalars(
        sa.update(messages)
        .where(messages.c.id.in_([row.message_id for row in lost if row.message_id is not None]))
        .where(messages.c.state == MessageState.PREPARED)
        .values(state=MessageState.WITHHELD, reason=gone, reasons=[gone], ended_at=moment)
        .returning(messages.c.id)
    ).all()
    record(connection, [Event(id_, gone.event, moment, gone.code) for id_ in ended])


def people_of(connection: sa.Connection, bank: Institute, file: int, *, with_rows: bool) -> Iterator[PreparedPerson]:
    """Who stands in the file, in its order, opened one by one; `with_rows`: with what was delivered of them."""
    of, row = prepared_rows.c, delivery_rows.c
    wanted = (
        sa.select(
            of.position,
            of.person_number,
            of["values"],
            sealed_number(of.institute, of.person_number).label("number"),
            messages.c.reference,
            messages.c.medium,
            messages.c.tracking,
            messages.c.last_day,
            row.address,
            row.fields,
            row.data_key_id,
            row.sealed,
        )
        .outerjoin(messages, messages.c.id == of.message_id)
        .outerjoin(delivery_rows, (row.id == messages.c.row_id) & sa.literal(with_rows))
        .where(of.file_id == file)
        .order_by(of.position)
        .limit(_BATCH)
    )
    opener, last = NumberOpener(bank.blz), 0
    while batch := connection.execute(wanted.where(of.position > last)).all():
        for one, hidden in zip(batch, hidden_parts(connection, batch), strict=True):
            number = opener.open(one.person_number, one.number) if one.number else None
            yield PreparedPerson(
                one.position,
                number or number_as_delivered(bank, one.person_number) or "",
                one.reference or "",
                (hidden.address if hidden else one.address) or "",
                one.medium or "",
                bool(one.tracking),
                one.last_day,
                (one.fields or {}) | (hidden.fields if hidden else {}),
                one.values,
            )
        last = batch[-1].position


def _are_sent(connection: sa.Connection, file: int) -> None:
    """The file's messages that wait are sent now, with their events."""
    moment = clock.now()
    sent = connection.scalars(
        sa.update(messages)
        .where(messages.c.id == prepared_rows.c.message_id, prepared_rows.c.file_id == file)
        .where(in_states(messages, IS_SENT_WITH_ITS_FILE))
        .values(state=MessageState.SENT, begun_at=moment, ended_at=moment)
        .returning(messages.c.id)
    ).all()
    record(connection, [Event(id_, EventKind.SENT, moment) for id_ in sent])
