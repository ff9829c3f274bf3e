"""What people do by hand about addresses that may not be written to: bar, unsubscribe, import, look up, lift; audited.

Addresses are kept as HMAC only. Whatever bars somebody can be lifted by a person who says why; it stays on record
(docs/contact.md, "Unsubscribes, complaints, blacklist").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes
from reku.foundation import addresses, clock
from reku.foundation.errors import StageError
from reku.store.audit import put_on_record
from reku.store.bounce_series import RETAINED_AT, retained_addresses, series
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind, SuppressionSource, UnsubscribedFrom
from reku.store.tables import EVERY_INSTITUTE, barred_domains, messages, orders, reactivations, suppressions


@dataclass(frozen=True)
class Bar:
    """One thing that bars an address: `order` None means everything of the institute."""

    kind: str
    order: str | None
    source: str
    since: datetime | None


def bar(engine: sa.Engine, institute: str | None, entries: Iterable[str], *, actor: str, note: str) -> int:
    """Blacklist addresses and domains of one institute, or everywhere (None). Returns how many were not barred before.

    An entry with an @ before something is an address, anything else a domain (`kunde.example` or `@kunde.example`,
    without its sub-domains). Raises StageError for an entry that is neither, without naming it; nothing is barred then.
    """
    hosts, people = _sorted_out(entries)
    banks = [institute] if institute else [EVERY_INSTITUTE, *institutes()]
    with engine.begin() as connection:
        new = _bar_domains(connection, institute or EVERY_INSTITUTE, hosts)
        for blz in banks:
            added = _bar_addresses(connection, blz, people)
            new += added if blz == banks[0] else 0
        subject = f"blacklist: {len(people)} addresses, {len(hosts)} domains"
        put_on_record(connection, institute, actor=actor, action="blacklist", subject=subject, note=note)
    return new


def unsubscribe(engine: sa.Engine, institute: str, address: str, *, order: str | None, actor: str, note: str) -> bool:
    """Unsubscribe an address for somebody who asked by phone or letter: from one order, or from everything (None).

    The core system is told with the newest mail to the address, if there is one. Returns whether there was.
    Raises StageError for an invalid address or an unknown order.
    """
    hashed, moment = addresses.keyed(institute, _normal(address)), clock.now()
    with engine.begin() as connection:
        order_id = _order_id(connection, institute, order)
        connection.execute(
            insert(suppressions)
            .values(
                institute=institute,
                kind=SuppressionKind.UNSUBSCRIBED,
                recipient_key=hashed,
                order_id=order_id,
                source=SuppressionSource.SUPPORT,
                since=moment,
            )
            .on_conflict_do_nothing()
        )
        newest = connection.scalar(
            sa.select(messages.c.id)
            .where(messages.c.institute == institute, messages.c.recipient_key == hashed)
            .where(messages.c.begun_at.is_not(None), sa.true() if order_id is None else messages.c.order_id == order_id)
            .order_by(messages.c.begun_at.desc(), messages.c.id.desc())
            .limit(1)
        )
        if newest is not None:
            scope = UnsubscribedFrom.INSTITUTE if order_id is None else UnsubscribedFrom.ORDER
            record(connection, [Event(newest, EventKind.UNSUBSCRIBED, moment, SuppressionSource.SUPPORT, scope)])
        subject = f"order {order}" if order else "everything"
        put_on_record(connection, institute, actor=actor, action="unsubscribe", subject=subject, note=note)
    return newest is not None


def lift_person(engine: sa.Engine, institute: str, person: str, *, actor: str, note: str) -> list[Bar]:
    """Let somebody be written to again who unsubscribed or complained, whatever the address was then.

    Returns what ended. Raises StageError if the person (number) has done neither.
    """
    with engine.begin() as connection:
        found = _suppressed(connection, institute, _barred_person(person))
        if not found:
            raise StageError(f"Nobody with this person number has unsubscribed or complained at {institute}.")
        connection.execute(sa.delete(suppressions).where(suppressions.c.institute == institute, _barred_person(person)))
        subject = ", ".join(sorted({one.kind for one in found})) + " of a person"
        put_on_record(connection, institute, actor=actor, action="lift", subject=subject, note=note)
    return found


def bars_of_person(engine: sa.Engine, institute: str, person: str) -> list[Bar]:
    """The unsubscribes and complaints of a person (number), whatever the address was then."""
    with engine.connect() as connection:
        return _suppressed(connection, institute, _barred_person(person))


def lift(engine: sa.Engine, institute: str, address: str, *, actor: str, note: str) -> list[Bar]:
    """Let an address be written to again: all that bars it ends, the bounce series and complaints too. Returns them.

    Only for somebody who asked for it, an address that was checked, or a complaint that was wrong; `note` says which.
    Raises StageError for an invalid address, where nothing bars it, or where only its domain does.
    """
    with engine.begin() as connection:
        found = _bars(connection, institute, address)
        kinds = {one.kind for one in found}
        if not found:
            raise StageError(f"Nothing bars this address at institute {institute}; nothing is lifted.")
        if _is_barred_everywhere(connection, address):
            raise StageError("This address is barred at every bank: use `reku suppressions lift everywhere`.")
        if kinds == {"DOMAIN"}:
            raise StageError("The whole domain is barred, not this address. `reku suppressions open` lifts a domain.")
        hashed = addresses.keyed(institute, _normal(address))
        connection.execute(
            sa.delete(suppressions).where(suppressions.c.institute == institute, suppressions.c.recipient_key == hashed)
        )
        connection.execute(sa.insert(reactivations).values(institute=institute, recipient_key=hashed, at=clock.now()))
        lifted = [one for one in found if one.kind != "DOMAIN"]
        subject = ", ".join(sorted({one.kind for one in lifted}))
        put_on_record(connection, institute, actor=actor, action="lift", subject=subject, note=note)
    return lifted


def lift_everywhere(engine: sa.Engine, address: str, *, actor: str, note: str) -> None:
    """Take an address off the blacklist of all institutes, and off those of the single ones that it was put on by that.

    What else bars it somewhere stays. Raises StageError for an invalid address, or one that is not barred everywhere.
    """
    normal = _normal(address)
    with engine.begin() as connection:
        if not _is_barred_everywhere(connection, address):
            raise StageError("This address is not barred at every bank; nothing is lifted.")
        banks = [EVERY_INSTITUTE, *connection.scalars(sa.select(suppressions.c.institute).distinct())]
        connection.execute(
            sa.delete(suppressions).where(
                suppressions.c.kind == SuppressionKind.BLACKLISTED,
                suppressions.c.recipient_key.in_([addresses.keyed(bank, normal) for bank in banks]),
            )
        )
        put_on_record(connection, None, actor=actor, action="lift", subject="blacklist: 1 address", note=note)


def _is_barred_everywhere(connection: sa.Connection, address: str) -> bool:
    hashed = addresses.keyed(EVERY_INSTITUTE, _normal(address))
    found = sa.exists().where(suppressions.c.institute == EVERY_INSTITUTE, suppressions.c.recipient_key == hashed)
    return bool(connection.scalar(sa.select(found)))


def open_domain(engine: sa.Engine, institute: str | None, domain: str, *, actor: str, note: str) -> None:
    """Take a domain off the blacklist. Raises StageError if it does not stand there."""
    hosts, _ = _sorted_out([domain.lstrip("@")])
    with engine.begin() as connection:
        gone = connection.execute(
            sa.delete(barred_domains).where(
                barred_domains.c.institute == (institute or EVERY_INSTITUTE), barred_domains.c.domain.in_(hosts)
            )
        )
        if not gone.rowcount:
            where = f"of institute {institute}" if institute else "of all institutes"
            raise StageError(f"The domain {domain} does not stand on the blacklist {where}.")
        put_on_record(connection, institute, actor=actor, action="open domain", subject=domain, note=note)


def bars(engine: sa.Engine, institute: str, address: str) -> list[Bar]:
    """Everything that bars an address at an institute. Raises StageError for an invalid one."""
    with engine.connect() as connection:
        return _bars(connection, institute, address)


def counts(engine: sa.Engine, institute: str = "") -> list[dict[str, Any]]:
    """How many are barred, by kind: institute, kind, source, entries. Nobody can be told from it.

    RETAINED are addresses with three hard bounces in a row, which stand on no list: they are worked out.
    """
    by = (suppressions.c.institute, suppressions.c.kind, suppressions.c.source)
    people = sa.select(*by, sa.func.count().label("entries")).group_by(*by)
    hosts = sa.select(
        barred_domains.c.institute, sa.literal("DOMAIN"), sa.literal(SuppressionSource.SUPPORT.value), sa.func.count()
    ).group_by(barred_domains.c.institute)
    both = sa.union_all(people, hosts).subquery()
    wanted = sa.select(both).order_by(both.c.institute, both.c.kind, both.c.source)
    if institute:
        wanted = wanted.where(both.c.institute.in_([institute, EVERY_INSTITUTE]))
    with engine.connect() as connection:
        listed = [dict(row) for row in connection.execute(wanted).mappings()]
        return listed + _retained(connection, institute)


def _retained(connection: sa.Connection, institute: str) -> list[dict[str, Any]]:
    banks = [institute] if institute else sorted(institutes())
    numbers = {
        blz: connection.scalar(sa.select(sa.func.count()).select_from(retained_addresses(blz).subquery()))
        for blz in banks
    }
    return [
        {"institute": blz, "kind": "RETAINED", "source": SuppressionSource.BOUNCE.value, "entries": number}
        for blz, number in numbers.items()
        if number
    ]


def _bars(connection: sa.Connection, institute: str, address: str) -> list[Bar]:
    normal = _normal(address)
    hashed = addresses.keyed(institute, normal)
    found = _suppressed(connection, institute, suppressions.c.recipient_key == hashed)
    since = connection.scalar(
        sa.select(sa.func.min(barred_domains.c.since)).where(
            barred_domains.c.institute.in_([institute, EVERY_INSTITUTE]),
            barred_domains.c.domain == normal.partition("@")[2],
        )
    )
    if since is not None:
        found.append(Bar("DOMAIN", None, SuppressionSource.SUPPORT, since))
    if series(connection, institute, [hashed]).get(hashed, 0) >= RETAINED_AT:
        found.append(Bar("RETAINED", None, SuppressionSource.BOUNCE, None))
    return found


def _suppressed(connection: sa.Connection, institute: str, whom: sa.ColumnElement[bool]) -> list[Bar]:
    return [
        Bar(row.kind, row.order_number, row.source, row.since)
        for row in connection.execute(
            sa.select(suppressions.c.kind, orders.c.order_number, suppressions.c.source, suppressions.c.since)
            .outerjoin(orders, orders.c.id == suppressions.c.order_id)
            .where(suppressions.c.institute == institute, whom)
            .order_by(suppressions.c.since, suppressions.c.id)
        )
    ]


def _barred_person(person: str) -> sa.ColumnElement[bool]:
    """What bars a person rather than an address; see `contact.decide`."""
    kinds = suppressions.c.kind.in_([SuppressionKind.UNSUBSCRIBED, SuppressionKind.COMPLAINED])
    return (suppressions.c.person_number == person) & (suppressions.c.person_number != "") & kinds


def _sorted_out(entries: Iterable[str]) -> tuple[list[str], list[str]]:
    """Domains and addresses, both in their normal form. Raises StageError for the rest."""
    hosts: set[str] = set()
    people: set[str] = set()
    for entry in entries:
        local, at, domain = entry.strip().rpartition("@")
        normal = _normal(entry if at and local else f"x@{domain}")
        host = normal.partition("@")[2]
        if at and local:
            people.add(normal)
        else:
            hosts.add(host)
    return sorted(hosts), sorted(people)


def is_entry(text: str) -> bool:
    """Whether this is an address or a domain that could be barred."""
    try:
        _sorted_out([text])
    except StageError:
        return False
    return True


def _normal(address: str) -> str:
    try:
        return addresses.normalise(address)
    except ValueError:
        raise StageError(
            "This is no valid mail address or domain; write it like name@kunde.example or kunde.example. Nothing is "
            "changed."
        ) from None


def _bar_domains(connection: sa.Connection, institute: str, hosts: Sequence[str]) -> int:
    new = insert(barred_domains).on_conflict_do_nothing().returning(barred_domains.c.domain)
    rows = [{"institute": institute, "domain": host, "since": clock.now()} for host in hosts]
    return len(connection.scalars(new, rows).all()) if rows else 0


def _bar_addresses(connection: sa.Connection, institute: str, people: Sequence[str]) -> int:
    new = insert(suppressions).on_conflict_do_nothing().returning(suppressions.c.id)
    barred = {
        "institute": institute,
        "kind": SuppressionKind.BLACKLISTED,
        "source": SuppressionSource.SUPPORT,
        "since": clock.now(),
    }
    rows = [barred | {"recipient_key": addresses.keyed(institute, person)} for person in people]
    return len(connection.scalars(new, rows).all()) if rows else 0


def _order_id(connection: sa.Connection, institute: str, order: str | None) -> int | None:
    if order is None:
        return None
    found: int | None = connection.scalar(
        sa.select(orders.c.id).where(orders.c.institute == institute, orders.c.order_number == order)
    )
    if found is None:
        raise StageError(
            f"{institute} has no order {order}; nothing is changed. `reku orders --institute {institute}` lists them."
        )
    return found
