"""What we select from: a bank's imported customers, holdings, appointments and impulses (docs/agree21.md, "Imports").

Person numbers, contract numbers and households are pseudonyms unless the bank has agreed otherwise.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from reku.store.tables.base import identity, institute, metadata, moment
from reku.store.tables.intake import files

_BLZ = "BLZ, leading zeros kept"

imports = sa.Table(
    "imports",
    metadata,
    identity(),
    institute(),
    sa.Column("file_id", sa.ForeignKey(files.c.id), nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False, comment="kind of its contract"),
    sa.Column("delta", sa.Boolean, nullable=False, comment="it says only what has changed; false: the whole state"),
    moment("data_at", nullable=False),
    moment("taken_at", nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("taken", sa.Integer, nullable=False),
    sa.Column("rejected", sa.Integer, nullable=False, comment="orphans among them"),
    sa.Column("orphans", sa.Integer, nullable=False, comment="rows of people whom the newest customers lack"),
    sa.Column("known_before", sa.Integer, nullable=False, comment="people, contracts, appointments or impulses"),
    sa.Column("added", sa.Integer, nullable=False),
    sa.Column("changed", sa.Integer, nullable=False),
    sa.Column("gone", sa.Integer, nullable=False),
    sa.Column("known_after", sa.Integer, nullable=False),
    sa.Column("filled", JSONB, nullable=False, comment="column → rows in which it was filled"),
    sa.CheckConstraint("rows = taken + rejected", name="rows_add_up"),
    sa.CheckConstraint("known_before + added - gone = known_after", name="known_adds_up"),
    sa.Index("ix_imports_newest", "institute", "kind", "data_at"),
    comment="Files of a bank's data that were taken in, with what they changed",
)

persons = sa.Table(
    "persons",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment=_BLZ),
    sa.Column("person_number", sa.Text, primary_key=True),
    sa.Column("household", sa.Text, nullable=False, comment="of people without one: their person number"),
    sa.Column("household_rank", sa.Integer, nullable=False, comment="1: contact person; then by clear person number"),
    sa.Column("salutation", sa.Text, comment="1 Herr, 2 Frau, 3 without, 4 firm; null: contradictory"),
    sa.Column("consent", sa.Boolean, nullable=False, comment="to mails; no if one of the person's rows says no"),
    sa.Column("tracking", sa.Boolean, nullable=False),
    sa.Column("estate", sa.Boolean, nullable=False),
    sa.Column("flags", sa.ARRAY(sa.Text), nullable=False, comment="the bank says which mean refusal"),
    sa.Column("postcode", sa.Text),
    sa.Column("segment", sa.Text),
    sa.Column("customer_since", sa.Date),
    sa.Column("born", sa.Date),
    sa.Column("advisor", sa.Text),
    sa.Column("missing_since", sa.Date, comment="the first day whose customers lacked the person; null: there"),
    sa.Index("ix_persons_household", "institute", "household"),
    sa.Index(
        "ix_persons_birthday", "institute", sa.text("extract(month FROM born)"), sa.text("extract(day FROM born)")
    ),
    sa.Index("ix_persons_missing", "institute", postgresql_where=sa.text("missing_since IS NOT NULL")),
    comment="Imported customers without names and addresses; what contradicts itself is unknown, a no wins",
)

person_addresses = sa.Table(
    "person_addresses",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment=_BLZ),
    sa.Column("person_number", sa.Text, primary_key=True),
    sa.Column("recipient_key", sa.Text, primary_key=True, comment="HMAC of the mail address; empty: there is none"),
    sa.Column("domain", sa.Text, nullable=False, comment="of the mail address, lower case, A-labels"),
    sa.Column("digest", sa.Text, nullable=False, comment="keyed hash of what is sealed, by which a change is seen"),
    sa.Column("data_key_id", sa.BigInteger, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False, comment="name, street, place, mail address"),
    sa.Index("ix_person_addresses_data_key_id", "data_key_id"),
    comment="Names and addresses of imported customers, sealed; gone at noon",
)

holdings = sa.Table(
    "holdings",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment=_BLZ),
    sa.Column("contract_number", sa.Text, primary_key=True),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("product", sa.Text, nullable=False),
    sa.Column("opened", sa.Date),
    sa.Column("due", sa.Date),
    sa.Column("balance_class", sa.Text, comment="A to D"),
    sa.Column("payment_flow", sa.Text),
    sa.Index("ix_holdings_person", "institute", "person_number"),
    sa.Index("ix_holdings_due", "institute", "product", "due"),
    sa.Index("ix_holdings_opened", "institute", "product", sa.text("extract(month FROM opened)")),
    comment="Imported contracts and what the analysis of payment flows says",
)

imported_appointments = sa.Table(
    "imported_appointments",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment=_BLZ),
    sa.Column("appointment", sa.Text, primary_key=True, comment="its id at the bank"),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="Berlin day on which it begins"),
    sa.Column("takes_place", sa.Boolean, nullable=False, comment="planned or held; false: cancelled or put off"),
    moment("changed_at", nullable=False),
    sa.Index("ix_imported_appointments_person", "institute", "person_number"),
    comment="Appointments as last changed; those that take place make the days of appointments",
)

impulses = sa.Table(
    "impulses",
    metadata,
    sa.Column("institute", sa.CHAR(8), primary_key=True, comment=_BLZ),
    sa.Column("impulse", sa.Text, primary_key=True, comment="its id at the bank"),
    sa.Column("person_number", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False, comment="the bank's file says which campaign it means"),
    moment("made_at", nullable=False),
    sa.Column("valid_until", sa.Date),
    sa.Column("priority", sa.SmallInteger, nullable=False, comment="1 first, 9 last"),
    sa.Column("wished_channel", sa.Text),
    sa.Column("advisor", sa.Text),
    sa.Column("value", sa.Text, comment="for placeholders: a code or a date"),
    sa.Column("value_date", sa.Date, comment="the date that the value is; null: it is none"),
    # no foreign key: it outlives its delivery, which leaves by retention
    sa.Column(
        "delivery_id",
        sa.BigInteger,
        comment="the delivery that it was last selected for; whether it is used follows from its message",
    ),
    sa.Column("occasion_date", sa.Date, comment="Anlass_Datum for which it was last selected"),
    sa.Index("ix_impulses_person", "institute", "person_number"),
    sa.Index("ix_impulses_code", "institute", "code"),
    comment="Reasons of the bank's to write to a person, used once",
)
