"""A day's work of one occasion in one process: the second driver of the stages, beside Airflow.

It calls the very stages that the DAGs call, in the same order, with the same ownership. What Airflow does with
deferrals, people and retries is left to the caller: `pause` sees to waits, `person` answers questions, and nothing is
tried again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TypeAlias

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import told
from reku.process.answers import Answer, AskPerson, Counts, Done, Ending, Skip, StageOutcome, WaitFor, WaitUntil
from reku.process.collecting import collect
from reku.process.conditions import CONDITIONS
from reku.process.days import check_has_come
from reku.process.due_work import Item, due_items
from reku.process.errors import told_database_errors
from reku.process.ownership import IsAlive, OwningRun, take_up
from reku.process.stages import STAGES, stage
from reku.process.stages.await_control_file import await_control_file
from reku.process.stages.await_delivery import await_delivery
from reku.process.stages.release import answered, unanswered
from reku.process.stages.report import report

log = logging.getLogger(__name__)

Wait: TypeAlias = WaitUntil | WaitFor
Pause: TypeAlias = Callable[[Sequence[Wait]], bool]
"""Given all that is waited for when nothing else is left to do: wait for some of it, or return False to give up."""


@dataclass(frozen=True)
class PersonAnswer:
    """What a person said about a delivery."""

    approved: bool
    actor: str
    note: str = ""


Person: TypeAlias = Callable[[AskPerson], PersonAnswer | None]
"""Asks a person about a delivery; None when nobody answers in time."""

_Chain: TypeAlias = Generator[Wait, None, None]


@dataclass
class DayResult:
    """What a day's work came to: its items, and how each stage ended. Stages that were not reached are left out."""

    items: list[Item] = field(default_factory=list)
    outcomes: list[StageOutcome] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        """Whether everything is done, resolved and adds up."""
        return self.ending("report") is Ending.DONE

    @property
    def waiting(self) -> list[StageOutcome]:
        """Stages that had to wait when the driver gave up."""
        return [outcome for outcome in self.outcomes if outcome.ending is Ending.WAITING]

    def ending(self, name: str, item: int | None = None) -> Ending | None:
        """How a stage of an item (its place in `items`), or of the day, ended; None if it was not reached."""
        return next((one.ending for one in self.outcomes if (one.stage, one.item) == (name, item)), None)


def give_up(_waits: Sequence[Wait]) -> bool:
    """A `Pause`: wait for nothing, and leave it to a later run."""
    return False


def nobody(_asked: AskPerson) -> PersonAnswer | None:
    """A `Person`: nobody answers."""
    return None


def run_day(
    engine: sa.Engine,
    occasion: str,
    day: date,
    *,
    owner: OwningRun,
    is_alive: IsAlive,
    pause: Pause = give_up,
    person: Person = nobody,
    stages: Sequence[str] = STAGES,
    institute: str = "",
) -> DayResult:
    """Do the day's work of an occasion, or its first `stages` only; then sum up, if nothing is left waiting.

    With an `institute` (BLZ) only its own work. `is_alive` tells whether another run that has a delivery in hand is
    still at work. A stage's failure ends its item and stands in the result. Raises StageError for a day that has not
    come yet.
    """
    check_has_come(day)
    driver = _Driver(engine, day, owner, is_alive, person)
    driver.drive([driver.control_file(occasion)], pause)
    if driver.result.ending("await_control_file") is Ending.DONE:
        driver.list_work(occasion, institute)
        driver.drive([driver.item(index, stages) for index in range(len(driver.result.items))], pause)
    if not driver.result.waiting:
        driver.sum_up(occasion)
    return driver.result


class _Driver:
    """One day's work. Each item is a generator that yields whenever it has to wait, so that others go on meanwhile."""

    def __init__(self, engine: sa.Engine, day: date, owner: OwningRun, is_alive: IsAlive, person: Person) -> None:
        self.engine, self.day, self.owner, self.is_alive, self.person = engine, day, owner, is_alive, person
        self.result = DayResult()

    def drive(self, chains: Iterable[_Chain], pause: Pause) -> None:
        """Let all chains go as far as they can, pause, and again, until they have ended or the pause gives up."""
        left = list(chains)
        while left:
            for problem in collect(self.engine).problems:  # nobody else does it here
                log.warning("%s", problem)
            waits = [(chain, wait) for chain in left if (wait := next(chain, None)) is not None]
            left = [chain for chain, _ in waits]
            if left and not pause([wait for _, wait in waits]):
                for chain in left:
                    chain.close()
                return

    def control_file(self, occasion: str) -> _Chain:
        """The beginning of the day."""
        yield from self._stage("await_control_file", None, partial(await_control_file, self.engine, occasion, self.day))

    def list_work(self, occasion: str, institute: str) -> None:
        """What is to be done."""
        self._do(
            "due_work",
            lambda: self.result.items.extend(due_items(self.engine, occasion, self.day, clock.today(), institute)),
        )

    def item(self, index: int, stages: Sequence[str]) -> _Chain:
        """One item through its stages; the first that does not do its work ends it."""
        item = self.result.items[index]
        awaited = yield from self._stage("await_delivery", index, partial(self._awaited, item))
        if awaited is None:
            return
        delivery = int(str(awaited["delivery"]))
        for name in stages:
            if (yield from self._stage(name, index, partial(self._staged, name, delivery))) is None:
                return

    def sum_up(self, occasion: str) -> None:
        """The end of the day."""
        items, outcomes = self.result.items, list(self.result.outcomes)
        self._do("report", partial(report, self.engine, occasion, self.day, self.owner, items, outcomes))

    def _awaited(self, item: Item) -> Answer:
        answer = await_delivery(self.engine, item, self.day)
        if isinstance(answer, Done):
            return self._taken_up(int(str(answer.counts["delivery"]))) or answer
        return answer

    def _staged(self, name: str, delivery: int) -> Answer:
        answer = self._taken_up(delivery) or stage(name)(self.engine, delivery, self.day)
        if not isinstance(answer, AskPerson):
            return answer
        said = self.person(answer)
        if said is None:
            return unanswered(self.engine, delivery)
        return answered(self.engine, delivery, approved=said.approved, actor=said.actor, note=said.note)

    def _taken_up(self, delivery: int) -> Skip | None:
        return take_up(self.engine, delivery, self.owner, self.is_alive)

    def _stage(self, name: str, item: int | None, call: Callable[[], Answer]) -> Generator[Wait, None, Counts | None]:
        """Call a stage until it has ended, and yield while it waits. Returns its counts if it has done its work."""
        try:
            while True:
                with told_database_errors():
                    answer = call()
                match answer:
                    case Done():
                        self._record(name, item, Ending.DONE)
                        return answer.counts
                    case Skip():
                        self._record(name, item, Ending.SKIPPED, answer.why)
                        return None
                    case WaitUntil() | WaitFor():
                        log.info("%s: %s", name, answer)
                        while not self._is_over(answer):
                            yield answer
        except GeneratorExit:
            self._record(name, item, Ending.WAITING, str(answer))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends its item, and the others go on
            self._record(name, item, Ending.FAILED, told(error))
            return None

    def _is_over(self, wait: Wait) -> bool:
        """Whether a wait has ended. Raises StageError when it was in vain."""
        if isinstance(wait, WaitUntil):
            return clock.now() >= wait.moment
        with told_database_errors():
            if CONDITIONS[wait.condition](self.engine, **wait.arguments):
                return True
        if clock.now() >= wait.deadline and wait.in_vain:
            raise StageError(wait.in_vain)
        return clock.now() >= wait.deadline

    def _do(self, name: str, work: Callable[[], object]) -> None:
        """A stage of the day that never waits."""
        try:
            with told_database_errors():
                work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the day is summed up and says so
            self._record(name, None, Ending.FAILED, told(error))
        else:
            self._record(name, None, Ending.DONE)

    def _record(self, name: str, item: int | None, ending: Ending, why: str = "") -> None:
        log.info("%s%s: %s %s", name, "" if item is None else f" of item {item}", ending, why)
        self.result.outcomes.append(StageOutcome(name, ending, item, why))
