"""Clients that hang on, and clients that are slow: none of them keeps an unsubscribe out."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import httpx
import pytest

from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.responses import open_connections, serve
from reku.responses.open_connections import OpenConnections, room_for
from reku.responses.tracker import app
from reku_testing.hostile import until
from reku_testing.serving import served

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may take 10 s may take a fraction of one."""
    monkeypatch.setattr(open_connections, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(serve, "BODY_SECONDS", 0.3)


def connected(address: str, *, begun: bytes = b"") -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)), timeout=30)
    line.sendall(begun)
    return line


def is_open(line: socket.socket) -> bool:
    line.setblocking(False)
    try:
        return bool(line.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def unsubscribes(address: str, message: int) -> int:
    path = f"{address}/u/{make(Purpose.UNSUBSCRIBE, Target(message))}"
    return httpx.post(path, data=ONE_CLICK, timeout=30).status_code


@pytest.mark.parametrize("begun", [b"", b"GET /o/", b"POST /u/x HTTP/1.1\r\nContent-Length: 100\r\n\r\nLi"])
def test_unsubscribes_are_answered_while_2000_hang_on(address: str, sent: Any, events: Any, begun: bytes) -> None:
    message = sent()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(6_000, hard)), hard))
    try:
        with ExitStack() as lines:
            hanging = [lines.enter_context(connected(address, begun=begun)) for _ in range(2_000)]
            assert unsubscribes(address, message) == 200
            time.sleep(0.1)
            still = sum(is_open(line) for line in hanging)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert 50 <= still <= settings().tracker_client_connections
    assert [event[1] for event in events()] == ["UNSUBSCRIBED"]


@pytest.mark.parametrize(
    ("in_all", "of_client", "proxies", "left"),
    [("20", "8", "", 7), ("10", "8", "127.0.0.1", 9), ("1000", "30", "", 29), ("1000", "8", "127.0.0.1", 60)],
)
def test_the_one_that_waits_for_longest_makes_room(
    bank: Any, sent: Any, monkeypatch: pytest.MonkeyPatch, in_all: str, of_client: str, proxies: str, left: int
) -> None:
    monkeypatch.setenv("REKU_TRACKER_CONNECTIONS", in_all)
    monkeypatch.setenv("REKU_TRACKER_CLIENT_CONNECTIONS", of_client)
    monkeypatch.setenv("REKU_TRACKER_PROXIES", proxies)
    settings.cache_clear()
    with served(app) as address, ExitStack() as lines:
        hanging = [lines.enter_context(connected(address)) for _ in range(60)]
        assert unsubscribes(address, sent()) == 200
        deadline = time.monotonic() + 10
        while (still := [is_open(line) for line in hanging]).count(True) != left and time.monotonic() < deadline:
            time.sleep(0.01)
    assert still == [False] * (60 - left) + [True] * left


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"GET /o/x HTTP/1.1\r\nHost: x\r\n"],
        [b"GET /o/x HT"] + [b"T"] * 1000,
        [b"\r\n"] * 1000,
        [b"POST /u/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"] + [b"x"] * 1000,
        [b"GET /o/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"1\r\nx\r\n"] * 1000,
    ],
    ids=["nothing", "half a head", "a head by letters", "blank lines", "a body by letters", "a body after the answer"],
)
def test_whoever_is_slow_is_cut_off(web: httpx.Client, parts: list[bytes]) -> None:
    begun = time.monotonic()
    with connected(str(web.base_url).rstrip("/")) as line, suppress(ConnectionError):
        line.settimeout(0.01)
        for part in parts:
            line.sendall(part)
            with suppress(TimeoutError):
                if not line.recv(65_536):
                    break
        else:
            line.settimeout(30)
            while line.recv(65_536):
                pass
    assert time.monotonic() - begun < 25, "cut off, not waited for"
    assert web.get("/health").status_code == 200


@pytest.mark.usefixtures("impatient")
def test_who_hangs_half_way_has_asked_to_be_unsubscribed(web: httpx.Client, sent: Any, events: Any) -> None:
    path = f"/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-Unsub"
    with connected(str(web.base_url).rstrip("/"), begun=head.encode()) as line, suppress(ConnectionError):
        assert line.recv(100) == b""
    until(events)  # the line is cut first
    assert [event[1] for event in events()] == ["UNSUBSCRIBED"]


def test_an_endless_body_is_not_drunk_on(web: httpx.Client, sent: Any) -> None:
    path = f"/u/{make(Purpose.UNSUBSCRIBE, Target(sent()))}"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    taken = 0
    with connected(str(web.base_url).rstrip("/"), begun=head.encode()) as line, suppress(ConnectionError):
        while taken < 200_000_000:
            line.sendall(chunk)
            taken += len(chunk)
    assert taken < 50_000_000, "what the sockets hold, and no more"


def test_the_limit_of_open_files_is_raised_or_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.update(now=wanted))
    beside = 256 + open_connections._OTHER_FILES
    for soft, hard, room, then in [
        (1024, 1_048_576, 1000, 1000 + beside),
        (1024, resource.RLIM_INFINITY, 1000, 1000 + beside),
        (1024, 1024, 1024 - beside, 1024),
        (65_536, 65_536, 1000, 65_536),
        (256, 256, 1, 256),
    ]:
        limits["now"] = (soft, hard)
        assert (room_for(1000, 256), limits["now"]) == (room, (then, hard))


class Idle:
    def __init__(self, client: str = "", awaited: bool = True) -> None:
        self.client_network, self.awaited, self.due, self.dropped = client, awaited, 0.0, False

    def is_awaited(self) -> bool:
        return self.awaited

    def drop(self) -> None:
        self.dropped = True


async def _let_in(others: OpenConnections, connections: list[Idle]) -> list[bool]:
    for connection in connections:
        others.add(connection)
    return [connection.dropped for connection in connections]


@pytest.mark.parametrize(
    ("make_all", "dropped"),
    [
        (lambda: [Idle(str(number)) for number in range(5)], [True, True, False, False, False]),
        (lambda: [Idle(awaited=False), Idle(), Idle(awaited=False), Idle()], [False, True, False, False]),
        (lambda: [Idle(awaited=False) for _ in range(4)] + [Idle()], [False] * 3 + [True, True]),
        (lambda: [Idle("a"), Idle("a"), Idle("a"), Idle("b")], [True, False, False, False]),
    ],
)
def test_who_makes_room(make_all: Callable[[], list[Idle]], dropped: list[bool]) -> None:
    others = OpenConnections(in_all=3, of_client=2)
    assert asyncio.run(_let_in(others, make_all())) == dropped
    assert len(others) == dropped.count(False)
