"""Unsubscribes that come at the same time share one transaction; each is answered only after its commit."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from queue import Empty, SimpleQueue

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from reku.responses.reactions import By, unsubscribe
from reku.store.engine import engine

GATHER_SECONDS = 0.003
"""How long the first one waits for others: without it every second transaction would be of one alone."""
THREADS = 2
"""So that one may commit while what the other has committed is answered, and the next ones come."""
MOST = 500
"""Unsubscribes in one transaction."""
_TRY_AGAIN = ("40P01", "40001")  # deadlock, serialization failure: PostgreSQL's own advice

_Wish = tuple[int, By, "Future[str | None]"]


class Unsubscribing:
    """Threads that take whatever has gathered while they committed the last transaction."""

    def __init__(self) -> None:
        self._wishes: SimpleQueue[_Wish | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def ask(self, message: int, by: By) -> Future[str | None]:
        """Unsubscribe; the future has the institute once it is committed, or None for an unknown message.

        It raises what the database raises: then nothing is committed.
        """
        future: Future[str | None] = Future()
        future.set_running_or_notify_cancel()  # a client that hangs up has still asked to be unsubscribed
        self._wishes.put((message, by, future))
        return future

    def close(self) -> None:
        """Finish what was asked, and end the threads."""
        for _ in self._threads:
            self._wishes.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (wish := self._wishes.get()) is not None:
            time.sleep(GATHER_SECONDS)
            gathered = [wish]
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


def _carry_out(gathered: list[_Wish]) -> None:
    wishes = [(message, by) for message, by, _ in gathered]
    try:
        institutes = _committed(engine(), wishes)
    except Exception as error:  # noqa: BLE001 - whatever it is, each caller gets it, and the threads live on
        for _, _, future in gathered:
            future.set_exception(error)
        return
    for (_, _, future), institute in zip(gathered, institutes, strict=True):
        future.set_result(institute)


def _committed(database: sa.Engine, wishes: list[tuple[int, By]]) -> list[str | None]:
    try:
        return unsubscribe(database, wishes)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _TRY_AGAIN:
            raise
    return unsubscribe(database, wishes)
