"""What is sealed, and the keys that open it (docs/agree21.md, "Pseudonyms and sealed addresses")."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.kinds import SealedKind
from reku.store.tables.base import closed, identity, institute, metadata, moment

data_keys = sa.Table(
    "data_keys",
    metadata,
    identity(),
    institute(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="Berlin date on which it began to seal"),
    sa.Column("wrapped", sa.LargeBinary, comment="the key, wrapped with one of REKU_VAULT_KEYS; null: destroyed"),
    sa.Column("wrapped_by", sa.Text, nullable=False, comment="fingerprint of the vault key that wraps it"),
    moment("destroyed_at"),
    closed("kind", SealedKind),
    sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
    sa.Index(
        "uq_data_keys_day", "institute", "kind", "day", unique=True, postgresql_where=sa.text("destroyed_at IS NULL")
    ),
    comment="Keys that seal a bank's numbers and addresses, one a day; destroyed with the last row that they seal",
)

person_numbers = sa.Table(
    "person_numbers",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment="BLZ, leading zeros kept"),
    sa.Column("person_number", sa.Text, primary_key=True, comment="the pseudonym"),
    # no foreign key: its check of each row costs as much as the row; a key goes only when no row names it any more
    sa.Column("data_key_id", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the clear number"),
    sa.Index("ix_person_numbers_data_key_id", "data_key_id"),
    comment="Clear person numbers, sealed: opened only while a file for the bank is written",
)

pseudonym_keys = sa.Table(
    "pseudonym_keys",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment="BLZ, leading zeros kept"),
    sa.Column("version", sa.Integer, primary_key=True, comment="place of the key in REKU_PSEUDONYM_KEYS, from 1"),
    sa.Column("check_value", sa.Text, nullable=False, comment="tells the right key from another one"),
    comment="Keys by which a bank's numbers become pseudonyms: each makes one of what the one before has made",
)
