"""Files: everything that arrived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from reku.store.tables import files as of
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


def files(engine: sa.Engine, institute: str = "", verdict: str = "") -> list[FileLine]:
    """The files that arrived, newest first; of all, or of an institute, with a verdict."""
    wanted = (
        sa.select(
            *(of.c.id, of.c.institute, of.c.received_at, of.c.verdict, of.c.kind),
            *(of.c.file_name, of.c.code, of.c.advice, of.c.stored_as),
        )
        .where(*filters((of.c.institute, institute), (of.c.verdict, verdict)))
        .order_by(of.c.id.desc())
    )
    with engine.connect() as connection:
        return read(connection, wanted, FileLine)
