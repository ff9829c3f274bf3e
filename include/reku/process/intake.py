"""What has arrived is taken in, bank by bank: a bank whose place is slow or broken holds up no other."""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation.bank_folders import banks_present
from reku.foundation.errors import PassingError
from reku.process.refused import report_refused
from reku.process.systems import bank_named, served_banks, system_of
from reku.sources.source import TakenIn


def intake_banks() -> list[str]:
    """The BLZ of each bank that delivers for its orders, and of those whose file is broken: their own work says so.

    Banks whose data we select from have an import of their own.
    """
    return served_banks(lambda bank: not bank.delivers_data)


def take_in(engine: sa.Engine, institute: str) -> TakenIn:
    """One look for one bank.

    Raises StageError for an unknown BLZ and a bank whose core system is not served, ConfigError for a broken file of
    the bank, PassingError if the place that it delivers to cannot be used.
    """
    bank = bank_named(institute)
    source = system_of(bank).source
    try:
        taken = source.take_in(engine, bank)
    except OSError as error:
        raise PassingError(
            f"Institute {institute}: the place that its files come to cannot be used"
            f" ({error.strerror or type(error).__name__}). What lies there waits for the next look."
        ) from None
    report_refused(engine, institute)
    return taken
    report_refused(engine, institute)
    return taken


def unknown_folders() -> list[str]:
    """A sentence for each folder of a BLZ that no institute file belongs to; it is left untouched.

    Raises SetupError if the files URL cannot be used.
    """
    known = institutes()
    return [
        f"Folder {name} below REKU_FILES_URL belongs to no institute. Add institutes/{name}.yaml or remove it."
        for name in banks_present()
        if name not in known
    ]
