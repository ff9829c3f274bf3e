"""What Airflow knows of the runs of past days, and its backfill of days that were missed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from airflow.models.backfill import Backfill, BackfillDagRun
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from sqlalchemy.orm import Session

from reku.catalogue import occasions
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.orchestration.names import dag_id
from reku.process.missed_rhythms import MissedRhythm, RunOfDay, missed_rhythms, windows
from reku.runtime.airflow import command

_BEST = (RunOfDay.NONE, RunOfDay.FAILED, RunOfDay.AT_WORK, RunOfDay.DONE)
_STATES = {
    DagRunState.SUCCESS: RunOfDay.DONE,
    DagRunState.RUNNING: RunOfDay.AT_WORK,
    DagRunState.QUEUED: RunOfDay.AT_WORK,
    DagRunState.FAILED: RunOfDay.FAILED,
}
PARTIAL = ("banks", "orders", "dry_run")
"""Params of a run that did not do the whole day's work."""


def runs_of_days(session: Session, occasions: Collection[str], first: date) -> dict[tuple[str, date], RunOfDay]:
    """The best that runs of these occasions came to, by occasion and day, from the day `first` on.

    Runs for some banks or orders only, and dry runs, did not do the day's work and are left out.
    """
    by_dag = {dag_id(code): code for code in occasions}
    rows = session.execute(
        sa.select(DagRun.dag_id, DagRun.logical_date, DagRun.run_after, DagRun.conf, DagRun.state).where(
            DagRun.dag_id.in_(by_dag), DagRun.run_after >= clock.at(first)
        )
    )
    found: dict[tuple[str, date], RunOfDay] = {}
    for row in rows:
        conf = row.conf or {}
        if any(conf.get(name) for name in PARTIAL):
            continue
        key = by_dag[row.dag_id], _day(conf, row)
        found[key] = max(found.get(key, RunOfDay.NONE), _STATES[DagRunState(row.state)], key=_BEST.index)
    return found


def missed_by_now(engine: sa.Engine, *, institute: str = "", occasion: str = "", days: int) -> list[MissedRhythm]:
    """What was missed by what Airflow knows now; see `missed_rhythms`."""
    with create_session() as session:
        runs = runs_of_days(session, list(occasions()), clock.today() - timedelta(days=days))
    return missed_rhythms(engine, runs, institute=institute, occasion=occasion, days=days)


def _day(conf: Mapping[str, Any], row: Any) -> date:
    if conf.get("day"):
        return date.fromisoformat(conf["day"])
    return clock.berlin(row.logical_date or row.run_after).date()


@dataclass(frozen=True)
class BackfillProgress:
    """How far a backfill is: its runs, those that have ended, those of them that failed."""

    runs: int
    ended: int
    failed: int


def start_backfill(code: str, first: date, last: date, conf: Mapping[str, Any]) -> None:
    """Let Airflow do the work of these days (both included) of an occasion, one run after the other.

    The ends are moments: a date alone would be midnight UTC, which is before the run of that day. Raises StageError
    with what Airflow says if it refuses.
    """
    arguments = [
        *("backfill", "create", "--dag-id", dag_id(code)),
        *("--from-date", clock.at(first).isoformat()),
        *("--to-date", (clock.at(last + timedelta(days=1)) - timedelta(seconds=1)).isoformat()),
        *("--max-active-runs", "1", "--reprocess-behavior", "failed"),
    ]
    if conf:
        arguments += ["--dag-run-conf", json.dumps(dict(conf))]
    done = subprocess.run(  # noqa: S603 - Airflow's own command, by its whole path
        command(*arguments), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageError(
            f"{code}: Airflow does not start the backfill of {first:%d.%m.%Y} to {last:%d.%m.%Y}: {_said(done.stderr)}"
            " Another one of the same DAG has to end first; its page in Airflow has it under Backfills."
        )


def _said(text: str) -> str:
    """Airflow's last sentence; before it stand the frames of a traceback."""
    lines = [line for line in text.splitlines() if line.strip()]
    return f"{lines[-1].rpartition('Error: ')[2].strip()}." if lines else "it says nothing."


def progress_of_backfill(session: Session, code: str) -> BackfillProgress:
    """How far the newest backfill of an occasion is."""
    newest = sa.select(sa.func.max(Backfill.id)).where(Backfill.dag_id == dag_id(code)).scalar_subquery()
    states = session.scalars(
        sa.select(DagRun.state)
        .join(BackfillDagRun, BackfillDagRun.dag_run_id == DagRun.id)
        .where(BackfillDagRun.backfill_id == newest)
    ).all()
    failed = sum(state == DagRunState.FAILED for state in states)
    return BackfillProgress(len(states), failed + sum(state == DagRunState.SUCCESS for state in states), failed)


def is_backfill_open(session: Session, code: str) -> bool:
    """Whether Airflow has not yet called the newest backfill of an occasion complete: till then it starts no other."""
    open_ones = sa.select(Backfill.id).where(Backfill.dag_id == dag_id(code), Backfill.completed_at.is_(None))
    return session.scalar(open_ones.limit(1)) is not None


def make_up(
    missed: Collection[MissedRhythm], conf: Mapping[str, Any], tell: Callable[[str], None], pause: Callable[[], None]
) -> int:
    """Have Airflow make up for the days of these orders and tell how far it is; returns how many runs failed.

    Each occasion by itself, one run at a time. Airflow lets a DAG have one backfill at once, so days with gaps between
    them are windows one after the other. `pause` waits between two looks. Raises StageError as `start_backfill`.
    """
    left = {code: windows([one.day for one in missed if one.occasion == code]) for code in _codes(missed)}
    running: set[str] = set()
    told: dict[str, BackfillProgress] = {}
    failed = 0
    while left or running:
        for code in list(left):
            if code not in running:
                first, last = left[code].pop(0)
                start_backfill(code, first, last, conf)
                tell(f"{code}: {_days(first, last)} started")
                running.add(code)
            if not left[code]:
                del left[code]
        pause()
        for code in list(running):
            with create_session() as session:
                now, is_open = progress_of_backfill(session, code), is_backfill_open(session, code)
            if told.get(code) != now:
                told[code] = now
                tell(f"{code}: {now.ended} of {now.runs} runs ended, {now.failed} failed")
            if not is_open:
                failed += now.failed
                running.remove(code)
    return failed


def _codes(missed: Collection[MissedRhythm]) -> list[str]:
    return sorted({one.occasion for one in missed})


def _days(first: date, last: date) -> str:
    return f"{first:%d.%m.%Y}" if first == last else f"{first:%d.%m.%Y} to {last:%d.%m.%Y}"
