"""The newest import of each kind of a bank's data."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from reku.store.tables import imports

CUSTOMERS = "IDA_KUNDEN"
"""The kind of import that says who is there, who consents and who refuses."""


def newest_import(connection: sa.Connection, institute: str, kind: str) -> sa.Row[Any] | None:
    """The newest import of a kind (by the data's own time), a delta too; or None."""
    return connection.execute(
        sa.select(imports)
        .where(imports.c.institute == institute, imports.c.kind == kind)
        .order_by(imports.c.data_at.desc(), imports.c.id.desc())
        .limit(1)
    ).one_or_none()
