"""What dispatchers share: claimed batches, limits of rates, and how far a delivery's control copy and canary are."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.tables.base import SCHEMA, institute, metadata, moment
from reku.store.tables.delivered import deliveries

dispatches = sa.Table(
    "dispatches",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    institute(),
    moment("control_copy_at"),
    moment("canary_until"),
    moment("canary_passed_at"),
    sa.Column("tries_in_vain", sa.Integer, nullable=False, server_default="0", comment="in a row, without a session"),
    comment="What dispatch keeps of a delivery, from its first try on: the control copy, the canary, an outage",
)

fences = sa.Sequence("fences", metadata=metadata, schema=SCHEMA)
"""Numbers of claimed batches."""

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("fence", sa.BigInteger, primary_key=True),
    institute(),
    sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False, comment="by the database's own clock"),
    comment="Batches in the hands of a dispatcher; each has a journal on the machine that claimed it",
)

rate_limits = sa.Table(
    "rate_limits",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True),
    sa.Column("domain", sa.Text, primary_key=True, comment="of recipients; empty: the institute's own pace"),
    sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, comment="next free slot, by the database's clock"),
    sa.Column("slowed", sa.Integer, nullable=False, server_default="0", comment="421 answers in a row"),
    comment="When the next mail of an institute, or to a recipient domain, may go out; shared by all dispatchers",
)
