"""Bars go both ways at once, and what differs is found and cured at night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from reku.channels.emma.account_state import account_status, lists_of
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.errors import EmmaAway
from reku.channels.emma.importing import unfinished_imports
from reku.foundation import addresses, clock
from reku.process.emma import account_faults, banks_with_emma, is_reconciliation_due, look_after_emma, reconcile_now
from reku.process.systems import bank_named
from reku.simulator.emma.account import EMAIL
from reku.simulator.emma.server import EmmaServer, Trouble
from reku.store import tables
from reku_testing.dispatching import BANK, change_settings, events, states
from tests.channels.emma.conftest import EmmaBank

Move = Callable[[datetime], None]


def bar(bank: EmmaBank, number: int, kind: str = "UNSUBSCRIBED", order: int | None = None) -> None:
    """Bar personN here."""
    key = addresses.address_hmac(BANK, f"person{number}@kunde.example")
    values = {"institute": BANK, "kind": kind, "recipient_key": key, "order_id": order, "source": "LINK"}
    with bank.database.begin() as connection:
        connection.execute(sa.insert(tables.suppressions).values(values | {"since": clock.now()}))


def opted_out(bank: EmmaBank) -> list[str]:
    """Who has unsubscribed in EMMA, or was unsubscribed there."""
    return [one["values"][EMAIL] for one in bank.account.optouts]


def test_a_bar_of_ours_is_carried_once_and_comes_back_as_nothing_new(bank: EmmaBank, emma: EmmaServer) -> None:
    bank.send_out(bank.load(3))
    bar(bank, 1)
    bar(bank, 2, "BLACKLISTED")
    bar(bank, 9)  # whom EMMA has not from us
    emma.troubles.extend([Trouble("optoutRecipientById", status=503, afterwards=True)] * 5)
    with pytest.raises(EmmaAway):
        look_after_emma(bank.database, BANK)
    told_twice = len(bank.account.optouts)
    assert look_after_emma(bank.database, BANK)["barred_there"] == 2
    assert look_after_emma(bank.database, BANK)["barred_there"] == 0
    assert set(opted_out(bank)) == {"person1@kunde.example", "person2@kunde.example"}
    assert len(bank.account.optouts) == told_twice + 2
    assert events(bank.database) == {("SENT", ""): 3}


def test_what_emma_unsubscribed_is_not_carried_back(bank: EmmaBank) -> None:
    bank.send_out(bank.load(2))
    bank.account.opt_out(next(iter(bank.account.people)), bank.mailing)
    look_after_emma(bank.database, BANK)
    assert look_after_emma(bank.database, BANK)["barred_there"] == 0
    assert len(bank.account.optouts) == 1
    assert events(bank.database)["UNSUBSCRIBED", "LINK"] == 1


def test_the_night_finds_what_was_missed_and_cures_it(bank: EmmaBank, client: EmmaClient, clock_at: Move) -> None:
    bank.send_out(bank.load(3))
    look_after_emma(bank.database, BANK)
    clock_at(clock.now() + timedelta(days=1))
    look_after_emma(bank.database, BANK)
    person = next(iter(bank.account.people))
    late = bank.account.shown(clock.now() - timedelta(hours=20))
    bank.account.note("bounces", bank.mailing, person, type="hard", code="5.1.1")
    bank.account.note("bounces", bank.mailing, person, type="hard", code="5.1.1")
    bank.account.events["bounces", bank.mailing][0]["date"] = late
    bank.account.retained["person2@kunde.example"] = clock.now()
    bank.account.retained["kaputt@@"] = clock.now()
    bar(bank, 3)
    found = {one.what: (one.count, one.cured) for one in reconcile_now(bank.database, bank_named(BANK), client)}
    assert found == {
        "getBouncesByEmailId: events that had been missed": (2, True),
        "barred here and not in EMMA: unsubscribed there": (1, True),
        "retained in EMMA and not here: barred here": (1, True),
    }
    for _night in range(2):  # what was cured comes back as known, and the retained one is told there, too
        reconcile_now(bank.database, bank_named(BANK), client)
    assert reconcile_now(bank.database, bank_named(BANK), client) == []


def test_a_list_that_was_deleted_by_hand_is_left_for_a_person(bank: EmmaBank, client: EmmaClient) -> None:
    bank.send_out(bank.load(1))
    (line,) = lists_of(bank.database, bank_named(BANK), client)
    assert (line.number, line.people, line.frozen) == (str(bank.list), 1, False)
    bank.account.delete_list(bank.list)
    (found,) = [one for one in reconcile_now(bank.database, bank_named(BANK), client) if not one.cured]
    assert (found.what, found.count) == ("lists that people were brought into and that EMMA has no more", 1)


def test_it_is_due_once_a_night(bank: EmmaBank, clock_at: Move) -> None:
    morning = clock.now()
    assert is_reconciliation_due(bank.database, BANK)
    look_after_emma(bank.database, BANK)
    for hours, due in ((0, False), (14, False), (16, False), (17, True)):
        clock_at(morning + timedelta(hours=hours))  # from 09:30 on
        assert is_reconciliation_due(bank.database, BANK) is due


def test_an_import_is_followed_whoever_started_it(bank: EmmaBank) -> None:
    bank.account.import_steps = 3
    delivery = bank.load(2)
    bank.send(delivery)
    assert [look_after_emma(bank.database, BANK)["imports"] for _ in range(4)] == [0, 0, 1, 0]
    with bank.database.connect() as connection:
        assert unfinished_imports(connection, delivery) == []
    assert states(bank.database) == {"SENT": 2}


def test_the_status_tells_what_is_wrong(bank: EmmaBank) -> None:
    bank.send_out(bank.load(2))
    well = account_status(bank.database, BANK)
    assert (well.problem, well.lists, well.lists_left, well.waiting, well.read_at) == ("", 1, 149, 2, None)
    look_after_emma(bank.database, BANK)
    assert account_status(bank.database, BANK).read_at is not None
    bank.account.expired = True
    assert "the account has expired" in account_status(bank.database, BANK).problem
    assert banks_with_emma() == [BANK]


def test_a_campaign_without_an_account_is_a_fault_of_the_configuration(
    bank: EmmaBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bank.list
    assert account_faults() == []
    for changed in ({"emma_accounts": "{}"}, {"emma_accounts": "geheim"}, {"emma_url": ""}):
        change_settings(monkeypatch, **changed)
        (fault,) = account_faults()
        assert "REKU_EMMA_" in str(fault)
        assert "geheim" not in str(fault)
        assert fault.line is not None
