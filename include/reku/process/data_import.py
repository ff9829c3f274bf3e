"""A bank's data are taken in where we select the people ourselves, bank by bank."""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation.errors import PassingError
from reku.process.systems import data_bank_named, take_in_data
from reku.sources.source import TakenIn


def data_banks() -> list[str]:
    """The BLZ of each bank whose data are imported, and of those whose file is broken: their own work says so."""
    known = institutes()
    return [blz for blz in known if blz not in known.whole or known.whole[blz].delivers_data]


def import_data(engine: sa.Engine, institute: str) -> TakenIn:
    """One look for one bank: what has come is imported, and addresses whose time is over are forgotten.

    Raises StageError for an unknown BLZ and a bank whose data are not imported, ConfigError for a broken file of the
    bank, PassingError if the place that it delivers to cannot be used.
    """
    bank = data_bank_named(institute)
    try:
        return take_in_data(engine, bank)
    except OSError as error:
        raise PassingError(
            f"Institute {institute}: the place that its files come to cannot be used"
            f" ({error.strerror or type(error).__name__}). What lies there waits for the next look."
        ) from None
