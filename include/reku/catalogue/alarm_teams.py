"""Who is told of what needs a person, and when, by `teams.yaml` (docs/operations.md, "Teams")."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from reku.catalogue.fields import ClockTime, Duration, Model, no_repeats
from reku.foundation import clock
from reku.foundation.settings import configured
from reku.foundation.yaml_source import load

FILE = "teams.yaml"
PLATFORM = "platform"
"""The team that is told of what no other one owns; there is always one."""
TeamName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


class QuietHours(Model):
    """Hours of each day, Berlin time, in which only what cannot wait is told; they may go beyond midnight."""

    begin: ClockTime = Field(description="first minute")
    end: ClockTime = Field(description="first minute after them")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.begin == self.end:
            raise ValueError("begin and end are the same: nobody would know whether that is all day or never")
        return self

    def holds(self, moment: datetime) -> bool:
        """Whether it is quiet at that moment."""
        now = clock.berlin(moment).time()
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


class Escalation(Model):
    """Who is told when nobody has taken a cause for so long."""

    after: Duration = Field(description="time since the team was told, such as 30m")
    to: TeamName = Field(description="another team")


class Owned(Model):
    """Whose orders a team looks after: of these banks, or of these origins."""

    institutes: tuple[Annotated[str, Field(pattern=r"^\d{8}$")], ...] = Field((), description="BLZ of banks")
    origins: tuple[Literal["BANK", "AUTKA"], ...] = Field(
        (), description="who has set the order up in OSPlus: BANK, AUTKA"
    )


class AlarmTeam(Model):
    """One team; its addresses stand in REKU_ALARM_URLS."""

    name: TeamName = Field(description="as in REKU_ALARM_URLS, before =")
    owns: Owned = Field(Owned(), description="whose orders; of the first team that owns one its alarms are told")
    quiet: QuietHours | None = Field(None, description="when only what cannot wait is told; none: never quiet")
    escalate: Escalation | None = Field(None, description="who is told next; none: nobody")

    def is_quiet(self, moment: datetime) -> bool:
        """Whether what can wait has to wait now."""
        return self.quiet is not None and self.quiet.holds(moment)


class AlarmTeams(Model):
    """The whole of `teams.yaml`."""

    teams: tuple[AlarmTeam, ...] = Field(description=f"in order; one of them is {PLATFORM}")

    @field_validator("teams")
    @classmethod
    def _sound(cls, teams: tuple[AlarmTeam, ...]) -> tuple[AlarmTeam, ...]:
        names = tuple(team.name for team in teams)
        no_repeats(names)
        if PLATFORM not in names:
            raise ValueError(f"a team {PLATFORM} is missing: it is told of what no other team owns")
        for team in teams:
            if team.escalate and (team.escalate.to == team.name or team.escalate.to not in names):
                raise ValueError(f"{team.name} escalates to {team.escalate.to}, which is no other team of this file")
        return teams

    def named(self, name: str) -> AlarmTeam:
        """A team; the platform's for a name that has left the file."""
        found = {team.name: team for team in self.teams}
        return found.get(name) or found[PLATFORM]

    def owner_of(self, institute: str, origin: str | None) -> AlarmTeam:
        """The team of an order, by bank and origin; both are empty for what belongs to no order."""
        for team in self.teams:
            if (institute and institute in team.owns.institutes) or (origin and origin in team.owns.origins):
                return team
        return self.named(PLATFORM)


def alarm_teams() -> AlarmTeams:
    """The teams of the configuration folder, or those shipped where it has none. Raises ConfigError."""
    return _loaded(configured(FILE))


@cache
def _loaded(file: Path) -> AlarmTeams:
    return load(file, AlarmTeams)
