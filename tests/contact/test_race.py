"""Occasions that dispatch to the same people at the same moment: real processes, real PostgreSQL, one mail each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from reku.contact.contacts import lock_people
from reku.contact.policy import Policy, policy_of
from reku.store.states import MessageState
from reku.store.tables import claims, contacts, messages, responses
from reku_testing import hostile, sessions
from reku_testing.contacting import ACCOUNT, BIRTHDAY, DAY, ELSEWHERE, LOAN, MEDIUM, NOW, Bank
from reku_testing.dispatching import Sink, change_settings, environment
from reku_testing.forker import Forker
from tests.contact.conftest import Rules

pytestmark = pytest.mark.processes

PEOPLE = 90


@pytest.fixture
def forker(rules: Rules, monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Iterator[Forker]:
    """Starts dispatchers as processes of their own, which claim batch after batch."""
    rules(blocking_days={MEDIUM: 14})
    change_settings(monkeypatch, dispatch_batch=30, smtp_connections=1)
    with Forker(environment()) as process:
        yield process


def _deliveries(bank: Bank, days_late: dict[str, int]) -> dict[int, str]:
    """Delivery → its order: each with the same people, in an order of its own, due so many days ago."""
    made = {}
    for order, days in days_late.items():
        people = random.Random(order).sample(range(1, PEOPLE + 1), PEOPLE)  # noqa: S311 - no secret
        made[bank.messages(order, people, due_at=NOW - timedelta(days=days, hours=1))] = order
    return made


def _dispatch(forker: Forker, deliveries: Iterable[int]) -> None:
    """Dispatch them all at once."""
    started = [forker.start(delivery, DAY, {}) for delivery in deliveries]
    assert {dispatcher.ended() for dispatcher in started} == {0}


def _at_work(bank: Bank) -> int:
    with bank.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count(claims.c.delivery_id.distinct()))) or 0


def _outcomes(bank: Bank) -> Counter[tuple[int, str, str]]:
    """How many messages of each delivery ended how."""
    of = messages.c
    with bank.engine.connect() as connection:
        return Counter(map(tuple, connection.execute(sa.select(of.delivery_id, of.state, of.reason))))


def _check(bank: Bank, sink: Sink, deliveries: dict[int, str]) -> None:
    """Everybody has one mail, what is said of it agrees, and all others were told why they have none."""
    assert Counter(sink.recipients) == {f"person{number}@kunde.example": 1 for number in range(1, PEOPLE + 1)}
    outcomes = _outcomes(bank)
    others = PEOPLE * (len(deliveries) - 1)
    states, reasons = Counter[str](), Counter[str]()
    for (_, state, reason), count in outcomes.items():
        states[state] += count
        reasons[reason] += count
    assert states == {MessageState.SENT: PEOPLE, MessageState.WITHHELD: others}
    assert reasons.keys() <= {"", "SPERRZEIT", "ANDERE_KAMPAGNE"}
    with bank.engine.connect() as connection:
        told = Counter(connection.scalars(sa.select(responses.c.kind)))
        contacted = connection.scalars(sa.select(contacts.c.person_number)).all()
    assert told == {"SENT": PEOPLE, "NOT_SENT": others}
    assert len(contacted) == len(set(contacted)) == PEOPLE


def test_of_what_is_due_on_one_day_the_most_important_goes(bank: Bank, sink: Sink, forker: Forker) -> None:
    deliveries = _deliveries(bank, {ACCOUNT: 0, BIRTHDAY: 0, LOAN: 0})
    _dispatch(forker, deliveries)
    _check(bank, sink, deliveries)
    assert {deliveries[delivery] for delivery, state, _ in _outcomes(bank) if state == MessageState.SENT} == {LOAN}


def test_of_what_is_due_on_different_days_whoever_comes_first_goes(bank: Bank, sink: Sink, forker: Forker) -> None:
    """They take people away from one another: each has some in hand before the first mail is taken."""
    deliveries = _deliveries(bank, {ACCOUNT: 0, BIRTHDAY: 1, LOAN: 2})

    def all_at_work(point: str, _recipient: str) -> None:
        if point == "dot" and not sink.taken:
            hostile.until(lambda: _at_work(bank) == 3)

    sink.say = all_at_work
    _dispatch(forker, deliveries)
    _check(bank, sink, deliveries)
    sending = {deliveries[delivery] for delivery, state, _ in _outcomes(bank) if state == MessageState.SENT}
    assert sending == {ACCOUNT, BIRTHDAY, LOAN}


def test_claims_of_one_bank_wait_for_each_other_and_not_for_another_bank(bank: Bank, rules: Rules) -> None:
    rules(blocking_days={MEDIUM: 14})
    policy = policy_of(bank.blz)

    def holds(whose: Policy) -> None:
        with bank.engine.begin() as connection:
            lock_people(connection, whose)

    with ThreadPoolExecutor(2) as pool:
        with bank.engine.begin() as connection:
            lock_people(connection, policy)
            waiting = pool.submit(holds, policy)
            hostile.until(lambda: sessions.waiting(connection) == 1)
            pool.submit(holds, replace(policy, institute=ELSEWHERE)).result(timeout=30)
            assert not waiting.done()
        waiting.result(timeout=30)
