"""What arrives: files, control files, orders and their subscriber lists."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.kinds import EventKind, OsplusInterface, OsplusOrigin
from reku.store.states import FileVerdict, sql_list
from reku.store.tables.base import closed, identity, institute, metadata, moment

files = sa.Table(
    "files",
    metadata,
    identity(),
    institute(),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="", comment="kind of its contract, empty if unknown"),
    sa.Column("sha256", sa.CHAR(64), nullable=False, comment="over the bytes as they arrived"),
    moment("received_at", nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, server_default="", comment="fault code of the receipt"),
    sa.Column("advice", sa.Text, nullable=False, server_default=""),
    sa.Column("stored_as", sa.Text, nullable=False, comment="path below the files URL; empty: not kept"),
    sa.Column("moving_from", sa.Text, comment="where the original lies until moved to stored_as; null once settled"),
    sa.Column("receipt", JSONB, comment="rows of its receipt, fixed before the receipt is written"),
    moment("receipt_at"),
    closed("verdict", FileVerdict),
    sa.Index("ix_files_institute_received_at", "institute", "received_at"),
    sa.Index("ix_files_unsettled", "institute", postgresql_where=sa.text("moving_from IS NOT NULL")),
    sa.Index("ix_files_set_aside", "institute", postgresql_where=sa.text("verdict = 'SET_ASIDE'")),
    comment="Every file that ever arrived, once each time it arrived",
)

file_tries = sa.Table(
    "file_tries",
    metadata,
    institute(),
    sa.Column("path", sa.Text, nullable=False, comment="where it lies below the files URL"),
    sa.Column("tries", sa.Integer, nullable=False, comment="noted before each, so that a killed one counts"),
    moment("last_at", nullable=False),
    sa.PrimaryKeyConstraint("institute", "path"),
    comment="Files that were begun and have come to no end: after three tries they are set aside",
)

control_files = sa.Table(
    "control_files",
    metadata,
    identity(),
    institute(),
    sa.Column("file_id", sa.ForeignKey(files.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="VREKU or VIAM"),
    sa.Column("order_number", sa.Text, nullable=False),
    moment("created_at", nullable=False),
    sa.Column("processed", sa.Boolean, nullable=False, comment="false: STEUERUNG_FEHLERHAFT"),
    sa.Column("code", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_control_files_order", "institute", "order_number", "created_at"),
    comment="Control files carried out or found faulty; the newest created_at of an order counts",
)

orders = sa.Table(
    "orders",
    metadata,
    identity(),
    institute(),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("rhythm", sa.Text, nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date),
    sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("medium", sa.Text, nullable=False, server_default="", comment="as announced; the campaign decides"),
    sa.Column("wanted_events", sa.ARRAY(sa.Text), comment="kinds of events to be reported; null: not said"),
    sa.Column("expected_by", sa.Time, nullable=False, comment="when its deliveries are there, Berlin wall clock"),
    sa.Column(
        "placeholder",
        sa.Text,
        nullable=False,
        server_default="",
        comment="what its activities hang on in the advisors' system, where we announce it",
    ),
    sa.UniqueConstraint("institute", "order_number"),
    sa.CheckConstraint(f"wanted_events <@ ARRAY[{sql_list(EventKind)[1:-1]}]", name="wanted_events"),
    sa.Index("ix_orders_occasion", "occasion"),
    comment="Orders that the core system has announced",
)

osplus_orders = sa.Table(
    "osplus_orders",
    metadata,
    sa.Column("order_id", sa.ForeignKey(orders.c.id), primary_key=True),
    institute(),
    sa.Column("interface", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column(
        "faulty", sa.Boolean, nullable=False, server_default=sa.false(), comment="its newest control file was faulty"
    ),
    moment("control_created_at", nullable=False),
    closed("interface", OsplusInterface),
    closed("origin", OsplusOrigin),
    comment="What only OSPlus has of an order: with at least one processed control file",
)

lists = sa.Table(
    "lists",
    metadata,
    identity(),
    institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column(
        "order_name",
        sa.Text,
        nullable=False,
        comment="a list belongs to (order, order name): a rename makes a new one",
    ),
    sa.Column("name", sa.Text, nullable=False),
    moment("reserved_at", nullable=False),
    moment("created_at"),
    moment("frozen_at"),
    sa.UniqueConstraint("institute", "name"),
    sa.UniqueConstraint("order_id", "order_name"),
    comment="Subscriber lists; reserved by the control file, created by the first delivery, at most 150 per institute",
)
