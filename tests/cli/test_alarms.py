"""`reku alarms`: take what needs a person, silence it for a while."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from reku.store.tables import alarms, audit
from reku_testing import world
from tests.cli.conftest import Reku

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture(autouse=True)
def parked(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOON)
    order = world.order(database, institute="99990001", rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    world.delivery(database, order, state="PARKED", rows=20, advice="Keine Steuerungsdatei")


def test_a_person_takes_it_and_silences_it(database: sa.Engine, reku: Reku) -> None:
    (alarm,) = json.loads(reku("alarms", "list", "--json").stdout)
    assert (alarm["cause"].split(":")[0], alarm["team"], alarm["taken_by"]) == ("PARKED deliveries", "platform", "")
    number = str(alarm["id"])

    taken = reku("alarms", "take", number, "--note", "on the phone with the bank")
    assert (taken.exit_code, "looks after it" in taken.stdout) == (0, True)
    again = reku("alarms", "take", number, "--json")
    assert (again.exit_code, json.loads(again.stdout)["taken"]) == (1, False)

    silenced = reku("alarms", "silence", number, "--until", "2026-12-01", "--note", "corrected on Friday", "--json")
    assert json.loads(silenced.stdout) == {"id": alarm["id"], "silent_until": "2026-11-30T23:00:00+00:00"}
    listed = reku("alarms", "list").stdout
    assert "2026-12-01 00:00:00" in listed
    assert "corrected on Friday" in listed
    assert reku("alarms", "unsilence", number, "--note", "not so").exit_code == 0

    for wrong in (("take", "999"), ("silence", number, "--until", "2026-11-24", "--note", "x")):
        refused = reku("alarms", *wrong)
        assert refused.exit_code == 1
        assert refused.stderr.endswith((".\n", "days at the latest.\n"))
    with database.connect() as connection:
        actions = connection.scalars(sa.select(audit.c.action).order_by(audit.c.id)).all()
        assert connection.scalar(sa.select(alarms.c.taken_by)) != ""
    assert actions == ["take alarm", "silence alarm", "end silence"]
