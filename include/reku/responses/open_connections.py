"""Who is connected to the tracker: a bounded number, in all and of one client, each for a bounded time.

Nobody is turned away while somebody only hangs on: where there are too many, the connection that has kept the tracker
waiting for longest makes room. So idle connections, however many, keep no unsubscribe out.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Protocol

LOOK_EVERY = 1.0
"""Seconds after which is looked again for connections whose time is over."""

_OTHER_FILES = 128
"""Files that a tracker has open beside its connections: database, journal, configuration, libraries."""


class Connection(Protocol):
    """What has to be known of one connection."""

    client_network: str
    """Whose it is; "" where it is nobody's: of a reverse proxy, which stands for many."""
    due: float
    """When its present part (head, body, answer) has to be complete, by the loop's clock."""

    def is_awaited(self) -> bool:
        """Whether its client has to do something next, not we."""

    def drop(self) -> None:
        """End it without a further byte."""


class OpenConnections:
    """At most `in_all` connections, at most `of_client` of one client that only wait."""

    def __init__(self, in_all: int, of_client: int) -> None:
        self._in_all, self._of_client = in_all, of_client
        # Those that have been quiet for longest come first. A dict keeps the order and finds each at once.
        self._open: dict[Connection, None] = {}
        self._of: dict[str, dict[Connection, None]] = {}
        self._look: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> None:
        """Let it in; where there are too many, another one goes, or it goes itself if all are being answered."""
        self._open[connection] = None
        if connection.client_network:
            own = self._of.setdefault(connection.client_network, {})
            own[connection] = None
            if len(own) > self._of_client:
                self._drop_longest_awaited(own)
        if len(self._open) > self._in_all and not self._drop_longest_awaited(self._open):
            self._drop(connection)
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._drop_overdue)

    def answered(self, connection: Connection) -> None:
        """It has asked and has been answered: others have been quiet for longer now."""
        for group in (self._open, self._of.get(connection.client_network, {})):
            if connection in group:
                del group[connection]
                group[connection] = None

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        self._open.pop(connection, None)
        own = self._of.get(connection.client_network)
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self._of[connection.client_network]

    def _drop_longest_awaited(self, group: dict[Connection, None]) -> bool:
        longest = next((connection for connection in group if connection.is_awaited()), None)
        if longest is None:
            return False
        self._drop(longest)
        return True

    def _drop(self, connection: Connection) -> None:
        self.remove(connection)
        connection.drop()

    def _drop_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in [connection for connection in self._open if connection.due < loop.time()]:
            self._drop(connection)
        self._look = loop.call_later(LOOK_EVERY, self._drop_overdue) if self._open else None


def room_for(wanted: int, backlog: int) -> int:
    """So many connections, or as many as this process may have files open for, whose limit is raised if need be.

    `backlog`: connections that the system holds for us and hands over at once.
    """
    beside = backlog + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + beside
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(1, min(wanted, soft - beside))
    return wanted
