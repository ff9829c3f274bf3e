"""The trackers' journals: every answered hit in the database, each once, whatever is killed when."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.responses import drain as draining
from reku.responses.drain import drain
from reku.responses.hit_journal import SUFFIX, HitJournal
from reku.store.tables import hit_journals, hits, response_counts
from reku_testing.full_disk import full_disk

pytestmark = pytest.mark.usefixtures("bank")


@pytest.fixture
def folder(bank: Path) -> Path:
    return settings().hit_journals()


def stored(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(hits).order_by(hits.c.id)))


def known(engine: sa.Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(hit_journals)))


def test_hits_are_taken_in_as_they_were_noted(folder: Path, sent: Any, database: sa.Engine) -> None:
    first, second = sent(1), sent(2, tracking=False)
    journal = HitJournal(folder)
    journal.note("OPENED", first, agent="Näme\0" + "x" * 300)
    journal.note("CLICKED", first, 2, "a")
    journal.note("OPENED", second, agent="never to be kept")
    journal.note("CLICKED", second, 1, "never to be kept")
    journal.note("ANON", 1, 1)
    done = drain(database, folder)
    assert (done["stored"], done["counted"]) == (2, 3)
    opened, clicked = stored(database)
    assert (opened.message_id, opened.kind, opened.link_number) == (first, "OPENED", None)
    assert opened.agent.startswith("Nämexx")
    assert len(opened.agent) <= 200
    assert abs(opened.at - clock.now()) < timedelta(minutes=1)
    assert (clicked.kind, clicked.link_number, clicked.verdict) == ("CLICKED", 2, None)
    with database.connect() as connection:
        counts = {(row.kind, row.link_number): row.count for row in connection.execute(sa.select(response_counts))}
    assert counts == {("OPENED", 0): 1, ("CLICKED", 1): 2}


def test_again_and_again_takes_in_only_what_is_new(folder: Path, sent: Any, database: sa.Engine) -> None:
    message, journal = sent(), HitJournal(folder)
    for number in range(1, 4):
        journal.note("OPENED", message)
        drain(database, folder)
        assert drain(database, folder).total() == 0
        assert len(stored(database)) == number


def test_so_many_hits_of_a_message_and_of_its_hour(
    folder: Path, sent: Any, database: sa.Engine, clock_at: Callable[[datetime], None]
) -> None:
    message, other, begun = sent(1), sent(2), clock.now()
    journal = HitJournal(folder)
    kept = []
    for hour in range(8):
        clock_at(begun + timedelta(hours=hour))
        for part in range(2):  # what was taken in before counts
            for _ in range(35):
                journal.note("OPENED", message)
            journal.note("CLICKED", other, 1)
            done = drain(database, folder)
            assert done["stored"] + done["too_many"] == 36, part
        kept.append(len(stored(database)))
    of_hour, in_all = draining.HITS_OF_AN_HOUR, draining.HITS_OF_A_MESSAGE
    assert kept == [min(of_hour * hour, in_all) + 2 * hour for hour in range(1, 9)]


def test_a_living_journal_stays_and_a_dead_one_leaves_with_its_row(
    folder: Path, sent: Any, database: sa.Engine
) -> None:
    message, journal = sent(), HitJournal(folder)
    journal.note("OPENED", message)
    drain(database, folder)
    assert len(list(folder.iterdir())) == len(known(database)) == 1
    journal.note("OPENED", message)
    journal.close()
    drain(database, folder)
    assert (list(folder.iterdir()), known(database), len(stored(database))) == ([], [], 2)


def test_a_large_or_old_journal_makes_way(
    folder: Path, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, journal = sent(), HitJournal(folder)
    journal.note("OPENED", message)
    journal.tend()
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr("reku.responses.hit_journal.BIGGEST", 10)
    journal.tend()
    journal.note("OPENED", message)
    assert len(list(folder.iterdir())) == 2
    drain(database, folder)
    assert (len(list(folder.iterdir())), len(stored(database))) == (1, 2)


@pytest.mark.parametrize("batch", [100, 1_000_000])
def test_many_drains_at_once_take_in_each_hit_once(
    folder: Path, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(draining, "BATCH", batch)
    messages = sent(1), sent(2)
    journals = [HitJournal(folder) for _ in range(3)]
    for number in range(60):
        journals[number % 3].note("OPENED", messages[number % 2])
    journals[0].close()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: drain(database, folder), range(8)))
    assert len(stored(database)) == 60


@pytest.mark.parametrize("moment", ["before the commit", "before the file is removed", "before its row is removed"])
def test_a_drain_that_dies_loses_and_doubles_nothing(
    folder: Path, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    message, journal = sent(), HitJournal(folder)
    for _ in range(5):
        journal.note("OPENED", message)
    journal.close()

    class Dies(BaseException):
        pass

    def die(*_: Any, **__: Any) -> Any:
        raise Dies

    with monkeypatch.context() as killed:
        if moment == "before the commit":
            killed.setattr(draining, "settings", die)
        elif moment == "before the file is removed":
            killed.setattr(Path, "unlink", die)
        else:
            killed.setattr(draining.sa, "delete", die)
        with pytest.raises(Dies):
            drain(database, folder)
    drain(database, folder)
    assert len(stored(database)) == 5
    assert list(folder.iterdir()) == []


def test_what_nobody_can_understand_is_dropped_counted_and_told(
    folder: Path, sent: Any, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    message, journal = sent(), HitJournal(folder)
    journal.note("OPENED", message)
    journal.note("OPENED", 4711)  # of another ledger
    journal.note("ANON", 4711, 1)
    journal.note("OPENED", 0)
    journal.close()
    (file,) = folder.iterdir()
    good = f'{{"kind":"OPENED","id":{message},"link":0,"at":1,"agent":"x"}}'.encode()
    spoilt = [
        b"\0" * 300,
        b"[]",
        b"{}",
        good[:-1],
        good + b"," + good,  # two lines in one would pass in an array
        good.replace(b"OPENED", b"SENT"),
        good.replace(b'"at":1', b'"at":1e99'),
        good.replace(b'"x"', b'"\xff"'),
        good.replace(b'"x"', b'"\\u0000"'),
        good.replace(b'"id":', b'"id":99999999999999999999'),
    ]
    with file.open("ab") as end:
        end.write(b"\n".join([*spoilt, b"", good[:20]]))  # killed in the midst of a line
    done = drain(database, folder)
    assert (done["stored"], done["unknown"], done["unreadable"]) == (1, 2, 1 + len(spoilt))
    assert "2 opens and clicks were dropped: unknown" in caplog.text
    assert list(folder.iterdir()) == []


def test_a_stretch_of_zeros_longer_than_a_batch_is_passed_over(
    folder: Path, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "BATCH", 200)
    folder.mkdir(parents=True)
    at = int(clock.now().timestamp() * 1e6)
    good = b'{"kind":"OPENED","id":%d,"link":0,"at":%d,"agent":""}\n' % (sent(), at)
    (folder / f"x{SUFFIX}").write_bytes(b"\0" * 1000 + b"\n" + good)
    assert drain(database, folder)["stored"] == 1


def test_late_hits_are_not_recorded(folder: Path, sent: Any, database: sa.Engine) -> None:
    long_ago, lately = (clock.now() - timedelta(days=days) for days in (91, 89))
    old, young, anonymous = (
        sent(1, begun_at=long_ago),
        sent(2, begun_at=lately),
        sent(3, tracking=False, begun_at=long_ago),
    )
    with database.begin() as connection:
        connection.execute(
            sa.text("UPDATE reku.messages SET begun_at = :at WHERE id = :id"), {"at": long_ago, "id": anonymous}
        )
        connection.execute(sa.text("UPDATE reku.deliveries SET loaded_at = :at"), {"at": long_ago})
    journal = HitJournal(folder)
    for message in (old, young, anonymous):
        journal.note("OPENED", message)
    journal.note("ANON", 1, 1)
    done = drain(database, folder)
    assert (done["stored"], done["counted"], done["late"]) == (1, 0, 3)


def test_a_journal_that_may_not_be_read_is_named_when_all_others_are_in(
    folder: Path, database: sa.Engine, sent: Any
) -> None:
    (folder / f"0{SUFFIX}").mkdir(parents=True)
    journal = HitJournal(folder)
    journal.note("OPENED", sent())
    with pytest.raises(StageError, match="Let this account read"):
        drain(database, folder)
    with database.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM reku.hits")) == 1


def test_a_journal_that_somebody_removes_is_noticed_and_followed_by_another(folder: Path, sent: Any) -> None:
    message, journal = sent(), HitJournal(folder)
    for file in folder.glob(f"*{SUFFIX}"):
        file.unlink()
    journal.tend()
    journal.note("OPENED", message)
    (file,) = folder.glob(f"*{SUFFIX}")
    assert b"OPENED" in file.read_bytes()


def test_a_journal_whose_end_nobody_knows_is_left(folder: Path, sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line was written and cannot be taken back: what comes next must not follow it."""
    message, journal = sent(), HitJournal(folder)
    (first,) = folder.glob(f"*{SUFFIX}")
    with monkeypatch.context() as full:
        write = os.write

        def refuse(*_: Any) -> None:
            raise OSError(errno.EIO, "broken")

        full.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
        full.setattr(os, "ftruncate", refuse)
        journal.note("OPENED", message)
    assert (journal.lost, first.read_bytes()[:1]) == (1, b"{")
    journal.tend()
    journal.note("OPENED", message)
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 2
    assert len(first.read_bytes()) == 5


def test_a_folder_that_cannot_be_written_stops_no_answer(
    tmp_path: Path, sent: Any, database: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    message, journal = sent(), HitJournal(blocked / "tracker")
    for _ in range(3):
        journal.note("OPENED", message)
    assert journal.lost == 3
    assert "REKU_TRACKER_DIR" in journal.problem
    assert caplog.text.count("cannot be written") == 1, "told once, not with every hit"
    blocked.unlink()
    journal.tend()
    journal.note("OPENED", message)
    assert (journal.problem, journal.lost) == ("", 3)
    assert drain(database, blocked / "tracker")["stored"] == 1


def test_a_full_disk_stops_no_answer_and_is_noticed_when_it_has_room_again(
    folder: Path, sent: Any, database: sa.Engine
) -> None:
    message, journal = sent(), HitJournal(folder)
    journal.note("OPENED", message)
    with full_disk():
        journal.note("OPENED", message)
    assert journal.lost == 1
    assert "No space left" in journal.problem
    journal.tend()
    assert journal.problem == ""
    journal.note("OPENED", message)
    assert drain(database, folder)["stored"] == 2


def test_an_erasure_meanwhile_comes_wholly_before(folder: Path, sent: Any, database: sa.Engine) -> None:
    message, journal = sent(), HitJournal(folder)
    journal.note("OPENED", message, agent="never to be kept")
    with ThreadPoolExecutor(1) as pool:
        with database.begin() as erasing:
            erasing.execute(sa.text("SELECT id FROM reku.messages FOR UPDATE"))
            draining_ = pool.submit(drain, database, folder)
            with pytest.raises(TimeoutError):
                draining_.result(0.5)
            erasing.execute(sa.text("UPDATE reku.messages SET tracking = false"))
        done = draining_.result(30)
    assert (done["stored"], done["counted"], stored(database)) == (0, 1, [])


# Real processes, killed


@contextmanager
def tracker(folder: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A tracker process on a free port; ended with SIGKILL."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "reku.responses.serve", "127.0.0.1", "0"],
            stdout=sink,
            stderr=sink,
            env=os.environ | {"REKU_TRACKER_BURST": "1000000"},
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


class Load(threading.Thread):
    """One client that asks for the pixels of its messages as fast as it can, as often as counts, and counts answers."""

    def __init__(self, port: str, messages: Sequence[int]) -> None:
        super().__init__()
        self.answered, self._most = 0, len(messages) * draining.HITS_OF_AN_HOUR
        self._port = int(port)
        self._requests = cycle([self._request(message) for message in messages])

    def _request(self, message: int) -> bytes:
        path = f"/o/{make(Purpose.OPEN, Target(message))}.gif"
        return f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: load\r\n\r\n".encode()

    def run(self) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=30) as line:
            answers = line.makefile("rb")
            while self.answered < self._most:
                line.sendall(next(self._requests))
                size, head = 0, answers.readline()
                if not head.startswith(b"HTTP/1.1 200"):
                    return
                while (head := answers.readline()) not in (b"\r\n", b""):
                    if head.lower().startswith(b"content-length:"):
                        size = int(head.split(b":")[1])
                if len(answers.read(size)) < size or not size:
                    return
                self.answered += 1


def test_as_many_rows_as_answers_under_load(address: str, sent: Any, database: sa.Engine, folder: Path) -> None:
    messages = [sent(number) for number in range(1, 17)]
    loads = [Load(address.rpartition(":")[2], messages[first : first + 4]) for first in range(0, 16, 4)]
    for load in loads:
        load.start()
    while any(load.is_alive() for load in loads):
        drain(database, folder)  # while they are written
    drain(database, folder)
    assert [load.answered for load in loads] == [200] * 4
    assert len(stored(database)) == 800


@pytest.mark.processes
def test_what_was_answered_is_there_once_through_kill_9(
    folder: Path, sent: Any, database: sa.Engine, tmp_path: Path
) -> None:
    """Two trackers under load, both killed while they note, take in and judge; then a third one begins."""
    messages, loads = [sent(number) for number in range(1, 201)], []
    with tracker(folder, tmp_path / "1.log") as (first, port), tracker(folder, tmp_path / "2.log") as (second, other):
        loads = [Load((port, other)[number % 2], messages[number::8]) for number in range(8)]
        for load in loads:
            load.start()
        deadline = time.monotonic() + 60
        while sum(load.answered for load in loads) < 3000 or not stored(database)[:1]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in (first, second):
            process.send_signal(signal.SIGKILL)
        for load in loads:
            load.join()
    answered = sum(load.answered for load in loads)
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 2
    with tracker(folder, tmp_path / "3.log") as (_, port):
        deadline = time.monotonic() + 60
        while len(list(folder.glob(f"*{SUFFIX}"))) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"http://127.0.0.1:{port}/health").json()["lost"] == 0
    rows = len(stored(database))
    assert answered <= rows <= answered + len(loads), "one on each connection may have been noted and not answered"
