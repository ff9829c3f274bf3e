"""Customers into the tables: people in pseudonyms, their names and addresses sealed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from reku.catalogue.import_rules import Pseudonyms
from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.addresses import keyer, normalised
from reku.sources.agree21.customers import Customer, customers_of
from reku.sources.agree21.merge import (
    Changes,
    add_new,
    analyze,
    count,
    remove_missing,
    staging_table,
    update_changed,
)
from reku.sources.agree21.number_names import Names
from reku.store.bulk import copy_rows
from reku.store.kinds import SealedKind
from reku.store.tables import (
    holdings,
    imported_appointments,
    impulses,
    person_addresses,
    person_numbers,
    persons,
    told_core_fields,
)
from reku.vault import numbers
from reku.vault.day_keys import destroy_unused, seal_of_day
from reku.vault.erasure import end_seals
from reku.vault.pseudonyms import NumberKind
from reku.vault.sealing import Seal

if TYPE_CHECKING:
    from reku.sources.agree21.taken_rows import TakenRows

_Named = tuple[str, Customer]
"""A person's number as it stands in the tables, and the person."""

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
_OF_A_PERSON = (person_addresses, person_numbers, holdings, imported_appointments, impulses, told_core_fields)
"""What leaves with a person."""


def write_customers(
    connection: sa.Connection,
    bank: Institute,
    rows: TakenRows,
    names: Names,
    data_day: date,
    *,
    delta: bool,
) -> tuple[Changes, int]:
    """Make the bank's people those of a snapshot of `data_day`, or change those of a delta.

    In the caller's transaction. Whom a snapshot lacks is marked, and leaves with everything after as many days as the
    bank says. Returns what changed, and how many households have no clear contact person. Raises SetupError if
    something cannot be sealed.
    """
    before = count(connection, persons, bank.blz)
    staged = staging_table(connection, persons, _COLUMNS)
    addresses = staging_table(connection, person_addresses, _ADDRESS_COLUMNS)
    on_entry = bank.imports.pseudonyms == Pseudonyms.ON_ENTRY
    kept = _kept_numbers(connection, bank.blz) if on_entry else set()
    seal, unclear = seal_of_day(connection, bank.blz, SealedKind.ADDRESS, clock.today()), 0
    for piece in rows.households():
        customers = customers_of(piece.as_dicts())
        unclear += customers.unclear_households
        people = [(names(NumberKind.PERSON, person.number), person) for person in customers.people]
        copy_rows(connection, staged, _COLUMNS, _rows(bank.blz, people, names))
        copy_rows(connection, addresses, _ADDRESS_COLUMNS, _address_rows(bank.blz, people, seal))
        if on_entry:
            _keep_numbers(connection, bank.blz, people, kept)
    analyze(connection, staged)
    analyze(connection, addresses)
    added, changed = add_new(connection, persons, staged), update_changed(connection, persons, staged)
    if not delta:
        _mark_missing(connection, bank.blz, staged, data_day)
    gone = _let_go(connection, bank, data_day)
    _merge_addresses(connection, bank.blz, addresses, delta=delta)
    destroy_unused(connection, bank.blz)
    return Changes(before, added, changed, gone, count(connection, persons, bank.blz)), unclear


def forget_addresses(connection: sa.Connection, institute: str) -> int:
    """Forget the names and addresses of a bank's people, and destroy what sealed them. Returns how many rows left."""
    gone = connection.execute(sa.delete(person_addresses).where(person_addresses.c.institute == institute)).rowcount
    if gone:
        end_seals(connection, institute, subject="person_addresses", told=f"{gone} rows erased, their time being over")
    return gone


def _rows(institute: str, people: Sequence[_Named], names: Names) -> Iterator[tuple[object, ...]]:
    for own, person in people:
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


def _keep_numbers(connection: sa.Connection, institute: str, people: Sequence[_Named], kept: set[str]) -> None:
    new = {pseudonym: person.number for pseudonym, person in people if pseudonym not in kept}
    numbers.keep(connection, institute, new, clock.today())


def _kept_numbers(connection: sa.Connection, institute: str) -> set[str]:
    """The people whose clear numbers are kept already."""
    return set(
        connection.scalars(sa.select(person_numbers.c.person_number).where(person_numbers.c.institute == institute))
    )


def _address_rows(institute: str, people: Sequence[_Named], seal: Seal) -> Iterator[tuple[object, ...]]:
    plain = normalised({row["EMail"] for _, person in people for row in person.addresses if "EMail" in row})
    encode, key = msgspec.json.Encoder(order="sorted").encode, keyer(institute)
    for pseudonym, person in people:
        written = set()
        for row in person.addresses:
            address = plain.get(row.get("EMail", ""), "")
            recipient = key(address) if address else ""
            if recipient in written:
                continue
            written.add(recipient)
            clear = encode(row)
            digest = key(f"{pseudonym}|{clear.decode()}")[:_DIGEST]
            domain = address.rpartition("@")[2]
            yield institute, pseudonym, recipient, domain, digest, seal.id, seal.seal(pseudonym, clear)


def _merge_addresses(connection: sa.Connection, institute: str, staged: sa.Table, *, delta: bool) -> None:
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
