"""The daily response file of a bank: an empty one too, so that silence is noticed."""

from __future__ import annotations

import sqlalchemy as sa

from reku.process.answers import Counts
from reku.process.collecting import age_of_return_mails
from reku.process.systems import bank_named, system_of
from reku.reporting.export import NOTHING_TOLD, export


def write_daily_feedback(engine: sa.Engine, institute: str) -> Counts:
    """Report every event of the bank that nobody was told yet; once a Berlin day also if there is none.

    Nothing is collected for it: the counts say until when return mails are in.

    Raises StageError for an unknown bank and one whose core system is not served, ConfigError for its broken file,
    SetupError if the outbox cannot be written to, or if a key that the file needs is missing or another one.
    """
    bank = bank_named(institute)
    written = export(engine, bank, system_of(bank).feedback, daily=True)
    return (written.counts if written else NOTHING_TOLD) | age_of_return_mails(engine)
