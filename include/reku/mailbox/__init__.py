"""The return mailbox: where bounces, complaints and automatic answers arrive, and where they are kept for a time."""

from reku.mailbox.returned_mail import MAX_BYTES, SEEN, UNCLEAR, Mailbox, ReturnedMail
from reku.mailbox.sources import mailboxes

__all__ = ["MAX_BYTES", "SEEN", "UNCLEAR", "Mailbox", "ReturnedMail", "mailboxes"]
