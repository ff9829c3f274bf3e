"""What the gate found in numbers, what a delivery looks like as a whole, and who released it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "rule_counts",
        _delivery(),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="place of the rule among those of its delivery, from 1"
        ),
        _institute(),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("check", sa.Text(), nullable=False, comment="kind of check"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="Fehler_Code of 9.15"),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.Integer(), nullable=False, comment="rows whose field was filled, or had to be"),
        sa.Column("broken", sa.Integer(), nullable=False, comment="rows that broke it"),
        _of_a_delivery("rule_counts"),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_rule_counts")),
        schema="reku",
        comment="What each rule of the gate found in a delivery, in numbers; the report is made from it",
    )
    op.create_table(
        "figures",
        _delivery(),
        sa.Column("name", sa.Text(), nullable=False),
        _institute(),
        sa.Column("value", sa.Float(), nullable=False, comment="a count, or a share from 0 to 1"),
        sa.Column("low", sa.Float(), comment="range that passes unasked, ends included; null: no limit or not judged"),
        sa.Column("high", sa.Float()),
        sa.Column("basis", sa.Text(), server_default="", nullable=False, comment="what the range comes from"),
        _of_a_delivery("figures"),
        sa.PrimaryKeyConstraint("delivery_id", "name", name=op.f("pk_figures")),
        schema="reku",
        comment="What a delivery looks like as a whole, and what was to be expected; earlier ones are the history",
    )
    op.create_table(
        "releases",
        _delivery(),
        _institute(),
        sa.Column("asked_at", sa.DateTime(timezone=True)),
        sa.Column("decision", sa.Text(), comment="null while a person is asked"),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column(
            "actor", sa.Text(), server_default="", nullable=False, comment="who decided; empty: nobody was asked"
        ),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("decision IN ('NORMAL', 'APPROVED', 'DECLINED')", name=op.f("ck_releases_decision")),
        _of_a_delivery("releases"),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_releases")),
        schema="reku",
        comment="Who let a delivery through, or did not; never asked again once it is decided",
    )


def _delivery() -> sa.Column[int]:
    return sa.Column("delivery_id", sa.BigInteger(), nullable=False)


def _institute() -> sa.Column[str]:
    return sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept")


def _of_a_delivery(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f(f"fk_{table}_delivery_id"))


def downgrade() -> None:
    for table in ("releases", "figures", "rule_counts"):
        op.drop_table(table, schema="reku")
