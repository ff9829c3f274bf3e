"""Unsubscribes that come at the same time share one transaction; each is answered only after its commit."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from reku.responses.unsubscribe import Wish, unsubscribe
from reku.store.engine import engine

GATHER_SECONDS = 0.003
"""How long the first one waits for others: without it every second transaction would be of one alone."""
MOST = 500
"""Unsubscribes in one transaction."""

_Asked = tuple[Wish, "Future[str | None]"]


class UnsubscribeQueue:
    """Many requests ask, one thread unsubscribes whatever has gathered while it committed the last transaction."""

    def __init__(self) -> None:
        self._wishes: SimpleQueue[_Asked | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="unsubscribe-queue", daemon=True)
        self._thread.start()

    def ask(self, wish: Wish) -> Future[str | None]:
        """Unsubscribe; the future has the institute once it is committed, or None for an unknown message.

        It raises what the database raises: then nothing is committed.
        """
        future: Future[str | None] = Future()
        future.set_running_or_notify_cancel()  # a client that hangs up has still asked to be unsubscribed
        self._wishes.put((wish, future))
        return future

    def close(self) -> None:
        """Finish what was asked, and end the thread."""
        self._wishes.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (asked := self._wishes.get()) is not None:
            time.sleep(GATHER_SECONDS)
            gathered = [asked]
            ended = False
            while len(gathered) < MOST and not ended:
                try:
                    following = self._wishes.get_nowait()
                except Empty:
                    break
                if following is None:
                    ended = True
                else:
                    gathered.append(following)
            _carry_out(gathered)
            if ended:
                return


def _carry_out(gathered: list[_Asked]) -> None:
    """All in one transaction; if that fails, each in one of its own, so that one bad wish spoils no other.

    What fails may be a deadlock, a message that is just leaving by retention, or one that an erasure holds.
    """
    wishes = [wish for wish, _ in gathered]
    try:
        institutes = unsubscribe(engine(), wishes)
    except Exception as error:  # noqa: BLE001 - whatever it is, each caller gets it, and the thread lives on
        if _is_away(error):
            for _, future in gathered:
                future.set_exception(error)
        else:
            for asked in gathered:
                _alone(asked)
        return
    for (_, future), institute in zip(gathered, institutes, strict=True):
        future.set_result(institute)


def _is_away(error: Exception) -> bool:
    """Whether the database cannot be asked at all: then nobody needs to ask it hundreds of times."""
    return isinstance(error, PoolTimeoutError) or (
        isinstance(error, DBAPIError) and (error.connection_invalidated or not getattr(error.orig, "sqlstate", None))
    )


def _alone(asked: _Asked) -> None:
    wish, future = asked
    try:
        future.set_result(unsubscribe(engine(), [wish])[0])
    except Exception as error:  # noqa: BLE001 - the caller gets it, and the thread lives on
        future.set_exception(error)
