"""What spam filters say of the media that are shipped: our own figures, and SpamAssassin's local rules."""

from __future__ import annotations

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reku.catalogue import institutes, media
from reku.channels.email.media import score
from reku.channels.email.media.compile import compile_medium
from reku.foundation.settings import INCLUDE
from tests.channels.email.conftest import Probe

BANKS = sorted(institutes(INCLUDE))
SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"list-unsubscribe", b"list-unsubscribe-post")

pytestmark = pytest.mark.usefixtures("reku_settings")


def test_every_medium_is_fine() -> None:
    for number, key in enumerate(sorted(media())):
        found = score.findings(compile_medium(media()[key], institutes()[BANKS[number % len(BANKS)]]))
        assert [one for one in found if not one.fine] == [], key
        assert len(found) == 10


def test_what_is_not_fine_is_seen(probe: Probe) -> None:
    shouted = 'subject: "GRATIS!!! NUR HEUTE €€€"'
    old = 'subject: "Guten Tag {% if Nachname %}{{ Nachname }}{% else %}zusammen{% endif %}"'
    found = score.findings(probe("medium.yaml", old, shouted))
    assert {one.what for one in found if not one.fine} == {"capitals in the subject", "shouting in the subject"}


def signed(mail: bytes, domain: str, key: bytes) -> bytes:
    return bytes(dkim.sign(mail, b"probe", domain.encode(), key, include_headers=SIGNED)) + mail


@pytest.mark.skipif(not score.has_spamassassin(), reason=score.INSTALL)
def test_spamassassin_gives_every_signed_medium_less_than_two_points_and_spam_more() -> None:
    own = rsa.generate_private_key(65537, 2048)
    key = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    mails = []
    for number, medium in enumerate(sorted(media())):
        bank = institutes()[BANKS[number % len(BANKS)]]
        mail = score.sample_mail(compile_medium(media()[medium], bank))
        mails.append(signed(mail.data, bank.sender.domains[0], key))
    assert dkim.verify(mails[0], dnsfunc=lambda *_name, **_patience: record)
    spam = (
        b"From: x\r\nTo: y@bank.example\r\nSubject: FREE VIAGRA!!! MAKE MONEY FAST\r\n"
        b"Content-Type: text/html\r\n\r\n<html><font color='#FFFFFF'>V1AGRA</font> $$$ click here $$$ lottery\r\n"
    )
    *reports, of_spam = score.spam_reports([*mails, spam])
    assert len(reports) == 29
    assert {
        key: report for key, report in zip(sorted(media()), reports, strict=True) if report.points >= score.WORST
    } == {}
    assert {report.rules[0] for report in reports} <= {"DKIM_INVALID", "DKIM_SIGNED", "HTML_MESSAGE"}
    assert of_spam.points > 3
