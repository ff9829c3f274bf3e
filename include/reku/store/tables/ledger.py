"""Whom a bank writes to: the people of lists, the ledger of messages, contacts and appointments."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.states import MAY_BE_WITH_THE_PERSON, MessageState, sql_list
from reku.store.tables.base import closed, identity, institute, metadata, moment
from reku.store.tables.delivered import deliveries
from reku.store.tables.intake import orders

subscribers = sa.Table(
    "subscribers",
    metadata,
    # no foreign key: whoever fills a list holds it locked, and a check of each person costs as much as adding it
    sa.Column("list_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person_number", sa.Text, primary_key=True),
    institute(),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("fields", JSONB, nullable=False, comment="the delivered fields that the contract calls listed"),
    sa.Column(
        "delivery_number",
        sa.Integer,
        nullable=False,
        comment="the last delivery that changed it; one that told nothing new stands in the ledger alone",
    ),
    sa.Column(
        "updated_at",
        sa.DateTime(timezone=True),
        nullable=False,
        comment="when a delivery last changed it, or the last message about it ended that has left by retention",
    ),
    comment="People of a list: filled on and updated, never replaced",
)

messages = sa.Table(
    "messages",
    metadata,
    identity(),
    institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("delivery_id", sa.ForeignKey(deliveries.c.id), nullable=False),
    sa.Column("delivery_number", sa.Integer, nullable=False),
    # no foreign key: rows leave long before their messages, and each would be looked for in the whole ledger
    sa.Column("row_id", sa.BigInteger, comment="of a row that leaves by retention"),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False, server_default="email", comment="by its name in process/systems"),
    sa.Column(
        "recipient_key",
        sa.CHAR(64),
        nullable=False,
        comment="keyed hash of where it goes: for e-mail of the normalised address; the ledger holds no address",
    ),
    sa.Column("occasion_date", sa.Date, nullable=False),
    sa.Column("consent", sa.Boolean, nullable=False),
    sa.Column("mailable", sa.Boolean, nullable=False, server_default=sa.true(), comment="a public mail domain"),
    sa.Column("tracking", sa.Boolean, nullable=False),
    moment("due_at", nullable=False),
    sa.Column("last_day", sa.Date, nullable=False, comment="last Berlin day on which it may be sent"),
    sa.Column("state", sa.Text, nullable=False, server_default="OPEN"),
    sa.Column(
        "second",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="somebody else of the delivery gets the mail for this address",
    ),
    sa.Column(
        "reason", sa.Text, nullable=False, server_default="", comment="of a withheld one: the first of its reasons"
    ),
    sa.Column(
        "reasons",
        sa.ARRAY(sa.Text),
        nullable=False,
        server_default="{}",
        comment="all reasons that held when it was withheld, first one first",
    ),
    sa.Column("medium", sa.Text, nullable=False, server_default=""),
    sa.Column(
        "variant",
        sa.Text,
        nullable=False,
        server_default="",
        comment="of the campaign's variants the one that this person gets, written when it is claimed",
    ),
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
    moment("claimed_at"),
    moment("retry_at"),
    moment("begun_at"),
    moment("ended_at"),
    closed("state", MessageState),
    # A delivery is one order and one number, so this is the ledger's key; every index less makes dispatch faster.
    sa.UniqueConstraint("delivery_id", "reference"),
    sa.Index("ix_messages_open", "delivery_id", "id", postgresql_where=sa.text("state = 'OPEN'")),
    # hardly ever an entry, and everybody who looks at what needs a person asks for it
    sa.Index("ix_messages_in_doubt", "delivery_id", postgresql_where=sa.text("state = 'IN_DOUBT'")),
    sa.Index("ix_messages_prepared", "institute", postgresql_where=sa.text("state = 'PREPARED'")),
    # Those whose last day is to come are the newest: block ranges find them, and cost a dispatch nothing.
    sa.Index("ix_messages_last_day", "last_day", postgresql_using="brin"),
    sa.Index("ix_messages_recipient", "institute", "recipient_key"),
    sa.Index("ix_messages_open_person", "institute", "person_number", postgresql_where=sa.text("state = 'OPEN'")),
    # Nobody gets two mails, and the database itself keeps it: whatever a dispatcher does, a second hand-over fails.
    sa.Index(
        "uq_messages_one_per_occasion_date",
        "order_id",
        "person_number",
        "recipient_key",
        "channel",
        "occasion_date",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(MAY_BE_WITH_THE_PERSON)}"),
    ),
    sa.Index(
        "uq_messages_one_per_delivery",
        "order_id",
        "delivery_number",
        "person_number",
        "recipient_key",
        "channel",
        unique=True,
        postgresql_where=sa.text(f"state IN {sql_list(MAY_BE_WITH_THE_PERSON)}"),
    ),
    comment="The ledger: one mail to one person for one delivery",
)

past_messages = sa.Table(
    "past_messages",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False, comment="the message's id"),
    institute(),
    sa.Column("order_id", sa.ForeignKey(orders.c.id), nullable=False),
    sa.Column("recipient_key", sa.CHAR(64), nullable=False),
    comment="Whom the unsubscribe link of a mail means whose message has left by retention: links never expire",
)

contacts = sa.Table(
    "contacts",
    metadata,
    identity(),
    institute(),
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
    identity(),
    institute(),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.UniqueConstraint("institute", "person_number", "day"),
    comment="Days on which people have an appointment with the bank; before it no mail goes out",
)
