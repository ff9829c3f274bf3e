"""The daily response file of a bank: an empty one too, so that silence is noticed."""

from __future__ import annotations

import sqlalchemy as sa

from reku.process.answers import Counts
from reku.process.collecting import age_of_return_mails
from reku.process.systems import bank_named, feedback_of, served_banks, system_of
from reku.reporting.export import export


def feedback_banks() -> list[str]:
    """The BLZ of each bank whose core system takes feedback, and of those whose file is broken."""
    return served_banks(lambda bank: system_of(bank).feedback is not None)


def write_daily_feedback(engine: sa.Engine, institute: str) -> Counts:
    """Report every event of the bank that nobody was told yet; once a Berlin day also if there is none.

    Nothing is collected for it: the counts say until when return mails are in.

    Raises StageError for an unknown bank and one whose core system is not served or takes no feedback, ConfigError for
    its broken file, SetupError if the outbox cannot be written to.
    """
    bank = bank_named(institute)
    written = export(engine, bank, feedback_of(bank), daily=True)
    counts: Counts = {"file": written.number, "rows": written.rows} if written else {"file": None, "rows": 0}
    return counts | age_of_return_mails(engine)
