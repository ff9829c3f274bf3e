"""Addresses and networks of the internet protocol, as settings name them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_WIDEST = {4: 8, 6: 7}
"""The shortest prefixes that private networks have (RFC 1918, RFC 4193): what is wider is the internet."""


def networks(joined: str) -> tuple[Network, ...]:
    """Addresses and networks joined by commas. Raises ValueError, with what would be right, for anything else."""
    return tuple(_network(text.strip()) for text in joined.split(",") if text.strip())


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no address or network; name each one, such as 192.0.2.7 or 192.0.2.0/24, joined by commas"
        ) from None
    if network.prefixlen < _WIDEST[network.version]:
        raise ValueError(f"{text!r} is half the internet; name the proxy's own address or network")
    return network


def is_within(address: str, within: Sequence[Network]) -> bool:
    """Whether the address lies in one of the networks; what is no address lies in none."""
    if not within:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in within)


def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
