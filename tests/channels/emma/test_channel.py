"""EMMA as a channel: what is handed over, what stops it, and nobody twice whatever is lost or killed."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.channels.emma.channel import NEXT_LOOK
from reku.channels.emma.errors import EmmaAway, EmmaLoginRefused
from reku.channels.emma.importing import LOST_FOR
from reku.channels.emma.rows import message_key, of_key
from reku.dispatch.pending import waits_for
from reku.dispatch.plan import CampaignFault
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.simulator.emma.account import KEY
from reku.simulator.emma.server import EmmaServer, Trouble
from reku.store import tables
from reku.views.prepared_overview import prepared_files_of
from reku_testing.dispatching import BANK, ORDER, change_settings, events, states
from tests.channels.emma.conftest import EmmaBank


def sent_keys(bank: EmmaBank) -> Counter[str]:
    """How often each message was sent by EMMA."""
    return Counter(one["values"][KEY] for one in bank.account.events["recipients", bank.mailing])


def waiting(bank: EmmaBank) -> set[str]:
    """What the messages wait for."""
    with bank.database.connect() as connection:
        ids = connection.scalars(sa.select(tables.messages.c.id)).all()
    return {waits_for(bank.database, message) for message in ids}


def test_people_are_brought_in_once_and_are_waited_for(bank: EmmaBank, emma: EmmaServer) -> None:
    delivery = bank.load(3)
    first = bank.send(delivery)
    assert first.prepared == 3
    assert first.next_try is not None
    assert clock.now() < first.next_try <= clock.now() + NEXT_LOOK
    assert first.why_later == "EMMA is still bringing people into its list"
    assert waiting(bank) == {f"EMMA is to take it (import {next(iter(bank.account.imports.values())).substitute})"}
    assert bank.send_out(delivery).next_try is None
    assert bank.send_out(delivery).next_try is None
    assert states(bank.database) == {"PREPARED": 3}
    assert (sum(sent_keys(bank).values()), len(sent_keys(bank))) == (3, 3)
    assert (bank.account.calls["importRecipients"], bank.account.calls["createList"]) == (1, 0)
    assert {text.split(",")[0] for text in waiting(bank)} == {"EMMA has taken it"}
    (file,) = prepared_files_of(bank.database, BANK)
    assert not file.fetchable
    one = next(iter(bank.account.people.values()))
    assert (one["Nachname"], one["Anlass_Wert"]) == ("Beispiel-Müßig", "50")
    assert not any("Personennummer" in values for values in bank.account.people.values())
    assert all(BANK not in url and "kunde" not in url for url in emma.log)


def test_a_list_that_is_not_there_is_made_and_the_mailing_is_to_choose_it(bank: EmmaBank) -> None:
    bank.account.delete_list(bank.list)
    delivery = bank.load(1)
    with pytest.raises(CampaignFault, match="does not send to list 'MCAG002_Geburtstag_rund_2026'"):
        bank.send(delivery)
    (made,) = bank.account.lists
    with pytest.raises(CampaignFault):
        bank.send(delivery)
    assert list(bank.account.lists) == [made]
    assert states(bank.database) == {"OPEN": 1}
    bank.account.mailings[bank.mailing]["listId"] = [made]
    bank.send_out(delivery)
    assert sum(sent_keys(bank).values()) == 1


def test_a_renamed_order_gets_a_list_of_its_own(bank: EmmaBank) -> None:
    delivery = bank.load(1)
    with bank.database.begin() as connection:
        connection.execute(sa.update(tables.lists).values(frozen_at=clock.now()))
        old = connection.execute(sa.select(tables.lists)).mappings().one()
        new = {"name": "Neu", "order_name": "Neu", "frozen_at": None}
        kept = {name: value for name, value in old.items() if name != "id"}
        connection.execute(sa.insert(tables.lists).values(kept | new))
    with pytest.raises(CampaignFault, match="list 'Neu'"):
        bank.send(delivery)
    assert [one["name"] for one in bank.account.lists.values()] == ["Geburtstage", "Neu"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "paused"}, "is paused, not activated. Activate it in EMMA"),
        ({"status": "drafted"}, "is drafted"),
        ({"type": "standard"}, "is of type standard"),
        ({"listId": []}, "does not send to list"),
    ],
)
def test_a_mailing_that_would_not_send_stops_it_before_anybody_is_handed_over(
    bank: EmmaBank, change: dict[str, Any], words: str
) -> None:
    delivery = bank.load(2)
    bank.account.mailings[bank.mailing] |= change
    with pytest.raises(CampaignFault, match=words) as fault:
        bank.send(delivery)
    assert "clear `dispatch`" in str(fault.value)
    assert states(bank.database) == {"OPEN": 2}
    assert bank.account.calls["importRecipients"] == 0


def test_the_151st_list_is_refused_with_a_word(bank: EmmaBank) -> None:
    bank.account.delete_list(bank.list)
    for number in range(150):
        bank.account.create_list(f"Liste {number}", "", str(number))
    with pytest.raises(CampaignFault, match="An account has 150 lists"):
        bank.send(bank.load(1))
    assert states(bank.database) == {"OPEN": 1}


@pytest.mark.parametrize("what", ["entry", "url", "password", "shape", "field"])
def test_an_account_that_is_not_set_up_says_what_is_missing(
    bank: EmmaBank, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    delivery = bank.load(1)
    changed = {
        "entry": {"emma_accounts": "{}"},
        "url": {"emma_url": ""},
        "shape": {"emma_accounts": json.dumps({BANK: "geheim"})},
        "password": {},
        "field": {},
    }[what]
    change_settings(monkeypatch, **changed)
    if what == "password":
        bank.account.password = "anders"
    if what == "field":
        bank.account.fields = {number: name for number, name in bank.account.fields.items() if name != KEY}
    with pytest.raises((StageError, Exception)) as error:
        bank.send(delivery)
    assert ("REKU_EMMA" in str(error.value)) is (what != "field")
    assert (KEY in str(error.value)) is (what == "field")
    assert "geheim" not in str(error.value)
    if what == "password":
        assert isinstance(error.value, EmmaLoginRefused)


def test_rows_that_emma_refuses_are_withheld_with_their_reason(bank: EmmaBank) -> None:
    delivery = bank.load(3)
    bank.send(delivery)
    (job,) = bank.account.imports.values()
    job.rows[1]["E-Mail"] = "niemand@nirgends.invalid"
    bank.send_out(delivery)
    assert states(bank.database) == {"PREPARED": 2, "WITHHELD": 1}
    assert events(bank.database) == {("NOT_SENT", "ADRESSE_UNGUELTIG"): 1}
    with bank.database.connect() as connection:
        of = tables.messages.c
        answer = connection.execute(sa.select(of.reference, of.answer).where(of.state == "WITHHELD")).one()
    assert tuple(answer) == (f"{ORDER}-000017-00002-17", "EMMA: invalid_address")


def test_who_is_barred_before_the_import_starts_is_not_brought_in(bank: EmmaBank, emma: EmmaServer) -> None:
    delivery = bank.load(3)
    emma.troubles.extend([Trouble("getFields", status=503)] * 5)
    assert bank.send(delivery).next_try is not None  # fixed, and EMMA went away
    assert states(bank.database) == {"PREPARED": 3}
    with bank.database.begin() as connection:
        keys = connection.execute(sa.select(tables.messages.c.id, tables.messages.c.recipient_key)).all()
        connection.execute(
            sa.insert(tables.suppressions).values(
                institute=BANK,
                kind="UNSUBSCRIBED",
                recipient_key=keys[0].recipient_key,
                source="LINK",
                since=clock.now(),
            )
        )
        connection.execute(sa.delete(tables.delivery_rows).where(tables.delivery_rows.c.line == 4))
    bank.send_out(delivery)
    assert sum(sent_keys(bank).values()) == 1
    assert events(bank.database) == {("NOT_SENT", "ABGEMELDET"): 1, ("NOT_SENT", "BESTAND"): 1}


@pytest.mark.parametrize(
    "trouble", [Trouble("importRecipients", status=503, afterwards=True), Trouble("importRecipients", half=0)]
)
def test_a_lost_answer_is_found_again_by_its_key(bank: EmmaBank, emma: EmmaServer, trouble: Trouble) -> None:
    delivery = bank.load(2)
    emma.troubles.append(trouble)
    assert bank.send(delivery).next_try is not None
    bank.send_out(delivery)
    assert bank.account.calls["importRecipients"] == 1
    assert sum(sent_keys(bank).values()) == 2


def test_a_start_that_never_came_is_made_again_only_after_a_while(
    bank: EmmaBank, emma: EmmaServer, clock_at: Any
) -> None:
    delivery = bank.load(2)
    emma.troubles.append(Trouble("importRecipients", status=503))
    bank.send(delivery)
    bank.send(delivery)
    assert bank.account.calls["importRecipients"] == 0
    clock_at(clock.now() + LOST_FOR)
    bank.send_out(delivery)
    assert (bank.account.calls["importRecipients"], sum(sent_keys(bank).values())) == (1, 2)


def test_two_imports_of_a_list_wait_for_each_other(bank: EmmaBank) -> None:
    bank.account.import_steps = 4
    first, second = bank.load(1), bank.load(1, number=18, first=2)
    bank.send(first)
    assert bank.send(second).next_try is not None
    bank.send_out(second)
    bank.send_out(first)
    assert sorted(sent_keys(bank).values()) == [1, 1]


class Killed(BaseException):
    """The process ended there."""


@pytest.mark.parametrize("afterwards", [False, True])
def test_killed_at_every_call_nobody_gets_two(
    bank: EmmaBank, monkeypatch: pytest.MonkeyPatch, clock_at: Any, afterwards: bool
) -> None:
    post, calls, deadly = httpx.Client.post, 0, 0

    def dying(self: httpx.Client, function: str, **given: Any) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == deadly and not afterwards:
            raise Killed
        answer = post(self, function, **given)
        if calls == deadly:
            raise Killed
        return answer

    monkeypatch.setattr(httpx.Client, "post", dying)
    delivery = bank.load(2)
    while True:
        calls, deadly = 0, deadly + 1
        try:
            bank.send_out(delivery)
            break
        except Killed:
            clock_at(clock.now() + LOST_FOR)
    assert deadly > 2
    assert states(bank.database) == {"PREPARED": 2}
    assert list(sent_keys(bank).values()) == [1, 1]
    assert bank.account.calls["importRecipients"] <= 2


def test_a_key_is_read_as_it_was_written() -> None:
    assert of_key(message_key("R0004711", 17, "A/B-1")) == ("R0004711", 17, "A/B-1")
    assert [of_key(text) for text in ("", "R1", "R1/x/y", "R1/17/", "R1/²/a")] == [None] * 5


def test_away_for_the_rest_of_the_window_is_an_error(bank: EmmaBank, emma: EmmaServer, clock_at: Any) -> None:
    delivery = bank.load(1)
    clock_at(clock.now() + timedelta(hours=10, minutes=29))
    emma.troubles.extend([Trouble(status=429)] * 5)
    with pytest.raises(EmmaAway):
        bank.send(delivery)
    assert states(bank.database) == {"OPEN": 1}
