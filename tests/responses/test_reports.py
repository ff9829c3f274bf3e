"""What each shape of mail in the return mailbox means (RFC 3464, 3834, 5965; docs/domain.md, rule 16)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reku.catalogue.bounce_rules import BounceClass
from reku.foundation.tokens import Purpose, Target, make
from reku.responses.reports import ReportKind, Understood, understand

MESSAGE, OTHER = 7, 8

HARD, SOFT, BLOCK, UNKNOWN, _ = BounceClass


@pytest.fixture(autouse=True)
def _keys(reku_settings: Path) -> None: ...


WHOM = "x@kunde.example"
OUR_MAIL = "From: post@sparkasse.example\r\nSubject: Alles Gute\r\n\r\nText\r\n"

QMAIL = """Hi. This is the qmail-send program at mx.example.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<x@kunde.example>:
{reason}

--- Below this line is a copy of the message.

{ours}
"""

EXIM = """This message was created automatically by mail delivery software.

  x@kunde.example
    550 5.1.1 unknown

------ This is a copy of the message, including all the headers. ------

552 full
"""
EXIM_HEAD = "X-Failed-Recipients: x@kunde.example\r\nAuto-Submitted: auto-replied\r\n"


def verp(message: int = MESSAGE) -> str:
    return f"b+{make(Purpose.BOUNCE, Target(message))}@bounce.example"


def unsubscribe() -> str:
    return make(Purpose.UNSUBSCRIBE, Target(MESSAGE))


def group(
    status: str = "5.1.1", action: str = "failed", diagnostic: str = "", recipient: str = "x@kunde.example"
) -> str:
    fields = {
        "Final-Recipient": f"rfc822; {recipient}",
        "Action": action,
        "Status": status,
        "Diagnostic-Code": diagnostic and f"smtp; {diagnostic}",
    }
    return "\r\n".join(f"{name}: {value}" for name, value in fields.items() if value)


def dsn(
    *groups: str,
    to: str | None = None,
    head: str = "",
    encoding: str = "",
    part: str = "message/delivery-status",
    report: str = "multipart/report; report-type=delivery-status",
    returned: str = OUR_MAIL,
) -> bytes:
    body = "\r\n\r\n".join(("Reporting-MTA: dns; mx.example", *groups)) + "\r\n"
    if encoding == "base64":
        body = base64.encodebytes(body.encode()).decode()
    how = f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else ""
    return (
        f"From: MAILER-DAEMON@mx.example\r\nTo: {verp() if to is None else to}\r\nSubject: Undelivered\r\n{head}"
        f'MIME-Version: 1.0\r\nContent-Type: {report}; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSorry.\r\n"
        f"--b\r\nContent-Type: {part}\r\n{how}\r\n{body}\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\n{returned}\r\n--b--\r\n"
    ).encode("utf-8", "surrogateescape")


def plain(
    text: str,
    *,
    to: str | None = None,
    head: str = "",
    subject: str = "Mail",
    sender: str = "mailer-daemon@mx.example",
) -> bytes:
    return f"From: {sender}\r\nTo: {to or verp()}\r\nSubject: {subject}\r\n{head}\r\n{text}".encode()


def complaint(*, to: str | None = None, fields: str = "Feedback-Type: abuse", ours: str = "") -> bytes:
    return dsn(
        to=to or "fbl@sparkasse.example",
        part="message/feedback-report",
        report="multipart/report; report-type=feedback-report",
        returned=ours + OUR_MAIL,
    ).replace(b"Reporting-MTA: dns; mx.example", fields.encode())


def nested(depth: int) -> bytes:
    head = f"To: {verp()}\r\nMIME-Version: 1.0\r\n"
    inner = "Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(depth):
        inner = f'Content-Type: multipart/mixed; boundary="n{level}"\r\n\r\n--n{level}\r\n{inner}\r\n--n{level}--\r\n'
    return (head + inner).encode()


def inside_an_attached_mail() -> bytes:
    outer = EmailMessage()
    outer["To"] = verp()
    outer["Subject"] = "see below"
    outer.set_content("look what I got")
    mail = outer.as_bytes().replace(b"Content-Type: text/plain", b"Content-Type: message/rfc822")
    return mail.replace(b"look what I got", dsn(group()))


B = "BOUNCE"
SHAPES: list[tuple[str, Callable[[], bytes], str, BounceClass | None]] = [
    ("plain report", lambda: dsn(group()), B, HARD),
    ("mailbox full", lambda: dsn(group("5.2.2")), B, SOFT),
    ("policy", lambda: dsn(group("5.7.1")), B, BLOCK),
    ("gave up after days", lambda: dsn(group("4.4.1")), B, SOFT),
    ("generic status, clear words", lambda: dsn(group("5.0.0", diagnostic="550 5.1.1 unknown")), B, HARD),
    ("folded diagnostic", lambda: dsn(group("5.0.0", diagnostic="550-first\r\n 550 User\r\n unknown")), B, HARD),
    ("status with comment", lambda: dsn(group("5.1.1 (bad destination)")), B, HARD),
    ("status missing", lambda: dsn(group("", diagnostic="550 user unknown")), B, HARD),
    ("nothing but an action", lambda: dsn(group("")), B, UNKNOWN),
    ("no recipient group", lambda: dsn(), B, UNKNOWN),
    ("odd capitals", lambda: dsn(group().upper().replace("RFC822", "rfc822")), B, HARD),
    ("action missing", lambda: dsn("Final-Recipient: rfc822; x@kunde.example\r\nStatus: 5.1.1"), B, HARD),
    ("most careful of several", lambda: dsn(group("4.2.2"), group("5.1.1")), B, SOFT),
    ("one of several was reached", lambda: dsn(group("5.1.1"), group("2.0.0", "delivered")), B, UNKNOWN),
    ("all of several are unknown", lambda: dsn(group("5.1.1"), group("5.1.10")), B, HARD),
    (
        "the one of several that the mail was for",
        lambda: dsn(group("4.2.2", recipient="weiter@andere.example"), group("5.1.1"), returned=f"To: {WHOM}\r\n\r\nx"),
        B,
        HARD,
    ),
    (
        "forged recipients",
        lambda: dsn(group(recipient="chef@bank.example"), group("4.0.0", recipient=verp(OTHER))),
        B,
        SOFT,
    ),
    (
        "forged original",
        lambda: dsn(group(), returned=f"Return-Path: <{verp(OTHER)}>\r\n" + OUR_MAIL),
        B,
        HARD,
    ),
    ("base64", lambda: dsn(group(), encoding="base64"), B, HARD),
    ("broken base64", lambda: dsn(group(), encoding="base64").replace(b"UmVw", b"=\xff!"), B, UNKNOWN),
    ("utf-8 report", lambda: dsn(group(), part="message/global-delivery-status"), B, HARD),
    ("inside multipart/mixed", lambda: dsn(group(), report="multipart/mixed"), B, HARD),
    (
        "token in Delivered-To",
        lambda: dsn(group(), to="list@sparkasse.example", head=f"Delivered-To: {verp()}\r\n"),
        B,
        HARD,
    ),
    ("token in angle brackets", lambda: dsn(group(), to=f'"Bounces" <{verp()}>'), B, HARD),
    ("wrong charset", lambda: dsn(group("5.0.0", diagnostic="550 5.1.1 Empf\udce4nger unbekannt")), B, HARD),
    ("unknown charset", lambda: dsn(group()).replace(b"charset=utf-8", b"charset=klingon"), B, HARD),
    ("Postfix marks reports as automatic", lambda: dsn(group(), head="Auto-Submitted: auto-replied\r\n"), B, HARD),
    ("cut in the middle", lambda: dsn(group())[:-80], B, HARD),
    ("bare line feeds", lambda: dsn(group()).replace(b"\r\n", b"\n"), B, HARD),
    ("qmail", lambda: plain(QMAIL.format(reason="No mailbox here by that name. (#5.1.1)", ours="x")), B, HARD),
    ("qmail, words of our mail", lambda: plain(QMAIL.format(reason="Sorry.", ours="550 user unknown")), B, UNKNOWN),
    ("Exim of old", lambda: plain(EXIM, head=EXIM_HEAD), B, HARD),
    ("token of nobody", lambda: dsn(group(), to="b+7.forged@bounce.example"), "UNCLEAR", None),
    ("token cut", lambda: dsn(group(), to=verp()[:12] + "@bounce.example"), "UNCLEAR", None),
    (
        "token of another purpose",
        lambda: dsn(group(), to=f"b+{unsubscribe()}@bounce.example"),
        "UNCLEAR",
        None,
    ),
    ("no token", lambda: dsn(group(recipient=verp()), to="post@sparkasse.example"), "UNCLEAR", None),
    ("a person answers", lambda: plain("Danke für die Glückwünsche!"), "UNCLEAR", None),
    ("rubbish", lambda: b"\x00\xff\xfe rubbish", "UNCLEAR", None),
    ("empty", lambda: b"", "UNCLEAR", None),
    ("nested a hundred times", lambda: nested(100), "UNCLEAR", None),
    ("a report inside an attached mail", inside_an_attached_mail, "UNCLEAR", None),
    ("delayed", lambda: dsn(group("4.4.1", "delayed")), "IGNORED", None),
    ("delayed, hard code", lambda: dsn(group("5.1.1", "delayed")), "IGNORED", None),
    ("delivered", lambda: dsn(group("2.1.5", "delivered")), "IGNORED", None),
    ("relayed", lambda: dsn(group("2.1.9", "relayed")), "IGNORED", None),
    ("expanded", lambda: dsn(group("2.1.5", "expanded")), "IGNORED", None),
    ("delayed, token of nobody", lambda: dsn(group("4.4.1", "delayed"), to="b+x@bounce.example"), "IGNORED", None),
    ("read receipt", lambda: dsn(part="message/disposition-notification"), "IGNORED", None),
    (
        "out of office",
        lambda: plain("bin weg", sender="erika@kunde.example", head="Auto-Submitted: auto-replied (vacation)\r\n"),
        "IGNORED",
        None,
    ),
    ("X-Autoreply", lambda: plain("bin weg", head="X-Autoreply: yes\r\n"), "IGNORED", None),
    ("Precedence", lambda: plain("bin weg", head="Precedence: auto_reply\r\n"), "IGNORED", None),
    ("subject only", lambda: plain("bin weg", subject="Automatische Antwort: Alles Gute"), "IGNORED", None),
    (
        "encoded subject",
        lambda: plain("bin weg", subject="=?utf-8?b?QWJ3ZXNlbmhlaXRzbm90aXo6IEFsbGVzIEd1dGU=?="),
        "IGNORED",
        None,
    ),
    ("not spam", lambda: complaint(fields="Feedback-Type: not-spam", to=verp()), "IGNORED", None),
    ("complaint to the VERP address", lambda: complaint(to=verp()), "COMPLAINT", None),
    (
        "complaint, Original-Mail-From",
        lambda: complaint(fields=f"Feedback-Type: abuse\r\nOriginal-Mail-From: <{verp()}>"),
        "COMPLAINT",
        None,
    ),
    ("complaint, our Return-Path", lambda: complaint(ours=f"Return-Path: <{verp()}>\r\n"), "COMPLAINT", None),
    (
        "complaint, our unsubscribe link",
        lambda: complaint(ours=f"List-Unsubscribe: <https://t.example/u/{unsubscribe()}>\r\n"),
        "COMPLAINT",
        None,
    ),
    ("complaint, everything redacted", lambda: complaint(), "UNCLEAR", None),
]


@pytest.mark.parametrize(("shape", "kind", "expected"), [pytest.param(*rest, id=name) for name, *rest in SHAPES])
def test_shape(shape: Callable[[], bytes], kind: str, expected: BounceClass | None) -> None:
    found = understand(shape())
    assert found.kind == kind
    assert found.message in ({MESSAGE} if kind in ("BOUNCE", "COMPLAINT") else {0, MESSAGE})
    if expected is not None:
        assert found.bounce.bounce_class is expected


def test_status_is_reported() -> None:
    assert understand(dsn(group("5.0.0", diagnostic="550 5.1.10 null MX"))).bounce.status == "5.1.10"


@given(st.data())
@settings(max_examples=100)
def test_a_spoilt_report_is_never_about_somebody_else(data: st.DataObject) -> None:
    """Whatever bytes are changed: the verdict names our message or none, and nothing but known errors come out."""
    mail = bytearray(dsn(group(), to="placeholder@bounce.example"))
    for _ in range(data.draw(st.integers(1, 8))):
        mail[data.draw(st.integers(0, len(mail) - 1))] = data.draw(st.integers(0, 255))
    assert understand(bytes(mail)).message == 0


def test_understood_is_a_value() -> None:
    assert Understood(ReportKind.IGNORED) == Understood(ReportKind.IGNORED, 0)
