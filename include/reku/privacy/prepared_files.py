"""Prepared files whose time is over: nobody took them in time, or they may be fetched no longer."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.foundation.bank_folders import BankFolders, Folder
from reku.foundation.settings import Settings
from reku.store.events import Event, record
from reku.store.states import MessageState
from reku.store.tables import messages, prepared_files, prepared_rows
from reku.vault.sealed_rows import forget_rows

Done = tuple[Counter[str], list[str]]


def expired(engine: sa.Engine, now: datetime, s: Settings) -> Done:  # noqa: ARG001 - a step takes them
    """Files that nobody took until their last day: who stands in them leaves.

    Messages of a delivery's file were not delivered then; those of a file of all deliveries wait for the next one, and
    were not delivered when their own last day has passed.
    """
    of, counted = prepared_files.c, Counter[str]()
    late = (of.pushed_at.is_(None), of.fetched_at.is_(None), of.acknowledged_at.is_(None), of.expired_at.is_(None))
    for file in _ids(engine, *late, of.last_day < clock.berlin(now).date()):
        with engine.begin() as connection:
            if _locked(connection, file, *late):
                in_file = sa.select(prepared_rows.c.message_id).where(prepared_rows.c.file_id == file)
                of_delivery = sa.exists().where(of.id == file, of.delivery_id.is_not(None))
                counted["messages_not_fetched"] += _end(connection, now, messages.c.id.in_(in_file), of_delivery)
                connection.execute(sa.update(prepared_files).where(of.id == file).values(expired_at=now))
                counted["prepared_rows"] += erase_file(connection, file, now)
    in_no_file = ~sa.exists().where(prepared_rows.c.message_id == messages.c.id)
    with engine.begin() as connection:
        too_late = messages.c.last_day < clock.berlin(now).date()
        counted["messages_not_fetched"] += _end(connection, now, in_no_file, too_late)
    return counted, []


def fetched(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Files that were fetched first so long ago: they may be fetched no longer, and who stands in them leaves."""
    of, counted = prepared_files.c, Counter[str]()
    old = (of.fetched_at < now - timedelta(hours=s.keep_fetched_hours), of.erased_at.is_(None))
    for file in _ids(engine, *old):
        with engine.begin() as connection:
            if _locked(connection, file, *old):
                counted["prepared_rows"] += erase_file(connection, file, now)
    return counted, []


def unacknowledged(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Files that a system was to take and never acknowledged: nobody knows what became of their messages.

    They are in doubt; names and addresses leave, and the file with them. An acknowledgement that comes later counts.
    """
    of, counted = prepared_files.c, Counter[str]()
    old = (of.pushed_at < now - timedelta(hours=s.keep_fetched_hours), of.erased_at.is_(None))
    for file in _ids(engine, *old):
        with engine.begin() as connection:
            if not _locked(connection, file, *old):
                continue
            about = connection.execute(sa.select(of.institute, of.file_name, of.pushed_at).where(of.id == file)).one()
            in_file = sa.select(prepared_rows.c.message_id).where(prepared_rows.c.file_id == file)
            doubtful = (
                sa.update(messages)
                .where(messages.c.id.in_(in_file), messages.c.state == MessageState.PREPARED)
                .values(state=MessageState.IN_DOUBT, begun_at=about.pushed_at)
            )
            doubt = connection.execute(doubtful, execution_options={"preserve_rowcount": True})
            counted["messages_in_doubt"] += doubt.rowcount
            folders = BankFolders(about.institute)
            path = folders.path(Folder.OUTBOX, about.file_name)
            if folders.exists(path):
                folders.remove(path)
            counted["prepared_rows"] += erase_file(connection, file, now, keep_places=True)
    return counted, []


def erase_file(connection: sa.Connection, file: int, moment: datetime, *, keep_places: bool = False) -> int:
    """Let go who stands in a file, and names and addresses of selected people that it is made of. Returns how many.

    `keep_places`: who stood in it is still to be known by message and pseudonym, since it may be acknowledged yet.
    """
    in_file = prepared_rows.c.file_id == file
    rows = sa.select(messages.c.row_id).join(prepared_rows, prepared_rows.c.message_id == messages.c.id).where(in_file)
    forget_rows(connection, [row for row in connection.scalars(rows) if row is not None])
    gone = 0
    if not keep_places:
        leaving = sa.delete(prepared_rows).where(in_file)
        gone = connection.execute(leaving, execution_options={"preserve_rowcount": True}).rowcount
    connection.execute(sa.update(prepared_files).where(prepared_files.c.id == file).values(erased_at=moment))
    return gone


def _ids(engine: sa.Engine, *which: sa.ColumnElement[bool]) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(prepared_files.c.id).where(*which).order_by(prepared_files.c.id)))


def _locked(connection: sa.Connection, file: int, *which: sa.ColumnElement[bool]) -> bool:
    """Whether it is still so: somebody may have taken the file since it was looked at."""
    own = sa.select(prepared_files.c.id).where(prepared_files.c.id == file, *which)
    return connection.scalar(own.with_for_update()) is not None


def _end(connection: sa.Connection, moment: datetime, *which: sa.ColumnElement[bool]) -> int:
    """The prepared messages for which this holds were not delivered. Returns how many."""
    late = Reason.NICHT_ABGEHOLT
    ended = connection.scalars(
        sa.update(messages)
        .where(messages.c.state == sa.literal_column(f"'{MessageState.PREPARED}'"), *which)
        .values(state=MessageState.UNDELIVERED, reason=late, reasons=[late], ended_at=moment)
        .returning(messages.c.id)
    ).all()
    record(connection, [Event(id_, late.event, moment, late.code) for id_ in ended])
    return len(ended)
