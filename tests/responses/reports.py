"""Mails about a message of ours, with its signed token."""

from __future__ import annotations

from itertools import count

from reku.foundation import mail_proof
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

{more}
--b--
"""


def our_mail(message: int, text: str = "Guten Tag,\nalles Gute!", *, whole: bool = True) -> str:
    """A mail of ours as its recipient has it; not `whole`: without what proves that."""
    body = f"--{mail_proof.BOUNDARY}\nContent-Type: text/plain\n\n{text}\n--{mail_proof.BOUNDARY}--\n"
    proof = f"{mail_proof.FIELD}: {mail_proof.proof(message, body.encode())}\n" if whole else ""
    return (
        f"Return-Path: <b+{make(Purpose.BOUNCE, Target(message))}@bounce.example>\nReceived: by mx.kunde.example\n"
        f"From: Sparkasse <post@bank.example>\nTo: erika@kunde.example\nSubject: Alles Gute\n"
        f"Message-ID: <{make(Purpose.MESSAGE_ID, Target(message))}@bank.example>\n"
        f"List-Unsubscribe: <https://t.bank.example/u/{make(Purpose.UNSUBSCRIBE, Target(message))}>\n{proof}"
        f'Content-Type: multipart/alternative; boundary="{mail_proof.BOUNDARY}"\n\n{body}'
    )


def report(message: int, status: str = "5.1.1", *, action: str = "failed", spam: bool = False) -> bytes:
    """A delivery report about a message, or a complaint that proves itself; no two are alike."""
    fields = f"Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; x@kunde.example\nAction: {action}\nStatus: {status}"
    return (
        _REPORT.format(
            token=make(Purpose.BOUNCE, Target(message)),
            number=next(_NUMBERS),
            kind="feedback-report" if spam else "delivery-status",
            fields="Feedback-Type: abuse" if spam else fields,
            more=f"--b\nContent-Type: message/rfc822\n\n{our_mail(message)}" if spam else "",
        )
        .replace("\n", "\r\n")
        .encode()
    )
