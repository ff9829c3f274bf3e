"""Whom the unsubscribe links of old mails mean: links never expire, messages leave by retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "past_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the message's id"),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("address_hmac", sa.CHAR(length=64), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_past_messages_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_messages")),
        schema="reku",
        comment="Whom the unsubscribe link of a mail means whose message has left by retention: links never expire",
    )
