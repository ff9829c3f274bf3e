"""What people do by hand: stop switches, and the audit of everything."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.tables.base import identity, institute, metadata, moment

stops = sa.Table(
    "stops",
    metadata,
    identity(),
    sa.Column("institute", sa.CHAR(8), comment="null: every institute"),
    sa.Column("order_number", sa.Text, comment="null: every order of the institute"),
    moment("since", nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    # no foreign key: a stop is kept for as long as the audit, the delivery leaves before
    sa.Column("delivery_id", sa.BigInteger, comment="whose mails were taken badly; null: a person has stopped"),
    moment("lifted_at"),
    sa.Column("lifted_by", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("order_number IS NULL OR institute IS NOT NULL", name="order_of_an_institute"),
    sa.Index("ix_stops_in_force", "id", postgresql_where=sa.text("lifted_at IS NULL")),
    comment="Stop switches of the dispatch, thrown by people or by what came back, lifted by people",
)

audit = sa.Table(
    "audit",
    metadata,
    identity(),
    institute(),
    moment("at", nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="table:id or a reference, never personal data"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    comment="What people did by hand",
)
