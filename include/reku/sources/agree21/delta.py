"""Deltas of customers (`ida_kunden_delta_…`): who is new or has changed since the snapshot, in whole households."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.records import Fault, FaultCode, RecordFile, match_name
from reku.sources.agree21.kinds import Kind
from reku.sources.agree21.newest import newest_snapshot
from reku.sources.agree21.number_names import Names, column_of
from reku.store.tables import person_addresses, persons
from reku.vault.pseudonyms import NumberKind


def is_delta(file_name: str) -> bool:
    """Whether a file of this name says only what has changed."""
    named = match_name(file_name)
    return named is not None and bool(named[1].get("delta"))


def delta_fault(connection: sa.Connection, bank: Institute) -> Fault | None:
    """Why a delta of a bank cannot be taken in now, since no snapshot carries it; None if it can."""
    snapshot = newest_snapshot(connection, bank.blz, Kind.CUSTOMERS)
    days = bank.imports.delta_days
    if not days:
        advice = "Änderungsdateien sind mit dem Institut nicht vereinbart (delta_days); den ganzen Bestand liefern."
    elif snapshot is None:
        advice = "Es gibt noch keinen ganzen Bestand (ida_kunden_…): zuerst ihn liefern, dann Änderungsdateien."
    elif clock.now() - snapshot.data_at > timedelta(days=days):
        of = clock.berlin(snapshot.data_at)
        advice = f"Der letzte ganze Bestand ist vom {of:%d.%m.%Y}, älter als {days} Tage: den ganzen Bestand liefern."
    elif not connection.scalar(sa.select(sa.exists().where(person_addresses.c.institute == bank.blz))):
        advice = "Die Adressen des letzten ganzen Bestands sind nicht mehr da: den ganzen Bestand liefern."
    else:
        return None
    return Fault(FaultCode.AENDERUNG, advice=advice)


def torn_households(
    connection: sa.Connection, institute: str, file: RecordFile, names: Names, kept_out: Mapping[int, Fault]
) -> dict[int, Fault]:
    """Rows of households, the old and the new one of a person, that a delta does not bring whole; by line.

    Who is the contact person, and the lowest number, shows only when all members are there.
    """
    numbers, households = _by_line(file, "Personennummer"), _by_line(file, "Haushalt_ID")
    good = {line: names(NumberKind.PERSON, number) for line, number in numbers.items() if line not in kept_out}
    told = {line: names(NumberKind.HOUSEHOLD, households[line]) for line in good if households.get(line)}
    delivered = set(good.values())
    stored = _stored_with(connection, institute, delivered, set(told.values()))
    torn = {household for person, household in stored.items() if person not in delivered}
    advice = "Haushalt_ID: In einer Änderungsdatei alle Personen des alten und des neuen Haushalts liefern"
    return {
        line: Fault(FaultCode.AENDERUNG, line, "Haushalt_ID", advice)
        for line, person in good.items()
        if told.get(line) in torn or stored.get(person) in torn
    }


def _by_line(file: RecordFile, column: str) -> dict[int, str]:
    return dict(zip(file.lines, column_of(file, column), strict=False))


def _stored_with(connection: sa.Connection, institute: str, people: set[str], households: set[str]) -> dict[str, str]:
    """Person → household of those there are: these people, and all in these households or in theirs."""
    own = persons.alias("own")
    theirs = sa.select(own.c.household).where(own.c.institute == institute, _is_one_of(own.c.person_number, people))
    rows = connection.execute(
        sa.select(persons.c.person_number, persons.c.household).where(
            persons.c.institute == institute,
            persons.c.missing_since.is_(None),
            persons.c.household.in_(theirs) | _is_one_of(persons.c.household, households),
        )
    )
    return {row.person_number: row.household for row in rows}


def _is_one_of(column: sa.ColumnElement[str], values: set[str]) -> sa.ColumnElement[bool]:
    listed: Sequence[str] = sorted(values)
    return column == sa.any_(sa.literal(listed, sa.ARRAY(sa.Text)))
