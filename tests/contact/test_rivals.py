"""Which of several campaigns writes to a person on a day: exactly one, and never none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.candidates import Candidate
from reku.contact.decide import reasons_of_candidates
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.store.kinds import SuppressionKind
from reku.store.states import MessageState
from reku.store.tables import delivery_rows, messages, stops, suppressions
from reku_testing import banks, contacting
from reku_testing.contacting import ACCOUNT, BIRTHDAY, DAY, LOAN, MEDIUM, NOW, PARTY, PASSIVE, Bank, campaign
from tests.contact.conftest import Rules

KEPT_BACK = (Reason.ANDERE_KAMPAGNE,)
ACTIVE = {MEDIUM: 14}


@pytest.fixture
def plain(rules: Rules) -> None:
    """Plain campaigns with one active medium."""
    rules(blocking_days=ACTIVE)


def kept_back(bank: Bank, *ids: int) -> list[int]:
    """Those of the messages that are kept back by another one; asked about one by one, and about all at once."""
    together = bank.against(*ids)
    alone = {id_: found for one in ids for id_, found in bank.against(one).items()}
    assert alone == together, "it makes a difference with whom a message is claimed"
    assert set(together.values()) <= {KEPT_BACK}
    return sorted(together)


@pytest.mark.usefixtures("plain")
def test_the_more_important_occasion_goes_first_whatever_its_time(bank: Bank) -> None:
    account = bank.message(ACCOUNT, due_at=NOW - timedelta(hours=3))
    birthday = bank.message(BIRTHDAY, due_at=NOW)
    loan = bank.message(LOAN, due_at=NOW + timedelta(hours=3))
    assert kept_back(bank, account, birthday, loan) == [account, birthday]


@pytest.mark.usefixtures("plain")
def test_a_row_may_say_how_important_it_is(bank: Bank) -> None:
    """An impulse has a priority of its own, whatever its occasion has."""
    loan, account = bank.message(LOAN), bank.message(ACCOUNT)
    assert kept_back(bank, loan, account) == [account]
    with bank.engine.begin() as connection:
        of = sa.select(messages.c.row_id).where(messages.c.id == loan)
        connection.execute(sa.update(delivery_rows).where(delivery_rows.c.id.in_(of)).values(priority=9))
    assert kept_back(bank, loan, account) == [loan]


@pytest.mark.usefixtures("plain")
def test_a_candidate_competes_as_its_message_would(bank: Bank) -> None:
    """By the priority of its impulse, else of its occasion; what is open already goes before its like."""
    bank.message(BIRTHDAY, due_at=NOW)
    given = [
        (LOAN, None, ()),
        (LOAN, 4, KEPT_BACK),
        (ACCOUNT, None, KEPT_BACK),
        (ACCOUNT, 2, ()),
        (PARTY, 3, KEPT_BACK),
    ]
    for order, priority, against in given:
        one = Candidate("0000000001", "0" * 64, "kunde.example", DAY, NOW, DAY, priority)
        with bank.engine.connect() as connection:
            found = reasons_of_candidates(connection, policy_of(bank.blz), bank.order(order), [one], DAY)
        assert found.get(0, ()) == against, (order, priority)


@pytest.mark.usefixtures("plain")
def test_of_the_same_importance_the_earlier_one_goes_then_the_one_that_was_there_first(bank: Bank) -> None:
    late, early = bank.message(BIRTHDAY, due_at=NOW), bank.message(PARTY, due_at=NOW - timedelta(minutes=1))
    assert kept_back(bank, late, early) == [late]
    bank.change(early, due_at=NOW)
    assert kept_back(bank, late, early) == [early]


@pytest.mark.usefixtures("plain")
def test_only_what_is_due_on_the_same_berlin_day_competes(bank: Bank) -> None:
    """What is due on another day takes its turn: whoever comes first, and the blocking period for the other."""
    hours = {0: True, -10: True, -11: False, 13: True, 14: False}  # it is 10:00 in Berlin
    accounts = {}
    for person, hour in enumerate(hours, 1):
        accounts[bank.message(ACCOUNT, person, due_at=NOW)] = hour
        bank.message(LOAN, person, due_at=NOW + timedelta(hours=hour))
    assert {accounts[id_] for id_ in kept_back(bank, *accounts)} == {hour for hour, same in hours.items() if same}


@pytest.mark.usefixtures("plain")
def test_no_rivals(bank: Bank) -> None:
    """Another person, another message of the same order, a message that was handed over (its contact tells)."""
    accounts = [bank.message(ACCOUNT, person) for person in (1, 2, 3)]
    bank.message(ACCOUNT, 1)
    bank.message(LOAN, 2, state=MessageState.SENT)
    bank.message(LOAN, 4)
    assert kept_back(bank, *accounts) == []


@pytest.mark.usefixtures("plain")
def test_people_of_another_bank_are_others(bank: Bank, rules: Rules) -> None:
    rules(blz=contacting.ELSEWHERE, blocking_days=ACTIVE)
    account = bank.message(ACCOUNT)
    Bank(bank.engine, contacting.ELSEWHERE).message(LOAN)
    assert kept_back(bank, account) == []


@pytest.mark.usefixtures("plain")
def test_who_gets_no_mail_keeps_nobody_back(bank: Bank) -> None:
    cases: list[dict[str, Any]] = [
        {"consent": False},
        {"mailable": False},
        {"second": True},
        {"last_day": DAY - timedelta(days=1)},
        {"state": MessageState.WITHHELD},
        {"state": MessageState.REJECTED},
    ]
    accounts = [bank.message(ACCOUNT, person) for person, _ in enumerate(cases, 1)]
    loans = [bank.message(LOAN, person, **values) for person, values in enumerate(cases, 1)]
    assert kept_back(bank, *accounts) == []
    for loan in loans:
        bank.change(loan, consent=True, mailable=True, second=False, last_day=DAY, state=MessageState.OPEN)
    assert kept_back(bank, *accounts) == accounts


@pytest.mark.usefixtures("plain")
def test_who_is_barred_from_the_rivals_order_is_not_kept_back(bank: Bank) -> None:
    account, loan = bank.message(ACCOUNT), bank.message(LOAN, fields={"EMail": "other@kunde.example"})
    with bank.engine.begin() as connection:
        hmac = connection.scalar(sa.select(messages.c.recipient_key).where(messages.c.id == loan))
        row = {"institute": bank.blz, "kind": SuppressionKind.UNSUBSCRIBED, "recipient_key": hmac, "source": "LINK"}
        connection.execute(sa.insert(suppressions).values(row | {"order_id": bank.order(LOAN), "since": NOW}))
    assert bank.against(account, loan) == {loan: (Reason.ABGEMELDET,)}


@pytest.mark.usefixtures("plain")
def test_a_stopped_order_keeps_nobody_back(bank: Bank) -> None:
    account = bank.message(ACCOUNT)
    bank.message(LOAN)
    elsewhere = contacting.ELSEWHERE
    for institute, order, holds in (
        (bank.blz, LOAN, True),
        (bank.blz, None, True),
        (None, None, True),
        (elsewhere, LOAN, False),
        (elsewhere, None, False),
    ):
        stop = {"institute": institute, "order_number": order, "since": NOW, "actor": "anna", "note": ""}
        with bank.engine.begin() as connection:
            connection.execute(sa.insert(stops).values(stop))
        assert bank.reasons(account) == (() if holds else KEPT_BACK), (institute, order)
        with bank.engine.begin() as connection:
            connection.execute(sa.update(stops).values(lifted_at=NOW))
        assert bank.reasons(account) == KEPT_BACK


def test_a_campaign_that_cannot_send_or_not_actively_keeps_nobody_back(bank: Bank, rules: Rules) -> None:
    account = bank.message(ACCOUNT)
    bank.message(LOAN)
    start, wait, send = contacting.campaign(LOAN)["blocks"]
    for changes in (
        {"active": False},
        {"blocks": [start, wait]},
        {"blocks": [start, wait, send | {"media": []}]},
        {"blocks": [start, send]},
        {"blocks": [start, {"block": "wait"}, send]},
        {"blocks": [wait, send]},
        {"blocks": [{"block": "start"}, wait, send]},
        {"blocks": [start, wait, send | {"media": [PASSIVE]}]},
    ):
        rules([campaign(LOAN, **changes)], blocking_days=ACTIVE)
        assert bank.reasons(account) == (), changes
    rules(blocking_days=ACTIVE)
    assert bank.reasons(account) == KEPT_BACK


def test_the_medium_is_the_one_that_the_row_asks_for(bank: Bank, rules: Rules) -> None:
    rules([campaign(order, (MEDIUM, PASSIVE)) for order in (LOAN, ACCOUNT)], blocking_days=ACTIVE)
    asked = {"Content_Schluessel": PASSIVE}
    both = bank.message(ACCOUNT, 1), bank.message(LOAN, 1)
    passive_rival = bank.message(ACCOUNT, 2), bank.message(LOAN, 2, fields=asked)
    passive = bank.message(ACCOUNT, 3, fields=asked), bank.message(LOAN, 3)
    assert kept_back(bank, *both, *passive_rival, *passive) == [both[0]]


def test_an_occasion_without_a_file_keeps_nobody_back(bank: Bank, rules: Rules, tmp_path: Path) -> None:
    """No DAG sends it."""
    rules(blocking_days=ACTIVE)
    account = bank.message(ACCOUNT)
    bank.message(LOAN)
    assert bank.reasons(account) == KEPT_BACK
    banks.policy_for_doubts(tmp_path / "config", contacting.OCCASIONS[LOAN], None)
    assert bank.reasons(account) == ()


@pytest.mark.usefixtures("plain")
def test_who_is_blocked_keeps_nobody_back(bank: Bank, rules: Rules) -> None:
    rules([campaign(ACCOUNT, mandatory=True)], blocking_days=ACTIVE)
    account, birthday = bank.message(ACCOUNT), bank.message(BIRTHDAY)
    bank.contact(DAY - timedelta(days=1), DAY, None)
    assert bank.against(account, birthday) == {birthday: (Reason.SPERRZEIT,)}


def test_mandatory_campaigns_are_never_kept_back_but_keep_others_back(bank: Bank, rules: Rules) -> None:
    rules([campaign(BIRTHDAY, mandatory=True)], blocking_days=ACTIVE)
    account, birthday, loan = (bank.message(order) for order in (ACCOUNT, BIRTHDAY, LOAN))
    assert kept_back(bank, account, birthday, loan) == [account]
    bank.change(loan, state=MessageState.WITHHELD)
    assert kept_back(bank, account, birthday) == [account]


@pytest.mark.usefixtures("plain")
def test_of_a_chain_of_three_the_first_that_can_go_goes(bank: Bank) -> None:
    """Who is kept back keeps nobody back, but whoever keeps him back does."""
    importance = (LOAN, BIRTHDAY, ACCOUNT)
    for person, without in enumerate((None, *importance), 1):
        chain = {order: bank.message(order, person) for order in reversed(importance)}
        if without:
            bank.change(chain[without], consent=False)
        goes = next(order for order in importance if order != without)
        against = bank.against(*chain.values())
        assert [order for order, id_ in chain.items() if id_ not in against] == [goes]
        others = [id_ for order, id_ in chain.items() if order not in (goes, without)]
        assert [against[id_] for id_ in others] == [KEPT_BACK] * len(others)


@pytest.mark.usefixtures("plain")
def test_who_is_kept_back_keeps_nobody_back(bank: Bank) -> None:
    """Two addresses in one delivery go together; what competes with both stands between them, and does not go."""
    delivery = bank.delivery(BIRTHDAY)
    first = bank.message(BIRTHDAY, delivery=delivery, due_at=NOW)
    between = bank.message(PARTY, due_at=NOW + timedelta(minutes=1))
    second = bank.message(
        BIRTHDAY, delivery=delivery, due_at=NOW + timedelta(minutes=2), fields={"EMail": "home@kunde.example"}
    )
    assert kept_back(bank, first, between, second) == [between]


@pytest.mark.usefixtures("plain")
def test_a_rival_stands_among_the_reasons_in_its_place(bank: Bank, rules: Rules) -> None:
    rules(blocking_days={MEDIUM: 0}, at_most={"contacts": 1, "days": 7})
    bank.contact(DAY - timedelta(days=1), DAY - timedelta(days=1), None)
    rules([campaign(LOAN, mandatory=True)], blocking_days={MEDIUM: 0}, at_most={"contacts": 1, "days": 7})
    account = bank.message(ACCOUNT, second=True)
    bank.message(LOAN)
    assert bank.reasons(account) == (Reason.DUBLETTE, Reason.ANDERE_KAMPAGNE, Reason.OBERGRENZE)


def test_without_active_media_nobody_competes(bank: Bank, rules: Rules) -> None:
    rules()
    account = bank.message(ACCOUNT)
    bank.message(LOAN)
    assert bank.reasons(account) == ()
