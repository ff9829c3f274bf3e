"""Bring the people of a prepared file into EMMA: started once, found again by its key, and waited for.

The import's key is the file's name. Each look does what can be done now: it starts an import that EMMA does not know,
says that one is still running, or takes what a finished one told. A look that was killed is made up for by the next.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.channels.emma.answers import EmmaField, Import
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.errors import IMPORT_IS_RUNNING, EmmaRefused
from reku.channels.emma.outcome import Withheld, end_files, reason_of, record_withheld
from reku.channels.emma.rows import EMMA_ROWS, ENDING, EVERY_FIELD
from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.pickup.file_format import FileStamp
from reku.pickup.people import leave_out, people_of
from reku.store.kinds import PreparedKind
from reku.store.states import MessageState
from reku.store.tables import deliveries, messages, prepared_files, prepared_rows

LOST_FOR = timedelta(minutes=1)
"""So long after an import was started it may still turn up under its key, though its answer was lost."""


class ImportState(StrEnum):
    """How far an import has come."""

    RUNNING = "running"  # or waits for another one of the same list
    DONE = "done"


@dataclass(frozen=True)
class ImportResult:
    """What one look at an import found: `imported` people and `refused` rows of one that is done."""

    state: ImportState
    imported: int = 0
    refused: int = 0


def unfinished_imports(connection: sa.Connection, delivery: int) -> list[int]:
    """The imports of a delivery that EMMA has not taken yet, oldest first."""
    of = prepared_files.c
    return list(
        connection.scalars(
            sa.select(of.id)
            .where(of.delivery_id == delivery, of.kind == PreparedKind.EMMA, of.fetched_at.is_(None))
            .where(of.expired_at.is_(None), of.erased_at.is_(None))
            .order_by(of.id)
        )
    )


def carry_on(engine: sa.Engine, client: EmmaClient, plan: SendPlan, list_number: str, file: int) -> ImportResult:
    """One look at an import. Raises what the client raises, and StageError for one that has failed in EMMA."""
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(prepared_files, deliveries.c.order_number, deliveries.c.delivery_number)
            .join(deliveries, deliveries.c.id == prepared_files.c.delivery_id)
            .where(prepared_files.c.id == file)
        ).one()
    key = row.file_name.removesuffix(ENDING)
    job = known_import(client, key)
    if job is not None:
        return _take(engine, row, job)
    if row.pushed_at is not None and clock.now() < row.pushed_at + LOST_FOR:
        return ImportResult(ImportState.RUNNING)
    return _start(engine, client, plan, list_number, row, key)


def _take(engine: sa.Engine, file: sa.Row[Any], job: Import) -> ImportResult:
    """What EMMA says about an import that it knows."""
    if job.status in ("queued", "running"):
        return ImportResult(ImportState.RUNNING)
    if job.status != "done":
        raise StageError(
            f"EMMA says that import {job.substitute} is {job.status}. Nobody knows whom it took: its people are in "
            "doubt 36 hours after it was started. Look at it in EMMA under its name, and settle them by "
            "`reku messages resolve`."
        )
    moment = clock.now()
    with engine.begin() as connection:
        own = sa.select(prepared_files.c.fetched_at).where(prepared_files.c.id == file.id).with_for_update()
        if connection.scalar(own) is None:
            places = connection.scalars(
                sa.select(prepared_rows.c.message_id)
                .where(prepared_rows.c.file_id == file.id)
                .order_by(prepared_rows.c.position)
            ).all()
            # If somebody was erased since, no row can be told by its place: they stay, and end in doubt.
            by_place = dict(enumerate(places, start=1)) if len(places) == job.imported + len(job.errors) else {}
            refused = [
                Withheld(by_place[one.row], reason_of(one.reason), moment, one.reason)
                for one in job.errors
                if one.row in by_place
            ]
            record_withheld(connection, refused)
            connection.execute(
                sa.update(prepared_files)
                .where(prepared_files.c.id == file.id)
                .values(fetched_at=moment, pushed_at=sa.func.coalesce(prepared_files.c.pushed_at, moment))
            )
            end_files(connection, file.institute, moment)
    return ImportResult(ImportState.DONE, job.imported, len(job.errors))


def _start(
    engine: sa.Engine, client: EmmaClient, plan: SendPlan, list_number: str, file: sa.Row[Any], key: str
) -> ImportResult:
    """Start an import that EMMA does not know; it is noted first, so that a lost answer leaves nobody unaccounted."""
    check_fields(client)
    with engine.begin() as connection:
        _leave_out_barred(connection, plan, file.id)
        stamp = FileStamp(file.institute, file.order_number, file.delivery_number, file.number, file.stamped_at)
        people = people_of(connection, plan.institute, file.id, with_rows=True)
        (made,) = EMMA_ROWS.files(plan.institute, stamp, file.file_name, people)
        data = base64.b64encode(b"".join(made.blocks)).decode()
        connection.execute(
            sa.update(prepared_files).where(prepared_files.c.id == file.id).values(pushed_at=clock.now())
        )
    try:
        client.once("importRecipients", int, listId=list_number, data=data, advanced={"substitute": key})
    except EmmaRefused as refused:  # nothing was taken
        with engine.begin() as connection:
            connection.execute(sa.update(prepared_files).where(prepared_files.c.id == file.id).values(pushed_at=None))
        if refused.code != IMPORT_IS_RUNNING:
            raise
    return ImportResult(ImportState.RUNNING)


def check_fields(client: EmmaClient) -> dict[str, str]:
    """The numbers of the account's fields by their names. Raises StageError naming those that are missing."""
    numbers = {one.name: str(one.id) for one in client.ask("getFields", list[EmmaField])}
    missing = [name for name in EVERY_FIELD if name not in numbers]
    if missing:
        raise StageError(
            f"EMMA account of institute {client.institute} has no field {', '.join(missing)}. Add them in EMMA as text "
            'fields of these very names (docs/emma.md, "Setting an account up"), then clear `dispatch`.'
        )
    return numbers


def _leave_out_barred(connection: sa.Connection, plan: SendPlan, file: int) -> None:
    """Take out of the file who may not be written to any more, or whose message has ended, since it was prepared."""
    in_file = prepared_rows.c.file_id == file
    rows = connection.execute(
        sa.select(messages.c.id, messages.c.state)
        .join(prepared_rows, prepared_rows.c.message_id == messages.c.id)
        .where(in_file)
    ).all()
    waiting = [row.id for row in rows if row.state == MessageState.PREPARED]
    moment = clock.now()
    against = reasons(connection, Policy.of(plan.institute), waiting, clock.berlin(moment).date()) if waiting else {}
    record_withheld(connection, [Withheld(message, found[0], moment) for message, found in against.items()])
    left = leave_out(connection, plan.institute, file, EMMA_ROWS, with_rows=True)
    gone = [row.id for row in rows if row.state != MessageState.PREPARED or row.id in against]
    if gone:
        leaving = sa.delete(prepared_rows).where(in_file, prepared_rows.c.message_id.in_(gone))
        left += connection.execute(leaving, execution_options={"preserve_rowcount": True}).rowcount
    if left:
        more = prepared_files.c.left_out + left
        connection.execute(sa.update(prepared_files).where(prepared_files.c.id == file).values(left_out=more))


def follow_imports(engine: sa.Engine, bank: Institute, client: EmmaClient) -> int:
    """Look at each import of a bank that was started and not taken yet, whoever started it. Returns how many are done.

    None is started here: that is the matter of a dispatch, which knows the send window.
    """
    of = prepared_files.c
    with engine.connect() as connection:
        begun = connection.execute(
            sa.select(prepared_files)
            .where(of.institute == bank.blz, of.kind == PreparedKind.EMMA)
            .where(of.pushed_at.is_not(None), of.fetched_at.is_(None), of.acknowledged_at.is_(None))
            .order_by(of.id)
        ).all()
    done = 0
    for row in begun:
        job = known_import(client, row.file_name.removesuffix(ENDING))
        done += job is not None and _take(engine, row, job).state is ImportState.DONE
    return done


def known_import(client: EmmaClient, key: str) -> Import | None:
    """The import of that key, if EMMA knows it."""
    found = client.ask("getImports", list[Import], advanced={"substitute": key})
    return next((one for one in found if one.substitute == key), None)
