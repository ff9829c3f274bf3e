"""Which mail of the return mailbox is about which message: evidence of its events, found when somebody is erased."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "return_mails",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=False, comment="finds it again in the return mailbox; names nobody"),
        sa.Column("meaning", sa.Text(), nullable=False, comment="BOUNCE, COMPLAINT, IGNORED or UNCLEAR"),
        sa.Column(
            "event", sa.Text(), nullable=False, server_default="", comment="kind of the event it is the evidence of"
        ),
        sa.Column("status", sa.Text(), nullable=False, server_default="", comment="enhanced status"),
        sa.Column("why", sa.Text(), nullable=False, server_default="", comment="the rule that decided, in words"),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_return_mails_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_mails")),
        sa.UniqueConstraint("message_id", "mail", name=op.f("uq_return_mails_message_id_mail")),
        schema="reku",
        comment="Mails of the return mailbox about a message: the evidence of its bounces and complaints",
    )
    op.create_index("ix_return_mails_taken_at", "return_mails", ["taken_at"], schema="reku")
