"""Campaigns announce their orders where no control file does: written once, changed, ended, and told for whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.process.answers import Done, Skip
from reku.process.stages.await_control_file import await_control_file
from reku.store.tables import lists, orders
from reku_testing import banks, world
from reku_testing.world import BLZ

DAY = date(2026, 11, 24)
OCCASION = "MCAG002"
Announce = Callable[..., None]


def campaign(order: str = "K2026-014", name: str = "Runde Geburtstage", **changes: Any) -> dict[str, Any]:
    announces = {
        "occasion": OCCASION,
        "rhythm": "TAEGLICH",
        "valid_from": "2026-01-01",
        "placeholder": "MF_PLATZHALTER_01",
    }
    announces |= changes
    return {
        "order": order,
        "name": name,
        "active": True,
        "announces": announces,
        "blocks": [
            {"block": "start", "list": order},
            {"block": "wait", "until": "10:30"},
            {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
        ],
    }


@pytest.fixture(autouse=True)
def announce(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]) -> Announce:
    clock_at(datetime(2026, 11, 24, 3, tzinfo=UTC))

    def configure(*campaigns: dict[str, Any]) -> None:
        banks.configure(
            monkeypatch,
            tmp_path / "config",
            core_system="agree21",
            name="Volksbank Beispielstadt",
            campaigns=list(campaigns),
        )

    configure(campaign())
    return configure


def written(database: sa.Engine) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return [
            tuple(row)
            for row in connection.execute(
                sa.select(orders.c.order_number, orders.c.name, orders.c.rhythm, orders.c.ended, lists.c.order_name)
                .join(lists, lists.c.order_id == orders.c.id)
                .order_by(orders.c.order_number)
            )
        ]


def test_an_order_is_written_once_and_its_list_goes_with_it(database: sa.Engine) -> None:
    first = await_control_file(database, OCCASION, DAY)
    assert first == Done({"orders": 1, "announced": "Volksbank Beispielstadt: 1 announced or changed, 0 ended"})
    assert await_control_file(database, OCCASION, DAY) == Done({"orders": 1})
    assert written(database) == [("K2026-014", "Runde Geburtstage", "TAEGLICH", False, "Runde Geburtstage")]
    assert await_control_file(database, "MCAG001", DAY) == Skip("Nobody has ordered MCAG001.")


def test_it_follows_the_bank_s_file(database: sa.Engine, announce: Announce) -> None:
    await_control_file(database, OCCASION, DAY)
    announce(campaign(name="Runde 2026", rhythm="WOECHENTLICH"), campaign("K2026-015", valid_until="2026-12-31"))
    assert await_control_file(database, OCCASION, DAY) == Done(
        {"orders": 2, "announced": "Volksbank Beispielstadt: 2 announced or changed, 0 ended"}
    )
    assert written(database)[0] == ("K2026-014", "Runde 2026", "WOECHENTLICH", False, "Runde 2026")
    announce(campaign("K2026-015"))
    await_control_file(database, OCCASION, DAY)
    assert [(row[0], row[3]) for row in written(database)] == [("K2026-014", True), ("K2026-015", False)]
    announce(campaign(name="Runde 2026"), campaign("K2026-015"))
    await_control_file(database, OCCASION, DAY)
    assert [row[3] for row in written(database)] == [False, False]


def test_an_order_keeps_its_occasion(database: sa.Engine, announce: Announce, caplog: pytest.LogCaptureFixture) -> None:
    await_control_file(database, OCCASION, DAY)
    announce(campaign(occasion="MCAG001"))
    await_control_file(database, "MCAG001", DAY)
    assert "K2026-014 runs for another occasion than MCAG001 already. Give the campaign a new order number" in (
        caplog.text
    )
    await_control_file(database, OCCASION, DAY)
    assert [row[3] for row in written(database)] == [True]


def test_orders_of_control_files_are_left_alone(database: sa.Engine, announce: Announce) -> None:
    world.order(database, institute=BLZ)
    announce()
    assert await_control_file(database, OCCASION, DAY) == Done({"orders": 1})
    with database.connect() as connection:
        assert connection.scalars(sa.select(orders.c.ended)).all() == [False]
