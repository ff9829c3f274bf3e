"""One look: what is new, has got worse, has been taken by nobody or is over is told, and put on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import sqlalchemy as sa

from reku.catalogue.alarm_teams import AlarmTeam, AlarmTeams, alarm_teams
from reku.foundation import clock
from reku.foundation.errors import PassingError
from reku.process.alarming.decision import AlarmDecision, KnownAlarm, Telling, decide, over_in_silence
from reku.process.alarming.message import about, message_of
from reku.process.alarming.sending import Send, sender
from reku.process.needs import Need, needs
from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import alarms, orders, osplus_orders, silences


@dataclass(frozen=True)
class AlarmResult:
    """How many causes were told because they are new, have got worse, are over, or were taken by nobody."""

    new: int
    worse: int
    over: int
    not_taken: int = 0


def raise_alarms(engine: sa.Engine, page: str, send: Send | None = None) -> AlarmResult:
    """Tell each team in one message what there is to be told now (`decide`), and put it on record.

    `page` is the address of the list for the message. What was told is put down after the message has gone: if that
    cannot be done, it is told once more. Without `REKU_ALARM_URLS` nothing is told, and causes are put down as seen.
    Raises PassingError if a message cannot be sent, after the other teams were told; SetupError for a wrong address.
    """
    tell = send or sender()
    teams, now = alarm_teams(), clock.now()
    failed: list[PassingError] = []
    told: list[AlarmDecision] = []
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.ALARMS)
        connection.execute(sa.delete(silences).where(silences.c.until <= now))
        present = {need.cause: need for need in needs(engine)}  # after the lock: another look may have told meanwhile
        owners = _owners(connection, present, teams)
        known = _known(connection)
        _put_down_seen(connection, [need for cause, need in present.items() if cause not in known], owners)
        _forget(connection, over_in_silence(present, known))
        silenced = set(connection.scalars(sa.select(silences.c.cause)))
        decisions = decide(present, owners, known, silenced, teams, now) if tell else []
        for team, of_team in groupby(sorted(decisions, key=lambda one: one.team), key=lambda one: one.team):
            theirs = list(of_team)
            try:
                assert tell is not None  # noqa: S101 - else there is nothing to be told
                tell(team, *message_of(theirs, len(present), page))
            except PassingError as error:
                failed.append(error)
                continue
            _put_down_told(connection, theirs)
            told += theirs
    if failed:
        raise failed[0]
    counts = Counter(one.telling for one in told)
    return AlarmResult(*(counts[kind] for kind in (Telling.NEW, Telling.WORSE, Telling.OVER, Telling.NOT_TAKEN)))


def note_seen(engine: sa.Engine) -> dict[str, Need]:
    """Put down what needs a person now, so that each has a number; returns it by cause."""
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.ALARMS)
        present = {need.cause: need for need in needs(engine)}
        known = _known(connection)
        unseen = [need for cause, need in present.items() if cause not in known]
        _put_down_seen(connection, unseen, _owners(connection, present, alarm_teams()))
    return present


def _known(connection: sa.Connection) -> dict[str, KnownAlarm]:
    columns = [alarms.c[name] for name in KnownAlarm.__dataclass_fields__]
    return {row.cause: KnownAlarm(**row._mapping) for row in connection.execute(sa.select(*columns))}


def _owners(connection: sa.Connection, present: Mapping[str, Need], teams: AlarmTeams) -> dict[str, AlarmTeam]:
    """The team of each cause."""
    rows = connection.execute(
        sa.select(orders.c.institute, orders.c.order_number, osplus_orders.c.origin).join(
            osplus_orders, osplus_orders.c.order_id == orders.c.id
        )
    )
    origins = {(row.institute, row.order_number): str(row.origin) for row in rows}
    return {
        cause: teams.owner_of(need.institute, origins.get((need.institute, need.order)))
        for cause, need in present.items()
    }


def _put_down_seen(connection: sa.Connection, unseen: Sequence[Need], owners: Mapping[str, AlarmTeam]) -> None:
    if unseen:
        now = clock.now()
        rows = [
            {
                "cause": need.cause,
                "institute": need.institute or None,
                "about": about(need),
                "team": owners[need.cause].name,
                "people": need.people,
                "seen_at": now,
            }
            for need in unseen
        ]
        connection.execute(sa.insert(alarms), rows)


def _put_down_told(connection: sa.Connection, told: Sequence[AlarmDecision]) -> None:
    """What is over leaves, so that it is told anew when it comes back."""
    now = clock.now()
    _forget(connection, [one.cause for one in told if one.telling is Telling.OVER])
    for one in told:
        row = sa.update(alarms).where(alarms.c.cause == one.cause)
        if one.telling is Telling.NOT_TAKEN:
            connection.execute(row.values(escalated_at=now))
        elif one.need is not None:
            first = sa.func.coalesce(alarms.c.told_first_at, now)
            values = {"told_at": now, "told_first_at": first, "people": one.need.people, "about": about(one.need)}
            connection.execute(row.values(values))


def _forget(connection: sa.Connection, causes: Sequence[str]) -> None:
    if causes:
        connection.execute(sa.delete(alarms).where(alarms.c.cause.in_(causes)))
