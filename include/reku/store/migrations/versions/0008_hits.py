"""Opens and clicks as they came, and how far the trackers' journals have been taken in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "hits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="OEFF or KLIC"),
        sa.Column("link_number", sa.Integer(), nullable=True, comment="of a click"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "agent", sa.Text(), server_default="", nullable=False, comment="User-Agent, its first 200 characters"
        ),
        sa.Column("verdict", sa.Text(), nullable=True, comment="null until judged"),
        sa.Column("rule", sa.Text(), server_default="", nullable=False, comment="what marks it as a machine's"),
        sa.CheckConstraint("kind IN ('OEFF', 'KLIC')", name=op.f("ck_hits_kind")),
        sa.CheckConstraint("verdict IN ('PERSON', 'MACHINE')", name=op.f("ck_hits_verdict")),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_hits_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hits")),
        schema="reku",
        comment="Every open and click of people with tracking consent, as it came; those by people become responses",
    )
    op.create_index("ix_hits_message_id", "hits", ["message_id", "at"], schema="reku")
    op.create_index("ix_hits_unjudged", "hits", ["at"], schema="reku", postgresql_where=sa.text("verdict IS NULL"))
    op.create_table(
        "hit_journals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "institute",
            sa.CHAR(length=8),
            server_default="00000000",
            nullable=False,
            comment="00000000: a journal is of all institutes",
        ),
        sa.Column(
            "drained", sa.BigInteger(), server_default="0", nullable=False, comment="bytes of it that stand in hits"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hit_journals")),
        schema="reku",
        comment="How far each journal of a tracker has been taken in; a row goes with its file",
    )


def downgrade() -> None:
    op.drop_table("hit_journals", schema="reku")
    op.drop_table("hits", schema="reku")
