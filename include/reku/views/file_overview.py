"""Files: everything that arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.tables import files
from reku.views.rows import filters, read


@dataclass(frozen=True)
class FileLine:
    """A file that arrived. Its name comes from outside and may hold anything. `kind`: Dateiart, empty if unknown."""

    id: int
    institute: str
    received_at: datetime
    verdict: str
    kind: str
    file_name: str
    code: str
    advice: str
    stored_as: str


def file_lines(engine: sa.Engine, institute: str = "", verdict: str = "", *, most: int | None = None) -> list[FileLine]:
    """The files that arrived, newest first; of all, or of an institute, with a verdict; at most so many."""
    of = files.c
    wanted = (
        sa.select(
            of.id,
            of.institute,
            of.received_at,
            of.verdict,
            of.kind,
            of.file_name,
            of.code,
            of.advice,
            of.stored_as,
        )
        .where(*filters((of.institute, institute), (of.verdict, verdict)))
        .order_by(of.id.desc())
        .limit(most)
    )
    with engine.connect() as connection:
        return read(connection, wanted, FileLine)
