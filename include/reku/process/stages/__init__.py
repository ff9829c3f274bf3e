"""The stages of a day's work, one module each. Their order is written here and nowhere else.

An occasion's day begins with `await_control_file` and `due_work`, which lists the work: one item per delivery, or per
order whose delivery is expected. Each item goes through `await_delivery` and then through `STAGES`, whatever becomes of
the others. `report` sums up. `orchestration` drives the stages by Airflow, `run_day` drives them in one process.

A stage of a delivery is a function `carry_out(engine, delivery, day) -> Answer`: it does its work, or passes at once
where that is done already, and never waits itself. What goes wrong is raised as an error of ours with a sentence for a
person.
"""

from __future__ import annotations

from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import sqlalchemy as sa

    from reku.process.answers import Answer

STAGES = ("validate", "release", "upsert_subscribers", "dispatch", "collect_responses", "export_feedback")
"""The stages of a delivery in their order, by the name of their module and of their Airflow task."""


class Stage(Protocol):
    """One stage of one delivery."""

    def __call__(self, engine: sa.Engine, delivery: int, day: date) -> Answer:
        """Do the stage's work for a run of that day, or say what it waits for. Raises RekuError."""


def stage(name: str) -> Stage:
    """What a stage does. Imported only now with all it needs: Airflow's parsing reads the names above."""
    return cast("Stage", import_module(f"{__name__}.{name}").carry_out)
