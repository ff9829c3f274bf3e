"""Deliveries: what the gate made of their rows, what they look like as a whole, who let them through."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.kinds import DeliverySource, Severity
from reku.store.states import HOLDS_ITS_NUMBER, STILL_TO_BE_LOADED, Decision, DeliveryState, sql_list
from reku.store.tables.base import closed, identity, institute, metadata, moment
from reku.store.tables.intake import files, lists, orders

deliveries = sa.Table(
    "deliveries",
    metadata,
    identity(),
    institute(),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("file_id", sa.ForeignKey(files.c.id), comment="null: it comes from no file"),
    sa.Column("contract", sa.Text, nullable=False, comment="kind of the contract that says what its rows hold"),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null while parked without an order"),
    sa.Column(
        "occasion",
        sa.Text,
        nullable=False,
        comment="from its order, or from its first row while parked; may be empty",
    ),
    sa.Column("delivery_number", sa.Integer, nullable=False),
    moment("created_at", nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="Berlin date it was registered on: the day whose run takes it"),
    sa.Column(
        "period_start",
        sa.Date,
        comment="due date of the order's rhythm that it fulfils or, refused, would have; null while parked",
    ),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, server_default=""),
    sa.Column("advice", sa.Text, nullable=False, server_default=""),
    sa.Column("list_id", sa.ForeignKey(lists.c.id)),
    sa.Column("rows", sa.Integer, comment="D records of the file"),
    sa.Column("accepted", sa.Integer),
    sa.Column("rejected", sa.Integer),
    moment("released_at"),
    moment("loaded_at"),
    sa.Column("owner_dag", sa.Text, comment="the run that has it in hand"),
    sa.Column("owner_run", sa.Text),
    sa.Column("alarmed_run", sa.Text, comment="the run whose report was red because it is parked: one alarm each"),
    closed("state", DeliveryState),
    closed("source", DeliverySource),
    sa.CheckConstraint(f"file_id IS NOT NULL OR source <> '{DeliverySource.OSPLUS_FILE}'", name="file_of_a_file"),
    sa.Index(
        "uq_deliveries_number",
        "institute",
        "contract",
        "order_number",
        "delivery_number",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(HOLDS_ITS_NUMBER)}"),
    ),
    sa.Index("ix_deliveries_order_id", "order_id"),
    sa.Index("ix_deliveries_period_start", "period_start", "order_id"),
    sa.Index(
        "ix_deliveries_to_be_loaded", "order_id", postgresql_where=sa.text(f"state IN {sql_list(STILL_TO_BE_LOADED)}")
    ),
    sa.Index("ix_deliveries_occasion_state", "occasion", "state"),
    sa.Index("ix_deliveries_parked", "institute", postgresql_where=sa.text("state = 'PARKED'")),
    comment="Numbered deliveries of people; a refused one leaves its number free for a corrected one",
)

rejects = sa.Table(
    "rejects",
    metadata,
    identity(),
    institute(),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("reference", sa.Text, nullable=False, server_default=""),
    sa.Column("field", sa.Text, nullable=False, server_default=""),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("advice", sa.Text, nullable=False, server_default=""),
    sa.UniqueConstraint("delivery_id", "line"),
    comment="Rows kept out by the gate, one line each with its first fault; they go back by receipt",
)

delivery_rows = sa.Table(
    "delivery_rows",
    metadata,
    identity(),
    institute(),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False, comment="as delivered; of a sealed row only @ and the domain"),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date, comment="its own last day; null: the occasion's"),
    sa.Column("consent", sa.Boolean, nullable=False),
    sa.Column("tracking", sa.Boolean, nullable=False),
    sa.Column("salutation", sa.Text, comment="1 Herr, 2 Frau, 3 without, 4 firm; null: not said"),
    sa.Column("content_key", sa.Text, comment="key of the medium that was chosen for it; null: the campaign's"),
    sa.Column("priority", sa.SmallInteger, comment="1 first, 9 last, where contacts compete; null: the occasion's"),
    sa.Column("channel", sa.Text, nullable=False, server_default="email", comment="by which the person is reached"),
    sa.Column("fields", JSONB, nullable=False, comment="all delivered fields but the reference, by name, as delivered"),
    sa.Column("data_key_id", sa.BigInteger, comment="the key that seals it; null: nothing of it is sealed"),
    sa.Column("sealed", sa.LargeBinary, comment="address, and the fields that the contract calls sealed"),
    sa.CheckConstraint("(data_key_id IS NULL) = (sealed IS NULL)", name="sealed"),
    sa.UniqueConstraint("delivery_id", "reference"),
    sa.UniqueConstraint("delivery_id", "line"),
    sa.Index("ix_delivery_rows_data_key_id", "data_key_id", postgresql_where=sa.text("data_key_id IS NOT NULL")),
    comment="Accepted rows as delivered: what a mail is filled from",
)

rule_counts = sa.Table(
    "rule_counts",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, comment="place of the rule among those of its delivery, from 1"),
    institute(),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("check", sa.Text, nullable=False, comment="kind of check"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, comment="fault code of the receipt"),
    sa.Column("advice", sa.Text, nullable=False),
    sa.Column("looked_at", sa.Integer, nullable=False, comment="rows whose field was filled, or had to be"),
    sa.Column("broken", sa.Integer, nullable=False, comment="rows that broke it"),
    closed("severity", Severity),
    comment="What each rule of the gate found in a delivery, in numbers; the report is made from it",
)

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    institute(),
    sa.Column("value", sa.Float, nullable=False, comment="a count, or a share from 0 to 1"),
    sa.Column("low", sa.Float, comment="range that passes unasked, ends included; null: no limit or not judged"),
    sa.Column("high", sa.Float),
    sa.Column("basis", sa.Text, nullable=False, server_default="", comment="what the range comes from"),
    comment="What a delivery looks like as a whole, and what was to be expected; earlier ones are the history",
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    institute(),
    moment("asked_at"),
    sa.Column("decision", sa.Text, comment="null while a person is asked"),
    moment("decided_at"),
    sa.Column("actor", sa.Text, nullable=False, server_default="", comment="who decided; empty: nobody was asked"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    closed("decision", Decision),
    comment="Who let a delivery through, or did not; never asked again once it is decided",
)
