"""Imports: how old a bank's data are, and what the newest files changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from reku.catalogue import institutes
from reku.foundation import clock
from reku.store.tables import imports, impulses
from reku.views.rows import filters

_HOUR = 3600
_IMPULSES = "IMPULSE"


@dataclass(frozen=True)
class ImportLine:
    """The newest import of a kind (Dateiart). `age_hours`: since the data were drawn.

    rows = taken + rejected; known_before + added - gone = known_after. `parked`: codes of impulses that no campaign of
    the bank answers, each with the number of impulses that wait for one.
    """

    institute: str
    kind: str
    data_at: datetime
    age_hours: float
    rows: int
    taken: int
    rejected: int
    orphans: int
    known_before: int
    added: int
    changed: int
    gone: int
    known_after: int
    parked: str


def newest_imports(engine: sa.Engine, institute: str = "") -> list[ImportLine]:
    """The newest import of each bank and kind; of all, or of one institute."""
    of = imports.c
    wanted = (
        sa.select(imports)
        .ext(distinct_on(of.institute, of.kind))
        .where(*filters((of.institute, institute)))
        .order_by(of.institute, of.kind, of.data_at.desc(), of.id.desc())
    )
    now = clock.now()
    with engine.connect() as connection:
        parked = _parked(connection)
        return [
            ImportLine(
                row.institute,
                row.kind,
                row.data_at,
                round((now - row.data_at).total_seconds() / _HOUR, 1),
                row.rows,
                row.taken,
                row.rejected,
                row.orphans,
                row.known_before,
                row.added,
                row.changed,
                row.gone,
                row.known_after,
                parked.get(row.institute, "") if row.kind == _IMPULSES else "",
            )
            for row in connection.execute(wanted)
        ]


def _parked(connection: sa.Connection) -> dict[str, str]:
    """BLZ → its parked codes in words, the most frequent first."""
    of = impulses.c
    number = sa.func.count()
    counted = connection.execute(
        sa.select(of.institute, of.code, number.label("impulses"))
        .group_by(of.institute, of.code)
        .order_by(of.institute, number.desc(), of.code)
    )
    known = institutes().whole
    told: dict[str, list[str]] = {}
    for row in counted:
        bank = known.get(row.institute)
        if bank is None or row.code not in bank.impulse_codes:
            told.setdefault(row.institute, []).append(f"{row.code}: {row.impulses}")
    return {institute: ", ".join(codes) for institute, codes in told.items()}
