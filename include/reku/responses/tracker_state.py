"""What the requests of one tracker process share: its journal, its queue of unsubscribes, what it remembers."""

from __future__ import annotations

from functools import lru_cache

from reku.foundation.settings import settings
from reku.responses import links, pages
from reku.responses.client_limit import ClientLimit, Limit
from reku.responses.hit_journal import HitJournal
from reku.responses.links import LinkedMessage
from reku.responses.unsubscribe_queue import UnsubscribeQueue
from reku.store.engine import engine

MESSAGE_RATE, MESSAGE_BURST = 0.05, 50
"""Opens and clicks of one message that are recorded: so many a second, so many at once. A person makes a handful."""
_MESSAGES, _DELIVERIES, _BANKS, _TARGETS = 50_000, 5_000, 1_000, 10_000


class TrackerState:
    """`limited`: hits not recorded and wrong links turned away because of too many from one client or of
    one message. `behind`: why
    nothing is taken in at present; empty if all is well. What is noted meanwhile waits in the journal.
    """

    def __init__(self) -> None:
        own = settings()
        self.limited = 0
        self.behind = ""
        self.journal = HitJournal(own.hit_journals())
        self.client_limit = ClientLimit(own.tracker_rate, own.tracker_burst)
        self.message_limit = Limit(MESSAGE_RATE, MESSAGE_BURST)
        self.unsubscribes = UnsubscribeQueue()
        # What does not change; an unknown id raises and is not remembered.
        self.message = lru_cache(_MESSAGES)(_message)
        self.institute_of = lru_cache(_DELIVERIES)(_institute_of)
        # What stands in files, looked at again every second.
        self.bank = lru_cache(_BANKS)(pages.bank_of)
        self.topic = lru_cache(_BANKS)(pages.topic_of)
        self.target = lru_cache(_TARGETS)(links.target_of)

    def forget_files(self) -> None:
        """Read again what stands in files when it is next asked for."""
        self.bank.cache_clear()
        self.topic.cache_clear()
        self.target.cache_clear()

    def close(self) -> None:
        """Finish the unsubscribes that were asked for, and let the journal go."""
        self.unsubscribes.close()
        self.journal.close()


def _message(message: int) -> LinkedMessage:
    return links.linked_message(engine(), message)


def _institute_of(delivery: int) -> str:
    return links.institute_of(engine(), delivery)
