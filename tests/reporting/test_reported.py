"""What is reported: by the order's Response_Umfang, by age, by the bank's codes.

Told in docs/responses.md, "What is reported".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.responses.unsubscribe import UnsubscribeWay, Wish, unsubscribe
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import orders, suppressions
from reku_testing import banks, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import BEGUN, NOW, K, World, codes, files, kinds_of

ALWAYS = {K.UNSUBSCRIBED, K.COMPLAINED, K.BOUNCED_HARD, K.RETAINED, K.NOT_SENT}
"""Written out here, so that the product cannot change it unnoticed."""


@pytest.fixture(autouse=True)
def bank(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> Path:
    clock_at(NOW)
    return banks.configure(monkeypatch, tmp_path / "include")


def every_kind(of: World, message: int, at: datetime = NOW) -> None:
    for kind in K:
        of.event(message, kind, at, **({"link_number": 1} if kind is K.CLICKED else {}))


def reported(engine: sa.Engine, reku_settings: Path) -> set[str]:
    """The kinds in the next file; none if there is none."""
    file = export(engine, world.BLZ)
    return set(kinds_of((reku_settings / file.path).read_bytes())) if file else set()


WANTED: list[tuple[list[EventKind] | None, set[EventKind]]] = [
    (None, set(K) - {K.DELIVERED}),
    ([], {*ALWAYS}),
    ([K.DELIVERED], {K.DELIVERED, *ALWAYS}),
    ([K.SENT], {K.SENT, *ALWAYS}),
    ([K.OPENED], {K.OPENED, *ALWAYS}),
    ([K.NOT_SENT], {*ALWAYS}),
    ([K.BOUNCED_UNKNOWN, K.BOUNCED_SOFT], {K.BOUNCED_UNKNOWN, K.BOUNCED_SOFT, *ALWAYS}),
    ([K.SENT, K.DELIVERED], {K.SENT, K.DELIVERED, *ALWAYS}),
    (list(K), set(K)),
]


@pytest.mark.parametrize(("wanted", "expected"), WANTED)
def test_what_the_order_asks_for(
    database: sa.Engine, reku_settings: Path, wanted: list[EventKind] | None, expected: set[EventKind]
) -> None:
    of = World(database, wanted_events=wanted)
    every_kind(of, of.message())
    assert reported(database, reku_settings) == codes(expected)
    assert [file.rows for file in files(database)] == [len(expected)]


def test_an_order_asks_for_known_kinds_only(database: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="ck_orders_wanted_events"):
        World(database, wanted_events=["READ"])


CHANGES = [
    # asked for when it happened, and by the later control file: what the second file has of an open in no file yet
    (None, [K.SENT], set()),
    ([K.SENT], None, {K.OPENED}),
    ([K.SENT], [K.SENT, K.OPENED], {K.OPENED}),
    ([K.OPENED], [K.CLICKED], set()),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_what_is_asked_for_later_holds_for_what_is_in_no_file_yet(
    database: sa.Engine,
    reku_settings: Path,
    before: list[EventKind] | None,
    after: list[EventKind] | None,
    expected: set[EventKind],
) -> None:
    of = World(database, wanted_events=before)
    of.event(of.message(), K.UNSUBSCRIBED)
    first = export(database, world.BLZ)
    assert first is not None
    of.event(of.message(), K.OPENED)
    with database.begin() as connection:
        connection.execute(sa.update(orders).values(wanted_events=after))
    assert reported(database, reku_settings) == codes(expected)
    assert rebuild(database, world.BLZ, 1) == (reku_settings / first.path).read_bytes(), "what is assigned stays"


@pytest.mark.parametrize(
    ("days", "limit", "late"),
    [
        pytest.param(89.99, None, False, id="89.99 days"),
        pytest.param(90, None, False, id="90 days to the second"),
        pytest.param(90.01, None, True, id="90.01 days"),
        pytest.param(400, None, True, id="400 days"),
        pytest.param(29.99, 30, False, id="29.99 of 30 days"),
        pytest.param(30.01, 30, True, id="30.01 of 30 days"),
    ],
)
@pytest.mark.parametrize("sent", [MessageState.SENT, MessageState.WITHHELD])
def test_late_events(
    database: sa.Engine,
    reku_settings: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock_at: Callable[[datetime], None],
    days: float,
    limit: int | None,
    late: bool,
    sent: MessageState,
) -> None:
    """A message never begun is as old as its end."""
    if limit:
        monkeypatch.setenv("REKU_LATE_EVENTS_DAYS", str(limit))
        settings.cache_clear()
    of = World(database, wanted_events=list(K))
    message = of.message(state=sent, begun_at=BEGUN if sent is MessageState.SENT else None)
    moment = BEGUN + timedelta(days=days)
    clock_at(moment)
    every_kind(of, message, moment)
    assert reported(database, reku_settings) == codes(ALWAYS if late else K)
    assert export(database, world.BLZ) is None


def test_what_happened_in_time_is_reported_however_late_the_file_is(
    database: sa.Engine, reku_settings: Path, clock_at: Callable[[datetime], None]
) -> None:
    of = World(database)
    of.event(of.message(), K.OPENED, BEGUN + timedelta(days=1))
    clock_at(BEGUN + timedelta(days=200))
    assert reported(database, reku_settings) == codes({K.OPENED})


def test_unsubscribing_from_an_ended_order_counts_and_is_reported(
    database: sa.Engine, reku_settings: Path, clock_at: Callable[[datetime], None]
) -> None:
    of = World(database, ended=True)
    message = of.message()
    clock_at(BEGUN + timedelta(days=300))
    unsubscribe(database, [Wish(message, UnsubscribeWay.ONE_CLICK)])
    with database.connect() as connection:
        (barred,) = connection.execute(sa.select(suppressions.c.order_id, suppressions.c.source)).all()
    assert barred == (of.order, "EINKLICK")
    assert reported(database, reku_settings) == codes({K.UNSUBSCRIBED})


@pytest.mark.parametrize("kind", list(K))
def test_a_code_of_the_receiver_stands_for_each_kind(
    database: sa.Engine, reku_settings: Path, bank: Path, monkeypatch: pytest.MonkeyPatch, kind: EventKind
) -> None:
    (code,) = codes({kind})
    banks.configure(monkeypatch, bank, response={"codes": {code: "77"}})
    of = World(database, wanted_events=list(K))
    every_kind(of, of.message())
    file = export(database, world.BLZ)
    assert file is not None
    lines = (reku_settings / file.path).read_bytes().decode().split("\r\n")[2:-2]
    assert {line.split(";")[2] for line in lines} == (codes(K) - {code}) | {"77"}
