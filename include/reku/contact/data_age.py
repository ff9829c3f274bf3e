"""Whether a bank's data are young enough to say who may be contacted (docs/contact.md, "Whom we select ourselves")."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.imports import CUSTOMERS, newest_import


def is_young(bank: Institute, data_at: datetime) -> bool:
    """Whether data of that moment are of today, or younger than the bank's `max_data_age`."""
    is_of_today = clock.berlin(data_at).date() == clock.today()
    return is_of_today or clock.now() - data_at < bank.imports.max_data_age


def check_data_age(connection: sa.Connection, bank: Institute) -> None:
    """Raises StageError if the bank's newest customers are too old to decide by, or if there are none."""
    newest = newest_import(connection, bank.blz, CUSTOMERS)
    if newest is None or not is_young(bank, newest.data_at):
        hours = bank.imports.max_data_age.total_seconds() / 3600
        found = "none" if newest is None else f"the newest: {clock.berlin(newest.data_at):%d.%m.%Y %H:%M}"
        raise StageError(
            f"{bank.name}: no more mails go out, since its customers (ida_kunden) are neither of today nor younger than"
            f" {hours:g} hours ({found}), and do not say who has objected since. All that was not handed over is"
            " still open: import fresh data, then clear `dispatch`."
        )
