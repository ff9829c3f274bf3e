"""Answers of IMAP servers to a FETCH, as imaplib hands them on: no mail may be lost in them."""

from __future__ import annotations

from typing import Any

import pytest

from reku.mailbox.imap import _messages

DATE = b'INTERNALDATE "22-Nov-2026 10:00:00 +0000"'


def literal(uid: int, data: bytes, date: bytes = DATE) -> list[Any]:
    return [(b"%d (UID %d %s BODY[]<0> {%d}" % (uid, uid, date, len(data)), data), b")"]


def told(*items: Any) -> list[tuple[str, str, bytes]]:
    return [(one.uid, one.arrived.isoformat(), one.data) for one in _messages(items)]


def test_an_empty_mail_is_a_mail_of_its_own() -> None:
    empty = b'8 (UID 8 %s BODY[]<0> "")' % DATE
    day = "2026-11-22"
    assert told(*literal(7, b"seven"), empty, *literal(9, b"nine")) == [
        ("7", day, b"seven"),
        ("8", day, b""),
        ("9", day, b"nine"),
    ]
    assert told(empty) == [("8", day, b"")]
    assert told(empty, empty.replace(b"8", b"6")) == [("8", day, b""), ("6", day, b"")]


@pytest.mark.parametrize(
    ("text", "data"), [(b'"a \\"b\\" \\\\ UID 5 )"', b'a "b" \\ UID 5 )'), (b"NIL", b""), (b'""', b"")]
)
def test_a_quoted_text_is_the_mail(text: bytes, data: bytes) -> None:
    assert told(b"1 (BODY[]<0> %s UID 8 %s)" % (text, DATE)) == [("8", "2026-11-22", data)]


@pytest.mark.parametrize(
    "date",
    [b"INTERNALDATE NIL", b"", b'INTERNALDATE "31-Feb-2026 10:00:00 +0000"', b'INTERNALDATE "1-Foo-2026 10:00:00 +0"'],
)
def test_a_mail_without_a_day_is_taken_in(date: bytes) -> None:
    assert told(*literal(7, b"seven", date), *literal(8, b"eight")) == [
        ("7", "1970-01-01", b"seven"),
        ("8", "2026-11-22", b"eight"),
    ]


def test_what_comes_in_between_is_no_mail() -> None:
    flags = b"3 (UID 9 FLAGS (\\Seen))"
    late = [(b"7 (%s BODY[]<0> {5}" % DATE, b"seven"), b" UID 7)"]
    assert told(flags, *late, flags, None) == [("7", "2026-11-22", b"seven")]
    assert told(None) == []
