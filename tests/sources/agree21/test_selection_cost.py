"""What a selection costs: rules find their holdings by an index, and more people take no more statements."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import occasions
from reku.catalogue.selection import Selection
from reku.sources.agree21.selected_people import selected_people
from reku.sources.agree21.selecting import statement_plan
from reku.sources.agree21.trial import tried_orders
from reku_testing.world import BLZ
from tests.sources.agree21.conftest import CoopBank
from tests.sources.agree21.imported import add_person

DAY = date(2026, 11, 22)
_PEOPLE = sa.text("""
    INSERT INTO reku.persons (institute, person_number, household, household_rank, consent, tracking, estate, flags,
        salutation, born)
    SELECT :blz, 'p' || number, 'p' || number, 1, true, false, false, '{}', '2', DATE '1940-01-01' + number * 7 % 25000
    FROM generate_series(1, 20000) AS number
""")
_HOLDINGS = sa.text("""
    INSERT INTO reku.holdings (institute, contract_number, person_number, product, opened, due)
    SELECT :blz, 'v' || number, 'p' || number % 20000, (CAST(:products AS text[]))[number % :kinds + 1],
        DATE '2005-01-01' + number / 7 % 7000, DATE '2026-01-01' + number / 11 % 2000
    FROM generate_series(1, 60000) AS number
""")


_INDEX = {"due": "ix_holdings_due", "opened": "ix_holdings_opened"}


def _rules(row: str) -> dict[str, Selection]:
    """The rules of the catalogue that look through such rows, by occasion."""
    return {
        code: occasion.selection
        for code, occasion in occasions().items()
        if isinstance(occasion.selection, Selection) and occasion.selection.row == row
    }


@pytest.fixture
def filled(database: sa.Engine) -> sa.Engine:
    products = [f"PRODUKT_{number}" for number in range(20)] + ["GIRO", "DEPOT", "FONDSKONTO", "RATENKREDIT"]
    with database.begin() as connection:
        connection.execute(_PEOPLE, {"blz": BLZ})
        connection.execute(_HOLDINGS, {"blz": BLZ, "products": products, "kinds": len(products)})
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE reku.persons, reku.holdings"))
    return database


def plan(connection: sa.Connection, occasion: str, rule: Selection) -> list[str]:
    return statement_plan(connection, rule, occasions()[occasion].window, BLZ, DAY)


def test_rules_by_due_dates_and_anniversaries_read_what_an_index_finds(filled: sa.Engine) -> None:
    found: dict[str, str] = {}
    with filled.connect() as connection:
        for code, rule in _rules("holding").items():
            if rule.on == "due" or rule.anniversary:
                lines = plan(connection, code, rule)
                assert not [line for line in lines if "Seq Scan on holdings" in line], (code, lines)
                assert any(_INDEX[rule.on] in line for line in lines), (code, lines)
                found[code] = rule.on
    assert set(found.values()) == {"due", "opened"}


def test_birthdays_do_not_read_all_people(filled: sa.Engine) -> None:
    with filled.connect() as connection:
        for code in ("MCAG001", "MCAG002", "MCAG008"):
            lines = plan(connection, code, _rules("person")[code])
            assert any("ix_persons_birthday" in line for line in lines), (code, lines)


def test_five_times_the_people_take_as_many_statements(bank: CoopBank, database: sa.Engine) -> None:
    """Time grows with the people, dialogues with the database do not."""
    occasion = occasions()["MCAG002"]
    assert isinstance(occasion.selection, Selection)
    counted = []
    for people in (20, 100):
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any, into: list[str] = statements) -> None:
            into.append(statement)

        with tried_orders(database, bank.institute, occasion.code) as (connection, (order,)):
            for number in range(people):
                add_person(connection, f"p{number}", born=date(1976, 11, 22))
            sa.event.listen(connection, "before_cursor_execute", note)
            found = selected_people(connection, bank.institute, order, occasion.selection, occasion.window, DAY)
        assert len(found.rows) == people
        counted.append(len(statements))
    assert counted[0] == counted[1], counted
