from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue import institutes
from reku.catalogue.campaign import Weekday
from reku.dispatch.plan import SendPlan
from reku.dispatch.window import SendWindow, send_window
from reku.foundation import clock
from reku_testing.dispatching import BANK, DAY, ORDER, Sink, account, change_settings, dispatch, loaded, people, states

WEEKDAYS = tuple(Weekday)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def _plan(days: tuple[Any, ...] = WEEKDAYS, send_until: time = time(20)) -> SendPlan:
    """A campaign that plays out at 09:00."""
    institute = institutes()[BANK].model_copy(update={"send_until": send_until})
    campaign = institute.campaign(ORDER)
    assert campaign is not None
    return SendPlan(institute, campaign.model_copy(update={"send_days": days}), 1, 1, ORDER, "MCAG002", 17, {})


def _berlin(text: str) -> datetime:
    return datetime.strptime(text, "%d.%m.%Y %H:%M:%S").replace(tzinfo=clock.BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("24.11.2026 00:00:00", "24.11.2026 09:00:00", "24.11.2026 20:00:00"),
        ("24.11.2026 08:59:59", "24.11.2026 09:00:00", "24.11.2026 20:00:00"),
        ("24.11.2026 09:00:00", "24.11.2026 09:00:00", "24.11.2026 20:00:00"),
        ("24.11.2026 19:59:59", "24.11.2026 09:00:00", "24.11.2026 20:00:00"),
        ("24.11.2026 20:00:00", "25.11.2026 09:00:00", "25.11.2026 20:00:00"),
        ("24.11.2026 23:59:59", "25.11.2026 09:00:00", "25.11.2026 20:00:00"),
        ("31.12.2026 20:00:00", "01.01.2027 09:00:00", "01.01.2027 20:00:00"),
        ("27.03.2027 21:00:00", "28.03.2027 09:00:00", "28.03.2027 20:00:00"),  # summer time begins in that night
        ("24.10.2026 21:00:00", "25.10.2026 09:00:00", "25.10.2026 20:00:00"),  # and ends
    ],
)
def test_window_that_is_open_or_comes_next(now: str, opens: str, closes: str) -> None:
    assert send_window(_plan(), _berlin(now)) == SendWindow(_berlin(opens), _berlin(closes))


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("27.11.2026 19:59:59", "27.11.2026 09:00:00"),  # a Friday
        ("27.11.2026 20:00:00", "30.11.2026 09:00:00"),
        ("28.11.2026 12:00:00", "30.11.2026 09:00:00"),
        ("29.11.2026 23:59:59", "30.11.2026 09:00:00"),
        ("30.11.2026 00:00:00", "30.11.2026 09:00:00"),
    ],
)
def test_a_weekday_that_is_not_permitted_has_none(now: str, opens: str) -> None:
    assert send_window(_plan(WEEKDAYS[:5]), _berlin(now)).opens == _berlin(opens)


@given(
    st.integers(0, 2 * 366 * 86400).map(lambda seconds: NEW_YEAR + timedelta(seconds=seconds)),
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True),
    st.times(time(9, 1), time(23, 59)),
)
def test_the_window_is_the_first_that_has_not_closed(now: datetime, days: list[Any], send_until: time) -> None:
    until = send_until.replace(second=0, microsecond=0)
    plan = _plan(tuple(days), until)
    window = send_window(plan, now)
    day = clock.berlin(window.opens).date()
    assert window.opens == clock.at(day, 9)
    assert window.closes == clock.at(day, until.hour, until.minute) > now
    assert WEEKDAYS[day.weekday()] in days
    today = clock.berlin(now).date()
    passed = [today + timedelta(days=number) for number in range((day - today).days)]
    assert all(WEEKDAYS[one.weekday()] not in days or one == today for one in passed)
    assert (
        today not in passed or WEEKDAYS[today.weekday()] not in days or now >= clock.at(today, until.hour, until.minute)
    )


def test_before_the_window_nothing_goes_out(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    clock_at(_berlin("24.11.2026 08:59:00"))
    done = dispatch(database, loaded(database, people(2)), day=DAY)
    assert (done.sent, done.put_off, done.next_try) == (0, 2, _berlin("24.11.2026 09:00:00"))
    assert sink.taken == []
    assert states(database) == {"OPEN": 2}


def test_at_its_end_nothing_more_is_begun_and_the_rest_is_open(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_settings(monkeypatch, dispatch_batch=50)
    end = _berlin("24.11.2026 20:00:00")

    def closes(point: str, _recipient: str) -> None:
        if point == "dot" and len(sink.recipients) == 10:
            clock_at(end)

    sink.say = closes
    sink.seconds = 0.02
    delivery = loaded(database, people(200))
    done = dispatch(database, delivery, day=DAY)
    assert done.next_try == end
    assert 10 <= done.sent < 100
    assert states(database) == {"SENT": done.sent, "OPEN": 200 - done.sent}
    account(database, sink)
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.next_try) == (0, _berlin("25.11.2026 09:00:00"))


def test_what_is_past_its_last_day_is_not_sent_in_the_next_window(
    database: sa.Engine, sink: Sink, clock_at: Callable[[datetime], None]
) -> None:
    delivery = loaded(database, people(2), last_day=date(2026, 11, 24))
    clock_at(_berlin("25.11.2026 09:00:00"))
    assert dispatch(database, delivery, day=date(2026, 11, 25)).withheld == 2
    assert sink.recipients == []
