"""What a rule would select, counted without any effect."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date

import sqlalchemy as sa

from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.sources.agree21.selecting import candidates
from reku.store.tables import person_addresses, persons


@dataclass(frozen=True)
class TrialResult:
    """People whose window is open: `matched` rows (person and Anlass_Datum) of `people` different ones.

    The first reason of each row for keeping it out is counted: matched = without_consent + estates + flagged +
    without_address + left.
    """

    matched: int
    people: int
    without_consent: int
    estates: int
    flagged: int
    without_address: int
    left: int

    def as_dict(self) -> dict[str, int]:
        """For people and JSON."""
        return asdict(self)


def trial(
    engine: sa.Engine, rule: Selection, window: Window, institute: str, day: date, codes: Collection[str] = ()
) -> TrialResult:
    """Count in one statement whom a rule selects of a bank's data on a day; `codes`: of impulses that are answered."""
    found = candidates(rule, window, institute, day, codes).subquery()
    has_address = sa.exists().where(
        person_addresses.c.institute == institute,
        person_addresses.c.person_number == found.c.person_number,
        person_addresses.c.recipient_key != "",
    )
    reason = sa.case(
        (~persons.c.consent, "without_consent"),
        (persons.c.estate, "estates"),
        (sa.func.cardinality(persons.c.flags) > 0, "flagged"),
        (~has_address, "without_address"),
        else_="left",
    ).label("reason")
    rows = (
        sa.select(found.c.person_number, reason)
        .join(persons, (persons.c.institute == institute) & (persons.c.person_number == found.c.person_number))
        .subquery()
    )

    def counted(name: str) -> sa.Label[int]:
        return sa.func.count().filter(rows.c.reason == name).label(name)

    names = ("without_consent", "estates", "flagged", "without_address", "left")
    wanted = sa.select(
        sa.func.count().label("matched"),
        sa.func.count(rows.c.person_number.distinct()).label("people"),
        *map(counted, names),
    )
    with engine.connect() as connection:
        return TrialResult(**connection.execute(wanted).mappings().one())
