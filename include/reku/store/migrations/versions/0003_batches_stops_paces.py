"""Batches with leases instead of one commit per mail; stop switches; paces; what canary and control copy remember.

Hand-over is begun in the dispatcher's journal, so the state BEGUN is gone: what still has it was left by a dispatcher
that died, and is in doubt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_STATES = "state IN ('OPEN', 'CLAIMED', 'SENT', 'WITHHELD', 'REJECTED', 'UNDELIVERED', 'IN_DOUBT')"
_ONE_PER = {
    "uq_messages_one_per_occasion_date": ["order_id", "person_number", "address_hmac", "occasion_date"],
    "uq_messages_one_per_delivery": ["order_id", "delivery_number", "person_number", "address_hmac"],
}


def upgrade() -> None:
    op.execute("CREATE SEQUENCE reku.fences")
    op.execute("SELECT setval('reku.fences', 1 + (SELECT coalesce(max(fence), 0) FROM reku.deliveries))")
    op.drop_column("deliveries", "fence", schema="reku")
    op.create_table(
        "claims",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False, comment="by the database's own clock"),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_claims_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "fence", name=op.f("pk_claims")),
        schema="reku",
        comment="Batches in the hands of a dispatcher; each has a journal on the machine that claimed it",
    )
    op.create_table(
        "stops",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=True, comment="null: every institute"),
        sa.Column("order_number", sa.Text(), nullable=True, comment="null: every order of the institute"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "order_number IS NULL OR institute IS NOT NULL", name=op.f("ck_stops_order_of_an_institute")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stops")),
        schema="reku",
        comment="Stop switches of the dispatch, thrown and lifted by people",
    )
    op.create_index("ix_stops_in_force", "stops", ["id"], schema="reku", postgresql_where=sa.text("lifted_at IS NULL"))
    op.create_table(
        "paces",
        sa.Column("institute", sa.CHAR(length=8), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False, comment="of recipients; empty: the institute's own pace"),
        sa.Column(
            "next_at", sa.DateTime(timezone=True), nullable=False, comment="next free slot, by the database's clock"
        ),
        sa.Column("slowed", sa.Integer(), server_default="0", nullable=False, comment="421 answers in a row"),
        sa.PrimaryKeyConstraint("institute", "domain", name=op.f("pk_paces")),
        schema="reku",
        comment="When the next mail of an institute, or to a recipient domain, may go out; shared by all dispatchers",
    )
    for name in ("control_copy_at", "canary_until", "canary_passed_at"):
        op.add_column("deliveries", sa.Column(name, sa.DateTime(timezone=True), nullable=True), schema="reku")
    op.add_column("messages", sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True), schema="reku")
    op.create_index("ix_suppressions_address", "suppressions", ["institute", "address_hmac"], schema="reku")
    op.create_index("ix_suppressions_person", "suppressions", ["institute", "person_number"], schema="reku")
    op.drop_constraint(op.f("fk_responses_order_id"), "responses", schema="reku", type_="foreignkey")
    _messages()


def _messages() -> None:
    op.execute("UPDATE reku.messages SET state = 'IN_DOUBT' WHERE state = 'BEGUN'")
    op.execute("UPDATE reku.messages SET state = 'OPEN', fence = NULL, claimed_at = NULL WHERE state = 'CLAIMED'")
    op.drop_constraint(op.f("ck_messages_state"), "messages", schema="reku")
    op.create_check_constraint(op.f("ck_messages_state"), "messages", _STATES, schema="reku")
    op.drop_index("ix_messages_delivery_state", "messages", schema="reku")
    op.drop_index("ix_messages_due", "messages", schema="reku")
    op.drop_constraint(op.f("uq_messages_order_id_delivery_number_reference"), "messages", schema="reku")
    op.create_unique_constraint(
        op.f("uq_messages_delivery_id_reference"), "messages", ["delivery_id", "reference"], schema="reku"
    )
    op.create_index(
        "ix_messages_open",
        "messages",
        ["delivery_id", "id"],
        schema="reku",
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    for name, columns in _ONE_PER.items():
        op.drop_index(name, "messages", schema="reku")
        op.create_index(
            name,
            "messages",
            columns,
            unique=True,
            schema="reku",
            postgresql_where=sa.text("state IN ('CLAIMED', 'SENT', 'IN_DOUBT')"),
        )
