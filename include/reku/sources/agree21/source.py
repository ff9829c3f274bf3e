"""agree21 as a source: banks deliver data, and their campaigns announce the orders."""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.sources.agree21 import announcing
from reku.sources.agree21.scan import import_data_of
from reku.sources.source import AnnounceResult, TakenIn


class ImportedData:
    """The data of the cooperative banks."""

    def take_in(self, engine: sa.Engine, bank: Institute) -> TakenIn:
        """One look at the bank's inbox."""
        return import_data_of(engine, bank)

    def announce(self, engine: sa.Engine, bank: Institute, occasion: str) -> AnnounceResult:
        """By the campaigns of the bank's file."""
        return announcing.announce(engine, bank, occasion)
