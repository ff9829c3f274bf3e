"""`reku today`: what needs a person, and an exit code for whoever only asks whether anything does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime

import sqlalchemy as sa

from reku_testing import world
from tests.cli.conftest import Reku

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
BANK = "99990001"


def test_it_says_what_happened_and_what_to_do(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(NOON)
    done = reku("today")
    assert (done.exit_code, done.stdout) == (0, "Nothing needs a person.\n")
    order = world.order(database, institute=BANK, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    world.delivery(database, order, state="PARKED", rows=20, advice="Keine Steuerungsdatei", created_at=NOON)
    done = reku("today")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "PARKED: NO CONTROL FILE · Sparkasse Musterstadt (99990001) · MCAG002 · R0004711 "
        "· since 24.11.2026 12:00 · 20 people",
        "  Delivery 000017 is parked: Keine Steuerungsdatei",
        "  > Ask for the order's control file; when it is there, the delivery goes on by itself.",
        "",
        "1 need a person.",
    ]
    done = reku("today", "--json")
    assert done.exit_code == 1
    (need,) = json.loads(done.stdout)
    assert (need["kind"], need["institute"], need["people"]) == ("PARKED", BANK, 20)
    assert reku("today", "--institute", "99990002").exit_code == 0
