"""Who is selected for an order on a day, and their rows: as the gate wants them, sealed until it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.product_texts import product_texts
from reku.catalogue.selection import Selection
from reku.catalogue.window import message_window
from reku.contact.candidates import Candidate
from reku.contact.decide import reasons_of_candidates
from reku.contact.policy import Policy
from reku.contact.reasons import Reason, has_freed
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.records import Contract, contracts, format_date
from reku.records.delivered_row import YES
from reku.sources.agree21.selecting import candidates
from reku.store.bulk import copy_rows
from reku.store.kinds import SealedKind
from reku.store.states import STILL_TO_BE_LOADED, WAITS_FOR_THE_GATE, in_states
from reku.store.tables import (
    deliveries,
    delivery_rows,
    holdings,
    impulses,
    messages,
    person_addresses,
    persons,
    selected_rows,
)
from reku.vault.day_keys import seal_of_day, seals

Row = dict[str, str]
_COLUMNS = (
    "delivery_id",
    "line",
    "institute",
    "person_number",
    "occasion_date",
    "recipient_key",
    "domain",
    "data_key_id",
    "sealed",
)
_NO = "N"
_SELECTED, _HOUSEHOLD, _LATER_DATE = "selected", "household", "later_date"
_ANOTHER_IMPULSE, _NO_ADDRESS, _HAS_MESSAGE = "another_impulse", "without_address", "have_a_message"
_REASONS = tuple(reason.value for reason in Reason)
_OUTCOMES = (_SELECTED, _HOUSEHOLD, _LATER_DATE, _ANOTHER_IMPULSE, *_REASONS, _NO_ADDRESS, _HAS_MESSAGE)
"""What becomes of a pair of person and Anlass_Datum: the first in this order that holds for one of its addresses."""
_ALWAYS_SHOWN = (_SELECTED, _HOUSEHOLD, _LATER_DATE, _ANOTHER_IMPULSE, _NO_ADDRESS, _HAS_MESSAGE)


@dataclass(frozen=True)
class Selected:
    """`rows`: one for each mail address of each selected pair of person and Anlass_Datum, as the tables have it.

    `funnel`: pairs; `matched` is the sum of all others, which are those of `_OUTCOMES`.
    `impulses`: those that people were selected for, with Anlass_Datum.
    """

    rows: Sequence[sa.Row[Any]]
    funnel: dict[str, int]
    impulses: dict[str, date]


@dataclass(frozen=True)
class SelectedRows:
    """A selection's rows as the gate wants them."""

    contract: Contract
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def as_dicts(self) -> Iterator[Row]:
        """Each row by column."""
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))


def selected_people(
    connection: sa.Connection, bank: Institute, order: sa.Row[Any], rule: Selection, window: Window, day: date
) -> Selected:
    """Whose window is open on the day, who has no message yet for (order, person, Anlass_Datum) and may be contacted.

    Nor must the pair wait in a delivery of the order that is not loaded yet. A message that a passing reason has ended
    is none. Of several dates of one person the first is taken; of the members of a household who share an address one.
    Whoever is kept out stays a candidate.
    """
    campaign = bank.campaign(order.order_number)
    found = candidates(rule, window, bank.blz, day, campaign.impulses if campaign else ())
    rows = connection.execute(_wanted(bank.blz, order.id, found)).all()
    outcomes = _outcomes(rows, _reasons(connection, bank, order, window, rows, day))
    by_pair: dict[tuple[str, date], list[str]] = {}
    for row, outcome in zip(rows, outcomes, strict=True):
        by_pair.setdefault((row.person_number, row.occasion_date), []).append(outcome)
    counted = Counter(min(of_pair, key=_OUTCOMES.index) for of_pair in by_pair.values())
    funnel = {name: counted[name] for name in _OUTCOMES if counted[name] or name in _ALWAYS_SHOWN}
    selected = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome == _SELECTED]
    taken = {row.impulse: row.occasion_date for row in selected if row.impulse is not None}
    return Selected(selected, {"matched": len(by_pair), **funnel}, taken)


def _reasons(
    connection: sa.Connection,
    bank: Institute,
    order: sa.Row[Any],
    window: Window,
    rows: Sequence[sa.Row[Any]],
    day: date,
) -> dict[int, str]:
    """What speaks first against a message to each of the rows, by place; those that cannot have one are not asked."""
    due = message_window(window, bank.campaign(order.order_number), clock.now())
    places = [place for place, row in enumerate(rows) if not _has_one(row) and row.recipient_key is not None]
    people = []
    for row in (rows[place] for place in places):
        would_be = due(row.occasion_date, row.valid_until)
        people.append(
            Candidate(
                row.person_number, row.recipient_key, row.domain, row.occasion_date, would_be.due_at, would_be.last_day
            )
        )
    against = reasons_of_candidates(connection, Policy.of(bank), order.id, people, day)
    return {places[place]: reasons[0].value for place, reasons in against.items()}


def _outcomes(rows: Sequence[sa.Row[Any]], against: Mapping[int, str]) -> list[str]:
    """What becomes of each row: one of `_OUTCOMES`."""
    outcomes = [against.get(place) or _outcome(row) for place, row in enumerate(rows)]
    free = [row for row, outcome in zip(rows, outcomes, strict=True) if outcome == _SELECTED]
    first: dict[str, tuple[Any, ...]] = {}
    for row in free:
        first[row.person_number] = min(_turn(row), first.get(row.person_number, _turn(row)))
    places: dict[tuple[str, str, date], tuple[int, str]] = {
        _place(row): (0, row.person_number) for row in rows if row.waits
    }
    for row in free:
        if _turn(row) == first[row.person_number]:
            own = (row.household_rank, row.person_number)
            places[_place(row)] = min(own, places.get(_place(row), own))
    for place, row in enumerate(rows):
        if outcomes[place] != _SELECTED:
            continue
        if _turn(row) != first[row.person_number]:
            outcomes[place] = _LATER_DATE if row.impulse is None else _ANOTHER_IMPULSE
        elif places[_place(row)][1] != row.person_number:
            outcomes[place] = _HOUSEHOLD
    return outcomes


def _turn(row: sa.Row[Any]) -> tuple[Any, ...]:
    """What of several of one person comes first: by priority and age of the impulse, or by Anlass_Datum."""
    return (row.occasion_date,) if row.impulse is None else (row.priority, row.made_at, row.impulse)


def _outcome(row: sa.Row[Any]) -> str:
    if _has_one(row):
        return _HAS_MESSAGE
    return _NO_ADDRESS if row.recipient_key is None else _SELECTED


def _has_one(row: sa.Row[Any]) -> bool:
    return bool(row.known or row.waits)


def _place(row: sa.Row[Any]) -> tuple[str, str, date]:
    """What one mail is for: an address in a household, on one Anlass_Datum."""
    return row.household, row.recipient_key, row.occasion_date


def _wanted(institute: str, order: int, found: sa.Select[Any]) -> sa.Select[Any]:
    """Each pair that a rule matches, with the person and each mail address; in one statement, so from one state."""
    pair = found.subquery("found")
    address = person_addresses.alias("address")

    def is_pair_of(table: sa.Table) -> sa.ColumnElement[bool]:
        return (table.c.person_number == pair.c.person_number) & (table.c.occasion_date == pair.c.occasion_date)

    def waits_in(table: sa.Table) -> sa.ColumnElement[bool]:
        return sa.exists().where(
            table.c.delivery_id == deliveries.c.id,
            deliveries.c.order_id == order,
            in_states(deliveries, STILL_TO_BE_LOADED),
            is_pair_of(table),
        )

    known = sa.exists().where(messages.c.order_id == order, is_pair_of(messages), ~has_freed(messages))
    return (
        sa.select(
            pair,
            known.label("known"),
            (waits_in(delivery_rows) | waits_in(selected_rows)).label("waits"),
            persons.c.tracking,
            persons.c.estate,
            persons.c.flags,
            persons.c.salutation,
            persons.c.household,
            persons.c.household_rank,
            persons.c.advisor,
            impulses.c.priority,
            impulses.c.made_at,
            impulses.c.valid_until,
            impulses.c.value,
            impulses.c.advisor.label("told_advisor"),
            holdings.c.product,
            address.c.recipient_key,
            address.c.domain,
            address.c.data_key_id,
            address.c.sealed,
        )
        .select_from(pair)
        .join(persons, (persons.c.institute == institute) & (persons.c.person_number == pair.c.person_number))
        .outerjoin(impulses, (impulses.c.institute == institute) & (impulses.c.impulse == pair.c.impulse))
        .outerjoin(
            holdings,
            (holdings.c.institute == institute) & (holdings.c.contract_number == pair.c.contract_number),
        )
        .outerjoin(
            address,
            (address.c.institute == institute)
            & (address.c.person_number == pair.c.person_number)
            & (address.c.recipient_key != ""),
        )
        .order_by(pair.c.person_number, pair.c.occasion_date, address.c.recipient_key)
    )


def write_rows(
    connection: sa.Connection,
    bank: Institute,
    order: sa.Row[Any],
    delivery: int,
    number: int,
    rows: Sequence[sa.Row[Any]],
) -> int:
    """Write the rows of a delivery, sealed as wholes. Returns how many."""
    if not rows:
        return 0
    seal = seal_of_day(connection, bank.blz, SealedKind.ADDRESS, clock.today())
    keys = seals(connection, {row.data_key_id for row in rows})
    encode = msgspec.json.Encoder().encode

    def sealed() -> Iterator[tuple[object, ...]]:
        for line, row in enumerate(rows, start=1):
            address = msgspec.json.decode(keys[row.data_key_id].open(row.person_number, row.sealed), type=Row)
            fields = _fields(bank, order, row, f"{order.order_number}-{number:06d}-{line:05d}", address)
            clear = encode(fields)
            yield (
                delivery,
                line,
                bank.blz,
                row.person_number,
                row.occasion_date,
                row.recipient_key,
                row.domain,
                seal.id,
                seal.seal(row.person_number, clear),
            )

    return copy_rows(connection, selected_rows, _COLUMNS, sealed())


def _fields(bank: Institute, order: sa.Row[Any], row: sa.Row[Any], reference: str, address: Mapping[str, str]) -> Row:
    """The row by the contract's names; what is empty is left out."""
    salutation = row.salutation or "3"
    name = address.get("Nachname", "")
    fields = {
        "Referenz": reference,
        "Personennummer": row.person_number,
        "Anlass_Code": order.occasion,
        "Anlass_Datum": format_date(row.occasion_date),
        "Anlass_Wert": row.value or (str(row.years) if row.years else ""),
        "Impuls_ID": row.impulse or "",
        "Prioritaet": str(row.priority) if row.priority else "",
        "Gueltig_bis": format_date(row.valid_until) if row.valid_until else "",
        "Kanal": "EMAIL",
        "Anrede": salutation,
        "Titel": address.get("Titel", ""),
        "Vorname": address.get("Vorname", ""),
        "Nachname": "" if salutation == "4" else name,
        "Firma": name if salutation == "4" else "",
        "EMail": address.get("EMail", ""),
        "Einwilligung_EMail": YES,
        "Tracking_Einwilligung": YES if row.tracking else _NO,
        "Strasse": address.get("Strasse", ""),
        "PLZ": address.get("PLZ", ""),
        "Ort": address.get("Ort", ""),
        "Haushalt_ID": row.household,
        "Ansprechperson": YES if row.household_rank == 1 else _NO,
        "Werbesperre_KZ": _flag(bank, row.flags),
        "Nachlass_KZ": YES if row.estate else _NO,
        "Produkt_Text": product_texts().text(row.product),
        "Berater_Nr": row.told_advisor or row.advisor or "",
    }
    return {field: value for field, value in fields.items() if value}


def _flag(bank: Institute, flags: Sequence[str]) -> str:
    """Of several flags the one that the bank takes for a refusal, else the first."""
    refusing = bank.contact.refusal.get("Werbesperre_KZ", ())
    return next((flag for flag in flags if flag in refusing), next(iter(flags), ""))


def read_rows(engine: sa.Engine, delivery: int, kind: str) -> SelectedRows:
    """The rows of a selection, opened in memory.

    Raises StageError if they are gone, SetupError if no key opens them.
    """
    contract = contracts()[kind]
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(selected_rows).where(selected_rows.c.delivery_id == delivery).order_by(selected_rows.c.line)
        ).all()
        wanted = connection.execute(sa.select(deliveries.c.rows).where(deliveries.c.id == delivery)).scalar_one()
        keys = seals(connection, {row.data_key_id for row in rows})
    if len(rows) != wanted or any(row.data_key_id not in keys for row in rows):
        raise StageError(
            f"The selected rows of delivery {delivery} are gone. Refuse it (`reku deliveries refuse`), then select "
            "them anew (`reku deliveries retry`)."
        )
    columns = [column.name for column in contract.columns]
    defaults = [column.default for column in contract.columns]
    decode = msgspec.json.Decoder(Row).decode
    values = []
    for row in rows:
        fields = decode(keys[row.data_key_id].open(row.person_number, row.sealed))
        values.append([fields.get(name, default) for name, default in zip(columns, defaults, strict=True)])
    return SelectedRows(contract, columns, values, [row.line for row in rows])


def forget_rows(engine: sa.Engine, delivery: int) -> None:
    """Let the rows of a delivery go that waits for the gate no more: what it let through stands in `delivery_rows`."""
    with engine.begin() as connection:
        waiting = sa.exists().where(deliveries.c.id == delivery, in_states(deliveries, WAITS_FOR_THE_GATE))
        connection.execute(sa.delete(selected_rows).where(selected_rows.c.delivery_id == delivery, ~waiting))
