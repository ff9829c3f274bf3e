"""A subscriber is known by list and person number alone: a key and a reference less make filling a list twice as fast."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_constraint(op.f("fk_subscribers_list_id"), "subscribers", schema="reku", type_="foreignkey")
    op.drop_constraint(op.f("uq_subscribers_list_id_person_number"), "subscribers", schema="reku")
    op.drop_column("subscribers", "id", schema="reku")  # its key goes with it
    op.create_primary_key(op.f("pk_subscribers"), "subscribers", ["list_id", "person_number"], schema="reku")
    op.alter_column(
        "subscribers",
        "delivery_number",
        existing_type=sa.Integer(),
        existing_nullable=False,
        existing_comment="the last delivery that updated it",
        comment="the last delivery that changed it; one that told nothing new stands in the ledger alone",
        schema="reku",
    )
