"""What EMMA accounts have told: how far each call was read, and each event beside what was made of it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.tables.base import identity, institute, metadata, moment
from reku.store.tables.ledger import messages

emma_cursors = sa.Table(
    "emma_cursors",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True),
    sa.Column("call", sa.Text, primary_key=True, comment="function of the web service"),
    sa.Column("mailing", sa.BigInteger, primary_key=True, comment="number in EMMA; 0: of the whole account"),
    moment("since"),
    sa.Column(
        "place", sa.Integer, nullable=False, server_default="0", comment="rows that the present reading has taken"
    ),
    moment("newest"),
    moment("complete_at"),
    comment="How far each call of an EMMA account was read; moments of its own clock, but the last",
)

emma_events = sa.Table(
    "emma_events",
    metadata,
    identity(),
    institute(),
    sa.Column("call", sa.Text, nullable=False),
    sa.Column("digest", sa.CHAR(64), nullable=False, comment="of all that tells one event from another"),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), comment="null: of nobody whom the ledger knows"),
    moment("at", nullable=False),
    sa.Column("raw", JSONB, nullable=False, comment="as it came, without the person's fields"),
    moment("noted_at", nullable=False),
    sa.UniqueConstraint("institute", "digest"),
    sa.Index("ix_emma_events_message_id", "message_id"),
    comment="What EMMA accounts have told, each event once; opens and clicks of people with tracking consent only",
)
