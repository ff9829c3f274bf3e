"""What docs/privacy.md and the code say of tables and settings is complete: a new table cannot be forgotten."""

from __future__ import annotations

import re

import sqlalchemy as sa

from reku.foundation.settings import Settings
from reku.privacy import erase as erasing
from reku.privacy.person import in_tables
from reku.store.tables import metadata
from reku_testing import world
from tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "privacy.md").read_text(encoding="utf-8")
OF_PEOPLE = {"person_number", "address", "recipient_key", "message_id", "response_id"}
"""Columns by which rows are of a person."""


def test_the_page_has_every_table() -> None:
    section = PAGE.partition("\n## Tables\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(table.name for table in metadata.sorted_tables)


def test_the_page_has_every_period() -> None:
    periods = {f"REKU_{name.upper()}" for name in Settings.model_fields if name.startswith("keep_")}
    assert len(periods) > 5
    assert {name for name in periods if f"`{name}`" not in PAGE} == set()


def test_every_table_with_people_is_looked_into(database: sa.Engine) -> None:
    with database.connect() as connection:
        looked_into = set(in_tables(connection, world.BLZ, "1"))
    assert {table.name for table in metadata.sorted_tables if OF_PEOPLE & set(table.columns.keys())} == looked_into


def test_every_table_with_a_person_number_is_erased_or_answered_for() -> None:
    numbered = {table.name for table in metadata.sorted_tables if "person_number" in table.columns}
    gone = {table.name for table in erasing._GOES}
    assert numbered - gone == {"messages", "suppressions"}, "one gets a pseudonym, the other bars"
