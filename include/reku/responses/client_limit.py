"""How much one client may have recorded: a token bucket for each address, in memory only.

An address is kept as a hash under a key that this process makes at its start and tells nobody, so that nothing of it
can be stored or recognised later.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

CLIENTS = 50_000
"""Clients that are remembered; the one not seen for longest is forgotten first."""


class ClientLimit:
    """One bucket for each client: `burst` at once, `rate` more each second."""

    def __init__(self, rate: float, burst: int, clients: int = CLIENTS) -> None:
        self._rate, self._burst, self._clients = rate, float(burst), clients
        self._key = secrets.token_bytes(32)
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def allow(self, address: str) -> bool:
        """Whether one more of this client counts."""
        client = hashlib.blake2b(_network(address).encode(), key=self._key, digest_size=8).digest()
        now = time.monotonic()
        left, seen = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - seen) * self._rate)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left, now)
        if len(self._buckets) > self._clients:
            self._buckets.popitem(last=False)
        return allowed


def _network(address: str) -> str:
    """An IPv4 address itself; of an IPv6 address the /64, of which every customer has all addresses."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> 64:x}::/64"
    return address
