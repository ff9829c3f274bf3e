"""A return mailbox that is a Maildir, and what mail programs do to it: they move mails and rename them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reku.mailbox import SEEN, UNCLEAR
from reku.mailbox.maildir import MaildirMailbox

OPENED = {"cur/1.a.host:2,S": b"one", "new/2.b.host": b"two", "cur/3.c.host": b"three"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mail program has opened the inbox: one mail was read, one was not; another one came later."""
    for name, data in OPENED.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "cur" / "a folder").mkdir()
    return tmp_path


def test_what_a_mail_program_has_moved_waits_all_the_same(folder: Path) -> None:
    mailbox = MaildirMailbox(folder)
    assert mailbox.count() == {"new": 3, SEEN: 0, UNCLEAR: 0}
    letters = list(mailbox.waiting())
    assert [(letter.name, letter.data) for letter in letters] == [
        ("1.a.host", b"one"),
        ("2.b.host", b"two"),
        ("3.c.host", b"three"),
    ]
    mailbox.file({SEEN: [letters[1].key, letters[2].key], UNCLEAR: [letters[0].key]})
    assert mailbox.count() == {"new": 0, SEEN: 2, UNCLEAR: 1}
    assert sorted(path.name for path in (folder / ".gesehen" / "cur").iterdir()) == ["2.b.host:2,S", "3.c.host:2,S"]
    assert [path.name for path in (folder / ".ungeklaert" / "new").iterdir()] == ["1.a.host"]


def test_its_name_finds_it_and_removes_it(folder: Path) -> None:
    mailbox = MaildirMailbox(folder)
    assert mailbox.read(["1.a.host", "2.b.host", "a folder"]) == {"1.a.host": b"one", "2.b.host": b"two"}
    assert mailbox.remove(["1.a.host", "2.b.host", "4.d.host"]) == 2
    assert [letter.name for letter in mailbox.waiting()] == ["3.c.host"]


def test_what_waits_never_leaves_by_age(folder: Path) -> None:
    """Nobody has taken it in yet; once it is filed, it leaves like all others."""
    for name in OPENED:
        os.utime(folder / name, (0, 0))
    mailbox = MaildirMailbox(folder)
    assert mailbox.remove_old(30) == 0
    mailbox.file({SEEN: [letter.key for letter in mailbox.waiting()]})
    assert mailbox.remove_old(30) == 3
