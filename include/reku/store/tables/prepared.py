"""Files that wait for the bank, or for a system of its, to take them; and who stands in them."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.kinds import PreparedKind
from reku.store.tables.base import closed, identity, institute, metadata, moment
from reku.store.tables.delivered import deliveries

prepared_files = sa.Table(
    "prepared_files",
    metadata,
    identity(),
    institute(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="of the bank's files of this kind, from 1"),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), comment="null: of all deliveries"),
    sa.Column("file_name", sa.Text, nullable=False, comment="of its only file, or of its first"),
    moment("stamped_at", nullable=False),
    sa.Column("last_day", sa.Date, nullable=False, comment="last Berlin day on which it may be fetched"),
    sa.Column("rows", sa.Integer, nullable=False, comment="as many as were assigned to it"),
    sa.Column(
        "left_out",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="those it was made without: people who had left the bank's data, were erased or cannot be reached",
    ),
    sa.Column("sha256", sa.CHAR(64), comment="of the bytes of all its files; null until they were made"),
    moment("pushed_at"),
    moment("fetched_at"),
    moment("acknowledged_at"),
    moment("expired_at"),
    moment("erased_at"),
    closed("kind", PreparedKind),
    sa.UniqueConstraint("institute", "kind", "number"),
    sa.UniqueConstraint("institute", "file_name"),
    sa.Index("ix_prepared_files_delivery_id", "delivery_id"),
    comment="Files that wait to be fetched or acknowledged; number, time stamp and rows are fixed before one is made",
)

prepared_rows = sa.Table(
    "prepared_rows",
    metadata,
    # no foreign keys: both are read in the statement that writes the row
    sa.Column("file_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False, comment="place in the file, from 1"),
    institute(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("message_id", sa.BigInteger, comment="null: about no message"),
    sa.Column(
        "values", sa.ARRAY(sa.Text), nullable=False, server_default="{}", comment="what no other table keeps for it"
    ),
    sa.Index("ix_prepared_rows_message_id", "message_id"),
    sa.Index("ix_prepared_rows_person", "institute", "person_number"),
    comment="Who stands in a prepared file; goes when the file may be fetched no longer",
)

told_in_bap = sa.Table(
    "told_in_bap",
    metadata,
    # no foreign key: a message outlives its last day by far
    sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False),
    institute(),
    sa.Column("last_day", sa.Date, nullable=False, comment="of the message; then the row goes"),
    comment="Messages that a file for agree21BAP has told as EIN: one that drops out is told as AUS",
)

told_core_fields = sa.Table(
    "told_core_fields",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment="BLZ, leading zeros kept"),
    sa.Column("person_number", sa.Text, primary_key=True),
    sa.Column("field", sa.CHAR(4), primary_key=True, comment="number of the bank-individual field"),
    sa.Column("value", sa.Text, nullable=False, comment="what stands there since the file was fetched"),
    comment="What the core system was told of a person by FE 3053: only what differs is told again",
)
