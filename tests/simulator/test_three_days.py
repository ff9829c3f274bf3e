"""The three demo days through all stages, with a real database, mail server and tracker, only without Airflow.

One savings bank is enough beside the cooperative one: the second has every planted case.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.settings import settings
from reku.process.data_import import import_data
from reku.process.run_day import Wait
from reku.responses.bounces import collect_all
from reku.responses.hits import take_in
from reku.responses.tracker import app
from reku.simulator.core_bank import deliver
from reku.simulator.customers import Acts, Customers
from reku.simulator.sink import write_dead_addresses
from reku.simulator.truth import compare
from reku.simulator.world import BANK_2, BANK_3, DAYS, DeliveryStep, DemoWorld, ExpectedOutcome, calendar_day, moment
from reku.store.states import DeliveryState, FileVerdict, MessageState
from reku.store.tables import deliveries, lists, messages
from reku_testing import days
from reku_testing.by_blz import export, take_in_all
from reku_testing.serving import served
from tests.simulator.conftest import DAY_1, SinkProcess


@pytest.fixture
def tracker() -> Iterator[str]:
    """The tracker on a free port, in a thread."""
    with served(app) as address:
        yield address


@pytest.fixture
def _connected(database: sa.Engine, sink: SinkProcess, tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that join our stages to this sink, tracker and return mailbox."""
    assert database
    monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
    monkeypatch.setenv("REKU_TRACKER_URL", tracker)
    monkeypatch.setenv("REKU_HIT_SETTLE_SECONDS", "0")
    monkeypatch.setenv("REKU_RESPONSE_WINDOW_SECONDS", "60")
    monkeypatch.setenv("REKU_BOUNCE_MAILDIR", str(sink.folder / "returned"))
    settings.cache_clear()


class Demo:
    """What the demo does with Airflow, done by plain calls."""

    def __init__(
        self, engine: sa.Engine, world: DemoWorld, sink: SinkProcess, move: Callable[[datetime], None]
    ) -> None:
        self.engine, self.world, self.sink, self.move = engine, world, sink, move
        self.verdicts: Counter[str] = Counter()

    def arrive(self, step: DeliveryStep) -> None:
        self.move(moment(self.world.day_1, step))
        deliver(self.world, step, settings().files_url)
        looks = [import_data(self.engine, BANK_3)] if step.brings_data else take_in_all(self.engine).values()
        for taken in looks:
            assert taken.problems == ()
            self.verdicts.update(taken.counts)

    def work_through(self, day: date) -> None:
        """The runs of all occasions, one after the other; customers react whenever one of them waits."""
        self.move(max(clock.now(), clock.at(day, 3, 5)))
        for occasion in sorted({order.occasion for order in self.world.orders.values()}):
            done = days.work(self.engine, self.move, occasion=occasion, pause=self._pause)
            assert done.is_green, done.outcomes

    def _pause(self, waits: Sequence[Wait]) -> bool:
        days.jumping(self.move)(waits)
        self._act()
        return True

    def feedback(self, day: date) -> None:
        """What the evening's DAG does, when everybody has reacted."""
        self.move(clock.at(day, 22))
        acts = self._act()
        assert (acts.open, acts.failed, acts.unknown_mails) == (0, 0, 0)
        collect_all(self.engine)
        assert take_in(self.engine) == 0
        for bank in {order.institute for order in self.world.orders.values()}:
            export(self.engine, bank, daily=True)

    def _act(self) -> Acts:
        with Customers(
            self.world,
            sink_truth=self.sink.truth,
            maildir=self.sink.maildir,
            return_maildir=self.sink.folder / "returned",
            truth=self.sink.folder / "customers.jsonl",
            tracker_url=settings().tracker_url,
        ) as customers:
            return customers.act()

    def judge(self, day: int) -> None:
        found = compare(
            self.world,
            sink_truth=self.sink.truth,
            customers_truth=self.sink.folder / "customers.jsonl",
            files_url=settings().files_url,
            through_day=day,
        )
        assert found.missing == ()
        assert found.unexpected == ()
        assert found.mail_faults == ()


@pytest.mark.processes
@pytest.mark.usefixtures("_connected")
def test_the_core_banks_are_told_exactly_what_happened(
    database: sa.Engine,
    whole_world: DemoWorld,
    sink: SinkProcess,
    clock_at: Callable[[datetime], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "reku")
    world = whole_world.of_banks(BANK_2, BANK_3)
    write_dead_addresses(sink.rules, world.dead_addresses)
    demo = Demo(database, world, sink, clock_at)
    for number in DAYS:
        day = calendar_day(DAY_1, number)
        demo.arrive(DeliveryStep[f"DAY_{number}"])
        demo.arrive(DeliveryStep[f"DAY_{number}_DATA"])
        if number == 1:
            assert demo.verdicts[FileVerdict.PARKED] == 1
            demo.arrive(DeliveryStep.DAY_1_CURE)  # the parked delivery is set free before the day's work
        demo.work_through(day)
        if number == 2:
            demo.arrive(DeliveryStep.DAY_2_RENAME)
        demo.feedback(day)
        demo.judge(number)
    assert demo.verdicts[FileVerdict.REFUSED] == demo.verdicts[FileVerdict.UNKNOWN] == 0
    numbers_add_up(database, world)
    renamed_order_has_two_lists(database)
    nobody_is_named(world, caplog.text)


def numbers_add_up(engine: sa.Engine, world: DemoWorld) -> None:
    with engine.connect() as connection:
        loaded = connection.execute(sa.select(deliveries)).all()
        states = Counter(connection.scalars(sa.select(messages.c.state)))
    assert {row.state for row in loaded} == {DeliveryState.LOADED}
    assert len(loaded) == len(world.deliveries) + len(world.selections)
    assert sum(row.rows for row in loaded) == sum(1 for _ in world.rows())
    outcomes = Counter(row.outcome for row in world.rows())
    assert sum(row.rejected for row in loaded) == outcomes[ExpectedOutcome.REJECTED]
    assert states == {
        MessageState.SENT: outcomes[ExpectedOutcome.SENT],
        MessageState.WITHHELD: outcomes[ExpectedOutcome.WITHHELD],
        MessageState.REJECTED: outcomes[ExpectedOutcome.REFUSED],
    }


def renamed_order_has_two_lists(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        frozen = connection.scalars(sa.select(lists.c.name).where(lists.c.frozen_at.is_not(None))).all()
        fresh = connection.scalars(sa.select(lists.c.created_at).where(lists.c.name.like("%_neu"))).all()
    assert len(frozen) == len(fresh) == 1
    assert fresh[0] is not None


def nobody_is_named(world: DemoWorld, log: str) -> None:
    assert log
    for customer in world.customers:
        assert customer.address not in log
        assert customer.person_number not in log
