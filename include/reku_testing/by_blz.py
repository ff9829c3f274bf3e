"""Functions of one room for a bank named by its BLZ, joined to what its core system has, as the process does it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from reku.gate import gate
from reku.process import intake
from reku.process.systems import bank_named, served_banks, system_of
from reku.reporting import export as exporting
from reku.reporting.export import FeedbackFile
from reku.sources.osplus import scan
from reku.sources.osplus.intake_report import IntakeReport
from reku.sources.osplus.rows import read_rows
from reku.sources.source import TakenIn


def take_in(engine: sa.Engine, institute: str) -> IntakeReport:
    """One scan of an OSPlus bank's inbox."""
    return scan.take_in(engine, bank_named(institute))


def take_in_all(engine: sa.Engine) -> dict[str, TakenIn]:
    """One look for each bank, as the intake DAG has its tasks."""
    return {institute: intake.take_in(engine, institute) for institute in served_banks()}


def validate(engine: sa.Engine, delivery: int) -> gate.GateResult:
    """The gate on its own, on a file of OSPlus; the sender is told nothing."""
    return gate.validate(engine, delivery, read_rows)


def export(engine: sa.Engine, institute: str, **which: Any) -> FeedbackFile | None:
    """The bank's unreported events in a new response file."""
    bank = bank_named(institute)
    return exporting.export(engine, bank, system_of(bank).feedback, **which)


def assign(engine: sa.Engine, institute: str, **which: Any) -> FeedbackFile | None:
    """The first half of an export."""
    bank = bank_named(institute)
    return exporting.assign(engine, bank, system_of(bank).feedback, **which)


def rebuild(engine: sa.Engine, institute: str, number: int) -> bytes:
    """The bytes of a response file, made again."""
    bank = bank_named(institute)
    return b"".join(exporting.rebuild(engine, bank, system_of(bank).feedback, number).values())
