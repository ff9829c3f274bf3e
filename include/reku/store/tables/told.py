"""What people were told of by themselves: alarms that are not over."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.tables.base import metadata, moment

alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("cause", sa.Text, primary_key=True, comment="kind and subject, such as PARKED deliveries:17"),
    sa.Column("institute", sa.CHAR(8), comment="null: no single one"),
    sa.Column("about", sa.Text, nullable=False, comment="who is concerned, as people were told"),
    sa.Column("people", sa.Integer, comment="how many were concerned when it was told last; null: nobody knows"),
    moment("first_told_at", nullable=False),
    moment("told_at", nullable=False),
    comment="Causes that people were told of and that are not over; what is over leaves",
)
