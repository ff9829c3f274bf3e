"""`reku deliveries watch`: the numbers of the day, and bars at a terminal until nothing is left to do."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.cli.watch import _told
from reku.foundation.settings import settings
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import claims, messages
from reku.views.progress import DispatchProgress
from reku_testing import smtp, world
from reku_testing.dispatching import dispatch
from tests.cli.conftest import Reku

REKU = Path(sys.executable).with_name("reku")
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)
YESTERDAY = NOW - timedelta(days=1)
BANK, ORDER = "99990001", "R0000101"  # of the demo institute: its campaign sends SCOM_GEBURTSTAG


@pytest.fixture(autouse=True)
def _now(clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOW)


@pytest.fixture
def order(database: sa.Engine) -> int:
    order = world.order(database, ORDER, institute=BANK)
    world.subscriber_list(database, order, created_at=NOW)
    return order


def _delivery(engine: sa.Engine, order: int, number: int, *several: dict[str, Any]) -> int:
    delivery = world.delivery(engine, order, number, state=DeliveryState.LOADED, released_at=NOW)
    people = [world.reku_fields(person, number, ORDER) for person in range(number * 100, number * 100 + len(several))]
    for row, values in zip(world.rows(engine, delivery, people), several, strict=True):
        world.message(engine, row, **values)
    return delivery


def _mixed(engine: sa.Engine, order: int) -> int:
    """Each state, and some that are not today's."""
    return _delivery(
        engine,
        order,
        17,
        *({"state": MessageState.SENT, "begun_at": NOW, "ended_at": NOW} for _ in range(3)),
        {"state": MessageState.SENT, "begun_at": YESTERDAY, "ended_at": YESTERDAY},
        {"state": MessageState.SENT, "begun_at": NOW, "ended_at": NOW, "due_at": YESTERDAY},
        {"state": MessageState.WITHHELD, "reason": "DUBLETTE", "ended_at": NOW},
        {"state": MessageState.REJECTED, "begun_at": NOW, "ended_at": NOW},
        {"state": MessageState.UNDELIVERED, "begun_at": YESTERDAY, "ended_at": NOW},
        {"state": MessageState.IN_DOUBT, "begun_at": NOW},
        {"state": MessageState.IN_DOUBT, "begun_at": YESTERDAY},
        {"state": MessageState.PREPARED, "claimed_at": NOW},
        {"state": MessageState.PREPARED, "claimed_at": YESTERDAY},
        {"state": MessageState.CLAIMED},
        {"state": MessageState.OPEN},
        {"state": MessageState.OPEN, "due_at": YESTERDAY},
        {"state": MessageState.OPEN, "due_at": TOMORROW},
        {"state": MessageState.OPEN, "retry_at": NOW - timedelta(minutes=5)},
        {"state": MessageState.OPEN, "retry_at": NOW + timedelta(minutes=5)},
    )


def _asked(reku: Reku, *arguments: object) -> list[dict[str, Any]]:
    done = reku("deliveries", "watch", *arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_numbers_of_the_day_add_up(reku: Reku, database: sa.Engine, order: int) -> None:
    delivery = _mixed(database, order)
    (row,) = _asked(reku)
    assert row == {
        **{"delivery": delivery, "institute": BANK, "order": ORDER, "number": 17, "due": 14, "prepared": 1},
        **{"sent": 4, "withheld": 1, "rejected": 1, "not_in_time": 1, "in_doubt": 1, "open": 4, "put_off": 1},
    }
    for form in ((), ("--once",), (delivery,)):  # no terminal: once, too
        done = reku("deliveries", "watch", *form)
        assert done.exit_code == 0
        assert BANK in done.stdout


def test_only_deliveries_with_something_left_are_shown_or_the_one_asked_for(
    reku: Reku, database: sa.Engine, order: int
) -> None:
    done = _delivery(database, order, 1, {"state": MessageState.SENT, "begun_at": NOW, "ended_at": NOW})
    later = _delivery(database, order, 2, {"due_at": TOMORROW})
    claimed = _delivery(database, order, 3, {"state": MessageState.CLAIMED, "fence": 1})
    assert reku("deliveries", "watch").stdout == "Nothing is due or in hand.\n"
    with database.begin() as connection:
        lease = {"fence": 1, "institute": BANK, "lease_until": NOW}
        connection.execute(sa.insert(claims).values(delivery_id=claimed, **lease))
    assert [row["delivery"] for row in _asked(reku)] == [claimed]
    assert [row["sent"] for row in _asked(reku, done)] == [1]
    assert _asked(reku, later) == []
    unknown = reku("deliveries", "watch", 4711)
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr == "There is no delivery 4711. `reku deliveries list` lists those that are known.\n"


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([(100.0, 40)], "40 sent, 1 not in time, 60 open"),  # one look is no rate
        ([(100.0, 40), (101.0, 40)], "40 sent, 1 not in time, 60 open"),  # nothing moves
        ([(100.0, 0), (105.0, 10), (110.0, 40)], "40 sent, 1 not in time, 60 open; 4.0 a second, 0:00:15 to go"),
    ],
)
def test_the_rate_is_that_of_the_last_looks(looks: list[tuple[float, int]], told: str) -> None:
    ended = {"sent": 40, "prepared": 0, "withheld": 0, "rejected": 0, "not_in_time": 1, "in_doubt": 0}
    row = DispatchProgress(1, BANK, ORDER, 17, due=101, **ended, open=60, put_off=0)
    assert _told(row, looks) == told


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self._screen, inner = pty.openpty()
        command = [str(REKU), *map(str, arguments)]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "150"}
        self.process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment)
        os.close(inner)
        self.shown = ""

    def read_until(self, text: str) -> None:
        """Read on until the text was shown, or the command has ended."""
        while text not in self.shown and self._read():
            pass
        assert text in self.shown

    def end(self) -> int:
        """Read to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # nobody holds the other side any more
            return False
        self.shown += data.decode()
        return bool(data)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


@contextmanager
def _watching(*arguments: object) -> Iterator[Terminal]:
    terminal = Terminal("deliveries", "watch", *arguments)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.processes
def test_a_terminal_gets_bars_until_nothing_is_left(
    database: sa.Engine, order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = _delivery(database, order, 17, *({} for _ in range(20)))
    world.message(database, _stray(database, delivery), due_at=TOMORROW)
    with smtp.running(smtp.Sink()) as sink, _watching() as terminal:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings.cache_clear()
        terminal.read_until("20 open")
        assert f"{delivery}: {BANK} {ORDER} 000017" in terminal.shown
        assert "0 %" in terminal.shown
        assert dispatch(database, delivery, day=date(2026, 11, 24)).sent == 20
        assert terminal.end() == 0
    assert "20 sent" in terminal.shown.rpartition("100 %")[2]
    assert "kunde.example" not in terminal.shown


def _stray(engine: sa.Engine, delivery: int) -> int:
    return world.row(engine, delivery, world.reku_fields(9, 17, ORDER), 99)


@pytest.mark.processes
def test_ctrl_c_ends_the_watching(database: sa.Engine, order: int) -> None:
    _delivery(database, order, 17, {})
    with _watching() as terminal:
        terminal.read_until("1 open")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    with database.connect() as connection:
        assert connection.scalar(sa.select(messages.c.state)) == MessageState.OPEN
