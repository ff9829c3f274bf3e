"""What we select ourselves: by which rule and from which data, and the rows until the gate has judged them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.tables.base import institute, metadata
from reku.store.tables.delivered import deliveries

selections = sa.Table(
    "selections",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    institute(),
    sa.Column("selected_on", sa.Date, nullable=False, comment="Berlin day on which windows had to be open"),
    sa.Column("rule_hash", sa.CHAR(64), nullable=False, comment="SHA-256 of the occasion's rule and window"),
    sa.Column("imports", sa.ARRAY(sa.BigInteger), nullable=False, comment="ids of the imports that were selected from"),
    sa.Column(
        "funnel",
        JSONB,
        nullable=False,
        comment="pairs of person and Anlass_Datum: matched, kept out by reason, selected; rows",
    ),
    comment="By which rule and from which data a delivery was selected",
)

selected_rows = sa.Table(
    "selected_rows",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    institute(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("recipient_key", sa.CHAR(64), nullable=False, comment="HMAC of the mail address"),
    sa.Column("domain", sa.Text, nullable=False, comment="of the mail address, lower case, A-labels"),
    # no foreign key: its check of each row costs as much as the row; a key goes only when no row names it any more
    sa.Column("data_key_id", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="the whole row, as the gate wants it"),
    sa.Index("ix_selected_rows_data_key_id", "data_key_id"),
    comment="Rows of a selection until the gate has judged them",
)
