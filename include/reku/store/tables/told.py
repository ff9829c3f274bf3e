"""What people are told of by themselves: causes that are not over, and what is told only in Airflow otherwise."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.tables.base import identity, metadata, moment

alarms = sa.Table(
    "alarms",
    metadata,
    identity(),
    sa.Column("cause", sa.Text, nullable=False, unique=True, comment="kind and subject, such as PARKED deliveries:17"),
    sa.Column("institute", sa.CHAR(8), comment="null: no single one"),
    sa.Column("about", sa.Text, nullable=False, comment="who is concerned, as people are told"),
    sa.Column("team", sa.Text, nullable=False, comment="whose it is, by teams.yaml"),
    sa.Column("people", sa.Integer, comment="how many were concerned when it was told last; null: nobody knows"),
    moment("seen_at", nullable=False),
    moment("told_at", comment="when it was told last; null: it has still to be told"),
    moment("told_first_at", comment="from when on somebody is waited for"),
    moment("escalated_at", comment="when the next team was told, since nobody had taken it"),
    moment("taken_at"),
    sa.Column("taken_by", sa.Text, nullable=False, server_default="", comment="who looks after it"),
    comment="Causes that need a person and are not over, told or still to be told; what is over leaves",
)

silences = sa.Table(
    "silences",
    metadata,
    identity(),
    sa.Column("cause", sa.Text, nullable=False, unique=True, comment="as in alarms"),
    sa.Column("institute", sa.CHAR(8), comment="null: no single one"),
    moment("until", nullable=False),
    moment("since", nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    comment="Causes of which nobody wants to be told for a while; one that has ended leaves",
)

task_failures = sa.Table(
    "task_failures",
    metadata,
    sa.Column("dag", sa.Text, primary_key=True),
    sa.Column("task", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, primary_key=True, comment="bank, order, delivery of a mapped task; else empty"),
    sa.Column("institute", sa.CHAR(8), comment="null: no single one"),
    sa.Column("order_id", sa.BigInteger, comment="null: no single one"),
    sa.Column("occasion", sa.Text, nullable=False, server_default=""),
    moment("at", nullable=False),
    comment="Tasks whose last run has failed for good; one that comes through leaves, and each after a few days",
)

begun_runs = sa.Table(
    "begun_runs",
    metadata,
    sa.Column("occasion", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, nullable=False),
    moment("at", nullable=False),
    comment="The last day whose work some run of an occasion has begun",
)
