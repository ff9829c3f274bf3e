"""Floods: who asks too often is answered and not recorded, and an unsubscribe is never among what is left out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.responses import client_limit
from reku.responses.client_limit import ClientLimit
from reku.responses.hits import take_in
from reku.store.tables import hits
from reku_testing.serving import served


def test_so_many_at_once_and_then_by_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(client_limit.time, "monotonic", lambda: now[0])
    bucket = ClientLimit(rate=2, burst=5)
    assert [bucket.allow("192.0.2.1") for _ in range(7)] == [True] * 5 + [False] * 2
    assert bucket.allow("192.0.2.2"), "another client"
    now[0] += 1
    assert [bucket.allow("192.0.2.1") for _ in range(3)] == [True, True, False]
    now[0] += 3600
    assert [bucket.allow("192.0.2.1") for _ in range(7)] == [True] * 5 + [False] * 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:ff:ffff::1", True),
        ("2001:db8:0:1::1", "2001:db8:0:100::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "", True),
        ("fe80::1%eth0", "rubbish:", False),
    ],
)
def test_what_is_one_client(one: str, other: str, same: bool) -> None:
    bucket = ClientLimit(rate=0.001, burst=1)
    assert bucket.allow(one)
    assert bucket.allow(other) is not same


def test_memory_is_bounded_and_holds_no_address() -> None:
    bucket = ClientLimit(rate=1, burst=5, remembered=100)
    for number in range(1000):
        bucket.allow(f"192.0.2.{number}")
    assert len(bucket._buckets) == 100
    assert not any(b"192.0.2" in client for client in bucket._buckets)
    other = ClientLimit(rate=1, burst=5)
    other.allow("192.0.2.999")
    assert not bucket._buckets.keys() & other._buckets.keys(), "each process has a key of its own"


@pytest.fixture
def narrow(bank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_TRACKER_RATE", "0.001")
    monkeypatch.setenv("REKU_TRACKER_BURST", "3")
    settings.cache_clear()


@pytest.fixture
def web(narrow: None) -> Any:
    from reku.responses.tracker import app

    with served(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def rows(engine: sa.Engine) -> int:
    take_in(engine)
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(hits)) or 0


def test_a_flood_of_hits_is_answered_and_not_recorded(web: httpx.Client, sent: Any, database: sa.Engine) -> None:
    message = sent()
    pixel, link = f"/o/{make(Purpose.OPEN, Target(message))}.gif", f"/c/{make(Purpose.CLICK, Target(message, 1))}"
    assert {web.get(pixel).status_code for _ in range(10)} == {200}
    assert web.get(link).status_code == 302
    assert rows(database) == 3
    assert web.get("/health").json()["limited"] == 8


def test_a_flood_of_wrong_links_is_turned_away_and_an_unsubscribe_never(
    web: httpx.Client, sent: Any, events: Any
) -> None:
    statuses = [web.get(f"/u/wrong{number}").status_code for number in range(6)]
    assert statuses == [404] * 3 + [429] * 3
    answer = web.post("/u/wrong")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    good = f"/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}"
    assert web.get(good).status_code == 200
    assert web.post(good, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert [event[1] for event in events()] == ["UNSUBSCRIBED"]


@pytest.mark.parametrize(("trusted", "recorded"), [("", 3), ("127.0.0.1", 8), ("192.0.2.0/24", 3)])
def test_whom_a_proxy_names_is_believed_only_of_a_known_proxy(
    bank: Any,
    sent: Any,
    database: sa.Engine,
    narrow: None,
    monkeypatch: pytest.MonkeyPatch,
    trusted: str,
    recorded: int,
) -> None:
    from reku.responses.tracker import app

    monkeypatch.setenv("REKU_TRACKER_PROXIES", trusted)
    settings.cache_clear()
    pixel = f"/o/{make(Purpose.OPEN, Target(sent()))}.gif"
    with served(app) as address:
        for number in range(8):
            httpx.get(address + pixel, headers={"X-Forwarded-For": f"198.51.100.{number}"})
    assert rows(database) == recorded
