"""The kinds of files that a cooperative bank delivers, in the order in which they are taken in."""

from __future__ import annotations

from enum import StrEnum

from reku.store import imports


class Kind(StrEnum):
    """Dateiart. Whoever comes later names people of the customers."""

    CUSTOMERS = imports.CUSTOMERS
    HOLDINGS = "IDA_BESTAND"
    APPOINTMENTS = "GDIX_TERMINE"
    IMPULSES = "IMPULSE"


SNAPSHOTS = (Kind.CUSTOMERS, Kind.HOLDINGS)
"""Kinds whose file is the whole state, if it is no delta; of the others a file says what is new or has changed."""
