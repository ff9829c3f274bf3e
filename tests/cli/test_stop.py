"""`reku stop`: what is stopped begins no mail any more, and goes on without a second mail once the stop is lifted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa

from reku.dispatch import ledger
from reku.dispatch.stop_switches import Stopped
from reku.foundation.settings import settings
from reku.store.audit import EVERY_INSTITUTE
from reku.store.states import DeliveryState
from reku.store.tables import audit
from reku_testing import smtp, world
from reku_testing.dispatching import dispatch
from tests.cli.conftest import Reku

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
BANK, ORDER = "99990001", "R0000101"  # of the demo institute: its campaign sends SCOM_GEBURTSTAG
OTHER_BANK, OTHER_ORDER = "99990002", "R0000102"
NOTE = ("--note", "wrong prices in the mail")
PEOPLE = 200
MOST_SECONDS = 2.0
"""From the command's end until no mail is begun any more."""


@pytest.fixture
def relay(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[smtp.Sink]:
    clock_at(NOW)
    sink = smtp.Sink(seconds=0.2)  # on each of its connections
    with smtp.running(sink):
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings.cache_clear()
        yield sink


@pytest.fixture
def known(database: sa.Engine) -> int:
    """An order of the bank, beside others. Its id."""
    world.order(database, OTHER_ORDER, institute=BANK)
    world.order(database, ORDER, institute=OTHER_BANK)
    return world.order(database, ORDER, institute=BANK)


def _loaded(engine: sa.Engine, order: int, count: int) -> int:
    world.subscriber_list(engine, order, created_at=NOW)
    delivery = world.delivery(engine, order, state=DeliveryState.LOADED, released_at=NOW)
    for row in world.rows(engine, delivery, [world.reku_fields(number, order=ORDER) for number in range(count)]):
        world.message(engine, row)
    return delivery


def _states(engine: sa.Engine, delivery: int) -> dict[str, int]:
    with engine.connect() as connection:
        return {state: count for state, count in ledger.counts(connection, delivery).items() if count}


def _stopped(reku: Reku, *arguments: object) -> int:
    done = reku("stop", *arguments, *NOTE, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found: int = json.loads(done.stdout)["id"]
    return found


@pytest.mark.parametrize(
    ("scope", "stops_it"),
    [
        (("everything",), True),
        (("institute", BANK), True),
        (("institute", OTHER_BANK), False),
        (("order", BANK, ORDER), True),
        (("order", BANK, OTHER_ORDER), False),
        (("order", OTHER_BANK, ORDER), False),
    ],
)
def test_a_stop_holds_for_what_it_names(
    reku: Reku, database: sa.Engine, relay: smtp.Sink, known: int, scope: tuple[str, ...], stops_it: bool
) -> None:
    delivery = _loaded(database, known, 3)
    stop = _stopped(reku, *scope)
    if stops_it:
        with pytest.raises(Stopped, match=rf"on 24\.11\.2026 at 09:30 \(stop {stop}\)\. .* `reku stop lift {stop} "):
            dispatch(database, delivery, day=DAY)
        assert relay.taken == []
        assert _states(database, delivery) == {"OPEN": 3}
        assert reku("stop", "lift", stop, *NOTE).exit_code == 0
    assert dispatch(database, delivery, day=DAY).sent == 3


def test_stops_are_listed_lifted_once_and_audited(reku: Reku, database: sa.Engine, known: int) -> None:
    assert reku("stop", "list").stdout == "No stop is in force.\n"
    ids = [_stopped(reku, *scope) for scope in (("order", BANK, ORDER), ("institute", BANK), ("everything",))]
    listed = json.loads(reku("stop", "list", "--json").stdout)
    assert [(row["id"], row["institute"], row["order"], row["note"]) for row in listed] == [
        (ids[0], BANK, ORDER, NOTE[1]),
        (ids[1], BANK, None, NOTE[1]),
        (ids[2], None, None, NOTE[1]),
    ]
    assert NOTE[1] in reku("stop", "list").stdout
    lifted = reku("stop", "lift", ids[1], "--note", "prices are right")
    assert lifted.stdout == (
        f"Stop {ids[1]} is lifted. Clear the `dispatch` tasks that it made fail.\n"
        f"Still in force: {ids[0]}, {ids[2]}; see `reku stop list`.\n"
    )
    again = reku("stop", "lift", ids[1], *NOTE)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"There is no stop {ids[1]} in force. `reku stop list` shows those there are.\n"
    assert json.loads(reku("stop", "lift", ids[2], *NOTE, "--json").stdout) == {"lifted": ids[2], "in_force": ids[:1]}
    with database.connect() as connection:
        noted = connection.execute(sa.select(audit).order_by(audit.c.id)).all()
    assert [(row.action, row.subject, row.institute.strip()) for row in noted] == [
        ("stop", f"stops:{ids[0]}", BANK),
        ("stop", f"stops:{ids[1]}", BANK),
        ("stop", f"stops:{ids[2]}", EVERY_INSTITUTE),
        ("lift stop", f"stops:{ids[1]}", BANK),
        ("lift stop", f"stops:{ids[2]}", EVERY_INSTITUTE),
    ]
    assert {row.actor for row in noted} != {""}
    assert noted[3].note == "prices are right"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (("institute", "99990011"), "No institute 99990011 has an order: nothing is stopped. Did you mean 99990001? "),
        (("institute", "12345678"), "No institute 12345678 has an order: nothing is stopped. `reku orders` lists"),
        (("order", "12345678", ORDER), "No institute 12345678 has an order: nothing is stopped. "),
        (("order", BANK, "R0000103"), f"{BANK} has no order R0000103: nothing is stopped. Did you mean R000010"),
        (("order", BANK, "X"), f"{BANK} has no order X: nothing is stopped. `reku orders --institute {BANK}` lists"),
        (("order", OTHER_BANK, OTHER_ORDER), f"{OTHER_BANK} has no order {OTHER_ORDER}: nothing is stopped. Did you"),
    ],
)
def test_what_nobody_knows_stops_nothing(reku: Reku, known: int, scope: tuple[str, ...], said: str) -> None:
    done = reku("stop", *scope, *NOTE)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert json.loads(reku("stop", "list", "--json").stdout) == []


_DISPATCH = """
import sys
from datetime import date
from reku.foundation.errors import StageError
from reku_testing.dispatching import dispatch
from reku.store.engine import engine
try:
    dispatch(engine(), int(sys.argv[1]), day=date(2026, 11, 24))
except StageError as error:
    sys.exit(str(error))
"""


@contextmanager
def _dispatching(delivery: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _DISPATCH, str(delivery)], env=os.environ.copy(), stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.processes
@pytest.mark.parametrize("processes", [1, 2])
def test_a_running_dispatch_stops_within_two_seconds_and_sends_the_rest_later(
    reku: Reku,
    database: sa.Engine,
    relay: smtp.Sink,
    known: int,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
) -> None:
    """20 mails a second, half of them claimed already when the stop comes."""
    monkeypatch.setenv("REKU_DISPATCH_PROCESSES", str(processes))
    monkeypatch.setenv("REKU_DISPATCH_LARGE", "1")
    monkeypatch.setenv("REKU_DISPATCH_BATCH", "100")
    settings.cache_clear()
    delivery = _loaded(database, known, PEOPLE)
    with _dispatching(delivery) as process:
        while len(relay.taken) < 10 and process.poll() is None:
            time.sleep(0.01)
        stop = _stopped(reku, "order", BANK, ORDER)
        stopped = time.monotonic()
        _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"stopped the dispatch of order {ORDER} of institute {BANK}" in said
    assert max(mail.at for mail in relay.come) < stopped + MOST_SECONDS
    states = _states(database, delivery)
    sent = len(relay.recipients)
    assert states == {"SENT": sent, "OPEN": PEOPLE - sent}  # nothing hangs in a claim
    with pytest.raises(Stopped):
        dispatch(database, delivery, day=DAY)
    assert states == _states(database, delivery)
    relay.seconds = 0.0
    assert reku("stop", "lift", stop, *NOTE).exit_code == 0
    assert dispatch(database, delivery, day=DAY).sent == states["OPEN"]
    assert Counter(relay.recipients) == Counter(f"person{number}@kunde.example" for number in range(PEOPLE))
