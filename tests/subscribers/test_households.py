"""docs/domain.md, rule 20: a household with one shared address gets one mail, with two addresses two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.store.states import DeliveryState
from reku.store.tables import messages
from reku.subscribers.load import load
from reku_testing import banks, world

HOUSEHOLD = {"household": "Haushalt_ID", "contact_person": "Ansprechperson"}
SHARED = "familie@kunde.example"

# person number, address, household, more; the people expected to be mailed
CASES: dict[str, tuple[dict[str, Any], list[tuple[int, str, str, dict[str, str]]], set[int]]] = {
    "the lowest number": (HOUSEHOLD, [(2, SHARED, "h1", {}), (1, SHARED, "h1", {})], {1}),
    "the contact person": (HOUSEHOLD, [(1, SHARED, "h1", {}), (2, SHARED, "h1", {"Ansprechperson": "J"})], {2}),
    "one spelling as good as the other": (HOUSEHOLD, [(1, SHARED, "h1", {}), (2, SHARED.upper(), "h1", {})], {1}),
    "two addresses": (HOUSEHOLD, [(1, SHARED, "h1", {}), (2, "other@kunde.example", "h1", {})], {1, 2}),
    "two households": (HOUSEHOLD, [(1, SHARED, "h1", {}), (2, SHARED, "h2", {})], {1, 2}),
    "no household is a household of one's own": (HOUSEHOLD, [(1, SHARED, "", {}), (2, SHARED, "", {})], {1, 2}),
    "no rule": ({}, [(1, SHARED, "h1", {}), (2, SHARED, "h1", {})], {1, 2}),
    "birthdays of their own": (
        HOUSEHOLD,
        [(1, SHARED, "h1", {}), (2, SHARED, "h1", {"Anlass_Datum": "25.11.2026"})],
        {1, 2},
    ),
    "who may be written to goes first": (
        HOUSEHOLD,
        [(1, SHARED, "h1", {"Einwilligung_EMail": "N", "Ansprechperson": "J"}), (2, SHARED, "h1", {})],
        {2},
    ),
    "who has died does not": (
        HOUSEHOLD | {"estate": {"Nachlass_KZ": ["J"]}},
        [(1, SHARED, "h1", {"Nachlass_KZ": "J"}), (2, SHARED, "h1", {})],
        {2},
    ),
    "one mail per address, household or not": (
        {"one_mail_per_address": True},
        [(1, SHARED, "h1", {}), (2, SHARED, "", {}), (3, "other@kunde.example", "", {})],
        {1, 3},
    ),
    "9 before 10": ({"one_mail_per_address": True}, [(10, SHARED, "", {}), (9, SHARED, "", {})], {9}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_mail_for_each_address_in_a_household(
    case: str,
    database: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> None:
    rules, people, mailed = CASES[case]
    banks.configure(monkeypatch, tmp_path / "config", contact=rules)
    clock_at(datetime(2026, 11, 22, 2, 15, tzinfo=UTC))
    order = world.order(database)
    world.subscriber_list(database, order)
    delivery = world.delivery(database, order, state=DeliveryState.RELEASED)
    world.rows(
        database,
        delivery,
        [
            world.reku_fields(number, EMail=address, Haushalt_ID=household, Personennummer=str(number), **more)
            for number, address, household, more in people
        ],
    )
    load(database, delivery)
    with database.connect() as connection:
        found = connection.scalars(
            sa.select(messages.c.person_number).where(~messages.c.second, messages.c.consent)
        ).all()
    assert set(map(int, found)) == mailed
