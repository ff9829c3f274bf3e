"""A delivery that is taken badly stops its order by itself, once; a person goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.process import collecting
from reku.process.automatic_stop import BadDelivery, stop_what_is_taken_badly
from reku.process.needs import NeedKind, needs
from reku.responses import bounces
from reku.store import tables
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku_testing import banks, world
from reku_testing.steps import allow_any_step

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


@pytest.mark.parametrize(
    ("tried", "hard", "complaints", "stops"),
    [
        (1000, 49, 0, False),
        (1000, 50, 0, True),
        (60, 9, 0, False),  # of a small delivery, and still chance
        (20, 10, 0, True),
        (0, 10, 0, True),
        (300, 0, 1, False),
        (1000, 0, 2, False),
        (666, 0, 2, True),
        (1000, 49, 2, False),
        (1000, 0, 3, True),
        (0, 0, 0, False),
    ],
)
def test_limits(tried: int, hard: int, complaints: int, stops: bool) -> None:
    assert BadDelivery(1, world.BLZ, world.ORDER, tried, hard, complaints).must_stop is stops


def _sent(engine: sa.Engine, number: int, hard: int, complaints: int = 0, recorded: datetime = NOON) -> int:
    """A delivery with twenty mails that were sent, so many of which came back or were called spam."""
    with engine.connect() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id))
    order = order or world.order(engine)
    delivery = world.delivery(engine, order, number, state="LOADED", rows=20, accepted=20)
    bad = [EventKind.BOUNCED_HARD] * hard + [EventKind.COMPLAINED] * complaints
    for row in range(20):
        row_id = world.row(engine, delivery, world.reku_fields(100 * number + row, number), line=row + 3)
        message = world.message(engine, row_id)
        with engine.begin() as connection:
            allow_any_step(connection)
            ended = {"state": MessageState.SENT, "begun_at": NOON, "ended_at": NOON}
            connection.execute(sa.update(tables.messages).where(tables.messages.c.id == message).values(ended))
            if row < len(bad):
                connection.execute(
                    sa.insert(tables.responses).values(
                        institute=world.BLZ,
                        message_id=message,
                        order_id=order,
                        kind=bad[row],
                        at=recorded,
                        recorded_at=recorded,
                    )
                )
    return delivery


def test_an_order_is_stopped_once_and_a_person_goes_on(database: sa.Engine) -> None:
    delivery = _sent(database, 17, hard=10)
    (stop,) = stop_what_is_taken_badly(database)
    assert stop_what_is_taken_badly(database) == []
    with database.connect() as connection:
        with pytest.raises(stop_switches.Stopped, match=f"reku stopped the dispatch of order {world.ORDER}"):
            stop_switches.check_stops(connection, world.BLZ, world.ORDER)
        stop_switches.check_stops(connection, world.BLZ, "R0000999")
        (entry,) = connection.execute(sa.select(tables.audit))
    assert (entry.actor, entry.action, entry.note) == (
        "reku",
        "stop",
        "of 20 mails 10 came back for good, 0 were called spam",
    )
    (need,) = (one for one in needs(database) if one.kind is NeedKind.STOPPED)
    assert need.acts == ("lift",)
    assert f"Von 20 Mails der Lieferung {delivery} kamen 10 endgültig zurück (50.0 %)" in need.said.what.german
    assert f"reku stop lift {stop}" in need.said.cure.english

    stop_switches.lift(database, stop, actor="Alma Ruf", note="addresses were of a test")
    assert stop_what_is_taken_badly(database) == [], "what a person has decided holds"
    _sent(database, 18, hard=0, complaints=2)
    assert len(stop_what_is_taken_badly(database)) == 1, "the next delivery is another matter"


def test_few_or_old_ones_stop_nothing(database: sa.Engine) -> None:
    _sent(database, 17, hard=9, complaints=1)
    _sent(database, 18, hard=12, recorded=NOON - timedelta(days=2))
    assert stop_what_is_taken_badly(database) == []


def test_each_look_for_what_has_come_back_sees_to_it(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox that cannot be read hides no refusals of servers."""
    _sent(database, 17, hard=10)

    def broken(_engine: sa.Engine, _seconds: float) -> bool:
        raise OSError("the mailbox is gone")

    monkeypatch.setattr(bounces, "collect_all", broken)
    with pytest.raises(OSError, match="mailbox"):
        collecting.collect_return_mails(database)
    with database.connect() as connection:
        assert len(stop_switches.in_force(connection)) == 1
