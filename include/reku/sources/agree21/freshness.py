"""Whether a bank's data are fresh enough to select from: today's until `data_by`, then any young enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.selection import Selection, asks_for_holdings
from reku.contact.data_age import is_young
from reku.foundation import clock
from reku.sources.agree21.kinds import Kind
from reku.sources.agree21.newest import have_addresses
from reku.store.imports import newest_import


@dataclass(frozen=True)
class FreshData:
    """The imports to select from, by id; and the kinds of data that are missing, or too old."""

    imports: tuple[int, ...]
    missing: tuple[Kind, ...]


def fresh_data(connection: sa.Connection, bank: Institute, rule: Selection) -> FreshData:
    """What of the data that a rule looks at is fresh now.

    Data of today are; after the bank's `data_by` those that are younger than `max_data_age` are too, by the file's own
    time. Customers whose addresses were forgotten are not: nobody of them could be written to.
    """
    kinds = [Kind.CUSTOMERS, *([Kind.HOLDINGS] if asks_for_holdings(rule) else [])]
    found = {kind: newest_import(connection, bank.blz, kind) for kind in kinds}
    imports = tuple(
        newest.id
        for kind, newest in found.items()
        if newest is not None
        and _is_fresh(bank, newest)
        and (kind != Kind.CUSTOMERS or have_addresses(connection, bank))
    )
    missing = tuple(kind for kind, newest in found.items() if newest is None or newest.id not in imports)
    return FreshData(imports, missing)


def _is_fresh(bank: Institute, newest: sa.Row[Any]) -> bool:
    if clock.berlin(newest.data_at).date() == clock.today():
        return True
    by = clock.at(clock.today(), bank.imports.data_by.hour, bank.imports.data_by.minute)
    return clock.now() >= by and is_young(bank, newest.data_at)
