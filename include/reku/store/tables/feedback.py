"""What comes back, and the files that report it."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.kinds import HITS, MANY_OF_A_MESSAGE, EventKind, HitVerdict, ReportKind, UnsubscribedFrom
from reku.store.tables.base import EVERY_INSTITUTE, closed, identity, institute, metadata, moment
from reku.store.tables.delivered import deliveries
from reku.store.tables.intake import orders
from reku.store.tables.ledger import messages

_MANY = ", ".join(f"'{kind}'::text" for kind in MANY_OF_A_MESSAGE)
# To the last blank as PostgreSQL itself words it, since Alembic compares the words.
_MOMENT_OF_MANY = f"""(
CASE
    WHEN kind = ANY (ARRAY[{_MANY}]) THEN at
    ELSE NULL::timestamp with time zone
END)"""

responses = sa.Table(
    "responses",
    metadata,
    identity(),
    institute(),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), nullable=False),
    # no foreign key: it is copied from the message, whose own is checked, and each check costs dispatch its share
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    moment("at", nullable=False),
    sa.Column(
        "reason",
        sa.Text,
        nullable=False,
        server_default="",
        comment="why, as a code: of a bounce, an unsubscribe, a message not sent",
    ),
    sa.Column("scope", sa.Text, comment="of an unsubscribe: from what"),
    sa.Column("link_number", sa.Integer),
    sa.Column("link_target", sa.Text, nullable=False, server_default="", comment="scheme, host, path; no query"),
    sa.Column("bounce_series", sa.Integer),
    moment("recorded_at", nullable=False),
    closed("kind", EventKind),
    closed("scope", UnsubscribedFrom),
    # What makes an event the same event: of most kinds a message has one, whenever it is noticed. What is told again is
    # not written again.
    sa.Index(
        "uq_responses_event",
        "message_id",
        "kind",
        sa.text(_MOMENT_OF_MANY),
        "link_number",
        unique=True,
        postgresql_nulls_not_distinct=True,
    ),
    # Of one link of a message one click an hour is told: nobody can fill a bank's file by clicking.
    sa.Index(
        "uq_responses_click_of_hour",
        "message_id",
        "link_number",
        sa.text("date_trunc('hour'::text, (at AT TIME ZONE 'UTC'::text))"),
        unique=True,
        postgresql_where=sa.text("kind = 'CLICKED'::text"),
        postgresql_nulls_not_distinct=True,
    ),
    sa.Index("ix_responses_institute_kind", "institute", "kind"),
    sa.Index("ix_responses_recorded_at", "recorded_at", postgresql_using="brin"),  # the figures of a day
    comment="Everything that came back or was not sent, each event once",
)

response_counts = sa.Table(
    "response_counts",
    metadata,
    identity(),
    institute(),
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
    identity(),
    institute(),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="OPENED or CLICKED"),
    sa.Column("link_number", sa.Integer, comment="of a click"),
    moment("at", nullable=False),
    sa.Column("agent", sa.Text, nullable=False, server_default="", comment="User-Agent, its first 200 characters"),
    sa.Column("verdict", sa.Text, comment="null until judged"),
    sa.Column("rule", sa.Text, nullable=False, server_default="", comment="what marks it as a machine's"),
    closed("kind", HITS),
    closed("verdict", HitVerdict),
    sa.Index("ix_hits_message_id", "message_id", "at"),
    sa.Index("ix_hits_unjudged", "at", postgresql_where=sa.text("verdict IS NULL")),
    comment="Every open and click of people with tracking consent, as it came; those by people become responses",
)

collections = sa.Table(
    "collections",
    metadata,
    sa.Column("source", sa.Text, primary_key=True, comment="return_mails, or hits"),
    sa.Column(
        "institute",
        sa.CHAR(8),
        nullable=False,
        server_default=EVERY_INSTITUTE,
        comment="00000000: what comes back is of all institutes",
    ),
    moment("complete_at", nullable=False),
    comment="When the last look began that left nothing of what had come back",
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

return_mails = sa.Table(
    "return_mails",
    metadata,
    identity(),
    sa.Column("institute", sa.CHAR(8), comment="BLZ, leading zeros kept; nobody's where no token told the message"),
    sa.Column("message_id", sa.ForeignKey(messages.c.id), comment="whom it is about, as far as a valid token told it"),
    sa.Column("mail", sa.Text, nullable=False, comment="finds it again in the return mailbox; names nobody"),
    sa.Column("meaning", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False, server_default="", comment="kind of the event it is the evidence of"),
    sa.Column("status", sa.Text, nullable=False, server_default="", comment="enhanced status"),
    sa.Column("why", sa.Text, nullable=False, server_default="", comment="the rule that decided, in words"),
    moment("taken_at", nullable=False),
    closed("meaning", ReportKind),
    sa.UniqueConstraint("message_id", "mail"),
    sa.Index("ix_return_mails_mail", "mail"),
    sa.Index("ix_return_mails_taken_at", "taken_at"),
    comment="Mails of the return mailbox: the evidence of bounces and complaints, and what was ignored or is unclear",
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
    identity(),
    institute(),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), comment="null: the daily file of all orders"),
    sa.Column("file_name", sa.Text, nullable=False),
    moment("stamped_at", nullable=False),
    sa.Column("rows", sa.Integer, nullable=False, comment="events that are reported by it"),
    sa.Column(
        "left_out",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="those without a line in it: of people whose clear number is kept no more",
    ),
    sa.Column("sha256", sa.CHAR(64), comment="of the written bytes; null until written"),
    moment("written_at"),
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
    institute(),
    # The rows of a file lie together, so that it is enough to know which pages may have them; a B-tree takes as long to
    # fill as the table.
    sa.Index("ix_feedback_rows_file_id", "file_id", postgresql_using="brin"),
    comment="Which event stands in which file",
)
