"""Who stands in a prepared file: opened one by one while it is made, and left out where it cannot reach them."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.pickup.file_format import FileFormat, FindsUnreachable, PreparedPerson
from reku.store.bulk import copy_csv
from reku.store.events import Event, record
from reku.store.states import MessageState
from reku.store.tables import delivery_rows, messages, prepared_rows
from reku.vault.numbers import NumberOpener, number_as_delivered, sealed_number
from reku.vault.sealed_rows import forget_rows, hidden_parts

_BATCH = 2_000
_BETWEEN = "\x1f"
"""Between two values of a place, in none of which a control character may stand."""


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


def places_of(connection: sa.Connection, bank: Institute, file: int) -> Iterator[PreparedPerson]:
    """Who stands in a file of all deliveries, in its order: the number, opened one by one, and the values of the place.

    Read at once, as lines: such a file may have hundreds of thousands of rows.
    """
    of = prepared_rows.c
    sealed = sa.func.coalesce(sealed_number(of.institute, of.person_number), "")
    values = sa.func.array_to_string(of["values"], _BETWEEN)
    wanted = sa.select(of.position, of.person_number, sealed, values).where(of.file_id == file).order_by(of.position)
    opener = NumberOpener(bank.blz)
    for lines in list(copy_csv(connection, wanted, delimiter=";")):
        text = io.StringIO(b"".join(lines).decode(), newline="")
        for position, person, number, told in csv.reader(text, delimiter=";", strict=True):
            clear = opener.open(person, number) if number else number_as_delivered(bank, person)
            yield PreparedPerson(int(position), clear or "", values=told.split(_BETWEEN) if told else ())


def leave_out(
    connection: sa.Connection, bank: Institute, file: int, file_format: FileFormat, *, with_rows: bool
) -> int:
    """Take out of the file who cannot stand in it: their messages end as withheld. Returns how many.

    They are those whose number or row has left since (BESTAND), and those whom such a file cannot reach, as its format
    says (ADRESSE_UNGUELTIG): why stands with each message, as what was answered.
    """
    left = _leave_out(connection, file, _lost(connection, bank, file, with_rows=with_rows), Reason.BESTAND)
    if isinstance(file_format, FindsUnreachable):
        faults = file_format.faults(bank, people_of(connection, bank, file, with_rows=with_rows))
        for text in sorted(set(faults.values())):
            positions = [position for position, why in faults.items() if why == text]
            left += _leave_out(connection, file, positions, Reason.ADRESSE_UNGUELTIG, text)
    return left


def _lost(connection: sa.Connection, bank: Institute, file: int, *, with_rows: bool) -> list[int]:
    """The places of those who can be named no more, or of whom there is no row."""
    of = prepared_rows.c
    row_is_gone = sa.and_(sa.literal(with_rows), delivery_rows.c.id.is_(None))
    doubtful = connection.execute(
        sa.select(of.position, of.person_number, row_is_gone.label("row_is_gone"))
        .outerjoin(messages, messages.c.id == of.message_id)
        .outerjoin(delivery_rows, delivery_rows.c.id == messages.c.row_id)
        .where(of.file_id == file, sealed_number(of.institute, of.person_number).is_(None) | row_is_gone)
    ).all()
    return [row.position for row in doubtful if row.row_is_gone or number_as_delivered(bank, row.person_number) is None]


def count_places(connection: sa.Connection, file: int) -> int:
    """How many stand in the file."""
    return connection.scalar(sa.select(sa.func.count()).where(prepared_rows.c.file_id == file)) or 0


def _leave_out(
    connection: sa.Connection, file: int, positions: Collection[int], reason: Reason, answer: str = ""
) -> int:
    """Their places go, their messages end as withheld, with their events, and so do sealed rows."""
    if not positions:
        return 0
    of, moment = prepared_rows.c, clock.now()
    left = sa.delete(prepared_rows).where(of.file_id == file, of.position.in_(positions)).returning(of.message_id)
    ids = [id_ for id_ in connection.scalars(left) if id_ is not None]
    ended = connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(ids), messages.c.state == MessageState.PREPARED)
        .values(state=MessageState.WITHHELD, reason=reason, reasons=[reason], answer=answer, ended_at=moment)
        .returning(messages.c.id, messages.c.row_id)
    ).all()
    record(connection, [Event(row.id, reason.event, moment, reason.code) for row in ended])
    forget_rows(connection, [row.row_id for row in ended if row.row_id is not None])
    return len(positions)
