"""Suppressions hold each person of a shared address: who unsubscribed second was barred by the address alone."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_index("uq_suppressions", "suppressions", schema="reku")
    op.create_index(
        "uq_suppressions",
        "suppressions",
        ["institute", "kind", "address_hmac", "person_number", "order_id"],
        unique=True,
        schema="reku",
        postgresql_nulls_not_distinct=True,
    )
