"""Impulses of a bank: which are open, which are parked since no campaign answers their code, and which are used.

An impulse is used once. That follows from the message of the delivery that it was last selected for: if that ended by
a passing reason, the impulse is open again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.contact.reasons import has_freed
from reku.foundation import clock
from reku.records import Fault, FaultCode, RecordFile, parse_date
from reku.sources.agree21.number_names import column_of
from reku.store.states import STILL_TO_BE_LOADED, in_states
from reku.store.tables import deliveries, impulses, messages

CODE, VALID_UNTIL = "Impuls_Code", "Gueltig_bis"


def is_open(impulse: sa.FromClause, day: date) -> sa.ColumnElement[bool]:
    """That an impulse (a row of `impulses`, or of an alias) is valid on the day, and not used."""
    valid = impulse.c.valid_until.is_(None) | (impulse.c.valid_until >= day)
    told = (
        sa.exists()
        .where(
            messages.c.order_id == deliveries.c.order_id,
            messages.c.person_number == impulse.c.person_number,
            messages.c.occasion_date == impulse.c.occasion_date,
            ~has_freed(messages),
        )
        .correlate(deliveries, impulse)
    )
    used = sa.exists().where(deliveries.c.id == impulse.c.delivery_id, in_states(deliveries, STILL_TO_BE_LOADED) | told)
    return valid & (impulse.c.delivery_id.is_(None) | ~used)


def made_on(impulse: sa.FromClause) -> sa.ColumnElement[date]:
    """The Berlin day on which an impulse was made."""
    return sa.cast(sa.func.timezone(sa.literal_column("'Europe/Berlin'"), impulse.c.made_at), sa.Date)


def rank(impulse: sa.FromClause) -> tuple[sa.ColumnElement[object], ...]:
    """By what impulses about one person take precedence: the most important one first, then the oldest."""
    return impulse.c.priority, impulse.c.made_at, impulse.c.impulse


def note_selected(connection: sa.Connection, institute: str, delivery: int, selected: Mapping[str, date]) -> None:
    """Note for which delivery and Anlass_Datum impulses (by their id) were selected."""
    if not selected:
        return
    given = (
        sa.func.unnest(sa.cast(list(selected), sa.ARRAY(sa.Text)), sa.cast(list(selected.values()), sa.ARRAY(sa.Date)))
        .table_valued("impulse", "occasion_date", name="given")
        .render_derived()
    )
    connection.execute(
        sa.update(impulses)
        .where(impulses.c.institute == institute, impulses.c.impulse == given.c.impulse)
        .values(delivery_id=delivery, occasion_date=given.c.occasion_date)
    )


def set_free(connection: sa.Connection, delivery: int) -> None:
    """Forget that impulses were selected for a delivery, which is to be selected anew."""
    connection.execute(
        sa.update(impulses).where(impulses.c.delivery_id == delivery).values(delivery_id=None, occasion_date=None)
    )


def forget_expired(connection: sa.Connection, institute: str) -> int:
    """Let the bank's impulses go that are not valid any more. Returns how many."""
    return connection.execute(
        sa.delete(impulses).where(impulses.c.institute == institute, impulses.c.valid_until < clock.today())
    ).rowcount


def expired_rows(file: RecordFile, kept_out: Collection[int]) -> dict[int, Fault]:
    """Rows of impulses that are not valid any more, by line, without those kept out already."""
    today = clock.today()
    return {
        line: Fault(FaultCode.ABGELAUFEN, line, VALID_UNTIL, f"{VALID_UNTIL}: Der Impuls ist abgelaufen und entfällt")
        for line, until in zip(file.lines, column_of(file, VALID_UNTIL), strict=False)
        if line not in kept_out and until and parse_date(until) < today
    }


def parked_rows(bank: Institute, file: RecordFile, kept_out: Collection[int]) -> dict[int, Fault]:
    """Rows whose code no campaign of the bank answers, by line; they are taken, and wait for one that does."""
    advice = "Kein Anlass ist dem Code {} zugeordnet; der Impuls wartet, bis das geschehen ist"
    return {
        line: Fault(FaultCode.IMPULS_GEPARKT, line, CODE, f"{CODE}: {advice.format(code)}")
        for line, code in zip(file.lines, column_of(file, CODE), strict=True)
        if line not in kept_out and code not in bank.impulse_codes
    }
