"""Events are assigned to a response file unchecked: they come out of the table that each would be looked for in."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0007"


def upgrade() -> None:
    op.drop_constraint("fk_feedback_rows_response_id", "feedback_rows", schema="reku", type_="foreignkey")
    op.drop_constraint("fk_feedback_rows_file_id", "feedback_rows", schema="reku", type_="foreignkey")
