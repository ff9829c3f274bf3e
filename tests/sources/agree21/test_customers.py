"""Rows of customers made people: a no wins, what contradicts itself is unknown, one contact person a household."""

from __future__ import annotations

from datetime import date

import pytest

from reku.sources.agree21.customers import customers_of
from tests.sources.agree21.conftest import person

A, B, C = 3, 1, 2


@pytest.mark.parametrize(
    ("field", "values", "attribute", "expected"),
    [
        ("Einwilligung_EMail", ("J", "J"), "consent", True),
        ("Einwilligung_EMail", ("J", "N"), "consent", False),
        ("Einwilligung_EMail", ("J", ""), "consent", False),
        ("Tracking_Einwilligung", ("N", "J"), "tracking", False),
        ("Nachlass_KZ", ("N", "J"), "estate", True),
        ("Werbesperre_KZ", ("W1", ""), "flags", ("W1",)),
        ("Werbesperre_KZ", ("W2", "W1"), "flags", ("W1", "W2")),
        ("Geburtsdatum", ("14.02.1976", "14.02.1976"), "born", date(1976, 2, 14)),
        ("Geburtsdatum", ("14.02.1976", "15.02.1976"), "born", None),
        ("Geburtsdatum", ("", ""), "born", None),
        ("PLZ", ("01067", "01067"), "postcode", "01067"),
        ("Anrede", ("1", "2"), "salutation", None),
        ("Kundensegment", ("PK", ""), "segment", None),
        ("Haushalt_ID", ("H1", "H2"), "household", ""),
    ],
)
def test_rows_of_one_person(field: str, values: tuple[str, str], attribute: str, expected: object) -> None:
    for rows in (values, values[::-1]):
        made = customers_of([person(1, EMail=f"{n}@kunde.example", **{field: v}) for n, v in enumerate(rows)])
        (customer,) = made.people
        assert getattr(customer, attribute) == expected
        assert [row["EMail"] for row in customer.addresses] == ["0@kunde.example", "1@kunde.example"]


@pytest.mark.parametrize(
    ("contacts", "order", "unclear"),
    [
        ({A}, [A, B, C], 0),
        ({B}, [B, C, A], 0),
        (set(), [B, C, A], 1),
        ({A, C}, [B, C, A], 1),
        ({A, B, C}, [B, C, A], 1),
    ],
)
def test_contact_person_of_a_household(contacts: set[int], order: list[int], unclear: int) -> None:
    """With none or several the lowest number, on every import the same whatever the order of rows."""
    rows = [person(n, Haushalt_ID="H1", Ansprechperson="J" if n in contacts else "N") for n in (A, B, C)]
    for listed in (rows, rows[::-1], rows[1:] + rows[:1]):
        made = customers_of(listed)
        ranked = sorted(made.people, key=lambda customer: customer.household_rank)
        assert [int(customer.number) for customer in ranked] == order
        assert made.unclear_households == unclear


def test_people_without_a_household_are_one_each() -> None:
    made = customers_of([person(n, Ansprechperson="N") for n in (A, B)])
    assert [customer.household_rank for customer in made.people] == [1, 1]
    assert made.unclear_households == 0
