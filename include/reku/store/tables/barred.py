"""Who may not be written to, for good or until a person lifts it."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.kinds import SuppressionKind, SuppressionSource
from reku.store.tables.base import closed, identity, institute, metadata, moment
from reku.store.tables.intake import orders

suppressions = sa.Table(
    "suppressions",
    metadata,
    identity(),
    institute(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("recipient_key", sa.CHAR(64), nullable=False, comment="as in messages"),
    sa.Column("person_number", sa.Text, nullable=False, server_default=""),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null: all orders of the institute"),
    sa.Column("source", sa.Text, nullable=False),
    moment("since", nullable=False),
    closed("kind", SuppressionKind),
    closed("source", SuppressionSource),
    sa.Index(
        "uq_suppressions",
        "institute",
        "kind",
        "recipient_key",
        "person_number",
        "order_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("ix_suppressions_recipient", "institute", "recipient_key"),
    sa.Index("ix_suppressions_person", "institute", "person_number"),
    comment="Addresses barred by their HMAC; a later consent flag never lifts one",
)

barred_domains = sa.Table(
    "barred_domains",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment="BLZ; 00000000: every institute"),
    sa.Column("domain", sa.Text, primary_key=True, comment="as mail servers write it, lower case"),
    moment("since", nullable=False),
    comment="Mail domains that a person has blacklisted",
)

reactivations = sa.Table(
    "reactivations",
    metadata,
    identity(),
    institute(),
    sa.Column("recipient_key", sa.CHAR(64), nullable=False),
    moment("at", nullable=False),
    sa.Index("ix_reactivations_recipient", "institute", "recipient_key"),
    comment="Addresses that a person has let be written to again: their bounce series begins anew",
)
