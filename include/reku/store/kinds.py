"""Closed vocabularies of columns that are no states: kept by CHECK constraints, worded once."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """What one row that breaks a rule brings about."""

    REFUSE = "refuse"  # the whole delivery is refused
    REJECT = "reject"  # the row is kept out
    WARN = "warn"  # the row goes on, the breach is counted


class SuppressionKind(StrEnum):
    """Why an address is barred."""

    UNSUBSCRIBED = "UNSUBSCRIBED"
    COMPLAINED = "COMPLAINED"
    BLACKLISTED = "BLACKLISTED"


class HitVerdict(StrEnum):
    """Who opened or clicked."""

    PERSON = "PERSON"
    MACHINE = "MACHINE"


class EventKind(StrEnum):
    """What happened to a message, or kept it from being sent. A core system's own codes stand in its contract."""

    SENT = "SENT"  # the mail server took it
    DELIVERED = "DELIVERED"  # somebody said that it reached the mailbox
    OPENED = "OPENED"  # its pixel was fetched, and a person was behind it
    CLICKED = "CLICKED"  # a person followed one of its links
    UNSUBSCRIBED = "UNSUBSCRIBED"  # the person wants no more mails, of this order or at all
    COMPLAINED = "COMPLAINED"  # the person called it spam
    BOUNCED_HARD = "BOUNCED_HARD"  # came back: the address is no good
    BOUNCED_SOFT = "BOUNCED_SOFT"  # came back, or was refused, for another reason than its address
    BOUNCED_UNKNOWN = "BOUNCED_UNKNOWN"  # came back, and nobody can say why
    RETAINED = "RETAINED"  # not sent: three hard bounces in a row have barred the address
    NOT_SENT = "NOT_SENT"  # not sent, for the reason that stands with it


MANY_OF_A_MESSAGE = (EventKind.DELIVERED, EventKind.OPENED, EventKind.CLICKED)
"""Kinds that may happen to a message more than once, each time at another moment; of the others it has one at most."""

HITS = (EventKind.OPENED, EventKind.CLICKED)
"""Kinds that a request to the tracker means."""

BOUNCES = (EventKind.BOUNCED_HARD, EventKind.BOUNCED_SOFT, EventKind.BOUNCED_UNKNOWN)
"""Kinds of a mail that came back or was refused."""


class UnsubscribedFrom(StrEnum):
    """What a person wants no more mails of."""

    ORDER = "ORDER"
    INSTITUTE = "INSTITUTE"


class SuppressionSource(StrEnum):
    """How somebody came to be barred. Those of an unsubscribe are its reason too (Grund_Code)."""

    LINK = "LINK"  # the button of our page
    ONE_CLICK = "EINKLICK"  # the mailbox provider's button (RFC 8058)
    SUPPORT = "SUPPORT"  # a person has entered it
    COMPLAINT = "BESCHWERDE"  # the mailbox provider has forwarded a complaint
    BOUNCE = "BOUNCE"  # three hard bounces in a row, kept when their messages leave by retention


class ReportKind(StrEnum):
    """What a mail in the return mailbox is."""

    BOUNCE = "BOUNCE"  # a mail of ours came back
    COMPLAINT = "COMPLAINT"  # somebody pressed "spam"
    IGNORED = "IGNORED"  # automatic answer, delay notice, read receipt: nothing to do
    UNCLEAR = "UNCLEAR"  # a person has to look


class DeliverySource(StrEnum):
    """What a delivery comes from."""

    OSPLUS_FILE = "osplus_file"  # a numbered file, ReKu or IAM.w
    SELECTION = "selection"  # a selection of ours from a bank's data: no file came


class PreparedKind(StrEnum):
    """What kind of file waits for the bank, or for a system of its, to take it."""

    LETTER = "LETTER"  # letters of one delivery, and their index
    AGREE_MAILING = "AGREE_MAILING"  # jobs of one delivery for agreeMailing
    BAP = "BAP"  # what all channels do on a day
    FE3053 = "FE3053"  # bank-individual data that have changed
    EMMA = "EMMA"  # people of one delivery for the bank's EMMA account


class SealedKind(StrEnum):
    """What is sealed of imported people; each kind has data keys of its own, since it lives as long as it does."""

    NUMBER = "NUMBER"  # clear person numbers, as long as the person is there
    ADDRESS = "ADDRESS"  # names, streets, mail addresses: a day, or until the mail has ended


class OsplusInterface(StrEnum):
    """By which interface of OSPlus an order and its deliveries come: the Dateiart of the deliveries."""

    REKU = "REKU"
    IAMW = "IAMW"


class OsplusOrigin(StrEnum):
    """Who has set an order up in OSPlus: whom troubles with it are told."""

    BANK = "BANK"  # the institute itself
    AUTKA = "AUTKA"  # an automatic campaign from the centre
