"""Collecting a return mailbox on a real IMAP server: the same collector, over a network that may break at any time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import PassingError, SetupError
from reku.mailbox import SEEN, UNCLEAR
from reku.mailbox.imap import ImapMailbox
from reku.responses import bounces
from reku.responses.bounces import BounceReport, collect, collect_all
from reku.store.tables import return_mails
from reku_testing.dispatching import change_settings
from reku_testing.imap import Open, Server, cutting, opened, server
from tests.responses.reports import report

__all__ = ["opened", "server"]

pytestmark = pytest.mark.processes


def folders(server: Server, user: str) -> tuple[int, int, int]:
    """How many mails wait, are dealt with, are unclear."""
    names = ("INBOX", f"INBOX.{SEEN}", f"INBOX.{UNCLEAR}")
    first, second, third = (len(server.mails(user, name)) for name in names)
    return first, second, third


def test_each_kind(database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any) -> None:
    hard, spam, away = (sent(number) for number in range(1, 4))
    server.deliver(
        "kinds", report(hard), report(spam, spam=True), report(away, action="delayed"), b"\x01\xff rubbish\r\n"
    )
    with opened(server, "kinds") as mailbox:
        found = collect(database, mailbox)
        names = {letter: mailbox.read([letter]) for letter in evidence(database)}
    assert found == BounceReport(mails=4, hard=1, complaints=1, ignored=1, unclear=1)
    assert sorted(events()) == [(hard, "BOUNCED_HARD", "5.1.1", None), (spam, "COMPLAINED", "", None)]
    assert folders(server, "kinds") == (0, 3, 1)
    assert [len(found) for found in names.values()] == [1, 1, 1, 1]  # each is found by the name that the table keeps


def evidence(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.scalars(sa.select(return_mails.c.mail).order_by(return_mails.c.message_id)))


def test_the_same_again_is_nothing_new(
    database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any
) -> None:
    message = sent()
    again = report(message)
    server.deliver("again", again, again, again.replace(b"Message-ID: <", b"Message-ID: <replayed."))
    with opened(server, "again") as mailbox:
        assert collect(database, mailbox) == BounceReport(mails=3, hard=3, known=2)
        assert collect(database, mailbox) == BounceReport()
    assert len(events()) == 1
    assert len(evidence(database)) == 2  # the same bytes are the same evidence


def test_a_connection_that_breaks_anywhere_loses_and_doubles_nothing(
    database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut after ever more bytes of the server's answers, until a whole collection passes."""
    monkeypatch.setattr(bounces, "BATCH", 2)
    made = [sent(number) for number in range(1, 7)]
    failures = 0
    for cut in range(200, 60_000, 450):
        if folders(server, "cut") == (0, 0, 0):
            server.deliver("cut", *[report(message) for message in made], b"rubbish\r\n")
        try:
            with cutting(server.port, cut) as port, opened(server, "cut", port=port, tls="off") as mailbox:
                collect(database, mailbox)
        except PassingError:
            failures += 1
        waiting, seen, unclear = folders(server, "cut")
        assert waiting + seen + unclear == 7
        if not waiting:
            break
    assert failures > 3
    assert (seen, unclear) == (6, 1)
    assert sorted(events()) == [(message, "BOUNCED_HARD", "5.1.1", None) for message in made]


def test_two_collectors_at_once(database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any) -> None:
    made = [sent(number) for number in range(1, 41)]
    server.deliver("two", *[report(message) for message in made])
    opened(server, "two")  # the settings, for both

    def run(_: int) -> BounceReport:
        with opened(server, "two") as mailbox:
            return collect(database, mailbox)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, range(2)))
    assert sum(report.mails - report.known for report in found) == 40
    assert len(events()) == 40
    assert folders(server, "two") == (0, 40, 0)


def test_a_database_error_leaves_the_mails(
    database: sa.Engine, server: Server, opened: Open, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver("refused", report(sent()))

    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, opened(server, "refused") as mailbox:
        patched.setattr(bounces, "record", refuse)
        with pytest.raises(KeyboardInterrupt):
            collect(database, mailbox)
    assert folders(server, "refused") == (1, 0, 0)


def test_one_mailbox_that_fails_does_not_stop_the_other(
    database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    (tmp_path / "file").touch()
    server.deliver("both", report(sent(1)))
    opened(server, "both")
    change_settings(monkeypatch, bounce_maildir=tmp_path / "file")
    with pytest.raises(SetupError, match="REKU_BOUNCE_MAILDIR"):
        collect_all(database)
    assert len(events()) == 1
    change_settings(monkeypatch, bounce_maildir="", bounce_imap_password="falsch")
    with pytest.raises(SetupError, match="REKU_BOUNCE_IMAP_PASSWORD"):
        collect_all(database)


def test_a_crash_between_recording_and_filing(
    database: sa.Engine, server: Server, opened: Open, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.deliver("crash", report(sent(1)), report(sent(2)))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), _crashing(patched, opened, server) as box:
        collect(database, box)
    assert folders(server, "crash") == (2, 0, 0)
    with opened(server, "crash") as mailbox:
        assert collect(database, mailbox) == BounceReport(mails=2, hard=2, known=2)
    assert (len(events()), len(evidence(database))) == (2, 2)


@contextmanager
def _crashing(patched: pytest.MonkeyPatch, opened: Open, server: Server) -> Iterator[ImapMailbox]:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    patched.setattr(ImapMailbox, "file", crash)
    with opened(server, "crash") as mailbox:
        yield mailbox


def test_a_mail_that_a_person_has_decided_about_is_filed(
    database: sa.Engine, server: Server, opened: Open, sent: Any
) -> None:
    server.deliver("decided", b"From: a@b.example\r\n\r\none\r\n", b"From: a@b.example\r\n\r\ntwo\r\n")
    with opened(server, "decided") as mailbox:
        collect(database, mailbox)
        assert folders(server, "decided") == (0, 0, 2)
        one, _ = evidence(database)
        mailbox.refile([one], SEEN)
        mailbox.refile([one], SEEN)
        assert folders(server, "decided") == (0, 1, 1)
        assert len(mailbox.read([one])) == 1
