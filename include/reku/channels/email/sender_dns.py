"""What the DNS says of the domains that a bank's mails come from: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489).

Large providers refuse mails, or put them aside, whose domain has none of these. Only what can be seen from outside is
judged: whether the relay is meant by the SPF record, and signs with the key, is seen in a mail that has arrived.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

import dns.exception
import dns.resolver
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from reku.foundation.errors import AwayError, StageError

SHORTEST_RSA_KEY = 2048
"""Bits; verifiers need not take shorter ones than 1024, and those can be broken."""
_SECONDS = 5


class DnsState(StrEnum):
    """Whether a record is as it should be."""

    FINE = "fine"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class DnsFinding:
    """What was found of one record: `record` SPF, DKIM or DMARC; `name`: where it stands in the DNS."""

    record: str
    name: str
    state: DnsState
    said: str


def resolver_at(nameserver: str = "") -> dns.resolver.Resolver:
    """What asks the DNS: the machine's own resolver, or that name server (`address` or `address:port`).

    Raises StageError for an address that is none, and where the machine has no resolver.
    """
    try:
        if not nameserver:
            resolver = dns.resolver.Resolver()
        else:
            address, _, port = nameserver.partition(":")
            resolver = dns.resolver.Resolver(configure=False)
            resolver.nameservers, resolver.port = [address], int(port or 53)
    except (ValueError, dns.exception.DNSException) as error:
        raise StageError(f"No name server can be asked ({error}). Write it as 192.0.2.1 or 192.0.2.1:53.") from None
    resolver.lifetime = _SECONDS
    return resolver


def check_sender_domains(
    domains: Collection[str], selectors: Collection[str], resolver: dns.resolver.Resolver
) -> list[DnsFinding]:
    """SPF, DKIM (of each selector) and DMARC of each domain. Raises AwayError if the name server does not answer."""
    found = []
    for domain in domains:
        found += [_spf(domain, resolver), *_dkim(domain, selectors, resolver), _dmarc(domain, resolver)]
    return found


def _spf(domain: str, resolver: dns.resolver.Resolver) -> DnsFinding:
    records = [text for text in _txt(domain, resolver) if text.lower().split(" ")[0] == "v=spf1"]

    def found(state: DnsState, said: str) -> DnsFinding:
        return DnsFinding("SPF", domain, state, said)

    if not records:
        return found(DnsState.FAULT, "There is none. Publish one that names the mail server: v=spf1 include:… -all")
    if len(records) > 1:
        return found(DnsState.FAULT, f"There are {len(records)}; receivers then use none. Join them to one.")
    last = records[0].split()[-1].lower()
    if last in ("+all", "all", "?all"):
        return found(DnsState.FAULT, f"It ends with {last}, which lets everybody send. End it with -all or ~all.")
    if last not in ("-all", "~all") and not last.startswith("redirect="):
        return found(DnsState.WARNING, "It says nothing of all others. End it with -all or ~all.")
    return found(DnsState.FINE, records[0])


def _dkim(domain: str, selectors: Collection[str], resolver: dns.resolver.Resolver) -> Iterator[DnsFinding]:
    if not selectors:
        name = f"…._domainkey.{domain}"
        said = "Not looked at: the DNS does not list selectors. Name the one that the mail server signs with."
        yield DnsFinding("DKIM", name, DnsState.WARNING, said)
    for selector in selectors:
        name = f"{selector}._domainkey.{domain}"
        state, said = _key_said(_txt(name, resolver))
        yield DnsFinding("DKIM", name, state, said)


def _key_said(records: list[str]) -> tuple[DnsState, str]:
    if len(records) != 1:
        what = "There is none" if not records else f"There are {len(records)}"
        return DnsState.FAULT, f"{what}. Publish the one key that the mail server signs with: v=DKIM1; k=rsa; p=…"
    tags = _tags(records[0])
    if not tags.get("p"):
        return DnsState.FAULT, "It has no key (p=), which says that the key was withdrawn."
    if tags.get("k", "rsa") == "ed25519":
        return DnsState.WARNING, "An Ed25519 key: many receivers do not know it yet. Publish an RSA key as well."
    try:
        key = load_der_public_key(base64.b64decode(tags["p"].replace(" ", ""), validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return DnsState.FAULT, "Its key cannot be read. Was it cut off when it was published?"
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST_RSA_KEY:
        size = f"{key.key_size} bits" if isinstance(key, RSAPublicKey) else "of another kind"
        return DnsState.FAULT, f"Its key is {size}. Take an RSA key of {SHORTEST_RSA_KEY} bits at least."
    if "y" in tags.get("t", "").split(":"):
        return DnsState.WARNING, "It is marked as a test (t=y): receivers treat mails as unsigned."
    return DnsState.FINE, f"RSA key of {key.key_size} bits"


def _dmarc(domain: str, resolver: dns.resolver.Resolver) -> DnsFinding:
    """That of the domain, else of the nearest domain above it that has one."""
    labels = domain.split(".")
    for first in range(max(1, len(labels) - 1)):
        name = f"_dmarc.{'.'.join(labels[first:])}"
        records = [text for text in _txt(name, resolver) if text.replace(" ", "").lower().startswith("v=dmarc1")]
        if records:
            return _policy_said(name, records)
    said = "There is none. Publish v=DMARC1; p=none; rua=mailto:… first, and p=reject when the reports look well."
    return DnsFinding("DMARC", f"_dmarc.{domain}", DnsState.FAULT, said)


def _policy_said(name: str, records: list[str]) -> DnsFinding:
    if len(records) > 1:
        return DnsFinding("DMARC", name, DnsState.FAULT, f"There are {len(records)}; receivers then use none.")
    policy = _tags(records[0]).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return DnsFinding("DMARC", name, DnsState.FAULT, f"Its policy p={policy} is none of none, quarantine, reject.")
    if policy == "none":
        said = "p=none: forged mails get through. Go on to quarantine or reject when the reports look well."
        return DnsFinding("DMARC", name, DnsState.WARNING, said)
    return DnsFinding("DMARC", name, DnsState.FINE, records[0])


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _txt(name: str, resolver: dns.resolver.Resolver) -> list[str]:
    try:
        answer = resolver.resolve(name, "TXT")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except dns.exception.DNSException as error:
        raise AwayError(
            f"The name server does not say what stands at {name} ({type(error).__name__}). Is the network there, and"
            " may this machine ask the DNS? Name another server with --nameserver."
        ) from None
    return [b"".join(row.strings).decode("utf-8", errors="replace") for row in answer]
