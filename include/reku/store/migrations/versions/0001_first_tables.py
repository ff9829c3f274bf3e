"""All tables of schema `reku`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("fences", schema="reku")))
    op.create_table(
        "appointments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint(
            "institute", "person_number", "day", name=op.f("uq_appointments_institute_person_number_day")
        ),
        schema="reku",
        comment="Days on which people have an appointment with the bank; before it no mail goes out",
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="table:id or a reference, never personal data"),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        schema="reku",
        comment="What people did by hand",
    )
    op.create_table(
        "barred_domains",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ; 00000000: every institute"),
        sa.Column("domain", sa.Text(), nullable=False, comment="as mail servers write it, lower case"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("institute", "domain", name=op.f("pk_barred_domains")),
        schema="reku",
        comment="Mail domains that a person has blacklisted",
    )
    op.create_table(
        "feedback_counters",
        sa.Column("institute", sa.CHAR(length=8), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("institute", name=op.f("pk_feedback_counters")),
        schema="reku",
        comment="Last number of a response file; its row lock makes writers of one institute take turns",
    )
    op.create_table(
        "feedback_rows",
        sa.Column(
            "response_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="each event is reported once"
        ),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.PrimaryKeyConstraint("response_id", name=op.f("pk_feedback_rows")),
        schema="reku",
        comment="Which event stands in which file",
    )
    op.create_index(
        "ix_feedback_rows_file_id", "feedback_rows", ["file_id"], unique=False, schema="reku", postgresql_using="brin"
    )
    op.create_table(
        "file_tries",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("path", sa.Text(), nullable=False, comment="where it lies below the files URL"),
        sa.Column("tries", sa.Integer(), nullable=False, comment="noted before each, so that a killed one counts"),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("institute", "path", name=op.f("pk_file_tries")),
        schema="reku",
        comment="Files that were begun and have come to no end: after three tries they are set aside",
    )
    op.create_table(
        "files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column(
            "kind", sa.Text(), server_default="", nullable=False, comment="kind of its contract, empty if unknown"
        ),
        sa.Column("sha256", sa.CHAR(length=64), nullable=False, comment="over the bytes as they arrived"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False, comment="fault code of the receipt"),
        sa.Column("advice", sa.Text(), server_default="", nullable=False),
        sa.Column("stored_as", sa.Text(), nullable=False, comment="path below the files URL; empty: not kept"),
        sa.Column(
            "moving_from",
            sa.Text(),
            nullable=True,
            comment="where the original lies until moved to stored_as; null once settled",
        ),
        sa.Column(
            "receipt", JSONB(), nullable=True, comment="rows of its receipt, fixed before the receipt is written"
        ),
        sa.Column("receipt_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "verdict IN ('PROCESSED', 'REGISTERED', 'PARKED', 'DUPLICATE', 'REFUSED', 'UNKNOWN', 'SET_ASIDE')",
            name=op.f("ck_files_verdict"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        schema="reku",
        comment="Every file that ever arrived, once each time it arrived",
    )
    op.create_index(
        "ix_files_institute_received_at", "files", ["institute", "received_at"], unique=False, schema="reku"
    )
    op.create_index(
        "ix_files_set_aside",
        "files",
        ["institute"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("verdict = 'SET_ASIDE'"),
    )
    op.create_index(
        "ix_files_unsettled",
        "files",
        ["institute"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("moving_from IS NOT NULL"),
    )
    op.create_table(
        "collections",
        sa.Column("source", sa.Text(), nullable=False, comment="return_mails, or hits"),
        sa.Column(
            "institute",
            sa.CHAR(length=8),
            server_default="00000000",
            nullable=False,
            comment="00000000: what comes back is of all institutes",
        ),
        sa.Column("complete_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_collections")),
        schema="reku",
        comment="When the last look began that left nothing of what had come back",
    )
    op.create_table(
        "hit_journals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "institute",
            sa.CHAR(length=8),
            server_default="00000000",
            nullable=False,
            comment="00000000: a journal is of all institutes",
        ),
        sa.Column(
            "drained", sa.BigInteger(), server_default="0", nullable=False, comment="bytes of it that stand in hits"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hit_journals")),
        schema="reku",
        comment="How far each journal of a tracker has been taken in; a row goes with its file",
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("rhythm", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("ended", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("medium", sa.Text(), server_default="", nullable=False, comment="as announced; the campaign decides"),
        sa.Column(
            "wanted_events",
            sa.ARRAY(sa.Text()),
            nullable=True,
            comment="kinds of events to be reported; null: not said",
        ),
        sa.Column("expected_by", sa.Time(), nullable=False, comment="when its deliveries are there, Berlin wall clock"),
        sa.Column(
            "placeholder",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="what its activities hang on in the advisors' system, where we announce it",
        ),
        sa.CheckConstraint(
            "wanted_events <@ ARRAY['SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'UNSUBSCRIBED', 'COMPLAINED', 'BOUNCED_HARD', 'BOUNCED_SOFT', 'BOUNCED_UNKNOWN', 'RETAINED', 'NOT_SENT']",
            name=op.f("ck_orders_wanted_events"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("institute", "order_number", name=op.f("uq_orders_institute_order_number")),
        schema="reku",
        comment="Orders that the core system has announced",
    )
    op.create_index("ix_orders_occasion", "orders", ["occasion"], unique=False, schema="reku")
    op.create_table(
        "rate_limits",
        sa.Column("institute", sa.CHAR(length=8), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False, comment="of recipients; empty: the institute's own pace"),
        sa.Column(
            "next_at", sa.DateTime(timezone=True), nullable=False, comment="next free slot, by the database's clock"
        ),
        sa.Column("slowed", sa.Integer(), server_default="0", nullable=False, comment="421 answers in a row"),
        sa.PrimaryKeyConstraint("institute", "domain", name=op.f("pk_rate_limits")),
        schema="reku",
        comment="When the next mail of an institute, or to a recipient domain, may go out; shared by all dispatchers",
    )
    op.create_table(
        "reactivations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("recipient_key", sa.CHAR(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reactivations")),
        schema="reku",
        comment="Addresses that a person has let be written to again: their bounce series begins anew",
    )
    op.create_index(
        "ix_reactivations_recipient", "reactivations", ["institute", "recipient_key"], unique=False, schema="reku"
    )
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="kind and subject, such as PARKED deliveries:17"),
        sa.Column("institute", sa.CHAR(length=8), nullable=True, comment="null: no single one"),
        sa.Column("about", sa.Text(), nullable=False, comment="who is concerned, as people are told"),
        sa.Column("team", sa.Text(), nullable=False, comment="whose it is, by teams.yaml"),
        sa.Column(
            "people",
            sa.Integer(),
            nullable=True,
            comment="how many were concerned when it was told last; null: nobody knows",
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when it was told last; null: it has still to be told",
        ),
        sa.Column(
            "told_first_at", sa.DateTime(timezone=True), nullable=True, comment="from when on somebody is waited for"
        ),
        sa.Column(
            "escalated_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the next team was told, since nobody had taken it",
        ),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_by", sa.Text(), server_default="", nullable=False, comment="who looks after it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
        sa.UniqueConstraint("cause", name=op.f("uq_alarms_cause")),
        schema="reku",
        comment="Causes that need a person and are not over, told or still to be told; what is over leaves",
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="as in alarms"),
        sa.Column("institute", sa.CHAR(length=8), nullable=True, comment="null: no single one"),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silences")),
        sa.UniqueConstraint("cause", name=op.f("uq_silences_cause")),
        schema="reku",
        comment="Causes of which nobody wants to be told for a while; one that has ended leaves",
    )
    op.create_table(
        "task_failures",
        sa.Column("dag", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False, comment="bank, order, delivery of a mapped task; else empty"),
        sa.Column("institute", sa.CHAR(length=8), nullable=True, comment="null: no single one"),
        sa.Column("order_id", sa.BigInteger(), nullable=True, comment="null: no single one"),
        sa.Column("occasion", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dag", "task", "label", name=op.f("pk_task_failures")),
        schema="reku",
        comment="Tasks whose last run has failed for good; one that comes through leaves, and each after a few days",
    )
    op.create_table(
        "begun_runs",
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("occasion", name=op.f("pk_begun_runs")),
        schema="reku",
        comment="The last day whose work some run of an occasion has begun",
    )
    op.create_table(
        "stops",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=True, comment="null: every institute"),
        sa.Column("order_number", sa.Text(), nullable=True, comment="null: every order of the institute"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column(
            "delivery_id",
            sa.BigInteger(),
            nullable=True,
            comment="whose mails were taken badly; null: a person has stopped",
        ),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "order_number IS NULL OR institute IS NOT NULL", name=op.f("ck_stops_order_of_an_institute")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stops")),
        schema="reku",
        comment="Stop switches of the dispatch, thrown by people or by what came back, lifted by people",
    )
    op.create_index(
        "ix_stops_in_force", "stops", ["id"], unique=False, schema="reku", postgresql_where=sa.text("lifted_at IS NULL")
    )
    op.create_table(
        "subscribers",
        sa.Column("list_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("fields", JSONB(), nullable=False, comment="the delivered fields that the contract calls listed"),
        sa.Column(
            "delivery_number",
            sa.Integer(),
            nullable=False,
            comment="the last delivery that changed it; one that told nothing new stands in the ledger alone",
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="when a delivery last changed it, or the last message about it ended that has left by retention",
        ),
        sa.PrimaryKeyConstraint("list_id", "person_number", name=op.f("pk_subscribers")),
        schema="reku",
        comment="People of a list: filled on and updated, never replaced",
    )
    op.create_table(
        "control_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="VREKU or VIAM"),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("processed", sa.Boolean(), nullable=False, comment="false: STEUERUNG_FEHLERHAFT"),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["reku.files.id"], name=op.f("fk_control_files_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_files")),
        schema="reku",
        comment="Control files carried out or found faulty; the newest created_at of an order counts",
    )
    op.create_index(
        "ix_control_files_order",
        "control_files",
        ["institute", "order_number", "created_at"],
        unique=False,
        schema="reku",
    )
    op.create_table(
        "feedback_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True, comment="null: the daily file of all orders"),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("stamped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False, comment="events that are reported by it"),
        sa.Column(
            "left_out",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="those without a line in it: of people whose clear number is kept no more",
        ),
        sa.Column("sha256", sa.CHAR(length=64), nullable=True, comment="of the written bytes; null until written"),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_feedback_files_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback_files")),
        sa.UniqueConstraint("institute", "file_name", name=op.f("uq_feedback_files_institute_file_name")),
        sa.UniqueConstraint("institute", "number", name=op.f("uq_feedback_files_institute_number")),
        schema="reku",
        comment="Response files; number, time stamp and rows are fixed before anything is written",
    )
    op.create_table(
        "lists",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "order_name",
            sa.Text(),
            nullable=False,
            comment="a list belongs to (order, order name): a rename makes a new one",
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reserved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_lists_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lists")),
        sa.UniqueConstraint("institute", "name", name=op.f("uq_lists_institute_name")),
        sa.UniqueConstraint("order_id", "order_name", name=op.f("uq_lists_order_id_order_name")),
        schema="reku",
        comment="Subscriber lists; reserved by the control file, created by the first delivery, at most 150 per institute",
    )
    op.create_table(
        "osplus_orders",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("interface", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column(
            "faulty",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="its newest control file was faulty",
        ),
        sa.Column("control_created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("interface IN ('REKU', 'IAMW')", name=op.f("ck_osplus_orders_interface")),
        sa.CheckConstraint("origin IN ('BANK', 'AUTKA')", name=op.f("ck_osplus_orders_origin")),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_osplus_orders_order_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_osplus_orders")),
        schema="reku",
        comment="What only OSPlus has of an order: with at least one processed control file",
    )
    op.create_table(
        "past_messages",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, comment="the message's id"),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("recipient_key", sa.CHAR(length=64), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_past_messages_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past_messages")),
        schema="reku",
        comment="Whom the unsubscribe link of a mail means whose message has left by retention: links never expire",
    )
    op.create_table(
        "suppressions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.CHAR(length=64), nullable=False, comment="as in messages"),
        sa.Column("person_number", sa.Text(), server_default="", nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True, comment="null: all orders of the institute"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('UNSUBSCRIBED', 'COMPLAINED', 'BLACKLISTED')", name=op.f("ck_suppressions_kind")),
        sa.CheckConstraint(
            "source IN ('LINK', 'EINKLICK', 'SUPPORT', 'BESCHWERDE', 'BOUNCE')", name=op.f("ck_suppressions_source")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_suppressions_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        schema="reku",
        comment="Addresses barred by their HMAC; a later consent flag never lifts one",
    )
    op.create_index(
        "ix_suppressions_person", "suppressions", ["institute", "person_number"], unique=False, schema="reku"
    )
    op.create_index(
        "ix_suppressions_recipient", "suppressions", ["institute", "recipient_key"], unique=False, schema="reku"
    )
    op.create_index(
        "uq_suppressions",
        "suppressions",
        ["institute", "kind", "recipient_key", "person_number", "order_id"],
        unique=True,
        schema="reku",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=True, comment="null: it comes from no file"),
        sa.Column("contract", sa.Text(), nullable=False, comment="kind of the contract that says what its rows hold"),
        sa.Column("order_number", sa.Text(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=True, comment="null while parked without an order"),
        sa.Column(
            "occasion",
            sa.Text(),
            nullable=False,
            comment="from its order, or from its first row while parked; may be empty",
        ),
        sa.Column("delivery_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "day", sa.Date(), nullable=False, comment="Berlin date it was registered on: the day whose run takes it"
        ),
        sa.Column(
            "period_start",
            sa.Date(),
            nullable=True,
            comment="due date of the order's rhythm that it fulfils or, refused, would have; null while parked",
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("advice", sa.Text(), server_default="", nullable=False),
        sa.Column("list_id", sa.BigInteger(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True, comment="D records of the file"),
        sa.Column("accepted", sa.Integer(), nullable=True),
        sa.Column("rejected", sa.Integer(), nullable=True),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner_dag", sa.Text(), nullable=True, comment="the run that has it in hand"),
        sa.Column("owner_run", sa.Text(), nullable=True),
        sa.Column(
            "alarmed_run",
            sa.Text(),
            nullable=True,
            comment="the run whose report was red because it is parked: one alarm each",
        ),
        sa.CheckConstraint("file_id IS NOT NULL OR source <> 'osplus_file'", name=op.f("ck_deliveries_file_of_a_file")),
        sa.CheckConstraint("source IN ('osplus_file', 'selection')", name=op.f("ck_deliveries_source")),
        sa.CheckConstraint(
            "state IN ('PARKED', 'REGISTERED', 'VALIDATED', 'RELEASED', 'LOADED', 'DECLINED', 'REFUSED')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(["file_id"], ["reku.files.id"], name=op.f("fk_deliveries_file_id")),
        sa.ForeignKeyConstraint(["list_id"], ["reku.lists.id"], name=op.f("fk_deliveries_list_id")),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_deliveries_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        schema="reku",
        comment="Numbered deliveries of people; a refused one leaves its number free for a corrected one",
    )
    op.create_index("ix_deliveries_occasion_state", "deliveries", ["occasion", "state"], unique=False, schema="reku")
    op.create_index("ix_deliveries_order_id", "deliveries", ["order_id"], unique=False, schema="reku")
    op.create_index(
        "ix_deliveries_parked",
        "deliveries",
        ["institute"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state = 'PARKED'"),
    )
    op.create_index(
        "ix_deliveries_period_start", "deliveries", ["period_start", "order_id"], unique=False, schema="reku"
    )
    op.create_index(
        "ix_deliveries_to_be_loaded",
        "deliveries",
        ["order_id"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state IN ('REGISTERED', 'VALIDATED', 'RELEASED')"),
    )
    op.create_index(
        "uq_deliveries_number",
        "deliveries",
        ["institute", "contract", "order_number", "delivery_number"],
        unique=True,
        schema="reku",
        postgresql_where=sa.text("state IN ('PARKED', 'REGISTERED', 'VALIDATED', 'RELEASED', 'LOADED', 'DECLINED')"),
    )
    op.create_table(
        "claims",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False, comment="by the database's own clock"),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_claims_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "fence", name=op.f("pk_claims")),
        schema="reku",
        comment="Batches in the hands of a dispatcher; each has a journal on the machine that claimed it",
    )
    op.create_table(
        "delivery_rows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False, comment="as delivered; of a sealed row only @ and the domain"),
        sa.Column("occasion_date", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True, comment="its own last day; null: the occasion's"),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("tracking", sa.Boolean(), nullable=False),
        sa.Column("salutation", sa.Text(), nullable=True, comment="1 Herr, 2 Frau, 3 without, 4 firm; null: not said"),
        sa.Column(
            "content_key",
            sa.Text(),
            nullable=True,
            comment="key of the medium that was chosen for it; null: the campaign's",
        ),
        sa.Column(
            "priority",
            sa.SmallInteger(),
            nullable=True,
            comment="1 first, 9 last, where contacts compete; null: the occasion's",
        ),
        sa.Column(
            "channel",
            sa.Text(),
            server_default="email",
            nullable=False,
            comment="by which the person is reached",
        ),
        sa.Column(
            "fields", JSONB(), nullable=False, comment="all delivered fields but the reference, by name, as delivered"
        ),
        sa.Column(
            "data_key_id",
            sa.BigInteger(),
            nullable=True,
            comment="the key that seals it; null: nothing of it is sealed",
        ),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=True,
            comment="address, and the fields that the contract calls sealed",
        ),
        sa.CheckConstraint("(data_key_id IS NULL) = (sealed IS NULL)", name=op.f("ck_delivery_rows_sealed")),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_delivery_rows_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_rows")),
        sa.UniqueConstraint("delivery_id", "line", name=op.f("uq_delivery_rows_delivery_id_line")),
        sa.UniqueConstraint("delivery_id", "reference", name=op.f("uq_delivery_rows_delivery_id_reference")),
        schema="reku",
        comment="Accepted rows as delivered: what a mail is filled from",
    )
    op.create_index(
        "ix_delivery_rows_data_key_id",
        "delivery_rows",
        ["data_key_id"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("data_key_id IS NOT NULL"),
    )
    op.create_table(
        "selections",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("selected_on", sa.Date(), nullable=False, comment="Berlin day on which windows had to be open"),
        sa.Column("rule_hash", sa.CHAR(length=64), nullable=False, comment="SHA-256 of the occasion's rule and window"),
        sa.Column(
            "imports",
            sa.ARRAY(sa.BigInteger()),
            nullable=False,
            comment="ids of the imports that were selected from",
        ),
        sa.Column(
            "funnel",
            JSONB(),
            nullable=False,
            comment="pairs of person and Anlass_Datum: matched, kept out by reason, selected; rows",
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_selections_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_selections")),
        schema="reku",
        comment="By which rule and from which data a delivery was selected",
    )
    op.create_table(
        "selected_rows",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("occasion_date", sa.Date(), nullable=False),
        sa.Column("recipient_key", sa.CHAR(length=64), nullable=False, comment="HMAC of the mail address"),
        sa.Column("domain", sa.Text(), nullable=False, comment="of the mail address, lower case, A-labels"),
        sa.Column("data_key_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="the whole row, as the gate wants it"),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_selected_rows_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "line", name=op.f("pk_selected_rows")),
        schema="reku",
        comment="Rows of a selection until the gate has judged them",
    )
    op.create_index("ix_selected_rows_data_key_id", "selected_rows", ["data_key_id"], unique=False, schema="reku")
    op.create_table(
        "dispatches",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("control_copy_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canary_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("canary_passed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "tries_in_vain", sa.Integer(), server_default="0", nullable=False, comment="in a row, without a session"
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_dispatches_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_dispatches")),
        schema="reku",
        comment="What dispatch keeps of a delivery, from its first try on: the control copy, the canary, an outage",
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_number", sa.Integer(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=True, comment="of a row that leaves by retention"),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column(
            "channel", sa.Text(), server_default="email", nullable=False, comment="by its name in process/systems"
        ),
        sa.Column(
            "recipient_key",
            sa.CHAR(length=64),
            nullable=False,
            comment="keyed hash of where it goes: for e-mail of the normalised address; the ledger holds no address",
        ),
        sa.Column("occasion_date", sa.Date(), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column(
            "mailable", sa.Boolean(), server_default=sa.text("true"), nullable=False, comment="a public mail domain"
        ),
        sa.Column("tracking", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False, comment="last Berlin day on which it may be sent"),
        sa.Column("state", sa.Text(), server_default="OPEN", nullable=False),
        sa.Column(
            "second",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="somebody else of the delivery gets the mail for this address",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="of a withheld one: the first of its reasons",
        ),
        sa.Column(
            "reasons",
            sa.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="all reasons that held when it was withheld, first one first",
        ),
        sa.Column("medium", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "variant",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="of the campaign's variants the one that this person gets, written when it is claimed",
        ),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "answer", sa.Text(), server_default="", nullable=False, comment="server's code and enhanced status, no text"
        ),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('OPEN', 'CLAIMED', 'PREPARED', 'SENT', 'WITHHELD', 'REJECTED', 'UNDELIVERED', 'IN_DOUBT')",
            name=op.f("ck_messages_state"),
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_messages_delivery_id")),
        sa.ForeignKeyConstraint(["order_id"], ["reku.orders.id"], name=op.f("fk_messages_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("delivery_id", "reference", name=op.f("uq_messages_delivery_id_reference")),
        schema="reku",
        comment="The ledger: one mail to one person for one delivery",
    )
    op.create_index(
        "ix_messages_in_doubt",
        "messages",
        ["delivery_id"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state = 'IN_DOUBT'"),
    )
    op.create_index(
        "ix_messages_last_day",
        "messages",
        ["last_day"],
        unique=False,
        schema="reku",
        postgresql_using="brin",
    )
    op.create_index(
        "ix_messages_prepared",
        "messages",
        ["institute"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state = 'PREPARED'"),
    )
    op.create_index(
        "ix_messages_open",
        "messages",
        ["delivery_id", "id"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    op.create_index(
        "ix_messages_open_person",
        "messages",
        ["institute", "person_number"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("state = 'OPEN'"),
    )
    op.create_index("ix_messages_recipient", "messages", ["institute", "recipient_key"], unique=False, schema="reku")
    op.create_index(
        "uq_messages_one_per_delivery",
        "messages",
        ["order_id", "delivery_number", "person_number", "recipient_key", "channel"],
        unique=True,
        schema="reku",
        postgresql_where=sa.text("state IN ('CLAIMED', 'PREPARED', 'SENT', 'IN_DOUBT')"),
    )
    op.create_index(
        "uq_messages_one_per_occasion_date",
        "messages",
        ["order_id", "person_number", "recipient_key", "channel", "occasion_date"],
        unique=True,
        schema="reku",
        postgresql_where=sa.text("state IN ('CLAIMED', 'PREPARED', 'SENT', 'IN_DOUBT')"),
    )
    op.create_table(
        "metrics",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("value", sa.Float(), nullable=False, comment="a count, or a share from 0 to 1"),
        sa.Column(
            "low",
            sa.Float(),
            nullable=True,
            comment="range that passes unasked, ends included; null: no limit or not judged",
        ),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("basis", sa.Text(), server_default="", nullable=False, comment="what the range comes from"),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_metrics_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "name", name=op.f("pk_metrics")),
        schema="reku",
        comment="What a delivery looks like as a whole, and what was to be expected; earlier ones are the history",
    )
    op.create_table(
        "rejects",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), server_default="", nullable=False),
        sa.Column("field", sa.Text(), server_default="", nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("advice", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_rejects_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejects")),
        sa.UniqueConstraint("delivery_id", "line", name=op.f("uq_rejects_delivery_id_line")),
        schema="reku",
        comment="Rows kept out by the gate, one line each with its first fault; they go back by receipt",
    )
    op.create_table(
        "releases",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True, comment="null while a person is asked"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "actor", sa.Text(), server_default="", nullable=False, comment="who decided; empty: nobody was asked"
        ),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("decision IN ('NORMAL', 'APPROVED', 'DECLINED')", name=op.f("ck_releases_decision")),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_releases_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_releases")),
        schema="reku",
        comment="Who let a delivery through, or did not; never asked again once it is decided",
    )
    op.create_table(
        "response_counts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("link_number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_response_counts_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_response_counts")),
        sa.UniqueConstraint(
            "delivery_id", "kind", "link_number", name=op.f("uq_response_counts_delivery_id_kind_link_number")
        ),
        schema="reku",
        comment="Opens and clicks of people without tracking consent: counted per delivery, nobody named",
    )
    op.create_table(
        "rule_counts",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="place of the rule among those of its delivery, from 1"
        ),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("check", sa.Text(), nullable=False, comment="kind of check"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="fault code of the receipt"),
        sa.Column("advice", sa.Text(), nullable=False),
        sa.Column("looked_at", sa.Integer(), nullable=False, comment="rows whose field was filled, or had to be"),
        sa.Column("broken", sa.Integer(), nullable=False, comment="rows that broke it"),
        sa.CheckConstraint("severity IN ('refuse', 'reject', 'warn')", name=op.f("ck_rule_counts_severity")),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_rule_counts_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_rule_counts")),
        schema="reku",
        comment="What each rule of the gate found in a delivery, in numbers; the report is made from it",
    )
    op.create_table(
        "contacts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column(
            "message_id",
            sa.BigInteger(),
            nullable=True,
            comment="its state says whether the contact is reserved, confirmed or void; null: not by mail",
        ),
        sa.Column("medium", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="Berlin day of the contact"),
        sa.Column("blocked_until", sa.Date(), nullable=False, comment="last day of its blocking period"),
        sa.Column(
            "mandatory", sa.Boolean(), nullable=False, comment="by a Pflichtkampagne, in spite of blocking periods"
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["reku.messages.id"], name=op.f("fk_contacts_message_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contacts")),
        sa.UniqueConstraint("message_id", name=op.f("uq_contacts_message_id")),
        schema="reku",
        comment="Contacts with active media: blocking periods and caps hang on them",
    )
    op.create_index(
        "ix_contacts_person", "contacts", ["institute", "person_number", "blocked_until"], unique=False, schema="reku"
    )
    op.create_table(
        "hits",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="OPENED or CLICKED"),
        sa.Column("link_number", sa.Integer(), nullable=True, comment="of a click"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "agent", sa.Text(), server_default="", nullable=False, comment="User-Agent, its first 200 characters"
        ),
        sa.Column("verdict", sa.Text(), nullable=True, comment="null until judged"),
        sa.Column("rule", sa.Text(), server_default="", nullable=False, comment="what marks it as a machine's"),
        sa.CheckConstraint("kind IN ('OPENED', 'CLICKED')", name=op.f("ck_hits_kind")),
        sa.CheckConstraint("verdict IN ('PERSON', 'MACHINE')", name=op.f("ck_hits_verdict")),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_hits_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hits")),
        schema="reku",
        comment="Every open and click of people with tracking consent, as it came; those by people become responses",
    )
    op.create_index("ix_hits_message_id", "hits", ["message_id", "at"], unique=False, schema="reku")
    op.create_index(
        "ix_hits_unjudged", "hits", ["at"], unique=False, schema="reku", postgresql_where=sa.text("verdict IS NULL")
    )
    op.create_table(
        "responses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "reason",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="why, as a code: of a bounce, an unsubscribe, a message not sent",
        ),
        sa.Column("scope", sa.Text(), nullable=True, comment="of an unsubscribe: from what"),
        sa.Column("link_number", sa.Integer(), nullable=True),
        sa.Column("link_target", sa.Text(), server_default="", nullable=False, comment="scheme, host, path; no query"),
        sa.Column("bounce_series", sa.Integer(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('SENT', 'DELIVERED', 'OPENED', 'CLICKED', 'UNSUBSCRIBED', 'COMPLAINED', 'BOUNCED_HARD', 'BOUNCED_SOFT', 'BOUNCED_UNKNOWN', 'RETAINED', 'NOT_SENT')",
            name=op.f("ck_responses_kind"),
        ),
        sa.CheckConstraint("scope IN ('ORDER', 'INSTITUTE')", name=op.f("ck_responses_scope")),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_responses_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_responses")),
        schema="reku",
        comment="Everything that came back or was not sent, each event once",
    )
    op.create_index("ix_responses_institute_kind", "responses", ["institute", "kind"], unique=False, schema="reku")
    op.create_index(
        "ix_responses_recorded_at",
        "responses",
        ["recorded_at"],
        unique=False,
        schema="reku",
        postgresql_using="brin",
    )
    op.create_index(
        "uq_responses_click_of_hour",
        "responses",
        [
            "message_id",
            "link_number",
            sa.literal_column("date_trunc('hour'::text, (at AT TIME ZONE 'UTC'::text))"),
        ],
        unique=True,
        schema="reku",
        postgresql_where=sa.text("kind = 'CLICKED'::text"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "uq_responses_event",
        "responses",
        [
            "message_id",
            "kind",
            sa.literal_column(
                "(\nCASE\n    WHEN kind = ANY (ARRAY['DELIVERED'::text, 'OPENED'::text, 'CLICKED'::text]) THEN at\n    ELSE NULL::timestamp with time zone\nEND)"
            ),
            "link_number",
        ],
        unique=True,
        schema="reku",
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "return_mails",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "institute",
            sa.CHAR(length=8),
            nullable=True,
            comment="BLZ, leading zeros kept; nobody's where no token told the message",
        ),
        sa.Column(
            "message_id",
            sa.BigInteger(),
            nullable=True,
            comment="whom it is about, as far as a valid token told it",
        ),
        sa.Column("mail", sa.Text(), nullable=False, comment="finds it again in the return mailbox; names nobody"),
        sa.Column("meaning", sa.Text(), nullable=False),
        sa.Column(
            "event", sa.Text(), server_default="", nullable=False, comment="kind of the event it is the evidence of"
        ),
        sa.Column("status", sa.Text(), server_default="", nullable=False, comment="enhanced status"),
        sa.Column("why", sa.Text(), server_default="", nullable=False, comment="the rule that decided, in words"),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "meaning IN ('BOUNCE', 'COMPLAINT', 'IGNORED', 'UNCLEAR')", name=op.f("ck_return_mails_meaning")
        ),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_return_mails_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_mails")),
        sa.UniqueConstraint("message_id", "mail", name=op.f("uq_return_mails_message_id_mail")),
        schema="reku",
        comment="Mails of the return mailbox: the evidence of bounces and complaints, and what was ignored or is unclear",
    )
    op.create_index("ix_return_mails_mail", "return_mails", ["mail"], unique=False, schema="reku")
    op.create_index("ix_return_mails_taken_at", "return_mails", ["taken_at"], unique=False, schema="reku")
    op.create_table(
        "data_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="Berlin date on which it began to seal"),
        sa.Column(
            "wrapped",
            sa.LargeBinary(),
            nullable=True,
            comment="the key, wrapped with one of REKU_VAULT_KEYS; null: destroyed",
        ),
        sa.Column("wrapped_by", sa.Text(), nullable=False, comment="fingerprint of the vault key that wraps it"),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('NUMBER', 'ADDRESS')", name=op.f("ck_data_keys_kind")),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name=op.f("ck_data_keys_destroyed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
        schema="reku",
        comment="Keys that seal a bank's numbers and addresses, one a day; destroyed with the last row that they seal",
    )
    op.create_index(
        "uq_data_keys_day",
        "data_keys",
        ["institute", "kind", "day"],
        unique=True,
        schema="reku",
        postgresql_where=sa.text("destroyed_at IS NULL"),
    )
    op.create_table(
        "person_numbers",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False, comment="the pseudonym"),
        sa.Column("data_key_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="the clear number"),
        sa.PrimaryKeyConstraint("institute", "person_number", name=op.f("pk_person_numbers")),
        schema="reku",
        comment="Clear person numbers, sealed: opened only while a file for the bank is written",
    )
    op.create_index("ix_person_numbers_data_key_id", "person_numbers", ["data_key_id"], unique=False, schema="reku")
    op.create_table(
        "pseudonym_keys",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("version", sa.Integer(), nullable=False, comment="place of the key in REKU_PSEUDONYM_KEYS, from 1"),
        sa.Column("check_value", sa.Text(), nullable=False, comment="tells the right key from another one"),
        sa.PrimaryKeyConstraint("institute", "version", name=op.f("pk_pseudonym_keys")),
        schema="reku",
        comment="Keys by which a bank's numbers become pseudonyms: each makes one of what the one before has made",
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="kind of its contract"),
        sa.Column(
            "delta", sa.Boolean(), nullable=False, comment="it says only what has changed; false: the whole state"
        ),
        sa.Column("data_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False, comment="orphans among them"),
        sa.Column("orphans", sa.Integer(), nullable=False, comment="rows of people whom the newest customers lack"),
        sa.Column("known_before", sa.Integer(), nullable=False, comment="people, contracts, appointments or impulses"),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("known_after", sa.Integer(), nullable=False),
        sa.Column("filled", JSONB(), nullable=False, comment="column → rows in which it was filled"),
        sa.CheckConstraint("known_before + added - gone = known_after", name=op.f("ck_imports_known_adds_up")),
        sa.CheckConstraint("rows = taken + rejected", name=op.f("ck_imports_rows_add_up")),
        sa.ForeignKeyConstraint(["file_id"], ["reku.files.id"], name=op.f("fk_imports_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("file_id", name=op.f("uq_imports_file_id")),
        schema="reku",
        comment="Files of a bank's data that were taken in, with what they changed",
    )
    op.create_index("ix_imports_newest", "imports", ["institute", "kind", "data_at"], unique=False, schema="reku")
    op.create_table(
        "persons",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("household", sa.Text(), nullable=False, comment="of people without one: their person number"),
        sa.Column(
            "household_rank", sa.Integer(), nullable=False, comment="1: contact person; then by clear person number"
        ),
        sa.Column(
            "salutation", sa.Text(), nullable=True, comment="1 Herr, 2 Frau, 3 without, 4 firm; null: contradictory"
        ),
        sa.Column("consent", sa.Boolean(), nullable=False, comment="to mails; no if one of the person's rows says no"),
        sa.Column("tracking", sa.Boolean(), nullable=False),
        sa.Column("estate", sa.Boolean(), nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False, comment="the bank says which mean refusal"),
        sa.Column("postcode", sa.Text(), nullable=True),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("customer_since", sa.Date(), nullable=True),
        sa.Column("born", sa.Date(), nullable=True),
        sa.Column("advisor", sa.Text(), nullable=True),
        sa.Column(
            "missing_since",
            sa.Date(),
            nullable=True,
            comment="the first day whose customers lacked the person; null: there",
        ),
        sa.PrimaryKeyConstraint("institute", "person_number", name=op.f("pk_persons")),
        schema="reku",
        comment="Imported customers without names and addresses; what contradicts itself is unknown, a no wins",
    )
    op.create_index(
        "ix_persons_birthday",
        "persons",
        ["institute", sa.literal_column("extract(month FROM born)"), sa.literal_column("extract(day FROM born)")],
        unique=False,
        schema="reku",
    )
    op.create_index("ix_persons_household", "persons", ["institute", "household"], unique=False, schema="reku")
    op.create_index(
        "ix_persons_missing",
        "persons",
        ["institute"],
        unique=False,
        schema="reku",
        postgresql_where=sa.text("missing_since IS NOT NULL"),
    )
    op.create_table(
        "person_addresses",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("recipient_key", sa.Text(), nullable=False, comment="HMAC of the mail address; empty: there is none"),
        sa.Column("domain", sa.Text(), nullable=False, comment="of the mail address, lower case, A-labels"),
        sa.Column(
            "digest", sa.Text(), nullable=False, comment="keyed hash of what is sealed, by which a change is seen"
        ),
        sa.Column("data_key_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False, comment="name, street, place, mail address"),
        sa.PrimaryKeyConstraint("institute", "person_number", "recipient_key", name=op.f("pk_person_addresses")),
        schema="reku",
        comment="Names and addresses of imported customers, sealed; gone at noon",
    )
    op.create_index("ix_person_addresses_data_key_id", "person_addresses", ["data_key_id"], unique=False, schema="reku")
    op.create_table(
        "holdings",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("contract_number", sa.Text(), nullable=False),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("opened", sa.Date(), nullable=True),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("balance_class", sa.Text(), nullable=True, comment="A to D"),
        sa.Column("payment_flow", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("institute", "contract_number", name=op.f("pk_holdings")),
        schema="reku",
        comment="Imported contracts and what the analysis of payment flows says",
    )
    op.create_index("ix_holdings_due", "holdings", ["institute", "product", "due"], unique=False, schema="reku")
    op.create_index(
        "ix_holdings_opened",
        "holdings",
        ["institute", "product", sa.literal_column("extract(month FROM opened)")],
        unique=False,
        schema="reku",
    )
    op.create_index("ix_holdings_person", "holdings", ["institute", "person_number"], unique=False, schema="reku")
    op.create_table(
        "imported_appointments",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("appointment", sa.Text(), nullable=False, comment="its id at the bank"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False, comment="Berlin day on which it begins"),
        sa.Column("takes_place", sa.Boolean(), nullable=False, comment="planned or held; false: cancelled or put off"),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("institute", "appointment", name=op.f("pk_imported_appointments")),
        schema="reku",
        comment="Appointments as last changed; those that take place make the days of appointments",
    )
    op.create_index(
        "ix_imported_appointments_person",
        "imported_appointments",
        ["institute", "person_number"],
        unique=False,
        schema="reku",
    )
    op.create_table(
        "impulses",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("impulse", sa.Text(), nullable=False, comment="its id at the bank"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False, comment="the bank's file says which campaign it means"),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False, comment="1 first, 9 last"),
        sa.Column("wished_channel", sa.Text(), nullable=True),
        sa.Column("advisor", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=True, comment="for placeholders: a code or a date"),
        sa.Column("value_date", sa.Date(), nullable=True, comment="the date that the value is; null: it is none"),
        sa.Column(
            "delivery_id",
            sa.BigInteger(),
            nullable=True,
            comment="the delivery that it was last selected for; whether it is used follows from its message",
        ),
        sa.Column("occasion_date", sa.Date(), nullable=True, comment="Anlass_Datum for which it was last selected"),
        sa.PrimaryKeyConstraint("institute", "impulse", name=op.f("pk_impulses")),
        schema="reku",
        comment="Reasons of the bank's to write to a person, used once",
    )
    op.create_index("ix_impulses_code", "impulses", ["institute", "code"], unique=False, schema="reku")
    op.create_index("ix_impulses_person", "impulses", ["institute", "person_number"], unique=False, schema="reku")
    op.create_table(
        "prepared_files",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="of the bank's files of this kind, from 1"),
        sa.Column("delivery_id", sa.BigInteger(), nullable=True, comment="null: of all deliveries"),
        sa.Column("file_name", sa.Text(), nullable=False, comment="of its only file, or of its first"),
        sa.Column("stamped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False, comment="last Berlin day on which it may be fetched"),
        sa.Column("rows", sa.Integer(), nullable=False, comment="as many as were assigned to it"),
        sa.Column(
            "left_out",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="those it was made without: people who had left the bank's data, were erased or cannot be reached",
        ),
        sa.Column(
            "sha256",
            sa.CHAR(length=64),
            nullable=True,
            comment="of the bytes of all its files; null until they were made",
        ),
        sa.Column("pushed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expired_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('LETTER', 'AGREE_MAILING', 'BAP', 'FE3053', 'EMMA')", name=op.f("ck_prepared_files_kind")
        ),
        sa.ForeignKeyConstraint(["delivery_id"], ["reku.deliveries.id"], name=op.f("fk_prepared_files_delivery_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prepared_files")),
        sa.UniqueConstraint("institute", "file_name", name=op.f("uq_prepared_files_institute_file_name")),
        sa.UniqueConstraint("institute", "kind", "number", name=op.f("uq_prepared_files_institute_kind_number")),
        schema="reku",
        comment="Files that wait to be fetched or acknowledged; number, time stamp and rows are fixed before one is made",
    )
    op.create_index("ix_prepared_files_delivery_id", "prepared_files", ["delivery_id"], unique=False, schema="reku")
    op.create_table(
        "emma_cursors",
        sa.Column("institute", sa.CHAR(length=8), nullable=False),
        sa.Column("call", sa.Text(), nullable=False, comment="function of the web service"),
        sa.Column(
            "mailing",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="number in EMMA; 0: of the whole account",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "place", sa.Integer(), server_default="0", nullable=False, comment="rows that the present reading has taken"
        ),
        sa.Column("newest", sa.DateTime(timezone=True), nullable=True),
        sa.Column("complete_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("institute", "call", "mailing", name=op.f("pk_emma_cursors")),
        schema="reku",
        comment="How far each call of an EMMA account was read; moments of its own clock, but the last",
    )
    op.create_table(
        "emma_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("digest", sa.CHAR(length=64), nullable=False, comment="of all that tells one event from another"),
        sa.Column("message_id", sa.BigInteger(), nullable=True, comment="null: of nobody whom the ledger knows"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "raw",
            JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="as it came, without the person's fields",
        ),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["reku.messages.id"], name=op.f("fk_emma_events_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emma_events")),
        sa.UniqueConstraint("institute", "digest", name=op.f("uq_emma_events_institute_digest")),
        schema="reku",
        comment="What EMMA accounts have told, each event once; opens and clicks of people with tracking consent only",
    )
    op.create_index("ix_emma_events_message_id", "emma_events", ["message_id"], unique=False, schema="reku")
    op.create_table(
        "prepared_rows",
        sa.Column("file_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False, comment="place in the file, from 1"),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True, comment="null: about no message"),
        sa.Column(
            "values",
            sa.ARRAY(sa.Text()),
            server_default="{}",
            nullable=False,
            comment="what no other table keeps for it",
        ),
        sa.PrimaryKeyConstraint("file_id", "position", name=op.f("pk_prepared_rows")),
        schema="reku",
        comment="Who stands in a prepared file; goes when the file may be fetched no longer",
    )
    op.create_index("ix_prepared_rows_message_id", "prepared_rows", ["message_id"], unique=False, schema="reku")
    op.create_index(
        "ix_prepared_rows_person", "prepared_rows", ["institute", "person_number"], unique=False, schema="reku"
    )
    op.create_table(
        "told_in_bap",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("last_day", sa.Date(), nullable=False, comment="of the message; then the row goes"),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_told_in_bap")),
        schema="reku",
        comment="Messages that a file for agree21BAP has told as EIN: one that drops out is told as AUS",
    )
    op.create_table(
        "told_core_fields",
        sa.Column("institute", sa.CHAR(length=8), nullable=False, comment="BLZ, leading zeros kept"),
        sa.Column("person_number", sa.Text(), nullable=False),
        sa.Column("field", sa.CHAR(length=4), nullable=False, comment="number of the bank-individual field"),
        sa.Column("value", sa.Text(), nullable=False, comment="what stands there since the file was fetched"),
        sa.PrimaryKeyConstraint("institute", "person_number", "field", name=op.f("pk_told_core_fields")),
        schema="reku",
        comment="What the core system was told of a person by FE 3053: only what differs is told again",
    )
