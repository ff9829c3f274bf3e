"""What a stage answers: it is done, or what it waits for. Whoever drives the stages sees to the waiting.

Light to import: Airflow's parsing passes through here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from reku.foundation import clock

if TYPE_CHECKING:
    from reku.release.decision import ReleaseDecision

Counts: TypeAlias = dict[str, int | str | None]
"""Ids, counts and names of banks and orders; nothing of people, since Airflow keeps and shows it."""


@dataclass(frozen=True)
class Done:
    """The stage has done its work, now or in an earlier try."""

    counts: Counts


@dataclass(frozen=True)
class Skip:
    """There is nothing to do here, and what comes after it is left out too."""

    why: str


@dataclass(frozen=True)
class WaitUntil:
    """Call the stage again at that moment."""

    moment: datetime
    why: str

    def __str__(self) -> str:
        return f"waiting until {shown(self.moment)} Berlin time: {self.why}"


@dataclass(frozen=True)
class WaitFor:
    """Call the stage again as soon as a condition of `process.conditions` holds with these arguments.

    At the deadline the stage fails with the sentence `in_vain`; where that is empty, it is called all the same. The
    arguments are plain JSON. `label`: what the waiting item is called meanwhile, where its name says too little.
    """

    condition: str
    arguments: dict[str, Any]
    deadline: datetime
    why: str
    in_vain: str
    label: str = ""

    def __str__(self) -> str:
        return f"waiting, until {shown(self.deadline)} Berlin time at most: {self.why}"


@dataclass(frozen=True)
class AskPerson:
    """A person has to decide about a delivery until a moment; the answer goes to `process.stages.release`."""

    decision: ReleaseDecision
    label: str
    until: datetime


Answer: TypeAlias = Done | Skip | WaitUntil | WaitFor | AskPerson


class Ending(StrEnum):
    """How a stage ended in a run, for those that see to the whole of it."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class StageOutcome:
    """A stage of a run and its ending. `item`: its place in the run's list of work, None for a stage of the day."""

    stage: str
    ending: Ending
    item: int | None = None
    why: str = ""


def shown(moment: datetime) -> str:
    """A moment as people in Germany read it."""
    return f"{clock.berlin(moment):%d.%m.%Y %H:%M}"
