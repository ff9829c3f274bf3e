"""Collecting the return mailbox: every mail once, none lost, none in the way of another."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.bounce_rules import bounce_rules
from reku.foundation import tokens
from reku.foundation.addresses import address_hmac
from reku.foundation.errors import ConfigError, SetupError
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.mailbox import ReturnedMail
from reku.mailbox.maildir import MaildirMailbox
from reku.responses import bounces, mail_reader
from reku.responses.bounces import BounceReport
from reku.responses.reports import Understood
from reku.store.kinds import ReportKind, SuppressionKind
from reku.store.tables import messages, past_messages, responses, return_mails, suppressions
from reku.views.return_mail_overview import return_mail_counts
from reku_testing import world
from tests.responses.reports import our_mail, report

Drop = Callable[..., Path]

SEEN, UNCLEAR = ".gesehen", ".ungeklaert"

REPORT = """\
From: MAILER-DAEMON@mx.example
To: b+{token}@bounce.example
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: message/{kind}

{fields}

--b--
"""


@pytest.fixture
def maildir(tmp_path: Path) -> Path:
    for folder in ("tmp", "new", "cur"):
        (tmp_path / "mail" / folder).mkdir(parents=True)
    return tmp_path / "mail"


@pytest.fixture
def drop(maildir: Path) -> Drop:
    """Deliver a mail about a message into the Maildir: a report with a status, a complaint, or any bytes."""
    numbers = iter(range(10_000))

    def put(message: int = 0, status: str = "5.1.1", *, spam: bool = False, data: bytes | None = None) -> Path:
        token = make(Purpose.BOUNCE, Target(message))
        fields = "Feedback-Type: abuse" if spam else f"Reporting-MTA: dns; mx\n\nAction: failed\nStatus: {status}"
        kind = "feedback-report" if spam else "delivery-status"
        mail = maildir / "new" / f"1700000000.{next(numbers):05}.host"
        written = REPORT.format(token=token, kind=kind, fields=fields).encode() if data is None else data
        if spam:
            written = report(message, spam=True)
        mail.write_bytes(written)
        return mail

    return put


def collect(engine: sa.Engine, folder: Path) -> BounceReport:
    return bounces.collect(engine, MaildirMailbox(folder))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_kind(database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any) -> None:
    hard, soft, block, unknown, spam = (sent(number) for number in range(1, 6))
    drop(hard)
    drop(soft, "5.2.2")
    drop(block, "5.7.1")
    drop(unknown, "5.9.9")
    drop(spam, spam=True)
    drop(hard, "2.0.0")
    drop(data=b"rubbish")
    found = collect(database, maildir)
    assert found == BounceReport(mails=7, hard=1, soft=2, unknown=1, complaints=1, ignored=1, unclear=1)
    assert sorted(events()) == [
        (hard, "BOUNCED_HARD", "5.1.1", None),
        (soft, "BOUNCED_SOFT", "5.2.2", None),
        (block, "BOUNCED_SOFT", "5.7.1", None),
        (unknown, "BOUNCED_UNKNOWN", "5.9.9", None),
        (spam, "COMPLAINED", "", None),
    ]
    assert (len(names(maildir / SEEN / "cur")), len(names(maildir / UNCLEAR / "new"))) == (6, 1)
    assert names(maildir / "new") == []


def test_a_complaint_bars_the_address_for_the_whole_bank(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any
) -> None:
    message = sent()
    for _ in range(2):
        drop(message, spam=True)
    collect(database, maildir)
    with database.connect() as connection:
        entry = connection.execute(sa.select(suppressions)).one()
    assert (entry.kind, entry.institute, entry.order_id) == (SuppressionKind.COMPLAINED, world.BLZ, None)
    assert entry.recipient_key == address_hmac(world.BLZ, "person1@kunde.example")


def test_a_complaint_about_a_message_that_has_left_bars_all_the_same(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any
) -> None:
    """By the address alone, since nothing else is kept; a bounce of such a message says nothing to anybody."""
    past, here = sent(1), sent(2)
    c = messages.c
    kept = sa.select(c.id, c.institute, c.order_id, c.recipient_key).where(c.id == past)
    with database.begin() as connection:
        connection.execute(sa.insert(past_messages).from_select(["id", "institute", "order_id", "recipient_key"], kept))
        connection.execute(sa.delete(messages).where(c.id == past))
    for message in (past, past, here):
        drop(message, spam=True)
    drop(past)
    assert collect(database, maildir) == BounceReport(mails=4, complaints=3, unclear=1)
    b = suppressions.c
    with database.connect() as connection:
        wanted = sa.select(b.kind, b.institute, b.recipient_key, b.person_number, b.order_id, b.source)
        barred = connection.execute(wanted.where(b.person_number == "")).all()
    assert barred == [
        ("COMPLAINED", world.BLZ, address_hmac(world.BLZ, "person1@kunde.example"), "", None, "BESCHWERDE")
    ]
    assert events() == [(here, "COMPLAINED", "", None)]
    assert sorted(row[0] or 0 for row in evidence(database)) == [0, 0, 0, here]
    assert (len(names(maildir / SEEN / "cur")), len(names(maildir / UNCLEAR / "new"))) == (3, 1)


def test_the_same_report_twice_is_one_event(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any
) -> None:
    message = sent()
    drop(message)
    collect(database, maildir)
    drop(message)
    drop(message)
    assert collect(database, maildir).known == 2
    assert len(events()) == 1


def test_valid_token_of_another_ledger(database: sa.Engine, maildir: Path, drop: Drop, events: Any) -> None:
    for message in (4711, 2**70, 0):
        drop(message)
        drop(message, spam=True)
    assert collect(database, maildir).unclear == 6
    assert events() == []
    assert len(names(maildir / UNCLEAR / "new")) == 6


def test_crash_between_event_and_move(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(sent(1))
    drop(sent(2))
    with monkeypatch.context() as patched:
        patched.setattr(MaildirMailbox, "file", _crash)
        with pytest.raises(KeyboardInterrupt):
            collect(database, maildir)
    assert len(names(maildir / "new")) == 2  # nothing lost
    assert collect(database, maildir).mails == 2
    assert len(events()) == 2
    assert names(maildir / "new") == []


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_database_error_leaves_the_mails(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(sent())
    with monkeypatch.context() as patched:
        patched.setattr(bounces, "record", _crash)
        with pytest.raises(KeyboardInterrupt):
            collect(database, maildir)
    assert len(names(maildir / "new")) == 1


def test_two_collectors_at_once(database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any) -> None:
    for number in range(1, 41):
        drop(sent(number))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: collect(database, maildir), range(2)))
    assert len(events()) == 40
    assert sum(report.mails - report.known for report in found) == 40
    assert len(names(maildir / SEEN / "cur")) == 40


def test_rubbish_holds_up_nobody(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounces, "BATCH", 3)
    for number in range(1, 8):
        drop(data=os.urandom(200))
        drop(sent(number))
    (maildir / "new" / "a folder").mkdir()
    assert collect(database, maildir) == BounceReport(mails=14, hard=7, unclear=7)
    assert len(events()) == 7


def test_enormous_mail(database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any) -> None:
    mail = drop(sent())
    mail.write_bytes(mail.read_bytes()[:-6] + b"--b\nContent-Type: image/png\n\n" + b"x" * 5_000_000)
    assert collect(database, maildir).hard == 1
    assert (maildir / SEEN / "cur" / f"{mail.name}:2,S").stat().st_size > 5_000_000


def test_empty_or_new_maildir(database: sa.Engine, tmp_path: Path) -> None:
    assert collect(database, tmp_path / "not" / "yet") == BounceReport()


def test_place_that_is_no_folder(database: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="REKU_BOUNCE_MAILDIR"):
        collect(database, tmp_path / "file")


def test_log_names_nobody(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    drop(sent())
    drop(data=b"From: max.muster@kunde.example\n\nHallo")
    collect(database, maildir)
    assert "1 hard" in caplog.text
    assert "kunde.example" not in caplog.text


def test_event_carries_the_time_of_the_clock(database: sa.Engine, maildir: Path, drop: Drop, sent: Any) -> None:
    drop(sent())
    collect(database, maildir)
    with database.connect() as connection:
        moment = connection.scalar(sa.select(responses.c.at))
    assert moment.date().isoformat() == "2026-11-24"


def evidence(database: sa.Engine) -> list[tuple[Any, ...]]:
    c = return_mails.c
    with database.connect() as connection:
        wanted = sa.select(c.message_id, c.mail, c.meaning, c.event, c.status, c.why).order_by(c.mail)
        return [tuple(row) for row in connection.execute(wanted)]


def test_each_mail_about_a_message_is_kept_as_evidence(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any
) -> None:
    message = sent()
    bounced, again, late = drop(message), drop(message), drop(message, "2.0.0")
    answer = drop(data=f"To: b+{make(Purpose.BOUNCE, Target(message))}@bounce.example\n\nDanke!".encode())  # no From
    nobodys, of_another = drop(data=b"about nobody"), drop(4711)
    collect(database, maildir)
    hard = next(rule.why for rule in bounce_rules().rules if rule.bounce_class == "HARD" and rule.silent)
    assert evidence(database) == [
        (message, bounced.name, "BOUNCE", "BOUNCED_HARD", "5.1.1", hard),
        (message, again.name, "BOUNCE", "BOUNCED_HARD", "5.1.1", hard),
        (message, late.name, "IGNORED", "", "", "Success."),
        (message, answer.name, "UNCLEAR", "", "", "neither a report nor an automatic answer"),
        (None, nobodys.name, "UNCLEAR", "", "", "neither a report nor an automatic answer"),
        (None, of_another.name, "UNCLEAR", "", "", "the token is ours, but the ledger has no such message (any more)"),
    ]
    mailbox = MaildirMailbox(maildir)
    kept = mailbox.read({name for _, name, *_ in evidence(database)})
    assert set(kept) == {mail.name for mail in (bounced, again, late, answer, nobodys, of_another)}
    assert mailbox.count() == {"new": 0, "gesehen": 3, "ungeklaert": 3}


def test_a_crash_doubles_no_evidence(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(sent())
    with monkeypatch.context() as patched:
        patched.setattr(MaildirMailbox, "file", _crash)
        with pytest.raises(KeyboardInterrupt):
            collect(database, maildir)
    collect(database, maildir)
    assert len(evidence(database)) == 1


def test_a_mail_that_is_put_back_is_evidence_of_what_it_says_now(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judged by other rules; but the evidence of an event that was recorded stays what it is."""
    message = sent()
    mail = drop(message)
    unclear, ignored = (
        Understood(ReportKind.UNCLEAR, message, why="no rule"),
        Understood(ReportKind.IGNORED, message, why="other"),
    )
    told = []
    for judged in (unclear, None, ignored):
        with monkeypatch.context() as patched:
            if judged:
                patched.setattr(mail_reader, "understand", lambda _, judged=judged: judged)
            collect(database, maildir)
        told += [row[2:5] for row in evidence(database)]
        (filed,) = (path for path in maildir.rglob(f"{mail.name}*"))
        filed.rename(mail)
    assert told == [("UNCLEAR", "", ""), ("BOUNCE", "BOUNCED_HARD", "5.1.1"), ("BOUNCE", "BOUNCED_HARD", "5.1.1")]


def test_two_copies_of_a_mail_with_one_name_are_one_entry(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any
) -> None:
    """IMAP names a mail by its day and contents."""
    data = drop(sent()).read_bytes()

    class Twice(MaildirMailbox):
        def waiting(self) -> Any:
            for letter in super().waiting():
                yield ReturnedMail(letter.key, "the same", letter.data)

    drop(data=data)
    assert bounces.collect(database, Twice(maildir)).mails == 2
    assert [row[1:4] for row in evidence(database)] == [("the same", "BOUNCE", "BOUNCED_HARD")]


def test_who_received_one_mail_can_harm_nobody_but_himself(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any
) -> None:
    """A valid token, replayed with any contents, is about its own message; the victim's address is in the text only."""
    attacker, victim = sent(1), sent(2)
    own = f"b+{make(Purpose.BOUNCE, Target(attacker))}@bounce.example"
    guessed = own.replace(f"b+{attacker:x}.", f"b+{victim:x}.")
    recipients = f"Final-Recipient: rfc822; person2@kunde.example\nOriginal-Recipient: rfc822; {guessed}\n"
    bounce = f"Reporting-MTA: dns; mx\n\n{recipients}Action: failed\nStatus: 5.1.1"
    complaint = f"Feedback-Type: abuse\nOriginal-Mail-From: {guessed}\nOriginal-Rcpt-To: person2@kunde.example"
    for number in range(3):
        for to in (own, guessed, f"{guessed}, {own}", f"person2@kunde.example, {own}"):
            for kind, fields in (("delivery-status", bounce), ("feedback-report", complaint)):
                forged = REPORT.format(token="x", kind=kind, fields=fields).replace("b+x@bounce.example", to)
                drop(data=f"Message-ID: <{number}@x>\n{forged}".encode())
    collect(database, maildir)
    assert sorted(events()) == [(attacker, "BOUNCED_HARD", "5.1.1", None)]
    with database.connect() as connection:
        assert connection.scalars(sa.select(suppressions.c.recipient_key)).all() == []


@pytest.mark.parametrize("known", ["Message-ID", "return path", "unsubscribe link", "text", "mail without its proof"])
def test_who_has_seen_a_mail_but_does_not_hold_it_bars_nobody(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any, known: str
) -> None:
    """A relay's log, an answer, an archive, a mail that was passed on: each gives away a part. A person decides."""
    victim = sent(1)
    whole = our_mail(victim)
    return_path, message_id, link = (
        next(line for line in whole.splitlines() if line.startswith(name))
        for name in ("Return-Path", "Message-ID", "List-Unsubscribe")
    )
    has = {
        "Message-ID": f"{message_id}\n\nx",
        "return path": f"{return_path}\n\nx",
        "unsubscribe link": f"{link}\n\nx",
        "text": f"{message_id}\n\n{whole.partition(chr(10) * 2)[2]}",
        "mail without its proof": our_mail(victim, whole=False),
    }[known]
    token = message_id.partition("<")[2].partition("@")[0]
    for to in ("fbl@bank.example", f"b+{token}@bounce.example"):
        forged = REPORT.format(token="x", kind="feedback-report", fields="Feedback-Type: abuse")
        forged = forged.replace("b+x@bounce.example", to).replace(
            "--b--", f"--b\nContent-Type: message/rfc822\n\n{has}"
        )
        drop(data=forged.encode())
    assert collect(database, maildir) == BounceReport(mails=2, unclear=2)
    assert events() == []
    with database.connect() as connection:
        assert connection.scalars(sa.select(suppressions.c.id)).all() == []
    assert {(row[0], row[2], row[5]) for row in evidence(database)} == {
        (victim, "UNCLEAR", "a complaint that nobody vouches for")
    }


def test_what_nobody_is_known_for_is_counted_all_the_same(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any
) -> None:
    """By its reason, and once: also after a crash, and when a person puts it back."""
    for data in (b"rubbish", b"X-Autoreply: yes\n\nbin weg", report(4711)):
        mail = drop(data=data)
    for _ in range(2):
        collect(database, maildir)
        (filed,) = (path for path in maildir.rglob(f"{mail.name}*"))
        filed.rename(mail)
    collect(database, maildir)
    counted = [(one.institute, one.meaning, one.why, one.mails) for one in return_mail_counts(database)]
    assert counted == [
        ("", "IGNORED", "A machine answers for a person (RFC 3834).", 1),
        ("", "UNCLEAR", "neither a report nor an automatic answer", 1),
        ("", "UNCLEAR", "the token is ours, but the ledger has no such message (any more)", 1),
    ]
    assert return_mail_counts(database, world.BLZ) == []


RUBBISH = (
    os.urandom(2_000),
    b"",
    b"\0" * 500,
    b"Content-Type: multipart/report; boundary=x\n\n--x\n",
    b"From: a\n\nHi",
)


def test_a_large_mailbox_with_rubbish(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once through, in batches, with the contents of one mail in memory."""
    made = [sent(number) for number in range(1, 101)]
    for number in range(2_000):
        if number % 20:
            drop(made[number % 100])
        else:
            drop(data=RUBBISH[number // 20 % len(RUBBISH)])
    held: set[int] = set()
    looked: list[int] = []
    batches: list[int] = []
    really_file, really_understand = MaildirMailbox.file, mail_reader.understand

    def file(self: MaildirMailbox, letters: Any) -> None:
        batches.append(sum(map(len, letters.values())))
        really_file(self, letters)

    def understand(data: bytes) -> Any:
        if len(batches) == 1 and len(looked) < 5:  # looking at all objects takes its time
            looked.append(1)
            held.add(sum(type(one) is ReturnedMail for one in gc.get_objects()))
        return really_understand(data)

    monkeypatch.setattr(MaildirMailbox, "file", file)
    monkeypatch.setattr(mail_reader, "understand", understand)
    assert collect(database, maildir) == BounceReport(mails=2_000, hard=1_900, known=1_805, unclear=100)
    assert (len(events()), batches, max(held)) == (95, [200] * 10, 1)
    assert (len(names(maildir / SEEN / "cur")), len(names(maildir / UNCLEAR / "new"))) == (1_900, 100)


def test_mails_of_100_megabytes(database: sa.Engine, maildir: Path, drop: Drop, sent: Any, events: Any) -> None:
    for mail in (drop(sent()), drop(data=b"")):
        os.truncate(mail, 100_000_000)
    tracemalloc.start()
    collect(database, maildir)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(events()) == 1
    assert peak < 20_000_000


def test_nothing_is_judged_without_keys_or_rules(
    database: sa.Engine, maildir: Path, drop: Drop, sent: Any, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours must not send everybody's bounces to the unclear ones."""
    mail = drop(sent())
    (bank / "bounces.yaml").write_text("rules: []\n")
    bounce_rules.cache_clear()
    with pytest.raises(ConfigError, match=r"bounces\.yaml"):
        collect(database, maildir)
    (bank / "bounces.yaml").unlink()
    monkeypatch.setenv("REKU_TOKEN_KEYS", "")
    for cache in (settings, tokens._hashed_keys):
        cache.cache_clear()
    with pytest.raises(SetupError, match="REKU_TOKEN_KEYS"):
        collect(database, maildir)
    assert mail.exists()
