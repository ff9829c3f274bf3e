"""A return mailbox on a real IMAP server: folders, names, sizes, and everything that can be wrong with it."""

from __future__ import annotations

import imaplib
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reku.foundation.errors import PassingError, RekuError, SetupError
from reku.mailbox import MAX_BYTES, SEEN, UNCLEAR
from reku.mailbox import imap as module
from reku_testing.imap import Open, Server, dovecot
from reku_testing.ports import free_port

pytestmark = pytest.mark.processes

MAIL = b"Subject: back\r\n\r\nnot known\r\n"
ENORMOUS = MAIL + b"x" * 3_000_000


def test_mails_wait_once_and_whole_folders_are_made(server: Server, opened: Open) -> None:
    server.deliver("files", MAIL, b"second\r\n", b"third\r\n")
    with opened(server, "files") as mailbox:
        waiting = list(mailbox.waiting())
        assert [letter.data for letter in waiting[:2]] == [MAIL, b"second\r\n"]
        mailbox.file({SEEN: [waiting[0].key], UNCLEAR: [waiting[1].key]})
        assert mailbox.count() == {"new": 1, SEEN: 1, UNCLEAR: 1}
    assert server.mails("files", "INBOX.gesehen") == [MAIL]
    assert server.mails("files", "INBOX.ungeklaert") == [b"second\r\n"]
    assert [rb"\Seen" in flags for flags in server.flags("files", "INBOX.gesehen")] == [True]
    assert [rb"\Seen" in flags for flags in server.flags("files", "INBOX.ungeklaert")] == [False]


def test_looking_changes_nothing(server: Server, opened: Open) -> None:
    server.deliver("peek", MAIL)
    with opened(server, "peek") as mailbox:
        assert len(list(mailbox.waiting())) == 1
    assert not any(rb"\Seen" in flags for flags in server.flags("peek", "INBOX"))


def test_only_the_beginning_of_a_mail_is_fetched(server: Server, opened: Open) -> None:
    server.deliver("large", ENORMOUS, MAIL)
    with opened(server, "large") as mailbox:
        assert [len(letter.data) for letter in mailbox.waiting()] == [MAX_BYTES, len(MAIL)]


def test_more_mails_than_are_fetched_at_once(server: Server, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 3)
    mails = [b"Subject: %d\r\n\r\n" % number for number in range(10)]
    server.deliver("many", *mails)
    with opened(server, "many") as mailbox:
        seen = []
        for letter in mailbox.waiting():
            seen.append(letter.data)
            mailbox.file({SEEN: [letter.key]})  # moving while reading loses nothing
            mailbox.count()
    assert seen == mails
    assert sorted(server.mails("many", "INBOX.gesehen")) == sorted(mails)


def test_a_mailbox_beyond_all_measure_is_taken_bit_by_bit(
    server: Server, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    server.deliver("most", *[b"Subject: %d\r\n\r\n" % number for number in range(5)])
    taken = []
    for _ in range(3):
        with opened(server, "most") as mailbox:
            waiting = [letter.key for letter in mailbox.waiting()]
            taken.append(len(waiting))
            mailbox.file({SEEN: waiting})
    assert taken == [2, 2, 1]


def test_a_name_finds_the_mail_wherever_it_was_filed(server: Server, opened: Open) -> None:
    long_ago = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    server.deliver("names", MAIL, at=long_ago)
    server.deliver("names", b"another\r\n", at=long_ago + timedelta(hours=1))
    with opened(server, "names") as mailbox:
        first, other = mailbox.waiting()
        assert first.name != other.name
        for folder in (None, UNCLEAR):
            if folder:
                mailbox.file({folder: [first.key]})
            assert mailbox.read([first.name]) == {first.name: MAIL}
        assert mailbox.read(["2026-03-01." + "0" * 40, "1700000000.host", ""]) == {}
        assert mailbox.remove([first.name, "2026-03-01." + "0" * 40]) == 1
        assert mailbox.remove([first.name]) == 0
        assert list(mailbox.read([first.name, other.name])) == [other.name]


def test_what_came_long_ago_is_removed_unless_it_waits(server: Server, opened: Open) -> None:
    now = datetime.now(UTC)
    for days in (29, 32):
        server.deliver("old", b"Subject: %d\r\n\r\n" % days, at=now - timedelta(days=days))
        with opened(server, "old") as mailbox:
            mailbox.file({SEEN if days == 29 else UNCLEAR: [letter.key for letter in mailbox.waiting()]})
    server.deliver("old", MAIL, at=now - timedelta(days=99))
    with opened(server, "old") as mailbox:
        assert mailbox.remove_old(30) == 1
        assert mailbox.remove_old(30) == 0
        assert mailbox.count() == {"new": 1, SEEN: 1, UNCLEAR: 0}


def test_a_server_with_slashes_a_prefix_and_no_move(opened: Open) -> None:
    abilities = "imap_capability = IMAP4rev1 UIDPLUS LITERAL+ AUTH=PLAIN\n"
    with dovecot(separator="/", prefix="INBOX/", more=abilities) as server:
        server.deliver("plain", MAIL, b"other\r\n")
        with opened(server, "plain") as mailbox:
            first, other = mailbox.waiting()
            mailbox.file({SEEN: [first.key], UNCLEAR: [other.key]})
        assert server.mails("plain", "INBOX/gesehen") == [MAIL]
        assert server.mails("plain") == []
        with server.login("plain") as client:
            client.create("INBOX/Bounces")
            client.append("INBOX/Bounces", "", "", MAIL)
        with opened(server, "plain", folder="INBOX/Bounces") as mailbox:
            mailbox.file({SEEN: [letter.key for letter in mailbox.waiting()]})
        assert server.mails("plain", "INBOX/Bounces/gesehen") == [MAIL]


def test_a_server_without_uidplus_is_refused(opened: Open) -> None:
    with (
        dovecot(more="imap_capability = IMAP4rev1 AUTH=PLAIN\n") as server,
        pytest.raises(SetupError, match=r"UIDPLUS.*REKU_BOUNCE_MAILDIR"),
        opened(server, "old"),
    ):
        pass


def _serve(answers: bytes) -> int:
    """A server that says only this, and then nothing more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, suppress(OSError):
            client, _ = listener.accept()
            with client:
                client.sendall(answers)
                client.recv(1 << 16)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


WRONG: list[tuple[str, dict[str, Any], type[RekuError], str]] = [
    ("password", {"password": "falsch"}, SetupError, "does not let us in.*REKU_BOUNCE_IMAP_PASSWORD"),
    ("folder", {"folder": "gibt es nicht"}, SetupError, "no way into.*REKU_BOUNCE_IMAP_FOLDER"),
    ("nobody there", {"port": "free"}, PassingError, "failed.*Nothing is lost"),
    ("TLS at the plain port", {"port": "plain"}, SetupError, "no TLS.*993"),
    ("no such host", {"host": "imap.invalid"}, PassingError, "failed"),
    ("in clear, elsewhere", {"host": "imap.invalid", "tls": "off"}, SetupError, "in clear"),
    ("certificate for another name", {"host": "localhost"}, SetupError, "certificate.*SSL_CERT_FILE"),
    ("no IMAP at all", {"port": b"220 mx.example ESMTP\r\n", "tls": "off"}, PassingError, "failed"),
    ("says goodbye", {"port": b"* BYE too busy\r\n", "tls": "off"}, PassingError, "failed"),
    ("no STARTTLS", {"port": b"* OK [CAPABILITY IMAP4rev1] hello\r\n", "tls": "starttls"}, RekuError, ""),
]


@pytest.mark.parametrize(("changes", "error", "said"), [pytest.param(*rest, id=name) for name, *rest in WRONG])
def test_what_is_wrong_is_said(
    server: Server, opened: Open, changes: dict[str, Any], error: type[RekuError], said: str
) -> None:
    port = changes.get("port")
    if port == "free":
        changes = changes | {"port": free_port()}
    elif port == "plain":
        changes = changes | {"port": server.port}
    elif isinstance(port, bytes):
        changes = changes | {"port": _serve(port)}
    with pytest.raises(error, match=f"(?s){said}") as told, opened(server, "wrong", **changes):
        pass
    assert "falsch" not in str(told.value)
    assert "geheim" not in str(told.value)


def test_starttls(server: Server, opened: Open) -> None:
    with opened(server, "start", tls="starttls", port=server.port) as mailbox:
        assert mailbox.count() == {"new": 0, SEEN: 0, UNCLEAR: 0}
    with opened(server, "start", tls="off", port=server.port) as mailbox:
        assert list(mailbox.waiting()) == []


def test_a_certificate_nobody_vouches_for(
    server: Server, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    context = opened(server, "cert")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(SetupError, match="vouches for the certificate"), context:
        pass


def test_a_folder_that_vanishes_meanwhile(server: Server, opened: Open) -> None:
    """Like quota and rights, it is answered with NO: said, with nothing lost."""
    server.deliver("refused", MAIL)
    with opened(server, "refused") as mailbox:
        with server.login("refused") as other:
            other.delete("INBOX.ungeklaert")
        keys = [letter.key for letter in mailbox.waiting()]
        with pytest.raises(SetupError, match=r"refuses MOVE.*Nothing is lost"):
            mailbox.file({UNCLEAR: keys})
    assert server.mails("refused") == [MAIL]


@pytest.mark.parametrize(
    "answer",
    [
        [b"1 (UID 7 FLAGS ())"],
        [None],
        [],
        [(b"1 (BODY[]<0> {3}", b"abc"), b")"],
    ],
)
def test_odd_answers_are_no_mails(answer: list[Any]) -> None:
    assert list(module._messages(answer)) == []


def test_order_of_the_answer_does_not_matter() -> None:
    date = b'INTERNALDATE " 2-Nov-2026 10:00:00 +0000"'
    one = [(b"1 (UID 7 " + date + b" BODY[]<0> {3}", b"abc"), b")"]
    other = [(b"2 (BODY[]<0> {3}", b"def"), b" " + date + b" UID 8)"]
    empty = [b"3 (UID 9 " + date + b' BODY[]<0> "")']
    found = list(module._messages([*empty, *one, *other, b"4 (FLAGS ())"]))
    assert [(mail.uid, mail.data) for mail in found] == [("9", b""), ("7", b"abc"), ("8", b"def")]
    assert found[0].name.startswith("2026-11-02.")


def test_imaplib_still_moves() -> None:
    assert {"MOVE", "EXPUNGE"} <= imaplib.Commands.keys()
