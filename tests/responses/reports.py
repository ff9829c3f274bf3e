"""Mails about a message of ours, with its signed token."""

from __future__ import annotations

from itertools import count

from reku.foundation.tokens import Purpose, Target, make

_NUMBERS = count(1)

_REPORT = """\
From: MAILER-DAEMON@mx.example
To: b+{token}@bounce.example
Message-ID: <{number}@mx.example>
Content-Type: multipart/report; report-type={kind}; boundary="b"

--b
Content-Type: message/{kind}

{fields}

--b--
"""


def report(message: int, status: str = "5.1.1", *, action: str = "failed", spam: bool = False) -> bytes:
    """A delivery report about a message, or a complaint; no two are alike."""
    fields = f"Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; x@kunde.example\nAction: {action}\nStatus: {status}"
    return (
        _REPORT.format(
            token=make(Purpose.BOUNCE, Target(message)),
            number=next(_NUMBERS),
            kind="feedback-report" if spam else "delivery-status",
            fields="Feedback-Type: abuse" if spam else fields,
        )
        .replace("\n", "\r\n")
        .encode()
    )
