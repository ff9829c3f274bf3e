"""What we can tell the core system of a person, in fields that the bank allows (docs/agree21.md, "FE 3053")."""

from __future__ import annotations

from enum import StrEnum


class CoreField(StrEnum):
    """What stands in a bank-individual field."""

    LAST_CONTACT = "last_contact"  # the day of the newest message that was sent, on any channel, or contact by hand
    LAST_CAMPAIGN = "last_campaign"  # the order of that message
    BLOCKED_UNTIL = "blocked_until"  # the end of the longest blocking period that a contact has set
    EMAIL_UNDELIVERABLE = "email_undeliverable"  # J: a mail of the newest delivery came back for good, or was retained
