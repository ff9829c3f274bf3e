"""What comes back: each event once whatever is repeated, lost or killed; consent, bots, bars, strangers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.channels.emma.client import EmmaClient
from reku.channels.emma.errors import EmmaAway, EmmaShape
from reku.channels.emma.polling import poll
from reku.foundation import clock
from reku.process.systems import bank_named
from reku.simulator.emma.account import EMAIL, KEY
from reku.simulator.emma.server import EmmaServer, Trouble
from reku.store import tables
from reku_testing.dispatching import BANK, events, states
from tests.channels.emma.conftest import EmmaBank

Move = Callable[[datetime], None]
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"


def read(bank: EmmaBank, client: EmmaClient) -> Counter[str]:
    """One reading."""
    return poll(bank.database, bank_named(BANK), client)


def kept(bank: EmmaBank) -> list[dict[str, Any]]:
    """What was kept as it came."""
    with bank.database.connect() as connection:
        of = tables.emma_events
        return [dict(row) for row in connection.execute(sa.select(of).order_by(of.c.id)).mappings()]


@pytest.fixture
def sent(bank: EmmaBank) -> list[int]:
    """Five people, of whom the first three consent to tracking, sent to by EMMA: their numbers there."""
    bank.account.withheld = {"person4@kunde.example": "blacklist", "person5@kunde.example": "mond"}
    delivery = bank.load(5)
    with bank.database.begin() as connection:
        of = tables.messages.c
        connection.execute(sa.update(tables.messages).where(of.reference.like("%-00003-17")).values(tracking=False))
        first = of.reference.like("%-00001-17") | of.reference.like("%-00002-17")
        connection.execute(sa.update(tables.messages).where(first).values(tracking=True))
    bank.send_out(delivery)
    return list(bank.account.people)


def test_who_was_sent_to_and_who_was_not(bank: EmmaBank, sent: list[int], client: EmmaClient) -> None:
    assert len(sent) == 5
    read(bank, client)
    assert states(bank.database) == {"SENT": 3, "WITHHELD": 2}
    told = {("SENT", ""): 3, ("NOT_SENT", "BLACKLIST"): 1, ("NOT_SENT", "VERSANDSYSTEM"): 1}
    assert events(bank.database) == told
    with bank.database.connect() as connection:
        answers = connection.scalars(sa.select(tables.messages.c.answer).where(tables.messages.c.state == "WITHHELD"))
        assert sorted(answers) == ["EMMA: blacklist", "EMMA: mond"]
        assert connection.scalar(sa.select(tables.prepared_files.c.acknowledged_at)) is not None
        assert connection.execute(sa.select(tables.prepared_rows)).all() == []
    assert read(bank, client).total() == 0
    assert events(bank.database) == told


def test_opens_clicks_bounces_and_complaints(
    bank: EmmaBank, sent: list[int], client: EmmaClient, clock_at: Move
) -> None:
    read(bank, client)
    clock_at(clock.now() + timedelta(minutes=10))  # nobody clicks in the moment of sending but machines
    account, mailing = bank.account, bank.mailing
    link = {"id": 7, "url": "https://www.bank.example/geburtstag?k=geheim"}
    account.note("openings", mailing, sent[0])
    account.note("openings", mailing, sent[1], userAgent="GoogleImageProxy bot")
    account.note("clicks", mailing, sent[0], link=link, userAgent=CHROME)
    account.note("clicks", mailing, sent[2], link=link)  # without consent
    account.note("openings", mailing, sent[2])
    account.note("bounces", mailing, sent[0], type="soft", code="5.2.2")
    account.note("bounces", mailing, sent[1], type="hard", code="")
    account.note("bounces", mailing, sent[2], type="soft", code="5.1.1")
    account.note_history(mailing, sent[1], "complaint")
    read(bank, client)
    told = events(bank.database)
    assert {name: count for name, count in told.items() if name[0] not in ("SENT", "NOT_SENT")} == {
        ("OPENED", ""): told["OPENED", ""],
        ("CLICKED", ""): 1,
        ("BOUNCED_SOFT", "5.2.2"): 1,
        ("BOUNCED_HARD", "5.0.0"): 1,
        ("BOUNCED_HARD", "5.1.1"): 1,
        ("COMPLAINED", ""): 1,
    }
    assert told["OPENED", ""] >= 1
    raw = kept(bank)
    hits = [one for one in raw if one["call"] in ("getOpeningsByEmailId", "getClicksByEmailId")]
    assert {one["raw"]["recipient"] for one in hits} == set(sent[:2])
    assert not any("kunde.example" in str(one) or "fields" in one["raw"] for one in raw)
    with bank.database.connect() as connection:
        of = tables.responses.c
        target = connection.scalar(sa.select(of.link_target).where(of.kind == "CLICKED"))
        barred = connection.execute(sa.select(tables.suppressions.c.kind)).scalars().all()
    assert (target, barred) == ("https://www.bank.example/geburtstag", ["COMPLAINED"])


def test_an_unsubscribe_in_emma_bars_here_once(bank: EmmaBank, sent: list[int], client: EmmaClient) -> None:
    bank.account.opt_out(sent[0], bank.mailing, [bank.list])
    bank.account.opt_out(sent[0], None)
    read(bank, client)
    read(bank, client)
    assert events(bank.database)["UNSUBSCRIBED", "LINK"] == 1
    with bank.database.connect() as connection:
        assert len(connection.execute(sa.select(tables.suppressions)).all()) == 1
    delivery = bank.load(1, number=18)
    assert bank.send_out(delivery).withheld == 1


def test_strangers_are_kept_aside_and_counted(bank: EmmaBank, sent: list[int], client: EmmaClient) -> None:
    account = bank.account
    stranger = account.bring_in(bank.list, {EMAIL: "fremd@kunde.example", KEY: "X/1/unbekannt"})
    nobody = account.bring_in(bank.list, {EMAIL: "niemand@kunde.example"})
    account.note("openings", bank.mailing, stranger)
    account.note("bounces", bank.mailing, nobody, type="hard")
    assert read(bank, client)["aside"] == 2
    assert read(bank, client)["aside"] == 0
    aside = {one["call"]: one["raw"] for one in kept(bank) if one["message_id"] is None}
    assert "recipient" not in aside["getOpeningsByEmailId"]
    assert aside["getBouncesByEmailId"]["recipient"] == nobody
    assert sent


@pytest.mark.parametrize("off", [timedelta(hours=1), -timedelta(hours=1)])
def test_a_clock_that_is_an_hour_wrong_loses_nothing(
    bank: EmmaBank, sent: list[int], client: EmmaClient, clock_at: Move, off: timedelta
) -> None:
    bank.account.clock_is_off = off
    for minutes in (0, 20, 90):
        clock_at(clock.now() + timedelta(minutes=minutes))
        bank.account.note("openings", bank.mailing, sent[0])
        read(bank, client)
    assert events(bank.database)["OPENED", ""] == 3
    with bank.database.connect() as connection:
        latest = connection.scalar(sa.select(sa.func.max(tables.messages.c.ended_at)))
    assert latest is not None
    assert latest <= clock.now()


def test_one_call_that_fails_holds_up_no_other(
    bank: EmmaBank, sent: list[int], client: EmmaClient, emma: EmmaServer
) -> None:
    bank.account.note("openings", bank.mailing, sent[0])
    emma.troubles.append(Trouble("getBouncesByEmailId", text='{"error": 0, "result": [{"recipient": 1}]}'))
    with pytest.raises(EmmaShape, match=r"getBouncesByEmailId.*`date`"):
        read(bank, client)
    assert (states(bank.database)["SENT"], events(bank.database)["OPENED", ""]) == (3, 1)
    emma.troubles.append(Trouble("getOptouts", text='{"error": 0, "result": [{"recipient": 1, "date": "gestern"}]}'))
    with pytest.raises(EmmaShape, match=r"result\[0\]\.date"):
        read(bank, client)


def test_away_is_told_and_nothing_moves(bank: EmmaBank, client: EmmaClient, emma: EmmaServer) -> None:
    emma.troubles.extend([Trouble(status=429, retry_after="3600")] * 5)
    with pytest.raises(EmmaAway):
        read(bank, client)
    assert kept(bank) == []


class Killed(BaseException):
    """The process ended there."""


def test_killed_twenty_times_each_event_comes_once(
    bank: EmmaBank, sent: list[int], client: EmmaClient, emma: EmmaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    emma.repeat_at_borders = True
    start = clock.now()
    for number in range(4500):
        bank.account.note("openings", bank.mailing, sent[number % 2])
        moment = bank.account.shown(start + timedelta(seconds=number))
        bank.account.events["openings", bank.mailing][-1]["date"] = moment
    post, calls, deadly = httpx.Client.post, 0, 0

    def dying(self: httpx.Client, function: str, **given: Any) -> httpx.Response:
        nonlocal calls
        calls += 1
        answer = post(self, function, **given)
        if calls == deadly:
            raise Killed
        return answer

    monkeypatch.setattr(httpx.Client, "post", dying)
    for kill in range(20):
        calls, deadly = 0, 1 + kill % 9
        with pytest.raises(Killed):
            read(bank, client)
    deadly = 0
    read(bank, client)
    opened = events(bank.database)["OPENED", ""]
    assert opened == len([one for one in kept(bank) if one["call"] == "getOpeningsByEmailId"]) == 4500
