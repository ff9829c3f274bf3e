"""A delivery that was refused is told of at once, wherever somebody waits for it; the corrected one takes its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.settings import settings
from reku.orchestration.failures import ToldFailure
from reku.orchestration.operators import StageTask
from reku.process import intake
from reku.process.answers import Done, WaitFor
from reku.process.conditions import CONDITIONS
from reku.process.due_work import due_items
from reku.process.run_day import Wait
from reku.process.stages.await_delivery import await_delivery
from reku.process.summary import sum_up
from reku.store.tables import deliveries
from reku_testing import smtp, world
from reku_testing.bank_files import BANK, OCCASION, ORDER, OTHER, deliver, order, people
from reku_testing.by_blz import take_in_all
from tests.process.conftest import NOON, Move, Work

TODAY = date(2026, 11, 24)


@pytest.fixture
def ordered(database: sa.Engine, clock_at: Move) -> sa.Engine:
    """Both banks have ordered; nothing has come yet."""
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
    take_in_all(database)
    return database


def _damage(bank: str = BANK) -> None:
    """What lies in the inbox becomes UTF-8 with an umlaut no longer: a file in another encoding."""
    (file,) = (Path(settings().files_url) / bank / "eingang").glob("reku_*.csv")
    file.write_bytes(file.read_bytes().replace(b"Nachname1", b"M\xfcller") + b"\xff")


def _waits(engine: sa.Engine) -> list[WaitFor]:
    found = []
    for item in due_items(engine, OCCASION, TODAY, TODAY):
        answer = await_delivery(engine, item, TODAY)
        assert isinstance(answer, WaitFor)
        found.append(answer)
    return found


def test_who_waits_for_a_refused_delivery_says_so_at_once_and_goes_on_with_the_corrected_one(
    ordered: sa.Engine, clock_at: Move
) -> None:
    (before, other) = _waits(ordered)
    assert "refused" not in before.why
    assert not before.label
    assert not CONDITIONS[before.condition](ordered, **before.arguments)
    deliver(1, people(2))
    _damage()
    (told,) = intake.take_in(ordered, BANK).problems
    assert f"(BLZ {BANK}): reku_{BANK}_{ORDER}_000001_" in told
    assert "was refused for ZEICHENSATZ, nothing of it is sent" in told
    assert intake.take_in(ordered, BANK).problems == ()

    assert CONDITIONS[before.condition](ordered, **before.arguments), "the waiting task is woken up to say it"
    (waiting, other) = _waits(ordered)
    for said in (waiting.why, waiting.in_vain):
        assert f"(BLZ {BANK}, order {ORDER})" in said
        assert "came on 24.11.2026 12:00 as number 000001 and was refused for ZEICHENSATZ: " in said
        assert "Ask the sender for a corrected file with the same number." in said
        assert "`reku deliveries retry 1`" in said
    assert waiting.label.endswith("Geburtstag_rund · ZEICHENSATZ")
    assert "refused" not in other.why + other.in_vain
    assert f"(BLZ {OTHER}, order {ORDER}): no delivery for 24.11.2026. Ask the sender" in other.in_vain
    assert not CONDITIONS[waiting.condition](ordered, **waiting.arguments), "it is said once"

    clock_at(NOON + timedelta(minutes=1))
    (item, _) = due_items(ordered, OCCASION, TODAY, TODAY)
    deliver(1, people(2))
    intake.take_in(ordered, BANK)
    assert CONDITIONS[waiting.condition](ordered, **waiting.arguments)
    got = await_delivery(ordered, item, TODAY)
    assert isinstance(got, Done)
    assert got.counts["label"] == f"{item.label} · 000001"


def test_a_wrong_environment_does_not_look_like_silent_banks(
    ordered: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bank in (BANK, OTHER):
        deliver(1, people(2), bank)
    monkeypatch.setattr("reku.sources.osplus.delivery_files.settings", lambda: SimpleNamespace(environment="P"))
    for bank in (BANK, OTHER):
        (told,) = intake.take_in(ordered, bank).problems
        assert "UMGEBUNG" in told
        assert "REKU_ENVIRONMENT" in told
    for waiting in _waits(ordered):
        assert "refused for UMGEBUNG" in waiting.why
        assert "Either REKU_ENVIRONMENT is wrong on this system" in waiting.in_vain


def test_what_stays_refused_is_red_at_the_deadline_and_says_why(
    ordered: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    deliver(1, people(2))
    _damage()
    intake.take_in(ordered, BANK)
    asked: list[str] = []

    def pause(waits: Sequence[Wait]) -> bool:
        asked.extend(wait.why for wait in waits)
        clock_at(clock.now() + timedelta(days=1))
        return True

    day = work(pause=pause)
    failed = [one.why for one in day.outcomes if one.stage == "await_delivery"]
    assert any("refused for ZEICHENSATZ" in why for why in asked)
    assert any("could not be used: it came on 24.11.2026 12:00" in why for why in failed)
    assert relay.recipients == []
    problems = sum_up(ordered, OCCASION, TODAY, "a run", day.items, day.outcomes).problems
    assert any("refused ZEICHENSATZ" in problem for problem in problems)


def test_clearing_the_red_task_goes_on_with_the_corrected_delivery(
    ordered: sa.Engine, relay: smtp.Sink, clock_at: Move
) -> None:
    deliver(1, [*people(2), world.reku_fields(3, 1, ORDER, Nachname="")])
    intake.take_in(ordered, BANK)
    items = due_items(ordered, OCCASION, TODAY, TODAY)
    listed = items[0].delivery
    assert listed

    def cleared(stage: str) -> Any:
        handed_on = {"delivery": listed, "label": "Bank"}
        task = StageTask(task_id=stage, stage=stage, delivery=handed_on)
        ti = SimpleNamespace(dag_id="reku_mcag002", run_id="this run")
        run = SimpleNamespace(logical_date=None, run_after=NOON)
        return task.execute({"ti": ti, "dag_run": run, "params": {}}), task.delivery["delivery"]  # type: ignore[arg-type, typeddict-item]  # what it asks for

    for _ in range(2):
        with pytest.raises(ToldFailure, match="FEHLERQUOTE"):
            cleared("validate")
    clock_at(NOON + timedelta(minutes=1))
    deliver(1, people(3))
    intake.take_in(ordered, BANK)
    for stage in ("validate", "release", "upsert_subscribers", "dispatch"):
        _counts, at_work = cleared(stage)
        assert at_work == listed + 1, "its number is the same, it is another delivery"
    assert len(relay.recipients) == 3
    with ordered.connect() as connection:
        owner = connection.scalar(sa.select(deliveries.c.owner_run).where(deliveries.c.id == listed + 1))
    assert owner == "this run"
    summary = sum_up(ordered, OCCASION, TODAY, "this run", items[:1], [])
    assert any("000001: LOADED, rows 3" in line for line in summary.lines)
    assert any("a corrected file has taken its place" in line for line in summary.lines)
    assert summary.problems == []
