"""The tables of schema `reku` (docs/architecture.md, "Tables"). Every table carries the institute (BLZ); times are UTC.

Closed vocabularies (`states`, `kinds`) are kept by CHECK constraints, so that no state can be invented elsewhere.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.kinds import HitVerdict, SuppressionKind
from reku.store.states import (
    HOLDS_ITS_NUMBER,
    MAY_BE_WITH_THE_PERSON,
    Decision,
    DeliveryState,
    FileVerdict,
    MessageState,
    sql_list,
)

SCHEMA = "reku"
EVERY_INSTITUTE = "00000000"
"""Stands for all institutes where a table needs one; no bank has this BLZ."""
metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


class ResponseKind(StrEnum):
    """Kinds of events, as the OSPlus response file names them (docs/file-contracts.md, "RESPONSE")."""

    VERS = "VERS"  # sent
    ZUGE = "ZUGE"  # delivered
    OEFF = "OEFF"  # opened
    KLIC = "KLIC"  # clicked
    ABME = "ABME"  # unsubscribed
    BESC = "BESC"  # complained
    HBOU = "HBOU"  # hard bounce
    SBOU = "SBOU"  # soft bounce
    UBOU = "UBOU"  # bounce of unknown class
    ZRUE = "ZRUE"  # retained: address barred after three hard bounces in a row
    NVER = "NVER"  # not sent


def _in(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN {sql_list(tuple(values))}", name=column)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def _institute() -> sa.Column[str]:
    return sa.Column("institute", sa.CHAR(8), nullable=False, comment="BLZ, leading zeros kept")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


files = sa.Table(
    "files",
    metadata,
    _id(),
    _institute(),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="", comment="Dateiart, empty if unknown"),
    sa.Column("sha256", sa.CHAR(64), nullable=False, comment="over the bytes as they arrived"),
    _moment("received_at", nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, server_default="", comment="Fehler_Code of 9.15"),
    sa.Column("advice", sa.Text, nullable=False, server_default=""),
    sa.Column("stored_as", sa.Text, nullable=False, comment="path below the files URL"),
    sa.Column("moving_from", sa.Text, comment="where the original lies until moved to stored_as; null once settled"),
    sa.Column("receipt", JSONB, comment="rows of its receipt (9.15), fixed before the receipt is written"),
    _moment("receipt_at"),
    _in("verdict", FileVerdict),
    sa.Index("ix_files_institute_received_at", "institute", "received_at"),
    comment="Every file that ever arrived, once each time it arrived",
)

control_files = sa.Table(
    "control_files",
    metadata,
    _id(),
    _institute(),
    sa.Column("file_id", sa.ForeignKey(files.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="VREKU or VIAM"),
    sa.Column("order_number", sa.Text, nullable=False),
    _moment("created_at", nullable=False),
    sa.Column("processed", sa.Boolean, nullable=False, comment="false: STEUERUNG_FEHLERHAFT"),
    sa.Column("code", sa.Text, nullable=False, server_default=""),
    sa.Index("ix_control_files_order", "institute", "order_number", "created_at"),
    comment="Control files carried out or found faulty; the newest created_at of an order counts",
)

orders = sa.Table(
    "orders",
    metadata,
    _id(),
    _institute(),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("interface", sa.Text, nullable=False, comment="REKU or IAMW: the Dateiart of its deliveries"),
    sa.Column("name", sa.Text, nullable=False, comment="Auftrags_Bezeichnung or Ansprache_Bezeichnung"),
    sa.Column("occasion", sa.Text, nullable=False),
    sa.Column("rhythm", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, server_default="BANK"),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date),
    sa.Column("ended", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column(
        "faulty",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="newest control file was faulty",
    ),
    sa.Column("medium", sa.Text, nullable=False, server_default="", comment="as announced; the campaign decides"),
    sa.Column(
        "response_scope",
        sa.Text,
        nullable=False,
        server_default="",
        comment="codes joined by +; empty = default",
    ),
    sa.Column("expected_by", sa.Time, nullable=False, comment="Berlin wall clock"),
    _moment("control_created_at", nullable=False),
    sa.UniqueConstraint("institute", "order_number"),
    sa.CheckConstraint("origin IN ('BANK', 'AUTKA')", name="origin"),
    sa.CheckConstraint("interface IN ('REKU', 'IAMW')", name="interface"),
    sa.Index("ix_orders_occasion", "occasion"),
    comment="Orders with at least one processed control file",
)

lists = sa.Table(
    "lists",
    metadata,
    _id(),
    _institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column(
        "order_name",
        sa.Text,
        nullable=False,
        comment="a list belongs to (order, order name): a rename makes a new one",
    ),
    sa.Column("name", sa.Text, nullable=False),
    _moment("reserved_at", nullable=False),
    _moment("created_at"),
    _moment("frozen_at"),
    sa.UniqueConstraint("institute", "name"),
    sa.UniqueConstraint("order_id", "order_name"),
    comment="Subscriber lists; reserved by the control file, created by the first delivery, at most 150 per institute",
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    _institute(),
    sa.Column("file_id", sa.ForeignKey(files.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="REKU or IAMW"),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null while parked without an order"),
    sa.Column(
        "occasion",
        sa.Text,
        nullable=False,
        comment="from its order, or from its first row while parked; may be empty",
    ),
    sa.Column("delivery_number", sa.Integer, nullable=False),
    _moment("created_at", nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="Berlin date it was registered on: the day whose run takes it"),
    sa.Column("period_start", sa.Date, comment="due date of the order's rhythm that it fulfils; null while parked"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, server_default=""),
    sa.Column("advice", sa.Text, nullable=False, server_default=""),
    sa.Column("list_id", sa.ForeignKey(lists.c.id)),
    sa.Column("rows", sa.Integer, comment="D records of the file"),
    sa.Column("accepted", sa.Integer),
    sa.Column("rejected", sa.Integer),
    _moment("released_at"),
    _moment("loaded_at"),
    sa.Column("owner_dag", sa.Text, comment="the run that has it in hand"),
    sa.Column("owner_run", sa.Text),
    sa.Column("alarmed_run", sa.Text, comment="the run whose report was red because it is parked: one alarm each"),
    _moment("control_copy_at"),
    _moment("canary_until"),
    _moment("canary_passed_at"),
    _in("state", DeliveryState),
    sa.Index(
        "uq_deliveries_number",
        "institute",
        "kind",
        "order_number",
        "delivery_number",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(HOLDS_ITS_NUMBER)}"),
    ),
    sa.Index("ix_deliveries_order_id", "order_id"),
    sa.Index("ix_deliveries_occasion_state", "occasion", "state"),
    comment="Numbered files of people; a refused one leaves its number free for a corrected one",
)

rejects = sa.Table(
    "rejects",
    metadata,
    _id(),
    _institute(),
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
    _id(),
    _institute(),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False, comment="as delivered; used for sending"),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("fields", JSONB, nullable=False, comment="delivered fields but Referenz by German name, strings"),
    sa.UniqueConstraint("delivery_id", "reference"),
    sa.UniqueConstraint("delivery_id", "line"),
    comment="Accepted rows as delivered: what a mail is filled from",
)

rule_counts = sa.Table(
    "rule_counts",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, comment="place of the rule among those of its delivery, from 1"),
    _institute(),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("check", sa.Text, nullable=False, comment="kind of check"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, comment="Fehler_Code of 9.15"),
    sa.Column("advice", sa.Text, nullable=False),
    sa.Column("looked_at", sa.Integer, nullable=False, comment="rows whose field was filled, or had to be"),
    sa.Column("broken", sa.Integer, nullable=False, comment="rows that broke it"),
    comment="What each rule of the gate found in a delivery, in numbers; the report is made from it",
)

figures = sa.Table(
    "figures",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    _institute(),
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
    _institute(),
    _moment("asked_at"),
    sa.Column("decision", sa.Text, comment="null while a person is asked"),
    _moment("decided_at"),
    sa.Column("actor", sa.Text, nullable=False, server_default="", comment="who decided; empty: nobody was asked"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    _in("decision", Decision),
    comment="Who let a delivery through, or did not; never asked again once it is decided",
)

subscribers = sa.Table(
    "subscribers",
    metadata,
    # no foreign key: whoever fills a list holds it locked, and a check of each person costs as much as adding it
    sa.Column("list_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person_number", sa.Text, primary_key=True),
    _institute(),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("fields", JSONB, nullable=False),
    sa.Column(
        "delivery_number",
        sa.Integer,
        nullable=False,
        comment="the last delivery that changed it; one that told nothing new stands in the ledger alone",
    ),
    _moment("updated_at", nullable=False),
    comment="People of a list: filled on and updated, never replaced",
)

messages = sa.Table(
    "messages",
    metadata,
    _id(),
    _institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("delivery_number", sa.Integer, nullable=False),
    # no foreign key: rows leave long before their messages, and each would be looked for in the whole ledger
    sa.Column("row_id", sa.BigInteger, comment="of a row that leaves by retention"),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column(
        "address_hmac",
        sa.CHAR(64),
        nullable=False,
        comment="of the normalised address; the ledger holds no address",
    ),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("consent", sa.Boolean, nullable=False),
    sa.Column("mailable", sa.Boolean, nullable=False, server_default=sa.true(), comment="a public mail domain"),
    sa.Column("tracking", sa.Boolean, nullable=False),
    _moment("due_at", nullable=False),
    sa.Column("last_day", sa.Date, nullable=False, comment="last Berlin day on which it may be sent"),
    sa.Column("state", sa.Text, nullable=False, server_default="OPEN"),
    sa.Column(
        "second",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="somebody else of the delivery gets the mail for this address",
    ),
    sa.Column("reason", sa.Text, nullable=False, server_default="", comment="Grund_Code, for WITHHELD"),
    sa.Column(
        "reasons",
        sa.ARRAY(sa.Text),
        nullable=False,
        server_default="{}",
        comment="all reasons that held when it was withheld, first one first",
    ),
    sa.Column("medium", sa.Text, nullable=False, server_default=""),
    sa.Column("fence", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("message_id", sa.Text, nullable=False, server_default=""),
    sa.Column(
        "answer",
        sa.Text,
        nullable=False,
        server_default="",
        comment="server's code and enhanced status, no text",
    ),
    _moment("claimed_at"),
    _moment("retry_at"),
    _moment("begun_at"),
    _moment("ended_at"),
    _in("state", MessageState),
    # A delivery is one order and one number, so this is the ledger's key; every index less makes dispatch faster.
    sa.UniqueConstraint("delivery_id", "reference"),
    sa.Index("ix_messages_open", "delivery_id", "id", postgresql_where=sa.text("state = 'OPEN'")),
    sa.Index("ix_messages_address", "institute", "address_hmac"),
    sa.Index("ix_messages_open_person", "institute", "person_number", postgresql_where=sa.text("state = 'OPEN'")),
    # Nobody gets two mails, and the database itself keeps it: whatever a dispatcher does, a second hand-over fails.
    sa.Index(
        "uq_messages_one_per_occasion_date",
        "order_id",
        "person_number",
        "address_hmac",
        "occasion_date",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(MAY_BE_WITH_THE_PERSON)}"),
    ),
    sa.Index(
        "uq_messages_one_per_delivery",
        "order_id",
        "delivery_number",
        "person_number",
        "address_hmac",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(MAY_BE_WITH_THE_PERSON)}"),
    ),
    comment="The ledger: one mail to one person for one delivery",
)

contacts = sa.Table(
    "contacts",
    metadata,
    _id(),
    _institute(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column(
        "message_id",
        sa.ForeignKey(messages.c.id, ondelete="CASCADE"),
        comment="its state says whether the contact is reserved, confirmed or void; null: not by mail",
    ),
    sa.Column("medium", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="Berlin day of the contact"),
    sa.Column("blocked_until", sa.Date, nullable=False, comment="last day of its blocking period"),
    sa.Column("mandatory", sa.Boolean, nullable=False, comment="by a Pflichtkampagne, in spite of blocking periods"),
    sa.UniqueConstraint("message_id"),
    sa.Index("ix_contacts_person", "institute", "person_number", "blocked_until"),
    comment="Contacts with active media: blocking periods and caps hang on them",
)

appointments = sa.Table(
    "appointments",
    metadata,
    _id(),
    _institute(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.UniqueConstraint("institute", "person_number", "day"),
    comment="Days on which people have an appointment with the bank; before it no mail goes out",
)

fences = sa.Sequence("fences", metadata=metadata, schema=SCHEMA)
"""Numbers of claimed batches."""

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), primary_key=True),
    sa.Column("fence", sa.BigInteger, primary_key=True),
    _institute(),
    sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False, comment="by the database's own clock"),
    comment="Batches in the hands of a dispatcher; each has a journal on the machine that claimed it",
)

stops = sa.Table(
    "stops",
    metadata,
    _id(),
    sa.Column("institute", sa.CHAR(8), comment="null: every institute"),
    sa.Column("order_number", sa.Text, comment="null: every order of the institute"),
    _moment("since", nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    _moment("lifted_at"),
    sa.Column("lifted_by", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("order_number IS NULL OR institute IS NOT NULL", name="order_of_an_institute"),
    sa.Index("ix_stops_in_force", "id", postgresql_where=sa.text("lifted_at IS NULL")),
    comment="Stop switches of the dispatch, thrown and lifted by people",
)

paces = sa.Table(
    "paces",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True),
    sa.Column("domain", sa.Text, primary_key=True, comment="of recipients; empty: the institute's own pace"),
    sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, comment="next free slot, by the database's clock"),
    sa.Column("slowed", sa.Integer, nullable=False, server_default="0", comment="421 answers in a row"),
    comment="When the next mail of an institute, or to a recipient domain, may go out; shared by all dispatchers",
)

responses = sa.Table(
    "responses",
    metadata,
    _id(),
    _institute(),
    sa.Column("event_id", sa.Text, nullable=False, unique=True, comment="Ereignis_ID, deterministic"),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), nullable=False),
    # no foreign key: it is copied from the message, whose own is checked, and each check costs dispatch its share
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    _moment("at", nullable=False),
    sa.Column("reason", sa.Text, nullable=False, server_default="", comment="Grund_Code"),
    sa.Column("scope", sa.Text, nullable=False, server_default="", comment="Abmelde_Umfang"),
    sa.Column("link_number", sa.Integer),
    sa.Column("link_target", sa.Text, nullable=False, server_default="", comment="scheme, host, path; no query"),
    sa.Column("bounce_series", sa.Integer),
    _moment("recorded_at", nullable=False),
    _in("kind", ResponseKind),
    sa.Index("ix_responses_message_kind", "message_id", "kind"),
    sa.Index("ix_responses_institute_kind", "institute", "kind"),
    comment="Everything that came back or was not sent, each event once",
)

return_mails = sa.Table(
    "return_mails",
    metadata,
    _id(),
    _institute(),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), nullable=False),
    sa.Column("mail", sa.Text, nullable=False, comment="finds it again in the return mailbox; names nobody"),
    sa.Column("meaning", sa.Text, nullable=False, comment="BOUNCE, COMPLAINT, IGNORED or UNCLEAR"),
    sa.Column("event", sa.Text, nullable=False, server_default="", comment="kind of the event it is the evidence of"),
    sa.Column("status", sa.Text, nullable=False, server_default="", comment="enhanced status"),
    sa.Column("why", sa.Text, nullable=False, server_default="", comment="the rule that decided, in words"),
    _moment("taken_at", nullable=False),
    sa.UniqueConstraint("message_id", "mail"),
    sa.Index("ix_return_mails_taken_at", "taken_at"),
    comment="Mails of the return mailbox about a message: the evidence of its bounces and complaints",
)

past_messages = sa.Table(
    "past_messages",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False, comment="the message's id"),
    _institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("address_hmac", sa.CHAR(64), nullable=False),
    comment="Whom the unsubscribe link of a mail means whose message has left by retention: links never expire",
)

response_counts = sa.Table(
    "response_counts",
    metadata,
    _id(),
    _institute(),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("link_number", sa.Integer, nullable=False, server_default="0"),
    sa.Column("count", sa.Integer, nullable=False),
    sa.UniqueConstraint("delivery_id", "kind", "link_number"),
    comment="Opens and clicks of people without tracking consent: counted per delivery, nobody named",
)

hits = sa.Table(
    "hits",
    metadata,
    _id(),
    _institute(),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="OEFF or KLIC"),
    sa.Column("link_number", sa.Integer, comment="of a click"),
    _moment("at", nullable=False),
    sa.Column("agent", sa.Text, nullable=False, server_default="", comment="User-Agent, its first 200 characters"),
    sa.Column("verdict", sa.Text, comment="null until judged"),
    sa.Column("rule", sa.Text, nullable=False, server_default="", comment="what marks it as a machine's"),
    sa.CheckConstraint("kind IN ('OEFF', 'KLIC')", name="kind"),
    _in("verdict", HitVerdict),
    sa.Index("ix_hits_message_id", "message_id", "at"),
    sa.Index("ix_hits_unjudged", "at", postgresql_where=sa.text("verdict IS NULL")),
    comment="Every open and click of people with tracking consent, as it came; those by people become responses",
)

hit_journals = sa.Table(
    "hit_journals",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column(
        "institute",
        sa.CHAR(8),
        nullable=False,
        server_default=EVERY_INSTITUTE,
        comment="00000000: a journal is of all institutes",
    ),
    sa.Column("drained", sa.BigInteger, nullable=False, server_default="0", comment="bytes of it that stand in hits"),
    comment="How far each journal of a tracker has been taken in; a row goes with its file",
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    _id(),
    _institute(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("address_hmac", sa.CHAR(64), nullable=False),
    sa.Column("person_number", sa.Text, nullable=False, server_default=""),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null: all orders of the institute"),
    sa.Column("source", sa.Text, nullable=False, comment="LINK, EINKLICK, SUPPORT, BESCHWERDE …"),
    _moment("since", nullable=False),
    _in("kind", SuppressionKind),
    sa.Index(
        "uq_suppressions",
        "institute",
        "kind",
        "address_hmac",
        "person_number",
        "order_id",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("ix_suppressions_address", "institute", "address_hmac"),
    sa.Index("ix_suppressions_person", "institute", "person_number"),
    comment="Addresses barred by their HMAC; a later consent flag never lifts one",
)

barred_domains = sa.Table(
    "barred_domains",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment="BLZ; 00000000: every institute"),
    sa.Column("domain", sa.Text, primary_key=True, comment="as mail servers write it, lower case"),
    _moment("since", nullable=False),
    comment="Mail domains that a person has blacklisted",
)

reactivations = sa.Table(
    "reactivations",
    metadata,
    _id(),
    _institute(),
    sa.Column("address_hmac", sa.CHAR(64), nullable=False),
    _moment("at", nullable=False),
    sa.Index("ix_reactivations_address", "institute", "address_hmac"),
    comment="Addresses that a person has let be written to again: their bounce series begins anew",
)

feedback_counters = sa.Table(
    "feedback_counters",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True),
    sa.Column("last_number", sa.Integer, nullable=False),
    comment="Last number of a response file; its row lock makes writers of one institute take turns",
)

feedback_files = sa.Table(
    "feedback_files",
    metadata,
    _id(),
    _institute(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null: the daily file of all orders"),
    sa.Column("file_name", sa.Text, nullable=False),
    _moment("stamped_at", nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("sha256", sa.CHAR(64), comment="of the written bytes; null until written"),
    _moment("written_at"),
    sa.UniqueConstraint("institute", "number"),
    sa.UniqueConstraint("institute", "file_name"),
    comment="Response files; number, time stamp and rows are fixed before anything is written",
)

feedback_rows = sa.Table(
    "feedback_rows",
    metadata,
    # no foreign keys: both are read in the statement that writes them, and a check of each costs more than all the rest
    sa.Column(
        "response_id", sa.BigInteger, primary_key=True, autoincrement=False, comment="each event is reported once"
    ),
    sa.Column("file_id", sa.BigInteger, nullable=False),
    _institute(),
    # The rows of a file lie together, so that it is enough to know which pages may have them; a B-tree takes as long to
    # fill as the table.
    sa.Index("ix_feedback_rows_file_id", "file_id", postgresql_using="brin"),
    comment="Which event stands in which file",
)

audit = sa.Table(
    "audit",
    metadata,
    _id(),
    _institute(),
    _moment("at", nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, comment="table:id or a reference, never personal data"),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    comment="What people did by hand",
)
