"""Customers into the tables: people in pseudonyms, their names and addresses sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa

from reku.catalogue.import_rules import Pseudonyms
from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.addresses import keyed, normalised
from reku.sources.agree21.customers import Customer
from reku.sources.agree21.merge import Changes, add_new, count, remove_missing, stage, update_changed
from reku.sources.agree21.number_names import Names
from reku.store.kinds import SealedKind
from reku.store.tables import (
    holdings,
    imported_appointments,
    impulses,
    person_addresses,
    person_numbers,
    persons,
)
from reku.vault import numbers
from reku.vault.day_keys import destroy_unused, seal_of_day
from reku.vault.pseudonyms import NumberKind

_COLUMNS = (
    "institute",
    "person_number",
    "household",
    "household_rank",
    "salutation",
    "consent",
    "tracking",
    "estate",
    "flags",
    "postcode",
    "segment",
    "customer_since",
    "born",
    "advisor",
    "missing_since",
)
_ADDRESS_COLUMNS = ("institute", "person_number", "recipient_key", "domain", "digest", "data_key_id", "sealed")
_DIGEST = 32
_OF_A_PERSON = (person_addresses, person_numbers, holdings, imported_appointments, impulses)
"""What leaves with a person."""


def write_customers(
    connection: sa.Connection,
    bank: Institute,
    people: Sequence[Customer],
    names: Names,
    data_day: date,
    *,
    delta: bool,
) -> Changes:
    """Make the bank's people those of a snapshot of `data_day`, or change those of a delta.

    In the caller's transaction. Whom a snapshot lacks is marked, and leaves with everything after as many days as the
    bank says. Raises SetupError if something cannot be sealed.
    """
    named = {person.number: names(NumberKind.PERSON, person.number) for person in people}
    before = count(connection, persons, bank.blz)
    staged = stage(connection, persons, _COLUMNS, _rows(bank.blz, people, named, names))
    added, changed = add_new(connection, persons, staged), update_changed(connection, persons, staged)
    if not delta:
        _mark_missing(connection, bank.blz, staged, data_day)
    gone = _let_go(connection, bank, data_day)
    if bank.imports.pseudonyms == Pseudonyms.ON_ENTRY:
        _keep_numbers(connection, bank.blz, named)
    _write_addresses(connection, bank.blz, people, named, delta=delta)
    destroy_unused(connection, bank.blz)
    return Changes(before, added, changed, gone, count(connection, persons, bank.blz))


def forget_addresses(connection: sa.Connection, institute: str) -> int:
    """Forget the names and addresses of a bank's people, and destroy what sealed them. Returns how many rows left."""
    gone = connection.execute(sa.delete(person_addresses).where(person_addresses.c.institute == institute)).rowcount
    if gone:
        destroy_unused(connection, institute)
    return gone


def _rows(
    institute: str, people: Sequence[Customer], named: dict[str, str], names: Names
) -> Iterator[tuple[object, ...]]:
    for person in people:
        own = named[person.number]
        yield (
            institute,
            own,
            names(NumberKind.HOUSEHOLD, person.household) if person.household else own,
            person.household_rank,
            person.salutation,
            person.consent,
            person.tracking,
            person.estate,
            list(person.flags),
            person.postcode,
            person.segment,
            person.customer_since,
            person.born,
            person.advisor,
            None,
        )


def _mark_missing(connection: sa.Connection, institute: str, staged: sa.Table, data_day: date) -> None:
    there = sa.exists().where(staged.c.person_number == persons.c.person_number)
    connection.execute(
        sa.update(persons)
        .where(persons.c.institute == institute, ~there, persons.c.missing_since.is_(None))
        .values(missing_since=data_day)
    )


def _let_go(connection: sa.Connection, bank: Institute, data_day: date) -> int:
    """Remove who has been missing for long enough, with all that is theirs. Returns how many left."""
    last_day = data_day - timedelta(days=bank.imports.erase_after_days)
    left = connection.scalars(
        sa.delete(persons)
        .where(persons.c.institute == bank.blz, persons.c.missing_since <= last_day)
        .returning(persons.c.person_number)
    ).all()
    for table in _OF_A_PERSON if left else ():
        theirs = table.c.person_number == sa.any_(sa.literal(left, sa.ARRAY(sa.Text)))
        connection.execute(sa.delete(table).where(table.c.institute == bank.blz, theirs))
    return len(left)


def _keep_numbers(connection: sa.Connection, institute: str, named: dict[str, str]) -> None:
    kept = set(
        connection.scalars(sa.select(person_numbers.c.person_number).where(person_numbers.c.institute == institute))
    )
    new = {pseudonym: number for number, pseudonym in named.items() if pseudonym not in kept}
    numbers.keep(connection, institute, new, clock.today())


def _write_addresses(
    connection: sa.Connection, institute: str, people: Sequence[Customer], named: dict[str, str], *, delta: bool
) -> None:
    seal = seal_of_day(connection, institute, SealedKind.ADDRESS, clock.today())
    plain = normalised({row["EMail"] for person in people for row in person.addresses if "EMail" in row})
    encode = msgspec.json.Encoder(order="sorted").encode

    def rows() -> Iterator[tuple[object, ...]]:
        for person in people:
            pseudonym, written = named[person.number], set()
            for row in person.addresses:
                address = plain.get(row.get("EMail", ""), "")
                recipient = keyed(institute, address) if address else ""
                if recipient in written:
                    continue
                written.add(recipient)
                clear = encode(row)
                digest = keyed(institute, f"{pseudonym}|{clear.decode()}")[:_DIGEST]
                domain = address.rpartition("@")[2]
                yield institute, pseudonym, recipient, domain, digest, seal.id, seal.seal(pseudonym, clear)

    staged = stage(connection, person_addresses, _ADDRESS_COLUMNS, rows())
    if delta:
        of_people = sa.exists().where(staged.c.person_number == person_addresses.c.person_number)
        remove_missing(connection, person_addresses, staged, institute, of_people)
    else:
        remove_missing(connection, person_addresses, staged, institute)
    # A row sealed anew looks different each time: its digest says whether it is. A snapshot's are sealed by its day.
    sealing = ("sealed", "data_key_id") if delta else ("sealed",)
    same = (person_addresses.c[name] == staged.c[name] for name in _ADDRESS_COLUMNS if name not in sealing)
    connection.execute(sa.delete(staged).where(sa.exists().where(*same)))
    update_changed(connection, person_addresses, staged)
    add_new(connection, person_addresses, staged)
