"""What a task makes of a stage's answer; none of it needs Airflow's tables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.triggers.base import BaseTrigger

from reku.foundation import clock
from reku.foundation.errors import PassingError, StageError
from reku.orchestration.failures import LONGEST_LINE, RETRY_POLICY, PassingFailure, ToldFailure, lines
from reku.orchestration.operators import AwaitControlFile, DueWork, Report, StageOperator, outcomes
from reku.orchestration.triggers import SHORTEST_WAIT, PollTrigger, UntilTrigger
from reku.process.answers import Answer, AskPerson, Done, Ending, Skip, StageOutcome, WaitFor, WaitUntil
from reku.process.conditions import CONDITIONS
from reku.process.dry_run import DryRunLine
from reku.process.due_work import Item
from reku.process.run_options import RunOptions

NOON = datetime.fromisoformat("2026-11-24T11:00:00+00:00")


class Answering(StageOperator):
    """Answers one after the other."""

    def __init__(self, *, answers: Iterator[Answer | Exception], **kwargs: Any) -> None:
        super().__init__(task_id="answering", **kwargs)
        self.answers = answers

    def call(self, engine: sa.Engine, context: Any) -> Answer:  # noqa: ARG002 - Task's
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def execute(*answers: Answer | Exception) -> Any:
    return Answering(answers=iter(answers)).execute({})


@pytest.fixture(autouse=True)
def noon(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOON)


def test_done_is_handed_on() -> None:
    assert execute(Done({"rows": 3})) == {"rows": 3}


@pytest.mark.parametrize(
    ("answer", "raised", "text"),
    [
        (Skip("in the hands of another"), AirflowSkipException, "in the hands of another"),
        (StageError("mend it"), ToldFailure, "mend it"),
        (PassingError("it may pass"), PassingFailure, "it may pass"),
        (sa.exc.DBAPIError("SELECT", {}, Exception("person1@kunde.example")), PassingFailure, r"\(Exception\)"),
    ],
)
def test_what_ends_a_task(answer: Any, raised: type[Exception], text: str) -> None:
    with pytest.raises(raised, match=text) as told:
        execute(answer)
    assert type(told.value) is raised
    assert "kunde.example" not in str(told.value)


def test_what_fails_is_told_in_plain_lines_and_tried_again_only_if_it_may_pass(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for error, again in ((StageError("mend it"), "fail"), (PassingError("it may pass"), "default")):
        caplog.clear()
        with pytest.raises(SystemExit) as ended:
            execute(error)
        assert [(one.levelname, one.getMessage(), one.exc_info) for one in caplog.records] == [
            ("ERROR", str(error), None)
        ]
        assert ended.value.code == 1
        assert RETRY_POLICY.evaluate(ended.value, 1, 3).action.value == again
    caplog.clear()
    with caplog.at_level("INFO"), pytest.raises(AirflowSkipException):
        execute(Skip("in the hands of another"))
    assert [one.getMessage() for one in caplog.records] == ["in the hands of another"]


def test_lines_end_where_the_screen_does_and_break_no_command() -> None:
    problems = [
        "Not green:",
        *(f"- Bank {n}: {'much is to be said ' * n}`reku deliveries show {n}`" for n in range(12)),
    ]
    told = lines("\n".join(problems))
    assert max(map(len, told)) <= LONGEST_LINE
    assert all(any(f"`reku deliveries show {n}`" in line for line in told) for n in range(12))
    assert " ".join(" ".join(told).split()) == " ".join(" ".join(problems).split())
    assert {line[:2] for line in told[1:]} == {"- ", "  "}
    assert lines(f"see {'x' * 200}") == ["see", "x" * 200], "an address is not broken"


def test_a_wait_is_a_deferral_that_comes_back_to_the_stage() -> None:
    moment = NOON + timedelta(minutes=5)
    with pytest.raises(TaskDeferred) as until:
        execute(WaitUntil(moment, "play-out time"))
    assert until.value.method_name == "resume"
    assert until.value.trigger.serialize()[1]["until"] == moment.isoformat()
    wait = WaitFor("earlier_loaded", {"delivery": 7}, moment, why="another comes first", in_vain="it did not come")
    with pytest.raises(TaskDeferred) as polled:
        execute(wait)
    assert polled.value.trigger.serialize()[1] == {
        "condition": "earlier_loaded",
        "arguments": {"delivery": 7},
        "deadline": moment.isoformat(),
        "in_vain": "it did not come",
    }
    assert not polled.value.kwargs  # `dag.test` resumes with the event alone
    task = Answering(answers=iter([Done({"rows": 1}), Done({"rows": 2})]))
    with pytest.raises(ToldFailure, match="it did not come"):
        task.resume({}, {"deadline": moment.isoformat(), "in_vain": "it did not come"})
    assert task.resume({}, {"holds": True}) == {"rows": 1}
    assert task.resume({}, {"deadline": moment.isoformat(), "in_vain": ""}) == {"rows": 2}


def test_a_short_wait_is_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("reku.orchestration.operators.time.sleep", slept.append)
    soon = clock.now() + timedelta(seconds=9)
    assert execute(WaitUntil(soon, "soon"), WaitUntil(soon, "soon"), Done({})) == {}
    assert len(slept) == 2
    assert all(8 < seconds <= 9 for seconds in slept)


def test_a_short_look_for_something_is_taken_in_the_task_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reku.orchestration.operators.time.sleep", lambda _: None)

    def wait(seconds: int, in_vain: str) -> WaitFor:
        return WaitFor("earlier_loaded", {"delivery": 7}, clock.now() + timedelta(seconds=seconds), "why", in_vain)

    assert execute(wait(9, "it did not come"), Done({"rows": 1})) == {"rows": 1}
    with pytest.raises(ToldFailure, match="it did not come"):
        execute(wait(9, "it did not come"), wait(0, "it did not come"))
    assert execute(wait(9, ""), wait(0, ""), Done({"rows": 2})) == {"rows": 2}


@pytest.mark.parametrize("lived", [0.0, 4.5, 14.5, 15.0, 500.0])
@pytest.mark.parametrize(
    "trigger",
    [
        UntilTrigger((NOON - timedelta(hours=1)).isoformat()),
        PollTrigger("is_there", {}, (NOON + timedelta(hours=1)).isoformat()),
        PollTrigger("is_missing", {}, (NOON - timedelta(hours=1)).isoformat(), "it did not come"),
    ],
    ids=["until", "holds", "deadline"],
)
def test_no_trigger_fires_while_its_tasks_first_part_may_still_be_ending(
    trigger: BaseTrigger, lived: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow would take the end of the first part for that of the second: what was waited for is there at once."""
    slept: list[float] = []
    passed = iter([100.0, 100.0 + lived])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("reku.orchestration.triggers.time", SimpleNamespace(monotonic=lambda: next(passed)))
    monkeypatch.setattr("reku.orchestration.triggers.asyncio.sleep", sleep)
    monkeypatch.setitem(CONDITIONS, "is_there", lambda _engine: True)
    monkeypatch.setitem(CONDITIONS, "is_missing", lambda _engine: False)

    async def fired() -> Any:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(fired())
    assert event.payload
    assert sum(max(seconds, 0) for seconds in slept) + lived >= SHORTEST_WAIT.total_seconds() >= 12


def test_a_question_is_for_the_task_that_can_ask() -> None:
    with pytest.raises(TypeError, match="cannot follow"):
        execute(AskPerson(None, "Bank", NOON))  # type: ignore[arg-type]  # nobody looks at it


def test_the_states_of_tasks_are_outcomes_of_stages() -> None:
    items = [Item(1, 1, "Bank 1"), Item(2, None, "Bank 2")]
    states = {
        "await_control_file": "success",
        "delivery.await_delivery_0": "skipped",
        "delivery.validate_0": "skipped",
        "delivery.await_delivery_1": "success",
        "delivery.validate_1": "failed",
        "delivery.release_1": "upstream_failed",
        "report": "running",
    }
    assert outcomes(items, states) == [
        StageOutcome("await_delivery", Ending.SKIPPED, 0),
        StageOutcome("validate", Ending.SKIPPED, 0),
        StageOutcome("validate", Ending.FAILED, 1),
    ]
    assert outcomes([], {"due_work": "failed", "delivery.validate": "upstream_failed"}) == [
        StageOutcome("due_work", Ending.FAILED)
    ]


def test_a_dry_run_is_told_and_hands_on_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def tried(_engine: sa.Engine, occasion: str, day: date, *, options: RunOptions) -> list[DryRunLine]:
        return [DryRunLine(f"{occasion} {day} {options.banks}", rows=3, send=2)]

    monkeypatch.setattr("reku.process.dry_run.dry_run", tried)
    context: Any = {
        "params": {"dry_run": True, "banks": ["99990001"]},
        "dag_run": SimpleNamespace(logical_date=None, run_after=NOON),
    }
    with caplog.at_level("INFO"):
        assert AwaitControlFile(task_id="await", occasion="MCAG002").execute(context) == {"dry_run": "yes"}
        assert DueWork(task_id="due_work", occasion="MCAG002").execute(context) == []
        assert Report(task_id="report", occasion="MCAG002").execute(context) == {}
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "Dry run for 24.11.2026: nothing is sent and nothing kept of it."
    assert said[1].startswith("MCAG002 2026-11-24 ('99990001',): 3 rows, 0 accepted, 0 rejected; 2 would be sent")
