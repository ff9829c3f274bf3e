"""What an unfinished message waits for, as `reku why` says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import rate_limit, stop_switches
from reku.dispatch.pending import waits_for
from reku.foundation.settings import settings
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import deliveries, dispatches, messages
from reku_testing import banks, smtp, world
from reku_testing.dispatching import dispatch
from reku_testing.steps import allow_any_step

BANK, ORDER = "99990001", "R0000101"  # of the demo institute: its campaign sends SCOM_GEBURTSTAG from 09:00 to 20:00
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
PUT_OFF = r"put off: not to be tried before 24\.11\.2026 09:35:00"


@pytest.fixture(autouse=True)
def _now(clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOW)


@pytest.fixture
def message(database: sa.Engine) -> int:
    """An open message that is due. Its id."""
    order = world.order(database, ORDER, institute=BANK)
    world.subscriber_list(database, order, created_at=NOW)
    delivery = world.delivery(database, order, state=DeliveryState.LOADED, released_at=NOW)
    (row,) = world.rows(database, delivery, [world.reku_fields(order=ORDER)])
    return world.message(database, row)


def _set(engine: sa.Engine, table: sa.Table, **values: Any) -> None:
    if values:
        with engine.begin() as connection:
            allow_any_step(connection)
            connection.execute(sa.update(table).values(**values))


@pytest.mark.parametrize(
    ("values", "of_delivery", "expected"),
    [
        ({}, {}, "the next dispatch takes it"),
        ({"due_at": NOW + timedelta(days=1)}, {}, r"due at 25\.11\.2026 09:30:00"),
        ({"last_day": date(2026, 11, 23)}, {}, "its window is past: the next dispatch ends it"),
        ({"retry_at": LATER}, {}, PUT_OFF),  # its domain rests: not tried
        (
            {"retry_at": LATER, "attempts": 2, "answer": "451 4.7.1"},
            {},
            PUT_OFF + r" \(the relay said 451 4\.7\.1; tries so far: 2\)",
        ),
        ({"retry_at": NOW - timedelta(minutes=1), "attempts": 2, "answer": "451"}, {}, "the next dispatch takes it"),
        (
            {},
            {"canary_until": LATER},
            r"held back by the canary of its delivery, which is judged at 24\.11\.2026 09:35:00",
        ),
        ({}, {"canary_until": LATER, "canary_passed_at": NOW}, "the next dispatch takes it"),
        (
            {"state": MessageState.CLAIMED, "claimed_at": NOW, "fence": 3},
            {},
            r"in the hands of a dispatcher since 24\.11\.2026 09:30:00; should that one be dead, .* journal .*",
        ),
        (
            {"state": MessageState.IN_DOUBT, "begun_at": NOW},
            {},
            r"never sent again by itself: .* its return path b\+[0-9a-f]+\.…, then `reku messages resolve`",
        ),
        *(
            ({"state": state, "ended_at": NOW}, {}, "")
            for state in (MessageState.SENT, MessageState.WITHHELD, MessageState.REJECTED, MessageState.UNDELIVERED)
        ),
    ],
)
def test_what_it_waits_for(
    database: sa.Engine, message: int, values: dict[str, Any], of_delivery: dict[str, Any], expected: str
) -> None:
    _set(database, messages, **values)
    if of_delivery:
        with database.begin() as connection:
            connection.execute(sa.insert(dispatches).values(delivery_id=1, institute=BANK, **of_delivery))
    assert re.fullmatch(expected, waits_for(database, message))


def test_a_message_that_nobody_knows_has_no_outlook(database: sa.Engine) -> None:
    assert waits_for(database, 4711) == ""


def test_a_stop_and_a_closed_window_are_named(
    database: sa.Engine, message: int, clock_at: Callable[[datetime], None]
) -> None:
    stop = stop_switches.throw(database, institute=BANK, order=None, actor="anna", note="prices")
    clock_at(datetime(2026, 11, 24, 19, tzinfo=UTC))
    said = waits_for(database, message)
    assert said.startswith(f"anna stopped the dispatch of institute {BANK} on 24.11.2026 at 09:30 (stop {stop}); ")
    assert said.endswith("; the next send window opens at 25.11.2026 09:00:00")
    assert "prices" not in said


def test_a_campaign_that_cannot_send_is_named(database: sa.Engine, message: int) -> None:
    other = world.order(database, "R0000999", institute=BANK)
    _set(database, deliveries, order_id=other)
    assert "no campaign names order R0000999" in waits_for(database, message)


def test_a_resting_domain_is_told_without_naming_it(database: sa.Engine, message: int) -> None:
    with database.begin() as connection:
        rate_limit.slow_down(connection, BANK, "kunde.example")
    said = waits_for(database, message)
    assert re.fullmatch(r"its domain rests, or the pace of its bank is used up, for (30|2\d) s more", said)


def test_in_doubt_under_the_policy_to_resend(
    database: sa.Engine, message: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    banks.policy_for_doubts(banks.configure(monkeypatch, tmp_path / "include"), "MCAG002", "resend")
    _set(database, messages, state=MessageState.IN_DOUBT, begun_at=NOW)
    assert (
        waits_for(database, message) == "the next dispatch sends it again with the same Message-ID (in_doubt: resend)"
    )
    _set(database, messages, attempts=5)
    assert waits_for(database, message).startswith("never sent again by itself")


def test_what_it_waits_for_after_a_real_refusal(
    database: sa.Engine, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with smtp.running(smtp.Sink(say=smtp.only("rcpt", lambda _address: "451 4.7.1 greylisted"))) as sink:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings.cache_clear()
        with database.connect() as connection:
            delivery = connection.execute(sa.select(deliveries.c.id)).scalar_one()
        assert dispatch(database, delivery, day=NOW.date()).put_off == 1
    said = waits_for(database, message)
    assert re.fullmatch(
        r"put off: not to be tried before 24\.11\.2026 09:3\d:\d\d \(.* 451 4\.7\.1; tries so far: 1\)", said
    )
