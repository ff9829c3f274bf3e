"""What the DNS says of a sender domain is judged as receivers judge it; a real server answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from reku.channels.email.sender_dns import DnsFinding, check_sender_domains, resolver_at
from reku.foundation.errors import AwayError, StageError
from reku_testing.name_server import name_server
from reku_testing.ports import free_port

DOMAIN = "bank.example"
SPF, KEY, DMARC = DOMAIN, f"s1._domainkey.{DOMAIN}", f"_dmarc.{DOMAIN}"


@cache
def _key(bits: int = 2048) -> str:
    public = generate_private_key(65537, bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def _good() -> dict[str, list[str]]:
    return {
        SPF: ["something else", "v=spf1 include:relay.example -all"],
        KEY: [f"v=DKIM1; k=rsa; p={_key()}"],
        DMARC: ["v=DMARC1; p=reject; rua=mailto:dmarc@bank.example"],
    }


def _check(records: dict[str, list[str]], domain: str = DOMAIN, selectors: Sequence[str] = ("s1",)) -> list[DnsFinding]:
    with name_server(records) as address:
        return check_sender_domains([domain], selectors, resolver_at(address))


def test_a_domain_as_it_should_be() -> None:
    found = _check(_good())
    assert [(one.record, one.name, one.state) for one in found] == [
        ("SPF", SPF, "fine"),
        ("DKIM", KEY, "fine"),
        ("DMARC", DMARC, "fine"),
    ]
    assert found[1].said == "RSA key of 2048 bits"


@pytest.mark.parametrize(
    ("name", "records", "state", "said"),
    [
        (SPF, [], "fault", "There is none"),
        (SPF, ["v=spf10 -all"], "fault", "There is none"),
        (SPF, ["v=spf1 -all", "v=spf1 a -all"], "fault", "There are 2"),
        (SPF, ["v=spf1 a +all"], "fault", "lets everybody send"),
        (SPF, ["v=spf1 a ?all"], "fault", "lets everybody send"),
        (SPF, ["v=spf1 a"], "warning", "says nothing of all others"),
        (SPF, ["V=SPF1 a ~ALL"], "fine", "V=SPF1"),
        (SPF, ["v=spf1 redirect=relay.example"], "fine", "redirect"),
        (KEY, [], "fault", "Publish the one key"),
        (KEY, ["v=DKIM1; p="], "fault", "withdrawn"),
        (KEY, [f"v=DKIM1; p={_key()[:300]}"], "fault", "cannot be read"),
        (KEY, ["v=DKIM1; p=Müll"], "fault", "cannot be read"),
        (KEY, [f"v=DKIM1; p={_key(1024)}"], "fault", "1024 bits"),
        (KEY, ["v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], "warning", "Ed25519"),
        (KEY, [f"v=DKIM1; t=y:s; p={_key()}"], "warning", "t=y"),
        (DMARC, [], "fault", "There is none"),
        (DMARC, ["v=DMARC1; p=reject", "v=DMARC1; p=none"], "fault", "There are 2"),
        (DMARC, ["v=DMARC1; p=none"], "warning", "forged mails get through"),
        (DMARC, ["v=DMARC1; p=maybe"], "fault", "p=maybe"),
        (DMARC, ["v = DMARC1 ; p = quarantine"], "fine", "quarantine"),
    ],
)
def test_each_fault_is_said(name: str, records: list[str], state: str, said: str) -> None:
    """`records` stand at a name in place of the good ones; the others stay fine."""
    by_name = {one.name: one for one in _check(_good() | {name: records})}
    assert (by_name[name].state, said in by_name[name].said) == (state, True), by_name[name]
    assert {one.state for one in by_name.values() if one.name != name} == {"fine"}


def test_the_policy_of_the_domain_above_holds() -> None:
    found = _check(_good(), domain=f"news.{DOMAIN}", selectors=())
    assert [(one.record, one.state) for one in found] == [("SPF", "fault"), ("DKIM", "warning"), ("DMARC", "fine")]
    assert found[2].name == DMARC


def test_no_answer_is_no_finding() -> None:
    resolver = resolver_at(f"127.0.0.1:{free_port()}")
    resolver.lifetime = 0.2
    with pytest.raises(AwayError, match="--nameserver"):
        check_sender_domains([DOMAIN], (), resolver)
    with pytest.raises(StageError, match=r"192\.0\.2\.1:53"):
        resolver_at("no address")
