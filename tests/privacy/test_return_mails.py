"""Mails of the return mailbox are found by the person they are about: shown, erased, removed in time; both sources."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.mailbox import SEEN, UNCLEAR
from reku.privacy import erase as erasing
from reku.privacy import old_files
from reku.privacy.erase import erase
from reku.privacy.person import look_up
from reku.privacy.retention import apply
from reku.responses.bounces import collect_all
from reku.store.tables import EVERY_INSTITUTE, audit, messages, return_mails, subscribers
from reku_testing.dispatching import BANK, change_settings
from reku_testing.imap import PASSWORD, Server, server
from tests.privacy.conftest import Chain, person
from tests.privacy.searching import places_with
from tests.responses.reports import report

__all__ = ["server"]

ONE, OTHER = "0000000001", "0000000002"

Deliver = Callable[..., None]


@pytest.fixture(params=["Maildir", "IMAP"])
def deliver(request: pytest.FixtureRequest, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Deliver:
    """Put mails where the configured return mailbox gets them."""
    if request.param == "Maildir":
        maildir = settings().bounce_maildir
        assert maildir is not None

        def put(*mails: bytes, at: datetime | None = None) -> None:
            (maildir / "new").mkdir(parents=True, exist_ok=True)
            for mail in mails:
                number = sum(1 for _ in maildir.rglob("17*"))
                (maildir / "new" / f"1700000000.M{number}.host").write_bytes(mail)

        return put
    running: Server = request.getfixturevalue("server")
    user = f"privacy-{request.node.name}".translate(str.maketrans("[]", "--"))
    monkeypatch.setenv("SSL_CERT_FILE", str(running.certificate))
    wanted = {"host": "127.0.0.1", "port": running.tls_port, "user": user, "password": PASSWORD}
    change_settings(monkeypatch, bounce_maildir="", **{f"bounce_imap_{name}": value for name, value in wanted.items()})

    def append(*mails: bytes, at: datetime | None = None) -> None:
        running.deliver(user, *mails, at=at)

    return append


def sent(chain: Chain, number: str) -> int:
    (row,) = chain.rows(messages, messages.c.person_number == number)
    return int(row.id)


def reply(message: int, text: str) -> bytes:
    token = make(Purpose.BOUNCE, Target(message))
    return f"From: a@kunde.example\r\nTo: b+{token}@bounce.example\r\nSubject: Re\r\n\r\n{text}\r\n".encode()


def kept(chain: Chain) -> dict[str, int]:
    """What lies in the return mailboxes."""
    from reku.mailbox import mailboxes

    (opened,) = mailboxes()
    with opened as mailbox:
        return mailbox.count()


def test_show_and_erase(chain: Chain, deliver: Deliver) -> None:
    chain.whole_day(1, [person(1), person(2)])
    one, other = sent(chain, ONE), sent(chain, OTHER)
    deliver(report(one), reply(one, "Nachname1x ist verzogen"), reply(other, "Nachname2x dankt"))
    collect_all(chain.engine)
    chain.report()
    found = look_up(chain.engine, BANK, ONE)
    assert {"place": "mails in the return mailbox", "rows": 2} in found.places()
    assert any("ist verzogen" in text for text in found.contents()["mails"].values())
    assert "dankt" not in json.dumps(found.contents(), default=str)
    receipt = erase(chain.engine, BANK, ONE, actor="x", note="letter")
    assert {"place": "mails in the return mailbox", "rows": 2} in receipt.removed
    assert {"place": "table return_mails", "rows": 2} in receipt.removed
    assert kept(chain) == {"new": 0, SEEN: 0, UNCLEAR: 1}
    assert [row.message_id for row in chain.rows(return_mails)] == [other]
    assert places_with(chain, ["ist verzogen", "adresse1x@"]) == []
    assert erase(chain.engine, BANK, ONE, actor="x", note="again").removed == []


def test_a_mail_that_is_collected_during_the_erasure_goes_too(
    chain: Chain, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the person was looked up, before the messages are locked."""
    chain.whole_day(1, [person(1), person(2)])
    one, other = sent(chain, ONE), sent(chain, OTHER)
    really_check = erasing._check_files

    def check(*given: Any) -> None:
        really_check(*given)
        deliver(reply(one, "ist verzogen"), reply(other, "dankt"))
        collect_all(chain.engine)

    monkeypatch.setattr(erasing, "_check_files", check)
    receipt = erase(chain.engine, BANK, ONE, actor="x", note="letter")
    assert {"place": "mails in the return mailbox", "rows": 1} in receipt.removed
    assert {"place": "table return_mails", "rows": 1} in receipt.removed
    assert kept(chain) == {"new": 0, SEEN: 0, UNCLEAR: 1}
    assert [row.message_id for row in chain.rows(return_mails)] == [other]


def _bounced(chain: Chain) -> None:
    """One person's mail was sent, came back by Maildir, and all of it is reported."""
    chain.whole_day(1, [person(1)])
    maildir = settings().bounce_maildir
    assert maildir is not None
    (maildir / "new").mkdir(parents=True, exist_ok=True)
    (maildir / "new" / "17.host").write_bytes(report(sent(chain, ONE)))
    collect_all(chain.engine)
    chain.report()


def test_nothing_is_erased_while_a_mailbox_does_not_let_us_in(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _bounced(chain)
    monkeypatch.setattr("reku.mailbox.maildir.MaildirMailbox.remove", _refuse)
    with pytest.raises(SetupError, match="no way in"):
        erase(chain.engine, BANK, ONE, actor="x", note="letter")
    assert len(chain.rows(subscribers)) == len(chain.rows(return_mails)) == 1


def _refuse(*_: Any) -> int:
    raise SetupError("no way in")


def test_mails_and_entries_leave_by_retention(chain: Chain, deliver: Deliver) -> None:
    chain.whole_day(1, [person(1)])
    one = sent(chain, ONE)
    deliver(report(one), at=datetime.now(UTC) - timedelta(days=32))
    collect_all(chain.engine)
    maildir = settings().bounce_maildir
    if maildir is not None:
        for mail in maildir.rglob("17*"):
            old = mail.stat().st_mtime - 32 * 86_400
            os.utime(mail, (old, old))
    deliver(reply(one, "frisch"))
    collect_all(chain.engine)
    assert kept(chain) == {"new": 0, SEEN: 1, UNCLEAR: 1}
    with chain.engine.begin() as connection:
        connection.execute(
            sa.update(return_mails)
            .where(return_mails.c.meaning == "BOUNCE")
            .values(taken_at=clock.now() - timedelta(days=32))
        )
    assert apply(chain.engine, clock.now())["bounce_mails"] == 1
    assert kept(chain) == {"new": 0, SEEN: 0, UNCLEAR: 1}
    assert [row.meaning for row in chain.rows(return_mails)] == ["UNCLEAR"]


@pytest.mark.parametrize("selects", [True, False])
def test_mails_about_people_whom_we_select_leave_after_36_hours(
    chain: Chain, deliver: Deliver, selects: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the one without a token: it may be about one of them. Where we select nobody all stay for the days."""
    chain.whole_day(1, [person(1)])
    one = sent(chain, ONE)
    deliver(report(one), reply(one, "ist verzogen"), b"From: a@kunde.example\r\nSubject: Re\r\n\r\nNoch eine Frage\r\n")
    collect_all(chain.engine)
    monkeypatch.setattr(Institute, "delivers_data", selects)
    almost, over = (clock.now() + timedelta(hours=36, minutes=minutes) for minutes in (-1, 1))
    assert old_files.selected_bounce_mails(chain.engine, almost, settings()) == ({}, [])
    with monkeypatch.context() as patch:
        for kind in ("maildir.Maildir", "imap.Imap"):
            patch.setattr(f"reku.mailbox.{kind}Mailbox.remove", _refuse)
        done, problems = old_files.selected_bounce_mails(chain.engine, over, settings())
        assert (done, bool(problems)) == ({}, selects)
    assert sum(kept(chain).values()) == len(chain.rows(return_mails)) == 3
    assert old_files.selected_bounce_mails(chain.engine, over, settings()) == (
        {"bounce_mails": 3} if selects else {},
        [],
    )
    assert sum(kept(chain).values()) == len(chain.rows(return_mails)) == (0 if selects else 3)
    recorded = {row.institute: row.note for row in chain.rows(audit, audit.c.subject == "return_mails")}
    erased = {BANK: "2 mails of the return mailbox erased", EVERY_INSTITUTE: "1 mails of the return mailbox erased"}
    assert recorded == (erased if selects else {})


def test_a_delivery_leaves_with_its_evidence(chain: Chain) -> None:
    """Where bounce mails are kept for longer than messages, the entry goes with the message."""
    _bounced(chain)
    with chain.engine.begin() as connection:
        connection.execute(sa.update(return_mails).values(taken_at=clock.now() + timedelta(days=400)))
    chain.move(clock.now() + timedelta(days=400))
    assert apply(chain.engine, clock.now())["deliveries"] == 1
    assert chain.rows(return_mails) == []
