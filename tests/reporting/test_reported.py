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
from reku.responses.unsubscribe import UnsubscribeWay, unsubscribe
from reku.store.kinds import ResponseKind
from reku.store.states import MessageState
from reku.store.tables import orders, suppressions
from reku_testing import banks, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import BEGUN, NOW, K, World, files, kinds_of

ALWAYS = {K.ABME, K.BESC, K.HBOU, K.ZRUE, K.NVER}
"""Written out here, so that the product cannot change it unnoticed."""


@pytest.fixture(autouse=True)
def bank(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> Path:
    clock_at(NOW)
    return banks.configure(monkeypatch, tmp_path / "include")


def every_kind(of: World, message: int, at: datetime = NOW) -> None:
    for kind in K:
        of.event(message, kind, at, **({"link_number": 1} if kind is K.KLIC else {}))


def reported(engine: sa.Engine, reku_settings: Path) -> set[str]:
    """The kinds in the next file; none if there is none."""
    file = export(engine, world.BLZ)
    return set(kinds_of((reku_settings / file.path).read_bytes())) if file else set()


SCOPES = {
    "": set(K) - {K.ZUGE},
    "ZUGE": {K.ZUGE, *ALWAYS},
    "VERS": {K.VERS, *ALWAYS},
    "OEFF": {K.OEFF, *ALWAYS},
    "NVER": ALWAYS,
    "UBOU+SBOU": {K.UBOU, K.SBOU, *ALWAYS},
    "VERS+ZUGE": {K.VERS, K.ZUGE, *ALWAYS},
    "VERS+OEFF+KLIC+ABME+HBOU+SBOU+ZRUE": set(K) - {K.ZUGE, K.UBOU},
    "+".join(K): set(K),
}


@pytest.mark.parametrize(("scope", "expected"), SCOPES.items(), ids=[scope or "default" for scope in SCOPES])
def test_scope_of_the_order(database: sa.Engine, reku_settings: Path, scope: str, expected: set[ResponseKind]) -> None:
    of = World(database, response_scope=scope)
    every_kind(of, of.message())
    assert reported(database, reku_settings) == set(map(str, expected))


CHANGES = [
    # scope when it happened, scope of the later control file: what the second file has of an OEFF in no file yet
    ("", "VERS", set()),
    ("VERS", "", {"OEFF"}),
    ("VERS", "VERS+OEFF", {"OEFF"}),
    ("OEFF", "KLIC", set()),
]


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_a_later_scope_holds_for_what_is_in_no_file_yet(
    database: sa.Engine, reku_settings: Path, before: str, after: str, expected: set[str]
) -> None:
    of = World(database, response_scope=before)
    of.event(of.message(), K.ABME)
    first = export(database, world.BLZ)
    assert first is not None
    of.event(of.message(), K.OEFF)
    with database.begin() as connection:
        connection.execute(sa.update(orders).values(response_scope=after))
    assert reported(database, reku_settings) == expected
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
    of = World(database, response_scope="+".join(K))
    message = of.message(state=sent, begun_at=BEGUN if sent is MessageState.SENT else None)
    moment = BEGUN + timedelta(days=days)
    clock_at(moment)
    every_kind(of, message, moment)
    assert reported(database, reku_settings) == set(map(str, ALWAYS if late else K))
    assert export(database, world.BLZ) is None


def test_what_happened_in_time_is_reported_however_late_the_file_is(
    database: sa.Engine, reku_settings: Path, clock_at: Callable[[datetime], None]
) -> None:
    of = World(database)
    of.event(of.message(), K.OEFF, BEGUN + timedelta(days=1))
    clock_at(BEGUN + timedelta(days=200))
    assert reported(database, reku_settings) == {"OEFF"}


def test_unsubscribing_from_an_ended_order_counts_and_is_reported(
    database: sa.Engine, reku_settings: Path, clock_at: Callable[[datetime], None]
) -> None:
    of = World(database, ended=True)
    message = of.message()
    clock_at(BEGUN + timedelta(days=300))
    unsubscribe(database, [(message, UnsubscribeWay.ONE_CLICK)])
    with database.connect() as connection:
        (barred,) = connection.execute(sa.select(suppressions.c.order_id, suppressions.c.source)).all()
    assert barred == (of.order, "EINKLICK")
    assert reported(database, reku_settings) == {"ABME"}


@pytest.mark.parametrize("kind", list(K))
def test_a_code_of_the_receiver_stands_for_each_kind(
    database: sa.Engine, reku_settings: Path, bank: Path, monkeypatch: pytest.MonkeyPatch, kind: ResponseKind
) -> None:
    banks.configure(monkeypatch, bank, response={"codes": {kind.value: "77"}})
    of = World(database, response_scope="+".join(K))
    every_kind(of, of.message())
    file = export(database, world.BLZ)
    assert file is not None
    lines = (reku_settings / file.path).read_bytes().decode().split("\r\n")[2:-2]
    assert {line.split(";")[2] for line in lines} == ({*map(str, K)} - {kind.value}) | {"77"}


def test_an_event_is_not_lost_with_a_scope_that_names_nothing_known(database: sa.Engine, reku_settings: Path) -> None:
    """The contract refuses such a control file; came one in by another way, what keeps people from mails still goes."""
    of = World(database, response_scope="XXXX")
    every_kind(of, of.message())
    assert reported(database, reku_settings) == set(map(str, ALWAYS))
    assert [file.rows for file in files(database)] == [len(ALWAYS)]
