"""People are told once for each cause, when it gets worse, and when it is over: by real mails and real requests."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reku.foundation.errors import PassingError, SetupError
from reku.foundation.settings import settings
from reku.process.alarming.message import MOST_NAMED
from reku.process.alarming.raising import AlarmResult, raise_alarms
from reku.process.alarming.sending import send_heartbeat
from reku.store import tables
from reku_testing import banks, smtp, world
from reku_testing.serving import served

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
PAGE = "https://airflow.bank.example/reku/today"
Told = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def tell(database: sa.Engine, told: Told) -> Callable[[], AlarmResult]:
    """One look, told into `told`."""
    return lambda: raise_alarms(database, PAGE, lambda _team, title, body: told.append((title, body)))


def _parked(engine: sa.Engine, number: int = 17, rows: int = 20) -> int:
    with engine.connect() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id))
    order = order or world.order(engine, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    return world.delivery(engine, order, number, state="PARKED", rows=rows, advice="Keine Steuerungsdatei")


def _change(engine: sa.Engine, delivery: int, **values: object) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(tables.deliveries).where(tables.deliveries.c.id == delivery).values(**values))


def test_a_cause_is_told_once_again_when_worse_and_when_it_is_over(
    database: sa.Engine, told: Told, tell: Callable[[], AlarmResult]
) -> None:
    assert tell() == AlarmResult(0, 0, 0)
    delivery = _parked(database)
    assert tell() == AlarmResult(1, 0, 0)
    assert tell() == AlarmResult(0, 0, 0)
    _change(database, delivery, rows=39)
    assert tell() == AlarmResult(0, 0, 0)
    _change(database, delivery, rows=40)
    assert tell() == AlarmResult(0, 1, 0)
    _change(database, delivery, state="REGISTERED")
    assert tell() == AlarmResult(0, 0, 1)
    assert tell() == AlarmResult(0, 0, 0)
    assert [title for title, _ in told] == [
        "reku: 1 neu, 0 schlimmer, 0 erledigt",
        "reku: 0 neu, 1 schlimmer, 0 erledigt",
        "reku: 0 neu, 0 schlimmer, 1 erledigt",
    ]
    for part in ("Sparkasse Beispielstadt · MCAG002 · R0004711 · 20 Personen", "Keine Steuerungsdatei", PAGE):
        assert part in told[0][1]
    assert "40 Personen" in told[2][1]


def test_what_could_not_be_told_is_told_by_the_next_look(database: sa.Engine, tell: Callable[[], AlarmResult]) -> None:
    _parked(database)

    def away(_team: str, _title: str, _body: str) -> None:
        raise PassingError("away")

    with pytest.raises(PassingError):
        raise_alarms(database, PAGE, away)
    assert tell() == AlarmResult(1, 0, 0)


def test_many_causes_are_one_message_that_can_be_read(
    database: sa.Engine, told: Told, tell: Callable[[], AlarmResult]
) -> None:
    for number in range(MOST_NAMED + 5):
        _parked(database, number + 1)
    assert tell().new == MOST_NAMED + 5
    ((_, body),) = told
    assert body.count("geparkt: Keine") == MOST_NAMED
    assert "… und 5 weitere" in body


def test_without_an_address_nobody_is_told_until_there_is_one(
    database: sa.Engine, told: Told, tell: Callable[[], AlarmResult]
) -> None:
    _parked(database)
    assert raise_alarms(database, PAGE) == AlarmResult(0, 0, 0)
    with database.connect() as connection:
        (row,) = connection.execute(sa.select(tables.alarms))
    assert (row.team, row.told_at) == ("platform", None)
    assert tell() == AlarmResult(1, 0, 0)


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, str]], list[int]]]:
    """A web hook: its address, what it was told, and the statuses that it answers with; 200 when there are no more."""
    bodies: list[dict[str, str]] = []
    answers: list[int] = []

    async def hook(request: Request) -> Response:
        body = await request.body()
        if body:
            bodies.append(json.loads(body))
        return Response(status_code=answers.pop(0) if answers else 200)

    with served(Starlette(routes=[Route("/hook", hook, methods=["GET", "POST"])])) as address:
        yield address, bodies, answers


def test_a_web_hook_and_a_mailbox_are_told(
    database: sa.Engine,
    receiver: tuple[str, list[dict[str, str]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, bodies, _ = receiver
    with smtp.running(smtp.Sink()) as sink:
        urls = f"{address.replace('http', 'json', 1)}/hook mailto://127.0.0.1:{sink.port}?from=reku@bank.example&to=team@bank.example"
        monkeypatch.setenv("REKU_ALARM_URLS", urls)
        monkeypatch.setenv("REKU_ALARM_LANGUAGE", "en")
        settings.cache_clear()
        _parked(database)
        assert raise_alarms(database, PAGE).new == 1
        (mail,) = sink.mails()
    (hooked,) = bodies
    assert hooked["title"] == "reku: 1 new, 0 worse, 0 over"
    assert "parked" in hooked["message"]
    assert mail["To"] == "team@bank.example"
    assert "1 new" in str(mail["Subject"])


def test_an_address_that_is_away_or_wrong_says_so_without_its_secrets(
    database: sa.Engine,
    receiver: tuple[str, list[dict[str, str]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, _, answers = receiver
    _parked(database)
    monkeypatch.setenv("REKU_ALARM_URLS", f"{address.replace('http', 'json', 1)}/hook")
    settings.cache_clear()
    answers.append(500)
    with pytest.raises(PassingError, match="REKU_ALARM_URLS") as away:
        raise_alarms(database, PAGE)
    assert address.rpartition(":")[2] not in str(away.value)
    assert raise_alarms(database, PAGE).new == 1
    monkeypatch.setenv("REKU_ALARM_URLS", "nosuch://secret@host")
    settings.cache_clear()
    _parked(database, 18)
    with pytest.raises(SetupError, match="Address 1 of REKU_ALARM_URLS") as wrong:
        raise_alarms(database, PAGE)
    assert "secret" not in str(wrong.value)


def test_the_heartbeat(
    receiver: tuple[str, list[dict[str, str]], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its address is a secret, which no log tells."""
    address, _, answers = receiver
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(logging.getLogger("httpx"), "level", logging.INFO)
    assert send_heartbeat() is False
    monkeypatch.setenv("REKU_HEARTBEAT_URL", f"{address}/hook?key=of-the-watcher")
    settings.cache_clear()
    assert send_heartbeat() is True
    answers.append(503)
    with pytest.raises(PassingError, match="REKU_HEARTBEAT_URL") as away:
        send_heartbeat()
    told_by_us = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    assert "of-the-watcher" not in " ".join([*told_by_us, str(away.value)])
