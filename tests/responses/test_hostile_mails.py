"""One mail must not hold up the others, whatever it is made of: no exception, and bounded time.

Seconds of the processor are held against many times what is needed. The worst shapes took minutes before lines and
fields were cut, since the time of parsers grows with the square of a field.
"""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from reku.foundation.tokens import Purpose, Target, make
from reku.mailbox import MAX_BYTES
from reku.responses.reports import understand
from reku.store.kinds import ReportKind

N = MAX_BYTES
SECONDS = 6.0
PLAIN = b"Content-Type: text/plain\r\n\r\n"
REPORT = b'Content-Type: multipart/report; boundary="b"\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n'


def nested(depth: int) -> bytes:
    inner = b"Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(depth):
        inner = b'Content-Type: multipart/mixed; boundary="n%d"\r\n\r\n--n%d\r\n%s\r\n--n%d--\r\n' % (
            level,
            level,
            inner,
            level,
        )
    return inner


SHAPES: dict[str, bytes] = {
    "a thousand multiparts": nested(1000),
    "deep, many lines": nested(49).replace(b"\r\n\r\nx\r\n", b"\r\n\r\n" + b"x\r\n" * (N // 3)),
    "a thousand attached mails": b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"x",
    "one line": PLAIN + b"x" * N,
    "dashes": PLAIN + b"-" * N,
    "dashed lines": PLAIN + b"---- \r\n" * (N // 7),
    "blank lines": PLAIN + b"\n" * N,
    "carriage returns": PLAIN + b"\r" * N,
    "NUL": PLAIN + b"\0" * N,
    "angles": PLAIN + b"<" * N,
    "addresses": PLAIN + b"a@" * (N // 2),
    "no end of parameters": b"Content-Type: multipart/report; " + b"a=b; " * (N // 5) + b"\r\n\r\nx",
    "no end of a boundary": b'Content-Type: multipart/report; boundary="' + b";" * N + b'"\r\n\r\nx',
    "parameters folded": b"Content-Type: multipart/report" + b";\r\n a=b" * (N // 8) + b"\r\n\r\nx",
    "quotes": b'Content-Type: text/plain; a="' + b'\\"' * (N // 2) + b"\r\n\r\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?" * (N // 10) + b"\r\n\r\nx",
    "encoded words folded": b"Subject: x" + b"\r\n =?utf-8?b?QQ==?=" * (N // 20) + b"\r\n\r\nx",
    "tokens folded": b"To: x" + b"\r\n b+7.00@x," * (N // 12) + b"\r\n\r\nx",
    "tokens": b"To: b+7.00@x\r\n" * (N // 14) + b"\r\nx",
    "fields": b"X: y\r\n" * (N // 6) + b"\r\nx",
    "groups": REPORT + b"a: b\r\n\r\n" * (N // 8),
    "empty groups": REPORT + b"\r\n" * (N // 2),
    "parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * (N // 10),
    "diagnostic": REPORT + b"x: y\r\n\r\nAction: failed\r\nDiagnostic-Code: smtp; " + b"550 " * (N // 4),
    "recipients": REPORT + b"x: y\r\n\r\nAction: failed\r\nFinal-Recipient: " + b'rfc822;"' * (N // 8),
    "comments": b"X-Failed-Recipients: " + b"(" * N + b"\r\n\r\nx",
    "words of bounces": PLAIN + b"failed addresses follow <a@b> 550 user unknown\r\n" * (N // 48),
    "unknown charset": b"Content-Type: text/plain; charset=klingon\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"=" * N,
    "uuencoded": b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n" + b"M" * N,
    "noise": os.urandom(N),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_answered_in_time(reku_settings: Path, shape: str) -> None:
    token = make(Purpose.BOUNCE, Target(7))
    mail = f"From: x@y.example\r\nTo: b+{token}@bounce.example\r\nMIME-Version: 1.0\r\n".encode() + SHAPES[shape]
    begun = time.process_time()
    found = understand(mail[:MAX_BYTES])
    assert time.process_time() - begun < SECONDS
    assert found.message in (0, 7)
    assert found.kind in (ReportKind.UNCLEAR, ReportKind.BOUNCE)


def _seconds_for_dashes(number: int) -> float:
    """For a mail with an encoded text of so many dashes in one line, which is longer than the lines of the mail."""
    token = make(Purpose.BOUNCE, Target(7))
    head = f"From: x@y.example\r\nTo: b+{token}@bounce.example\r\nMIME-Version: 1.0\r\n".encode()
    head += b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    mail = head + base64.encodebytes(b"-" * number)
    begun = time.process_time()
    assert understand(mail).kind is ReportKind.UNCLEAR
    return time.process_time() - begun


def test_a_line_that_its_encoding_hides_takes_no_square_of_its_length(reku_settings: Path) -> None:
    """20,000 characters of a text are looked at: ten times 2,000, which is 100 times as long where it is squared."""
    few = max(0.01, min(_seconds_for_dashes(2_000) for _ in range(3)))
    assert _seconds_for_dashes(54_000) < 40 * few
