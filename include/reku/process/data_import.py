"""A bank's data are taken in where we select the people ourselves, bank by bank."""

from __future__ import annotations

import sqlalchemy as sa

from reku.process import intake
from reku.process.systems import data_bank_named, served_banks
from reku.sources.source import TakenIn


def data_banks() -> list[str]:
    """The BLZ of each bank whose data are imported, and of those whose file is broken: their own work says so."""
    return served_banks(lambda bank: bank.delivers_data)


def import_data(engine: sa.Engine, institute: str) -> TakenIn:
    """One look for one bank: what has come is imported, and addresses whose time is over are forgotten.

    Raises StageError for an unknown BLZ and a bank whose data are not imported, ConfigError for a broken file of the
    bank, PassingError if the place that it delivers to cannot be used.
    """
    return intake.take_in(engine, data_bank_named(institute).blz)
