"""The pace of an institute and of its recipients' domains, shared by all dispatchers through the database.

Each claimed mail reserves the next free slot of its institute and of its domain (virtual scheduling, as in the generic
cell rate algorithm); a domain that answers 421 has its next slot put off. Times are the database's own clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from reku.addresses import normalise
from reku.catalogue.institute import Institute, Limits
from reku.store.tables import paces

HORIZON = timedelta(seconds=5)
"""Mails whose slot is further away than this are not claimed yet."""
SLOWED_FOR = (30, 60, 120, 300, 600)
"""Seconds that a domain rests after the first, second … 421 in a row."""
_SECONDS_CLAIMED = 2  # a claim holds mails for about so long, since what waits in a claim is seen by nobody else


def batch(limits: Limits, wanted: int) -> int:
    """How many mails to claim at once: at a slow pace fewer than wanted, so that claims stay short."""
    return wanted if limits.per_second is None else max(1, min(wanted, int(limits.per_second * _SECONDS_CLAIMED)))


def domain(address: str) -> str:
    """The domain of an address as limits name it: lower case, A-labels."""
    found = address.rpartition("@")[2].lower()
    if found.isascii():
        return found
    try:
        return normalise(f"x@{found}").partition("@")[2]
    except ValueError:
        return found  # no mail can be sent there; that is found when it is filled


def domain_of(address: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The domain of an address column, in lower case."""
    return sa.func.lower(sa.func.substring(address, "@([^@]*)$"))


def next_at(institute: sa.ColumnElement[str], address: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
    """The latest of the next slots of an institute and of the domain of an address, as a subquery; null for none."""
    return (
        sa.select(sa.func.max(paces.c.next_at))
        .where(paces.c.institute == institute, paces.c.domain.in_(("", domain_of(address))))
        .correlate_except(paces)
        .scalar_subquery()
    )


_WAITING = sa.text("""
    SELECT domain FROM reku.paces
    WHERE institute = :institute AND domain <> '' AND next_at > clock_timestamp() + CAST(:horizon AS interval)
""")


def waiting(connection: sa.Connection, institute: str) -> Sequence[str]:
    """Domains whose next slot is beyond the horizon."""
    return connection.scalars(_WAITING, {"institute": institute, "horizon": HORIZON}).all()


_RESERVE = sa.text("""
    INSERT INTO reku.paces AS p (institute, domain, next_at)
    VALUES (:institute, :domain, clock_timestamp() + :slots * CAST(:step AS interval))
    ON CONFLICT (institute, domain) DO UPDATE
        SET next_at = greatest(p.next_at, clock_timestamp()) + :slots * CAST(:step AS interval)
    RETURNING extract(epoch FROM p.next_at - :slots * CAST(:step AS interval) - clock_timestamp())
""")


def reserve(connection: sa.Connection, institute: Institute, addresses: Sequence[str]) -> list[float]:
    """Reserve a slot for a mail to each of the addresses. Returns the seconds from now until each may go out."""
    limits = institute.limits
    waits = [0.0] * len(addresses)
    by_domain: dict[str, list[int]] = defaultdict(list)
    if limits.per_second is not None:
        by_domain[""] = list(range(len(addresses)))
    if limits.per_domain:
        for place, address in enumerate(addresses):
            by_domain[domain(address)].append(place)
    for name, places in sorted(by_domain.items()):  # in one order, or two dispatchers would wait for each other
        rate = limits.rate(name) if name else limits.per_second
        if rate is None or not places:
            continue
        step = timedelta(seconds=1 / rate)
        first = connection.scalar(
            _RESERVE, {"institute": institute.blz, "domain": name, "slots": len(places), "step": step}
        )
        for number, place in enumerate(places):
            waits[place] = max(waits[place], float(first or 0) + number / rate)
    return waits


_SLOW = sa.text("""
    INSERT INTO reku.paces AS p (institute, domain, next_at, slowed)
    VALUES (:institute, :domain, clock_timestamp() + make_interval(secs => (CAST(:rests AS float8[]))[1]), 1)
    ON CONFLICT (institute, domain) DO UPDATE SET
        slowed = least(p.slowed + 1, cardinality(CAST(:rests AS float8[]))),
        next_at = clock_timestamp() + make_interval(
            secs => (CAST(:rests AS float8[]))[least(p.slowed + 1, cardinality(CAST(:rests AS float8[])))]
        )
    RETURNING extract(epoch FROM next_at - clock_timestamp())
""")


def slow_down(connection: sa.Connection, institute: str, domain: str) -> float:
    """Let a domain that answered 421 rest, longer each time. Returns the seconds."""
    rests = connection.scalar(_SLOW, {"institute": institute, "domain": domain, "rests": list(SLOWED_FOR)})
    return float(rests or 0)


def at_ease(connection: sa.Connection, institute: str, domain: str) -> None:
    """Note that a slowed domain takes mails again."""
    connection.execute(
        sa.update(paces).where(paces.c.institute == institute, paces.c.domain == domain).values(slowed=0)
    )
