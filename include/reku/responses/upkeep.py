"""What a tracker process has in hand, and what it does beside answering: syncing its journal, taking in, judging."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reku.foundation.errors import RekuError
from reku.foundation.settings import settings
from reku.responses import hits, pages, reactions
from reku.responses.hit_journal import HitJournal
from reku.responses.limits import Limits
from reku.responses.reactions import Mail
from reku.responses.unsubscribing import Unsubscribing
from reku.store.engine import engine

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
_MAILS, _DELIVERIES, _BANKS, _TARGETS = 50_000, 5_000, 1_000, 10_000


class Upkeep:
    """`limited`: hits not recorded and wrong links turned away because of too many from one client. `behind`: why
    nothing is taken in at present; empty if all is well. What is noted meanwhile waits in the journal.
    """

    def __init__(self) -> None:
        own = settings()
        self.limited = 0
        self.behind = ""
        self.journal = HitJournal(own.hit_journals())
        self.limits = Limits(own.tracker_rate, own.tracker_burst)
        self.unsubscribing = Unsubscribing()
        # What does not change; an unknown id raises and is not remembered.
        self.mail = lru_cache(_MAILS)(_mail)
        self.institute_of = lru_cache(_DELIVERIES)(_institute_of)
        # What stands in files, looked at again every second.
        self.bank = lru_cache(_BANKS)(pages.bank_of)
        self.target = lru_cache(_TARGETS)(reactions.target_of)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_up())
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await asyncio.to_thread(self.unsubscribing.close)
        self.journal.close()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self.journal.tend()
            await asyncio.to_thread(self.take_in)

    def take_in(self) -> None:
        """Sync the journal, take in, judge; what goes wrong is told by `behind` and in the log, once."""
        try:
            self.bank.cache_clear()
            self.target.cache_clear()
            self.journal.sync()
            hits.take_in(engine())
            self.behind = ""
        except (DBAPIError, PoolTimeoutError) as error:
            self._is_behind(f"the database refused ({type(getattr(error, 'orig', error)).__name__})")
        except (RekuError, OSError) as error:
            self._is_behind(str(error))
        except Exception:  # a fault of ours must not end it for good
            log.exception("Opens and clicks could not be taken in; they wait in the journal.")
            self.behind = "a fault of ours; the log has it"

    def _is_behind(self, why: str) -> None:
        if not self.behind:
            log.error("Opens and clicks wait in the journal: %s", why)
        self.behind = why


def _mail(message: int) -> Mail:
    return reactions.mail(engine(), message)


def _institute_of(delivery: int) -> str:
    return reactions.institute_of(engine(), delivery)
