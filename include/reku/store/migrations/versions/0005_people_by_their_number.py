"""Lists are filled twice as fast: a subscriber is known by list and person number alone, and the fields of a row leave
out its Referenz, which differs in every delivery, so that people of whom nothing new is told have equal fields."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("UPDATE reku.delivery_rows SET fields = fields - 'Referenz'")
    op.execute("UPDATE reku.subscribers SET fields = fields - 'Referenz'")
    op.alter_column(
        "delivery_rows",
        "fields",
        existing_type=postgresql.JSONB(),
        existing_nullable=False,
        existing_comment="all delivered fields by their German names, strings",
        comment="delivered fields but Referenz by German name, strings",
        schema="reku",
    )
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
