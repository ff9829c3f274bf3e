"""The return mailboxes that are configured."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from reku.foundation.settings import settings
from reku.mailbox.imap import ImapMailbox
from reku.mailbox.maildir import MaildirMailbox
from reku.mailbox.returned_mail import Mailbox


def mailboxes() -> list[AbstractContextManager[Mailbox]]:
    """A Maildir, an IMAP mailbox, both or none; each is to be opened by itself, so that one may fail alone."""
    s = settings()
    configured: list[AbstractContextManager[Mailbox]] = []
    if s.bounce_maildir is not None:
        configured.append(nullcontext(MaildirMailbox(s.bounce_maildir)))
    if s.bounce_imap_host:
        configured.append(ImapMailbox.opened(s))
    return configured
