"""Fix a file: who stands in it, its number, its time stamp and its last day, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from reku.contact.contacts import reserve
from reku.contact.policy import Policy
from reku.dispatch.channel import Channel
from reku.dispatch.claim import decide
from reku.dispatch.ledger import Due
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.pickup.file_format import FileFormat, FileStamp
from reku.pickup.people import count_places, leave_out
from reku.store.bulk import copy_rows
from reku.store.locks import Lock, lock_until_commit
from reku.store.states import MessageState
from reku.store.tables import delivery_rows, messages, prepared_files, prepared_rows

_COLUMNS = ("file_id", "position", "institute", "person_number", "message_id", "values")


@dataclass(frozen=True)
class PrepareResult:
    """How many messages were put into the file (its id; None: there is no file) and how many were withheld."""

    file: int | None
    prepared: int
    withheld: int


@dataclass(frozen=True)
class InHand:
    """Messages that have become prepared (id, person_number, last_day), and how many were withheld."""

    messages: Sequence[sa.Row[*tuple[Any, ...]]]
    withheld: int


@dataclass(frozen=True)
class Place:
    """Who is to stand in a file: a message of the ledger, or nobody's (None), with what is fixed for the place."""

    person_number: str
    message: int | None
    values: Sequence[str] = ()


def prepare_file(
    engine: sa.Engine, plan: SendPlan, channel: Channel, file_format: FileFormat, due: Due
) -> PrepareResult:
    """Put all messages of a delivery that are due and may go out on the channel into one new file.

    Those with a reason against them, and those whom such a file cannot reach, end as withheld, with their event. With
    nobody to put into it there is no file.
    Raises CampaignFault if a row asks for a medium that the campaign lacks, StageError if the data of a bank whose
    people we select are too old; nothing has changed then.
    """
    with engine.begin() as connection:
        taken = take_in_hand(connection, plan, channel, due)
        rows = taken.messages
        if not rows:
            return PrepareResult(None, 0, taken.withheld)
        file = stamp_file(
            connection,
            file_format,
            plan.institute.blz,
            [Place(row.person_number, row.id) for row in rows],
            last_day=min(row.last_day for row in rows),
            delivery=plan.delivery,
            order_number=plan.order_number,
            delivery_number=plan.delivery_number,
        )
        left_out = leave_out(connection, plan.institute, file, file_format, with_rows=True)
        stands = fix_count(connection, file)
    return PrepareResult(file if stands else None, stands, taken.withheld + left_out)


def fix_count(connection: sa.Connection, file: int) -> int:
    """How many stand in the new file; with nobody in it there is none."""
    stands = count_places(connection, file)
    own = prepared_files.c.id == file
    connection.execute(
        sa.update(prepared_files).where(own).values(rows=stands) if stands else sa.delete(prepared_files).where(own)
    )
    return stands


def take_in_hand(connection: sa.Connection, plan: SendPlan, channel: Channel, due: Due) -> InHand:
    """All messages of a delivery that are due and may go out on the channel become prepared, in this transaction.

    The order is locked, and who may be contacted is decided now; the others end as withheld, with their event. Raises
    what `prepare_file` raises.
    """
    moment, policy = clock.now(), Policy.of(plan.institute)
    lock_until_commit(connection, Lock.ORDER, plan.order)
    decision = decide(connection, plan, channel, due, moment)
    if decision is None or not decision.free:
        return InHand((), decision.withheld if decision else 0)
    rows = _rows(connection, [row.id for row in decision.free])
    media = {row.id: plan.medium_for(row.content_key).key for row in rows}
    for key in set(media.values()):
        _become_prepared(connection, [id_ for id_, of in media.items() if of == key], key)
    if policy.rules.blocking_days:
        reserve(connection, policy, media, clock.berlin(moment).date(), mandatory=plan.campaign.mandatory)
    return InHand(rows, decision.withheld)


def stamp_file(
    connection: sa.Connection,
    file_format: FileFormat,
    institute: str,
    places: Iterable[Place],
    *,
    last_day: date,
    delivery: int | None = None,
    order_number: str = "",
    delivery_number: int = 0,
) -> int:
    """Write down a new file and who stands in it, in this order, in the caller's transaction. Returns its id."""
    stamp = FileStamp(institute, order_number, delivery_number, 0, clock.now())
    file = new_file(connection, file_format, stamp, last_day=last_day, delivery=delivery)
    lines = (
        (file, position, institute, place.person_number, place.message, list(place.values))
        for position, place in enumerate(places, start=1)
    )
    rows = copy_rows(connection, prepared_rows, _COLUMNS, lines)
    connection.execute(sa.update(prepared_files).where(prepared_files.c.id == file).values(rows=rows))
    return file


def new_file(
    connection: sa.Connection, file_format: FileFormat, stamp: FileStamp, *, last_day: date, delivery: int | None = None
) -> int:
    """Write down a new file in which nobody stands yet, in the caller's transaction. Returns its id.

    It gets the next number, and the moment of `stamp` to the second, or a later one that no other file has in its name.
    """
    institute = stamp.institute
    # One after the other draws a number: they stay without gaps, and two never meet in a name.
    lock_until_commit(connection, Lock.PREPARED, int(institute))
    number = 1 + (
        connection.scalar(
            sa.select(sa.func.max(prepared_files.c.number)).where(
                prepared_files.c.institute == institute, prepared_files.c.kind == file_format.kind
            )
        )
        or 0
    )
    stamp = replace(stamp, number=number, stamped_at=stamp.stamped_at.replace(microsecond=0))
    while _is_taken(connection, institute, file_format.file_name(stamp)):
        stamp = replace(stamp, stamped_at=stamp.stamped_at + timedelta(seconds=1))
    file: int = connection.execute(
        sa.insert(prepared_files)
        .values(
            institute=institute,
            kind=file_format.kind,
            number=number,
            delivery_id=delivery,
            file_name=file_format.file_name(stamp),
            stamped_at=stamp.stamped_at,
            last_day=last_day,
            rows=0,
        )
        .returning(prepared_files.c.id)
    ).scalar_one()
    return file


def _is_taken(connection: sa.Connection, institute: str, name: str) -> bool:
    same = sa.exists().where(prepared_files.c.institute == institute, prepared_files.c.file_name == name)
    return bool(connection.scalar(sa.select(same)))


def _rows(connection: sa.Connection, ids: Sequence[int]) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """The messages in the order of the ledger, with what chooses their medium."""
    of = messages.c
    wanted: sa.Select[*tuple[Any, ...]] = (
        sa.select(of.id, of.person_number, of.last_day, delivery_rows.c.content_key)
        .join(delivery_rows, delivery_rows.c.id == of.row_id)
        .where(of.id.in_(ids), of.state == MessageState.OPEN)
        .order_by(of.id)
    )
    return connection.execute(wanted).all()


def _become_prepared(connection: sa.Connection, ids: Sequence[int], medium: str) -> None:
    connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(ids))
        .values(state=MessageState.PREPARED, claimed_at=clock.now(), medium=medium, retry_at=None)
    )
