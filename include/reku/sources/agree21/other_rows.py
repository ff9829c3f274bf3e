"""Holdings, appointments and impulses into the tables."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from reku.catalogue.contact import MOST_DAYS_AFTER
from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.records import parse_date, parse_moment
from reku.sources.agree21.impulses import forget_expired
from reku.sources.agree21.merge import (
    Changes,
    add_new,
    analyze,
    count,
    remove_missing,
    stage,
    staging_table,
    update_changed,
)
from reku.sources.agree21.number_names import Names
from reku.store.bulk import copy_arrow
from reku.store.tables import appointments, holdings, imported_appointments, impulses
from reku.vault.pseudonyms import NumberKind

if TYPE_CHECKING:
    from reku.sources.agree21.taken_rows import TakenRows

_TAKES_PLACE = ("GEPLANT", "STATTGEFUNDEN")
_KEEP_APPOINTMENTS = timedelta(days=MOST_DAYS_AFTER)
"""How long after its day an appointment is kept: as long as any bank may want no mails after it."""


def write_holdings(connection: sa.Connection, bank: Institute, rows: TakenRows, names: Names) -> Changes:
    """Make the bank's holdings those of a snapshot."""
    import pyarrow as pa

    text, day = pa.string(), pa.date32()
    columns = (
        "institute",
        "contract_number",
        "person_number",
        "product",
        "opened",
        "due",
        "balance_class",
        "payment_flow",
    )
    before = count(connection, holdings, bank.blz)
    staged = staging_table(connection, holdings, columns)
    for piece in rows.pieces():
        values = (
            pa.repeat(bank.blz, len(piece)),
            piece.each("Vertragsnummer", partial(names, NumberKind.CONTRACT), text),
            piece.each("Personennummer", partial(names, NumberKind.PERSON), text),
            piece.each("Produktart", str, text),
            piece.each("Eroeffnung", parse_date, day),
            piece.each("Faelligkeit", parse_date, day),
            piece.each("Saldo_Klasse", str, text),
            piece.each("Zahlungsstrom_KZ", str, text),
        )
        copy_arrow(connection, staged, pa.table(values, columns))
    analyze(connection, staged)
    gone = remove_missing(connection, holdings, staged, bank.blz)
    changed, added = update_changed(connection, holdings, staged), add_new(connection, holdings, staged)
    return Changes(before, added, changed, gone, count(connection, holdings, bank.blz))


def write_appointments(connection: sa.Connection, bank: Institute, rows: TakenRows, names: Names) -> Changes:
    """Take over what has changed of appointments: of each the newest Geaendert_am counts, whatever came first."""
    newest: dict[str, tuple[object, ...]] = {}
    for row in sorted(rows.as_dicts(), key=lambda row: parse_moment(row["Geaendert_am"])):
        newest[row["Termin_ID"]] = (
            bank.blz,
            row["Termin_ID"],
            names(NumberKind.PERSON, row["Personennummer"]),
            clock.berlin(parse_moment(row["Termin_Beginn"])).date(),
            row["Status"] in _TAKES_PLACE,
            parse_moment(row["Geaendert_am"]),
        )
    columns = ("institute", "appointment", "person_number", "day", "takes_place", "changed_at")
    of = imported_appointments.c
    before = count(connection, imported_appointments, bank.blz)
    staged = stage(connection, imported_appointments, columns, newest.values())
    changed = update_changed(connection, imported_appointments, staged, newer=staged.c.changed_at > of.changed_at)
    added = add_new(connection, imported_appointments, staged)
    past = of.day < clock.today() - _KEEP_APPOINTMENTS
    gone = connection.execute(sa.delete(imported_appointments).where(of.institute == bank.blz, past)).rowcount
    _set_days(connection, bank.blz)
    return Changes(before, added, changed, gone, count(connection, imported_appointments, bank.blz))


def write_impulses(connection: sa.Connection, bank: Institute, rows: TakenRows, names: Names) -> Changes:
    """Add impulses, or rewrite those that have come before; those that have expired leave."""
    columns = (
        "institute",
        "impulse",
        "person_number",
        "code",
        "made_at",
        "valid_until",
        "priority",
        "wished_channel",
        "advisor",
        "value",
        "value_date",
    )
    before = count(connection, impulses, bank.blz)
    staged = stage(
        connection,
        impulses,
        columns,
        (
            (
                bank.blz,
                row["Impuls_ID"],
                names(NumberKind.PERSON, row["Personennummer"]),
                row["Impuls_Code"],
                parse_moment(row["Erzeugt_am"]),
                parse_date(row["Gueltig_bis"]) if row["Gueltig_bis"] else None,
                int(row["Prioritaet"]),
                row["Kanal_Wunsch"] or None,
                row["Berater_Nr"] or None,
                row["Wert"] or None,
                _date_of(row["Wert"]),
            )
            for row in rows.as_dicts()
        ),
    )
    changed, added = update_changed(connection, impulses, staged), add_new(connection, impulses, staged)
    gone = forget_expired(connection, bank.blz)
    return Changes(before, added, changed, gone, count(connection, impulses, bank.blz))


def _date_of(value: str) -> date | None:
    """The date that a value is; None if it is a code."""
    try:
        return parse_date(value)
    except ValueError:
        return None


def _set_days(connection: sa.Connection, institute: str) -> None:
    """Make the bank's days of appointments those of the imported ones that take place."""
    of = imported_appointments.c
    days = sa.select(of.institute, of.person_number, of.day).where(of.institute == institute, of.takes_place).distinct()
    wanted = days.subquery()
    same = (wanted.c.person_number == appointments.c.person_number) & (wanted.c.day == appointments.c.day)
    connection.execute(sa.delete(appointments).where(appointments.c.institute == institute, ~sa.exists().where(same)))
    missing = sa.select(wanted).where(~sa.exists().where(same, appointments.c.institute == institute).correlate(wanted))
    connection.execute(sa.insert(appointments).from_select(["institute", "person_number", "day"], missing))
