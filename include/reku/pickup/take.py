"""Take a prepared file: it is made with clear numbers, its messages are sent, and who took it is on record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.pickup.fe3053.told import note_told
from reku.pickup.file_format import FileFormat, FileStamp
from reku.pickup.people import count_places, leave_out, people_of, places_of
from reku.privacy.prepared_files import erase_file
from reku.store.audit import put_on_record
from reku.store.events import Event, record
from reku.store.kinds import EventKind, PreparedKind
from reku.store.states import IS_SENT_WITH_ITS_FILE, MessageState, in_states
from reku.store.tables import deliveries, messages, prepared_files, prepared_rows


@dataclass(frozen=True)
class TakenFile:
    """A prepared file as it was made: its files by name, in their order. `first`: nobody had taken it before.

    `check_sum` goes over all bytes (SHA-256), `places` is how many people stand in it.
    """

    id: int
    name: str
    files: Mapping[str, bytes]
    first: bool
    check_sum: str
    places: int


def fetch(
    engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat], file: int, *, actor: str
) -> TakenFile:
    """Make a file for somebody who has it in hand with that (`actor`). Raises as `make_file` and `note_fetched` do."""
    made = make_file(engine, bank, formats, file)
    return replace(made, first=note_fetched(engine, bank, formats, made, actor=actor))


def make_file(engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat], file: int) -> TakenFile:
    """Make a file for somebody who fetches it. Nothing has changed yet: `note_fetched` is to be told that it got there.

    It may be made again, with the same bytes, until it is erased: a fetch that broke off is repeated. Raises StageError
    for a file that the bank does not have, that has expired or was erased, in which nobody is left, or that would come
    out otherwise than before; SetupError without the vault key; FileRefused for what the format does not allow.
    """
    with engine.connect() as connection:
        row = locked_file(connection, bank.blz, prepared_files.c.id == file, str(file))
        _check_is_there(row)
        made = make(connection, bank, formats, row)
        if not made:
            connection.commit()
            raise nobody_is_left(row.file_name)
        places = count_places(connection, file)
        connection.rollback()
    return TakenFile(file, row.file_name, made, row.fetched_at is None, _check_sum(made), places)


def note_fetched(
    engine: sa.Engine, bank: Institute, formats: Mapping[PreparedKind, FileFormat], made: TakenFile, *, actor: str
) -> bool:
    """A file got to whom it was made for: who and when is on record, and its messages are sent, if they were not yet.

    Returns whether nobody had taken it before. Raises StageError if it would come out otherwise by now, or may not be
    fetched any more.
    """
    with engine.begin() as connection:
        row = locked_file(connection, bank.blz, prepared_files.c.id == made.id, made.name)
        _check_is_there(row)
        if row.sha256 is None:
            leave_out(connection, bank, row.id, _format_of(formats, row), with_rows=row.delivery_id is not None)
            if count_places(connection, row.id) != made.places:
                raise StageError(
                    f"{made.name}: somebody who stood in it has left while it was fetched. Fetch it again."
                )
            _fix(connection, row, made.check_sum)
        elif row.sha256 != made.check_sum:
            raise _otherwise(row)
        is_taken(connection, bank, row, actor)
    return row.fetched_at is None


def is_taken(connection: sa.Connection, bank: Institute, row: sa.Row[Any], actor: str) -> None:
    """Its messages are sent, if nobody had taken it before, and it is on record who has."""
    if row.fetched_at is None:
        _are_sent(connection, row.id)
        taken = sa.update(prepared_files).where(prepared_files.c.id == row.id)
        connection.execute(taken.values(fetched_at=clock.now()))
    put_on_record(
        connection,
        bank.blz,
        actor=actor,
        action="fetch file",
        subject=f"prepared_files:{row.id}",
        note=row.file_name,
    )


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
    if row.expired_at is not None and row.rows and row.left_out == row.rows:
        raise nobody_is_left(row.file_name)
    if row.expired_at is not None and row.delivery_id is None:
        raise StageError(
            f"{row.file_name} was to be fetched until {row.last_day:%d.%m.%Y}, or a newer one has taken its place. "
            "Take the newest: it tells the same, and what has changed since."
        )
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
    """The files' bytes by name; the first making fixes them, and leaves out who cannot be named or reached any more.

    `row`: of the file, as `locked_file` has it. Empty where nobody is left in it: then there is nothing to be taken,
    now or later, and the caller commits that. Raises as `fetch` does.
    """
    file_format, with_rows = _format_of(formats, row), row.delivery_id is not None
    if row.sha256 is None:
        leave_out(connection, bank, row.id, file_format, with_rows=with_rows)
        if row.rows and not count_places(connection, row.id):
            _end_empty(connection, row)
            return {}
    stamp = FileStamp(row.institute, row.order_number or "", row.delivery_number or 0, row.number, row.stamped_at)
    people = people_of(connection, bank, row.id, with_rows=True) if with_rows else places_of(connection, bank, row.id)
    made = {one.name: b"".join(one.blocks) for one in file_format.files(bank, stamp, row.file_name, people)}
    if row.sha256 is None:
        _fix(connection, row, _check_sum(made))
    elif _check_sum(made) != row.sha256:
        raise _otherwise(row)
    return made


def _check_sum(made: Mapping[str, bytes]) -> str:
    return hashlib.sha256(b"".join(made.values())).hexdigest()


def _fix(connection: sa.Connection, row: sa.Row[Any], check_sum: str) -> None:
    """From now on it comes out like this, or not at all."""
    left_out = row.rows - count_places(connection, row.id)
    fixed = sa.update(prepared_files).where(prepared_files.c.id == row.id)
    connection.execute(fixed.values(sha256=check_sum, left_out=left_out))


def _otherwise(row: sa.Row[Any]) -> StageError:
    return StageError(
        f"{row.file_name} would not come out as it was made first: a medium, the bank's file or a contract was changed "
        "since, or a person in it was erased or has left the bank's data. Take the original from whom it was given to."
    )


def _end_empty(connection: sa.Connection, row: sa.Row[Any]) -> None:
    """Nobody is left in the file: it is over, and what became of its people stands with their messages."""
    over = sa.update(prepared_files).where(prepared_files.c.id == row.id)
    connection.execute(over.values(left_out=row.rows, expired_at=clock.now(), erased_at=clock.now()))


def nobody_is_left(name: str) -> StageError:
    """What is said of a file in which nobody is left."""
    return StageError(
        f"{name}: nobody is left in it. Who stood in it has left the bank's data, was erased, or cannot be reached by "
        "it; `reku why` tells of each. There is nothing to be done."
    )


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
    note_told(connection, file)
