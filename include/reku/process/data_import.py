"""A bank's data are taken in where we select the people ourselves, bank by bank."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from reku.channels.agree_mailing.jobs import KIND
from reku.pickup.push import push_files, take_acknowledgements
from reku.process import intake
from reku.process.systems import FILE_FORMATS, data_bank_named, served_banks
from reku.sources.source import TakenIn


def data_banks() -> list[str]:
    """The BLZ of each bank whose data are imported, and of those whose file is broken: their own work says so."""
    return served_banks(lambda bank: bank.delivers_data)


def import_data(engine: sa.Engine, institute: str) -> TakenIn:
    """One look for one bank: what has come is imported, and addresses whose time is over are forgotten.

    What is prepared for a system of the bank is put into its outbox, and what it has acknowledged is sent.

    Raises StageError for an unknown BLZ and a bank whose data are not imported, ConfigError for a broken file of the
    bank, PassingError if the place that it delivers to cannot be used.
    """
    bank = data_bank_named(institute)
    taken = intake.take_in(engine, bank.blz)
    pushed, not_made = push_files(engine, bank, FILE_FORMATS)
    acknowledged, not_taken = take_acknowledgements(engine, bank, (KIND,))
    ours = {"pushed": pushed, "acknowledged": acknowledged}
    counts = {**taken.counts, **{name: count for name, count in ours.items() if count}}
    return replace(taken, counts=counts, problems=(*taken.problems, *not_made, *not_taken))
