"""Complaints: what is one, and whom to believe. A complaint that proves nothing is for a person."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reku.foundation import mail_proof
from reku.foundation.tokens import Purpose, Target, make
from reku.responses.mail_parts import head_of
from reku.responses.reports import ReportKind, Understood, understand
from reku.responses.vouching import is_vouched_for
from reku_testing.dispatching import change_settings
from tests.responses.reports import our_mail

pytestmark = pytest.mark.usefixtures("reku_settings")

MESSAGE = 4711
LOOP = "staff@provider.example"
OUR_SERVER = "mx.bank.example"


@pytest.fixture(autouse=True)
def _loops(reku_settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, feedback_loops=f"{LOOP}, @arf.other.example", authserv_id=OUR_SERVER)


def complaint(
    type_: str = "abuse",
    *,
    ours: str | None = None,
    sender: str = LOOP,
    to: str = "fbl@bank.example",
    head: str = "",
    attached: str = "message/rfc822",
) -> str:
    ours = our_mail(MESSAGE, whole=False) if ours is None else ours
    return (
        f"{head}From: Feedback <{sender}>\nTo: {to}\nSubject: FW: Alles Gute\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\nA complaint.\n--b\nContent-Type: message/feedback-report\n\n"
        f"Feedback-Type: {type_}\nUser-Agent: Loop/1.0\nVersion: 1\n\n"
        f"--b\nContent-Type: {attached}\n\n{ours}\n--b--\n"
    )


def read(mail: str | bytes, txt: Callable[[str], bytes | None] = lambda _: None) -> Understood:
    return understand(mail.encode() if isinstance(mail, str) else mail, txt)


# What is a complaint


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("abuse", ReportKind.COMPLAINT),
        ("Fraud", ReportKind.COMPLAINT),
        ("not-spam", ReportKind.IGNORED),
        ("auth-failure", ReportKind.UNCLEAR),
        ("virus", ReportKind.UNCLEAR),
        ("other", ReportKind.UNCLEAR),
        ("opt-out", ReportKind.UNCLEAR),
        ("something-new", ReportKind.UNCLEAR),
        ("", ReportKind.UNCLEAR),
    ],
)
def test_only_abuse_and_fraud_are_complaints(type_: str, kind: ReportKind) -> None:
    """Even if everything is proven: what is no complaint bars nobody."""
    found = read(complaint(type_, ours=our_mail(MESSAGE)))
    assert found.kind == kind
    assert found.is_proven == (kind is ReportKind.COMPLAINT)


OLDER_FORM = """\
From: staff@provider.example
To: fbl@bank.example
Subject: {subject}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="y"

--y
Content-Type: message/rfc822
Content-Disposition: inline

{field}{ours}
--y--
"""


@pytest.mark.parametrize(
    ("subject", "field", "is_one"),
    [
        ("complaint about message from 192.0.2.1", "X-HmXmrOriginalRecipient: erika@kunde.example\n", True),
        ("complaint about message from 192.0.2.1", "", True),
        ("FW: Alles Gute", "X-HmXmrOriginalRecipient: erika@kunde.example\n", True),
        ("FW: Alles Gute", "", False),
    ],
)
def test_the_older_form_without_a_report(subject: str, field: str, is_one: bool) -> None:
    found = read(OLDER_FORM.format(subject=subject, field=field, ours=our_mail(MESSAGE, whole=False)))
    assert found.kind == (ReportKind.COMPLAINT if is_one else ReportKind.UNCLEAR)
    assert (found.message, found.is_proven) == (MESSAGE if is_one else 0, False)
    proven = read(OLDER_FORM.format(subject=subject, field=field, ours=our_mail(MESSAGE)))
    assert proven.is_proven == is_one


# Our whole mail


def _spoilt(change: Callable[[str], str]) -> str:
    return complaint(ours=change(our_mail(MESSAGE)), sender="nobody@evil.example")


@pytest.mark.parametrize(
    ("what", "change", "is_proven"),
    [
        ("as it is", lambda mail: mail, True),
        ("other line ends", lambda mail: mail.replace("\n", "\r\n"), True),
        ("blanks at line ends", lambda mail: mail.replace("Gute!", "Gute!  "), True),
        ("folded", lambda mail: mail.replace(f"{mail_proof.FIELD}: ", f"{mail_proof.FIELD}:\n "), True),
        ("header added", lambda mail: f"Received: by x\nX-Spam: no\n{mail}", True),
        ("recipient blacked out", lambda mail: mail.replace("erika@kunde.example", "redacted"), True),
        ("another text", lambda mail: mail.replace("Gute!", "Schlechte!"), False),
        ("text left out", lambda mail: mail.replace("alles Gute!", ""), False),
        ("cut", lambda mail: mail[:-12], False),
        ("proof left out", lambda mail: mail.replace(mail_proof.FIELD, "X-Other"), False),
        ("proof of another mail", lambda mail: mail.replace("Gute!", "Gute !?"), False),
        ("capitals", lambda mail: mail.replace(_proof_in(mail), _proof_in(mail).upper()), False),
    ],
)
def test_the_whole_mail_proves_a_complaint(what: str, change: Callable[[str], str], is_proven: bool) -> None:
    found = read(_spoilt(change))
    assert (found.kind, found.message, found.is_proven) == (ReportKind.COMPLAINT, MESSAGE, is_proven)


def _proof_in(mail: str) -> str:
    return mail.partition(f"{mail_proof.FIELD}: ")[2].partition("\n")[0]


def test_the_whole_mail_says_whose_it_is() -> None:
    """Neither the address that it was sent to nor what stands around it."""
    other = make(Purpose.BOUNCE, Target(7))
    found = read(
        complaint(ours=f"Return-Path: <b+{other}@bounce.example>\n{our_mail(MESSAGE)}", to=f"b+{other}@b.example")
    )
    assert (found.message, found.is_proven) == (MESSAGE, True)


def test_a_proof_is_of_one_body_and_one_message() -> None:
    one, two = our_mail(1, "eins"), our_mail(2, "zwei")
    swapped = one.replace(_proof_in(one), _proof_in(two))
    assert not read(complaint(ours=swapped)).is_proven
    assert list(mail_proof.proven_messages((one + two).encode())) == [1, 2]


# A feedback loop that is authenticated


@cache
def _key() -> tuple[bytes, bytes]:
    """A private key for signing, and the record of its public key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def signed(mail: str, domain: str = "provider.example", **how: object) -> bytes:
    data = mail.replace("\n", "\r\n").encode()
    headers = [b"from", b"to", b"subject", b"mime-version", b"content-type"]
    return bytes(dkim.sign(data, b"sel", domain.encode(), _key()[0], include_headers=headers, **how)) + data


def dns(*domains: str) -> Callable[[str], bytes | None]:
    names = {f"sel._domainkey.{domain}." for domain in domains}
    return lambda name: _key()[1] if name in names else None


def test_a_signed_report_of_a_configured_loop_is_believed() -> None:
    found = read(signed(complaint()), dns("provider.example"))
    assert (found.kind, found.message, found.is_proven) == (ReportKind.COMPLAINT, MESSAGE, True)


@pytest.mark.parametrize(
    ("why_not", "mail", "txt"),
    [
        ("no key in the DNS", lambda: signed(complaint()), dns()),
        (
            "the loop is not configured",
            lambda: signed(complaint(sender="user@provider.example")),
            dns("provider.example"),
        ),
        (
            "signed by somebody else",
            lambda: signed(complaint(), "evil.example"),
            dns("evil.example", "provider.example"),
        ),
        ("not signed", lambda: complaint().encode(), dns("provider.example")),
        ("changed", lambda: signed(complaint()).replace(b"A complaint.", b"A compliment"), dns("provider.example")),
        ("only a part is signed", lambda: signed(complaint(), length=True), dns("provider.example")),
        ("added below", lambda: signed(complaint(), length=True) + b"more\r\n", dns("provider.example")),
        (
            "two senders",
            lambda: signed(complaint()).replace(b"From: ", b"From: boss@bank.example\r\nFrom: ", 1),
            dns("provider.example"),
        ),
        (
            "a sender beside it",
            lambda: signed(complaint(sender=f"{LOOP}>, <boss@bank.example")),
            dns("provider.example"),
        ),
        ("broken", lambda: b"DKIM-Signature: v=1; a=\xff; ;;=\r\n" + complaint().encode(), dns("provider.example")),
    ],
)
def test_nobody_vouches(why_not: str, mail: Callable[[], bytes], txt: Callable[[str], bytes | None]) -> None:
    found = read(mail(), txt)
    assert not found.is_proven, why_not
    assert found.kind is ReportKind.COMPLAINT


def test_a_loop_vouches_for_what_is_in_its_report_not_for_where_it_went() -> None:
    """A report that was blacked out, sent to a return path: whoever passes it on chooses that."""
    mail = complaint(ours="From: x\n\nblacked out", to=f"b+{make(Purpose.BOUNCE, Target(MESSAGE))}@bounce.example")
    found = read(signed(mail), dns("provider.example"))
    assert (found.message, found.is_proven) == (MESSAGE, False)


def test_tokens_of_two_messages_are_nobodys() -> None:
    mixed = our_mail(MESSAGE, whole=False).replace(
        make(Purpose.UNSUBSCRIBE, Target(MESSAGE)), make(Purpose.UNSUBSCRIBE, Target(7))
    )
    found = read(signed(complaint(ours=mixed)), dns("provider.example"))
    assert (found.kind, found.message, found.is_proven) == (ReportKind.UNCLEAR, 0, False)


def test_a_domain_that_does_nothing_else_may_be_configured_as_a_whole() -> None:
    found = read(signed(complaint(sender="any@arf.other.example"), "other.example"), dns("other.example"))
    assert found.is_proven


# Authentication-Results of our own server (RFC 8601)

PASS = f"Authentication-Results: {OUR_SERVER};\n dkim=pass (2048-bit key) header.d=provider.example header.b=abc\n"
FAIL = f"Authentication-Results: {OUR_SERVER}; dkim=fail header.d=provider.example\n"
OF_ANOTHER = PASS.replace(OUR_SERVER, "mx.evil.example")
RECEIVED = "Received: from somewhere by mx.bank.example; Tue, 24 Nov 2026 09:01:02 +0100\n"


@pytest.mark.parametrize(
    ("what", "head", "is_vouched_for_"),
    [
        ("passes", PASS + RECEIVED, True),
        ("below our own hop", RECEIVED + PASS, True),
        ("dmarc", PASS.replace("dkim", "dmarc").replace("header.d", "header.from"), True),
        ("by a domain above", PASS.replace("=provider", "=PROVIDER"), True),
        ("version", PASS.replace(f"{OUR_SERVER};", f"{OUR_SERVER} 1;"), True),
        ("another id's capitals", PASS.replace(OUR_SERVER, OUR_SERVER.upper()), True),
        ("fails", FAIL, False),
        ("none", f"Authentication-Results: {OUR_SERVER}; none\n", False),
        ("of another server", OF_ANOTHER, False),
        ("of another domain", PASS.replace("provider.example", "evil.example"), False),
        ("of a top-level domain", PASS.replace("provider.example", "example"), False),
        ("of a domain beside it", PASS.replace("=provider.example", "=notprovider.example"), False),
        ("another method", PASS.replace("dkim=pass", "spf=pass").replace("header.d", "smtp.mailfrom"), False),
        ("forged below ours", FAIL + RECEIVED + PASS, False),
        ("forged below ours at once", FAIL + PASS, False),
        ("forged below the next hop", RECEIVED + RECEIVED + PASS, False),
        ("forged below ours that says nothing of it", f"Authentication-Results: {OUR_SERVER}; spf=pass\n{PASS}", False),
        ("forged below one of another", OF_ANOTHER + PASS, False),
        ("broken", "Authentication-Results: ;;;\n" + PASS, False),
        ("in a comment", f"Authentication-Results: x (; dkim=pass) ; none ({OUR_SERVER})\n", False),
    ],
)
def test_what_our_own_server_says(what: str, head: str, is_vouched_for_: bool) -> None:
    data = complaint(head=head).encode()
    assert is_vouched_for(head_of(data), data, dns()) == is_vouched_for_
    assert read(data, dns()).is_proven == is_vouched_for_


def test_further_hops_of_our_own_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    data = complaint(head=RECEIVED + RECEIVED + PASS).encode()
    change_settings(monkeypatch, feedback_loops=LOOP, authserv_id=OUR_SERVER, bounce_received_hops="2")
    assert is_vouched_for(head_of(data), data, dns())


def test_nothing_is_believed_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({"feedback_loops": "", "authserv_id": OUR_SERVER}, {"feedback_loops": LOOP, "authserv_id": ""}):
        change_settings(monkeypatch, **settings)
        assert not read(complaint(head=PASS), dns()).is_proven
