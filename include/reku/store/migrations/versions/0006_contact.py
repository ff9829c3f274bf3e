"""All reasons of a withheld message, blocking periods, appointments, barred domains, one mail per address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column(
        "messages",
        sa.Column(
            "second",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="somebody else of the delivery gets the mail for this address",
        ),
        schema="reku",
    )
    op.add_column(
        "messages",
        sa.Column(
            "reasons",
            sa.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="all reasons that held when it was withheld, first one first",
        ),
        schema="reku",
    )
    op.execute("UPDATE reku.messages SET reasons = ARRAY[reason] WHERE state = 'WITHHELD' AND reason <> ''")
    op.create_index(
        "ix_messages_open_person",
        "messages",
        ["institute", "person_number"],
        schema="reku",
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    op.create_table(
        "contacts",
        _id(),
        _institute(),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column(
            "message_id",
            sa.BigInteger(),
            nullable=True,
            comment="its state says whether the contact is reserved, confirmed or void; null: not by mail",
        ),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="Berlin day of the contact"),
        sa.Column("blocked_until", sa.Date(), nullable=False, comment="last day of its blocking period"),
        sa.Column(
            "mandatory", sa.Boolean(), nullable=False, comment="by a Pflichtkampagne, in spite of blocking periods"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["reku.messages.id"], name=op.f("fk_contacts_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("message_id", name=op.f("uq_contacts_message_id")),
        schema="reku",
        comment="Contacts with active media: blocking periods and caps hang on them",
    )
    op.create_index("ix_contacts_person", "contacts", ["institute", "person_number", "blocked_until"], schema="reku")
    op.create_table(
        "appointments",
        _id(),
        _institute(),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint(
            "institute", "person_number", "day", name=op.f("uq_appointments_institute_person_number_day")
        ),
        schema="reku",
        comment="Days on which people have an appointment with the bank; before it no mail goes out",
    )
    op.create_table(
        "barred_domains",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ; 00000000: every institute"),
        sa.Column("domain", sa.Text(), nullable=False, comment="as mail servers write it, lower case"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("institute", "domain", name=op.f("pk_barred_domains")),
        schema="reku",
        comment="Mail domains that a person has blacklisted",
    )
    op.create_table(
        "reactivations",
        _id(),
        _institute(),
        sa.Column("address_hmac", sa.CHAR(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reactivations")),
        schema="reku",
        comment="Addresses that a person has let be written to again: their bounce series begins anew",
    )
    op.create_index("ix_reactivations_address", "reactivations", ["institute", "address_hmac"], schema="reku")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def _institute() -> sa.Column[str]:
    return sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept")


def downgrade() -> None:
    for table in ("reactivations", "barred_domains", "appointments", "contacts"):
        op.drop_table(table, schema="reku")
    op.drop_index("ix_messages_open_person", "messages", schema="reku")
    op.drop_column("messages", "reasons", schema="reku")
    op.drop_column("messages", "second", schema="reku")
