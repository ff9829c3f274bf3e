"""What a tracker does beside answering, once a second: syncs its journal, takes hits in, tells people from bots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reku.foundation.errors import RekuError
from reku.responses import hits
from reku.responses.tracker_state import TrackerState
from reku.store.engine import engine

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


@asynccontextmanager
async def in_background(state: TrackerState) -> AsyncIterator[None]:
    """Do the work once a second until the block ends, then close the state."""
    task = asyncio.create_task(_repeat(state))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(state.close)


async def _repeat(state: TrackerState) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        state.journal.tend()
        await asyncio.to_thread(take_in, state)


def take_in(state: TrackerState) -> None:
    """Sync the journal and take hits in; what goes wrong is told by `state.behind` and in the log, once."""
    try:
        state.forget_files()
        state.journal.sync()
        hits.take_in(engine())
        state.behind = ""
    except (DBAPIError, PoolTimeoutError) as error:
        _is_behind(state, f"the database refused ({type(getattr(error, 'orig', error)).__name__})")
    except (RekuError, OSError) as error:
        _is_behind(state, str(error))
    except Exception:  # a fault of ours must not end it for good
        log.exception("Opens and clicks could not be taken in; they wait in the journal.")
        state.behind = "a fault of ours; the log has it"


def _is_behind(state: TrackerState, why: str) -> None:
    if not state.behind:
        log.error("Opens and clicks wait in the journal: %s", why)
    state.behind = why
