"""What a row's columns with a role become."""

from __future__ import annotations

from datetime import date

import pytest

from reku.records import contracts
from reku.records.delivered_row import DeliveredRow, row_reader
from reku.store.tables import delivery_rows
from reku_testing import world


def test_a_row_of_each_interface() -> None:
    fields = world.reku_fields(EMail=" Person1@kunde.example ", Tracking_Einwilligung="J")
    reku = DeliveredRow(
        reference="R0004711-000017-00001",
        person_number="0000000001",
        address="Person1@kunde.example",
        occasion_date=date(2026, 11, 24),
        valid_until=None,
        consent=True,
        tracking=True,
        salutation="2",
        content_key=None,
        priority=None,
    )
    assert row_reader(contracts()["REKU"])(fields) == reku
    asked = fields | {"Gueltig_bis": "30.11.2026", "Content_Schluessel": "SCOM_B", "Einwilligung_EMail": "N"}
    asked["Prioritaet"] = "3"
    iamw = reku._replace(valid_until=date(2026, 11, 30), content_key="SCOM_B", consent=False, priority=3)
    assert row_reader(contracts()["IAMW"])(asked) == iamw
    assert row_reader(contracts()["REKU"])(asked) == reku._replace(consent=False), "ReKu has no such columns"


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_day_is_none(empty: str) -> None:
    assert row_reader(contracts()["IAMW"])(world.iamw_fields(Gueltig_bis=empty)).valid_until is None


def test_each_role_has_its_column() -> None:
    columns = [column.name for column in delivery_rows.columns]
    assert columns == [
        "id",
        "institute",
        "delivery_id",
        "line",
        *DeliveredRow._fields,
        "fields",
        "data_key_id",
        "sealed",
    ]
    for kind in ("REKU", "IAMW", "AUSWAHL"):
        assert set(contracts()[kind].roles) <= set(DeliveredRow._fields)
