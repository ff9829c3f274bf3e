"""Who vouches for a complaint: a configured feedback loop that is authenticated.

By the `Authentication-Results` (RFC 8601) of the bank's own receiving server, or by the mail's own DKIM signature
(RFC 6376). In both cases the address in From must be the loop's, and the domain that vouches for it must be From's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from email.message import Message
from email.utils import getaddresses
from functools import lru_cache

import authres
import dkim
import dns.exception
import dns.resolver

from reku.foundation.settings import settings
from reku.responses.mail_parts import fields

log = logging.getLogger(__name__)
logging.getLogger("dkim").disabled = True  # it logs header fields of mails

Txt = Callable[[str], bytes | None]
"""Looks up the TXT record of a name; None where there is none, or nobody answers."""

_SECONDS = 3.0
_MOST_SIGNATURES = 3
_MOST_LOOK_UPS = 50
"""For one process: names are chosen by whoever writes the mail."""


def is_vouched_for(head: Message, data: bytes, txt: Txt | None = None) -> bool:
    """Whether the mail with this head and these bytes comes from a feedback loop that is configured."""
    sender = _only_sender(head)
    if sender is None or not _is_feedback_loop(sender):
        return False
    domain = sender.rpartition("@")[2]
    return _by_own_server(head, domain) or _by_dkim(data, domain, txt or look_up)


def _only_sender(head: Message) -> str | None:
    """The address in From; None if there is not exactly one, since it would be unclear which of them is vouched for."""
    written = fields(head, "From")
    addresses = [address for _, address in getaddresses(written)] if len(written) == 1 else []
    return addresses[0].casefold() if len(addresses) == 1 and "@" in addresses[0] else None


def _is_feedback_loop(sender: str) -> bool:
    loops = settings().feedback_loops
    return sender in loops or f"@{sender.rpartition('@')[2]}" in loops


def _by_own_server(head: Message, domain: str) -> bool:
    """Whether our own server says that DKIM or DMARC passes for this domain, in the topmost field that it wrote.

    Whatever stands below may be the sender's own, also under our server's name.
    """
    field = _topmost_result(head)
    try:
        read = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {field}") if field else None
    except Exception:  # noqa: BLE001 # raises whatever a broken field makes it raise: then nobody vouches
        return False
    if read is None or str(read.authserv_id).casefold() != settings().authserv_id.casefold():
        return False
    return any(one.result == "pass" and _aligned(_signer(one), domain) for one in read.results)


def _topmost_result(head: Message) -> str:
    """The first Authentication-Results above the first hop that is not ours; "" where our server writes none."""
    hops = 0
    for name, value in head.raw_items() if settings().authserv_id else ():
        hops += name.casefold() == "received"
        if hops > settings().bounce_received_hops:
            break
        if name.casefold() == "authentication-results":
            return str(value)
    return ""


_DOMAIN_IN = {"dkim": "d", "dmarc": "from"}


def _signer(result: authres.AuthenticationResult) -> str:
    """The domain that a result of DKIM or DMARC is about; "" for other methods."""
    wanted = ("header", _DOMAIN_IN.get(result.method))
    return next((str(one.value) for one in result.properties if (one.type, one.name) == wanted), "")


def _by_dkim(data: bytes, domain: str, txt: Txt) -> bool:
    """Whether one of the first signatures holds, is by this domain and covers the whole body."""
    try:
        mail = dkim.DKIM(data)
        signatures = [value for name, value in mail.headers if name.lower() == b"dkim-signature"]
        for number, signature in enumerate(signatures[:_MOST_SIGNATURES]):
            tags = dkim.util.parse_tag_value(signature)
            signer = tags.get(b"d", b"").decode("ascii", "replace")
            # with l= anybody may write below what was signed
            if b"l" in tags or not _aligned(signer, domain):
                continue
            if mail.verify(number, dnsfunc=lambda name, **_: txt(_text(name))):
                return True
    except Exception as error:  # noqa: BLE001 # raises all sorts of errors on broken signatures: then nobody vouches
        log.warning("the DKIM signature of a complaint cannot be read (%s)", type(error).__name__)
    return False


def _text(name: str | bytes) -> str:
    return name.decode("ascii", "replace") if isinstance(name, bytes) else name


def _aligned(signer: str, domain: str) -> bool:
    """Whether the domain that vouches is From's own, or one above it; a top-level domain vouches for nobody."""
    signer = signer.casefold().strip(" .")
    return "." in signer and (domain == signer or domain.endswith(f".{signer}"))


_asked: list[str] = []


@lru_cache(_MOST_LOOK_UPS)
def look_up(name: str) -> bytes | None:
    """The TXT record of a name in the DNS."""
    if len(_asked) >= _MOST_LOOK_UPS:
        return None
    _asked.append(name)
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=_SECONDS)
    except (dns.exception.DNSException, OSError, ValueError):
        return None
    return b"".join(next(iter(answer)).strings)
