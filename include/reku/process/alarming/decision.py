"""Who is told of which cause now: nothing here asks or changes anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reku.catalogue.alarm_teams import AlarmTeam, AlarmTeams
from reku.process.needs import Need, NeedKind

WORSE = 2
"""A cause is told again when so many times as many people are concerned as when it was told."""


class Telling(StrEnum):
    """Why people are told of a cause."""

    NEW = "new"
    WORSE = "worse"
    NOT_TAKEN = "not taken"  # told for long enough, and nobody has taken it
    OVER = "over"


@dataclass(frozen=True)
class KnownAlarm:
    """What is on record of a cause. `told_at`: None as long as nobody was told; `team`: whose it is."""

    cause: str
    about: str
    team: str
    people: int | None = None
    told_at: datetime | None = None
    told_first_at: datetime | None = None
    escalated_at: datetime | None = None
    taken_at: datetime | None = None
    taken_by: str = ""

    @property
    def weight(self) -> str:
        """How urgent it is; a kind of an earlier version counts as `mid`."""
        kind = self.cause.partition(" ")[0]
        return NeedKind(kind).weight if kind in list(NeedKind) else "mid"


@dataclass(frozen=True)
class AlarmDecision:
    """One thing to be told to one team: a `need`, or a cause on record that is over."""

    team: str
    telling: Telling
    cause: str
    need: Need | None = None
    known: KnownAlarm | None = None


def decide(
    needs: Mapping[str, Need],
    owners: Mapping[str, AlarmTeam],
    known: Mapping[str, KnownAlarm],
    silenced: Collection[str],
    teams: AlarmTeams,
    now: datetime,
) -> list[AlarmDecision]:
    """All that is to be told now. `needs`, their `owners` and what is `known` by cause; `silenced`: causes.

    In a team's quiet hours only what is urgent is told; the rest waits for their end, and what is over by then was
    never told. What was never told is over without a word.
    """
    told = []
    for cause, need in needs.items():
        if cause in silenced:
            continue
        team, on_record = owners[cause], known.get(cause)
        telling = _telling(need, on_record)
        if telling and not _waits(team, need.kind.weight, now):
            told.append(AlarmDecision(team.name, telling, cause, need, on_record))
        elif next_team := _escalated(team, need, on_record, teams, now):
            told.append(AlarmDecision(next_team.name, Telling.NOT_TAKEN, cause, need, on_record))
    for cause, row in known.items():
        if cause not in needs and row.told_at and not _waits(teams.named(row.team), row.weight, now):
            told.append(AlarmDecision(row.team, Telling.OVER, cause, known=row))
    return told


def over_in_silence(needs: Collection[str], known: Mapping[str, KnownAlarm]) -> Sequence[str]:
    """Causes on record that are over and were never told."""
    return [cause for cause, row in known.items() if cause not in needs and row.told_at is None]


def _telling(need: Need, on_record: KnownAlarm | None) -> Telling | None:
    if on_record is None or on_record.told_at is None:
        return Telling.NEW
    before = on_record.people
    is_worse = need.people is not None and before is not None and need.people >= max(1, before) * WORSE
    return Telling.WORSE if is_worse else None


def _waits(team: AlarmTeam, weight: str, now: datetime) -> bool:
    return weight != "high" and team.is_quiet(now)


def _escalated(
    team: AlarmTeam, need: Need, on_record: KnownAlarm | None, teams: AlarmTeams, now: datetime
) -> AlarmTeam | None:
    """The team that is told next because nobody has taken it; once, and never for what is not urgent at all."""
    if team.escalate is None or on_record is None or on_record.told_first_at is None or need.kind.weight == "low":
        return None
    if on_record.taken_at or on_record.escalated_at or on_record.told_first_at + team.escalate.after > now:
        return None
    next_team = teams.named(team.escalate.to)
    return None if _waits(next_team, need.kind.weight, now) else next_team
