"""Rate limits of an institute and of its recipients' domains, shared by all dispatchers through the database.

Each claimed message reserves the next free slot of its institute and of its domain (virtual scheduling, as in the
generic cell rate algorithm); a domain that wants less (SMTP's 421) or refuses too much has its next slot put off, and
so has an institute whose relay wants less of it. Times are the database's own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import RateLimits
from reku.foundation.addresses import normalise
from reku.store.tables import rate_limits

HORIZON = timedelta(seconds=5)
"""Messages whose slot is further away than this are not claimed yet."""
SLOWED_FOR = (30, 60, 120, 300, 600)
"""Seconds that a domain rests after it was slowed down for the first, second … time in a row."""
EVERYTHING = ""
"""Instead of a domain: the institute's own slots."""
_SECONDS_CLAIMED = 2  # a claim holds messages for about so long, since what waits in a claim is seen by nobody else


def batch(limits: RateLimits | None, wanted: int) -> int:
    """How many messages to claim at once: with a low limit fewer than wanted, so that claims stay short."""
    if limits is None or limits.per_second is None:
        return wanted
    return max(1, min(wanted, int(limits.per_second * _SECONDS_CLAIMED)))


def domain(address: str) -> str:
    """The domain of an address as limits name it: lower case, A-labels."""
    name = address.rpartition("@")[2].lower()
    if name.isascii():
        return name
    try:
        return normalise(f"x@{name}").partition("@")[2]
    except ValueError:
        return name  # no mail can be sent there; that is seen when it is filled


def domain_of(address: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The domain of an address column, in lower case."""
    return sa.func.lower(sa.func.substring(address, "@([^@]*)$"))


def next_at(institute: sa.ColumnElement[str], address: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
    """The latest of the next slots of an institute and of the domain of an address, as a subquery; null for none."""
    return (
        sa.select(sa.func.max(rate_limits.c.next_at))
        .where(rate_limits.c.institute == institute, rate_limits.c.domain.in_(("", domain_of(address))))
        .correlate_except(rate_limits)
        .scalar_subquery()
    )


_WAITING = sa.text("""
    SELECT domain FROM reku.rate_limits
    WHERE institute = :institute AND domain <> '' AND next_at > clock_timestamp() + CAST(:horizon AS interval)
""")


def waiting(connection: sa.Connection, institute: str) -> Sequence[str]:
    """Domains whose next slot is beyond the horizon."""
    return connection.scalars(_WAITING, {"institute": institute, "horizon": HORIZON}).all()


def rests(connection: sa.Connection, institute: str) -> bool:
    """Whether nothing of the institute may go out, since its relay wants less."""
    c = rate_limits.c
    resting = (c.institute == institute) & (c.domain == EVERYTHING) & (c.slowed > 0)
    return bool(connection.scalar(sa.select(sa.exists().where(resting, c.next_at > sa.func.clock_timestamp()))))


def slowed(connection: sa.Connection, institute: str) -> Sequence[str]:
    """Domains that were slowed down and have taken nothing since; `EVERYTHING` if the institute was."""
    return connection.scalars(
        sa.select(rate_limits.c.domain).where(rate_limits.c.institute == institute, rate_limits.c.slowed > 0)
    ).all()


_FREE = sa.text("""
    INSERT INTO reku.rate_limits AS p (institute, domain, next_at)
    SELECT :institute, name, clock_timestamp() FROM unnest(CAST(:names AS text[])) AS name
    ON CONFLICT (institute, domain) DO UPDATE SET next_at = greatest(p.next_at, clock_timestamp())
    RETURNING domain, extract(epoch FROM next_at - clock_timestamp())
""")
_OCCUPY = sa.text("""
    UPDATE reku.rate_limits p SET next_at = clock_timestamp() + make_interval(secs => given.free)
    FROM unnest(CAST(:names AS text[]), CAST(:free AS float8[])) AS given(name, free)
    WHERE p.institute = :institute AND p.domain = given.name
""")


def reserve(
    connection: sa.Connection, institute: str, limits: RateLimits | None, addresses: Sequence[str]
) -> list[float | None]:
    """Reserve a slot within the bank's limits (None: it has none) for a message to each of the addresses.

    Returns the seconds from now until each may go out, None where there is no slot within the horizon: nothing is
    reserved for it, and it is for a later claim, or a slow domain would hold everybody up.
    """
    if limits is None:
        return [0.0] * len(addresses)
    domains = [domain(address) for address in addresses] if limits.per_domain else []
    rates = {name: rate for name in set(domains) if (rate := limits.rate(name)) is not None}
    if limits.per_second is not None:
        rates[""] = limits.per_second
    if not rates or not addresses:
        return [0.0] * len(addresses)
    names = sorted(rates)  # in one order, or two dispatchers would wait for each other
    given = {"institute": institute, "names": names}
    free = {name: float(seconds) for name, seconds in connection.execute(_FREE, given)}
    waits: list[float | None] = []
    for place in range(len(addresses)):
        limited = [name for name in ("", domains[place] if domains else "") if name in rates]
        slots: dict[str, float] = {}
        wait = 0.0
        for name in dict.fromkeys(limited):  # the domain's slot comes after the institute's: slots back would add up
            wait = max(wait, free[name])
            slots[name] = wait + 1 / rates[name]
        if wait <= HORIZON.total_seconds():
            free |= slots
        waits.append(wait if wait <= HORIZON.total_seconds() else None)
    connection.execute(_OCCUPY, given | {"free": [free[name] for name in names]})
    return waits


_SLOW = sa.text("""
    INSERT INTO reku.rate_limits AS p (institute, domain, next_at, slowed)
    VALUES (:institute, :domain, clock_timestamp() + make_interval(secs => (CAST(:rests AS float8[]))[1]), 1)
    ON CONFLICT (institute, domain) DO UPDATE SET
        slowed = least(p.slowed + 1, cardinality(CAST(:rests AS float8[]))),
        next_at = clock_timestamp() + make_interval(
            secs => (CAST(:rests AS float8[]))[least(p.slowed + 1, cardinality(CAST(:rests AS float8[])))]
        )
    RETURNING extract(epoch FROM next_at - clock_timestamp())
""")


def slow_down(connection: sa.Connection, institute: str, domain: str) -> float:
    """Let a domain that wants less rest, longer each time, or all of them (`EVERYTHING`). Returns the seconds."""
    rests = connection.scalar(_SLOW, {"institute": institute, "domain": domain, "rests": list(SLOWED_FOR)})
    return float(rests or 0)


def takes_again(connection: sa.Connection, institute: str, domain: str) -> None:
    """Note that a slowed domain takes messages again."""
    connection.execute(
        sa.update(rate_limits)
        .where(rate_limits.c.institute == institute, rate_limits.c.domain == domain)
        .values(slowed=0)
    )
