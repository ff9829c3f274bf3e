"""`reku orders`, `reku lists`, `reku files list`, `reku occasions`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from reku.store.states import FileVerdict
from reku_testing import world
from tests.cli.conftest import Reku

OTHER = "99950002"


def _asked(reku: Reku, *arguments: object) -> Any:
    done = reku(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def _today(clock_at: Callable[[datetime], None]) -> None:
    clock_at(datetime(2026, 11, 22, 9, tzinfo=UTC))


def test_orders_and_their_states(reku: Reku, database: sa.Engine) -> None:
    world.order(database, "R0000001")
    world.order(database, "R0000002", ended=True, occasion="MCAG001")
    world.order(database, "R0000003", faulty=True)
    world.order(database, "R0000004", valid_until=date(2026, 11, 21))
    world.order(database, "R0000005", valid_until=date(2026, 11, 22), institute=OTHER)
    found = _asked(reku, "orders")
    assert [(row["institute"], row["order"], row["state"]) for row in found] == [
        (world.BLZ, "R0000001", "active"),
        (world.BLZ, "R0000002", "ended"),
        (world.BLZ, "R0000003", "faulty"),
        (world.BLZ, "R0000004", "ended"),
        (OTHER, "R0000005", "active"),
    ]
    assert [row["order"] for row in _asked(reku, "orders", "--institute", OTHER)] == ["R0000005"]
    assert [row["order"] for row in _asked(reku, "orders", "--occasion", "MCAG001")] == ["R0000002"]
    shown = reku("orders")
    assert all(row["order"] in shown.stdout and row["name"] in shown.stdout for row in found)


def test_lists_with_their_people(reku: Reku, database: sa.Engine) -> None:
    order = world.order(database)
    then = datetime(2026, 11, 10, tzinfo=UTC)
    world.subscriber_list(database, order, order_name="Alt", created_at=then, frozen_at=then)
    used = world.subscriber_list(database, order, order_name="Neu", created_at=then)
    world.subscriber_list(database, world.order(database, "R0000002", institute=OTHER), order_name="Bald")
    with database.begin() as connection:
        from reku.store.tables import subscribers

        for number in range(2):
            connection.execute(
                sa.insert(subscribers).values(
                    institute=world.BLZ,
                    list_id=used,
                    person_number=str(number),
                    address="a@kunde.example",
                    fields={},
                    delivery_number=1,
                    updated_at=then,
                )
            )
    found = _asked(reku, "lists")
    assert {(row["order_name"], row["people"], row["state"]) for row in found} == {
        ("Alt", 0, "frozen"),
        ("Neu", 2, "in use"),
        ("Bald", 0, "reserved"),
    }
    assert len(_asked(reku, "lists", "--institute", OTHER)) == 1


def test_a_mistyped_occasion_is_not_one_without_orders(reku: Reku, database: sa.Engine) -> None:
    done = reku("orders", "--occasion", "mcag2")
    assert done.exit_code == 1
    assert "There is no occasion MCAG2. Did you mean MCAG" in done.stderr


def test_names_of_unknown_files_cannot_write_to_the_terminal(reku: Reku, database: sa.Engine) -> None:
    nasty = "a\x1b[2Jb\nc\r\u202egnp.csv\x9b31m [bold]"
    world.file(database, file_name=nasty, kind="", verdict=FileVerdict.UNKNOWN)
    world.file(database)
    done = reku("files", "list", "--verdict", "unknown")
    assert done.exit_code == 0
    assert "a\\x1b[2Jb\\nc\\r\\u202egnp.csv\\x9b31m [bold]" in done.stdout
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & set(done.stdout)
    (found,) = _asked(reku, "files", "list", "--verdict", "UNKNOWN")
    assert found["file_name"] == nasty
    assert len(_asked(reku, "files", "list")) == 2
    assert _asked(reku, "files", "list", "--institute", OTHER) == []


@pytest.mark.parametrize(
    "command",
    [("orders",), ("lists",), ("files", "list"), ("deliveries", "list"), ("messages", "list"), ("feedback", "list")],
)
def test_nothing_there_is_said_and_is_an_empty_list(reku: Reku, database: sa.Engine, command: tuple[str, ...]) -> None:
    assert reku(*command).stdout.startswith("No ")
    assert _asked(reku, *command) == []


def test_occasions(reku: Reku, reku_settings: object) -> None:
    found = _asked(reku, "occasions")
    assert len(found) == 56
    (birthday,) = (row for row in found if row["code"] == "MCAG002")
    assert (birthday["title"], birthday["first_day"], birthday["last_day"]) == ("Runde Geburtstage", 0, 3)
    assert _asked(reku, "occasions", "MCAG002")["dag"] == "reku_mcag002"
    assert "SCOM_GEBURTSTAG" in reku("occasions", "MCAG002").stdout
    wrong = reku("occasions", "MCAG02")
    assert (wrong.exit_code, "Did you mean 'MCAG002'?" in wrong.stderr) == (1, True)


def test_moments_are_berlin_for_people_and_utc_for_programs(reku: Reku, database: sa.Engine) -> None:
    world.file(database, received_at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC))
    assert "2026-07-02 00:30:00" in reku("files", "list").stdout
    assert _asked(reku, "files", "list")[0]["received_at"] == "2026-07-01T22:30:00+00:00"
