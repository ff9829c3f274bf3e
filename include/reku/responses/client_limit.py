"""How much is recorded at most: token buckets for each client and for each message, in memory only.

A client's address is kept as a hash under a key that this process makes at its start and tells nobody, so that nothing
of it can be stored or recognised later.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address

REMEMBERED = 50_000
"""Clients, or messages, that are remembered; the one not seen for longest is forgotten first."""

_IPV6_PREFIX = 56
"""Bits of a network that one customer has all addresses of: providers give out a /64 to a /56 (RIPE-690)."""


class Limit:
    """One bucket for each key: `burst` at once, `rate` more each second."""

    def __init__(self, rate: float, burst: int, remembered: int = REMEMBERED) -> None:
        self._rate, self._burst, self._remembered = rate, float(burst), remembered
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def count(self, key: Hashable) -> bool:
        """Whether one more of this key is within the limit."""
        now = time.monotonic()
        left, seen = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - seen) * self._rate)
        allowed = left >= 1
        self._buckets[key] = (left - 1 if allowed else left, now)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        return allowed


class ClientLimit(Limit):
    """A limit whose keys are clients, kept as hashes."""

    def __init__(self, rate: float, burst: int, remembered: int = REMEMBERED) -> None:
        super().__init__(rate, burst, remembered)
        self._key = secrets.token_bytes(32)

    def allow(self, address: str) -> bool:
        """Whether one more of this client counts."""
        return self.count(hashlib.blake2b(client_of(address).encode(), key=self._key, digest_size=8).digest())


def client_of(address: str) -> str:
    """What counts as one client: an IPv4 address; of an IPv6 address the network that one customer has."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> (128 - _IPV6_PREFIX):x}::/{_IPV6_PREFIX}"
    return address
