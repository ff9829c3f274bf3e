"""`reku selection`: a rule in words, and whom it would select, in numbers that add up."""

from __future__ import annotations

import json
from datetime import date

import pytest
import sqlalchemy as sa

from reku.catalogue import occasions
from reku.catalogue.selection import Selection
from reku.sources.agree21.rule_text import sentence
from reku.store import tables
from reku_testing.world import BLZ
from tests.cli.conftest import Reku


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "MCAG002",
            "Personen, deren Jahrestag (Geburtsdatum) frühestens vor 3 Tagen und spätestens heute liegt, wenn (Anrede "
            "bekannt und nicht 4 und Geburtsdatum 10 bis 120 Jahre her, in Schritten von 10).",
        ),
        (
            "MCAF702",
            "Personen mit einem Vertrag, dessen Fälligkeit frühestens heute und spätestens in 60 Tagen liegt, wenn "
            "Produktart = FESTGELD.",
        ),
    ],
)
def test_a_rule_in_a_sentence(reku: Reku, code: str, says: str) -> None:
    told = reku("selection", "explain", code.lower())
    assert told.exit_code == 0
    assert says in told.stdout
    assert "FROM reku.persons" in told.stdout


def test_every_shipped_rule_can_be_told() -> None:
    for occasion in occasions().values():
        if isinstance(occasion.selection, Selection):
            assert sentence(occasion.selection, occasion.window).endswith("."), occasion.code


@pytest.mark.parametrize(
    ("code", "says"),
    [("MCAG004", "selects nobody: which birthdays"), ("MCAG02", "Did you mean MCAG002?")],
)
def test_an_occasion_without_a_rule_says_why(reku: Reku, code: str, says: str) -> None:
    refused = reku("selection", "explain", code)
    assert (refused.exit_code, says in refused.stderr) == (1, True)


def test_a_trial_adds_up_and_has_no_effect(database: sa.Engine, reku: Reku) -> None:
    people = [
        {"consent": True},
        {"consent": False, "estate": True},
        {"consent": True, "estate": True},
        {"consent": True, "flags": ["W1"]},
        {"consent": True},
        {"consent": True, "born": date(1977, 11, 22)},
    ]
    base = {"institute": BLZ, "household_rank": 1, "salutation": "2", "tracking": False, "born": date(1976, 11, 22)}
    with database.begin() as connection:
        for number, person in enumerate(people):
            name = {"person_number": f"p{number}", "household": f"p{number}"}
            row = base | {"estate": False, "flags": []} | name | person
            connection.execute(sa.insert(tables.persons).values(row))
        address = {"institute": BLZ, "recipient_key": "k", "domain": "kunde.example", "digest": "d", "data_key_id": 1}
        connection.execute(sa.insert(tables.person_addresses).values(person_number="p0", sealed=b"s", **address))
    tried = json.loads(reku("selection", "try", "MCAG002", BLZ, "--day", "2026-11-22", "--json").stdout)
    assert tried == {
        "matched": 5,
        "people": 5,
        "without_consent": 1,
        "estates": 1,
        "flagged": 1,
        "without_address": 1,
        "left": 1,
    }
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.deliveries)) == 0
