"""The file under the journals: only whole lines, whatever a disk does; and whether its writer lives."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.foundation.append_log import AppendLog, reading

LINES = st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b"") + b"\n"), min_size=1, max_size=4)


@contextmanager
def _room(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: a write is taken in part, as by a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@given(appended=st.lists(LINES, max_size=6), room=st.integers(1, 400))
def test_whatever_room_there_is_the_file_holds_whole_lines_in_their_order(
    tmp_path_factory: pytest.TempPathFactory, appended: list[list[bytes]], room: int
) -> None:
    file = tmp_path_factory.mktemp("log") / "1.log"
    log = AppendLog.create(file)
    taken: list[bytes] = []
    for lines in appended:
        with _room(room):
            try:
                log.append(b"".join(lines))
                taken += lines
            except OSError:
                for line in lines:
                    if sum(map(len, taken)) + len(line) > room:
                        break
                    taken.append(line)
        assert file.read_bytes() == b"".join(taken)
        assert log.size == len(file.read_bytes())
        assert not log.is_torn
    log.append(b"the disk has room again\n")
    assert file.read_bytes() == b"".join(taken) + b"the disk has room again\n"
    log.close()


def test_half_a_line_that_cannot_be_taken_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppendLog.create(tmp_path / "1.log")

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "ftruncate", refuse)
    with _room(5), pytest.raises(OSError, match="No space left"):
        log.append(b"0123456789\n")
    assert log.is_torn
    log.close()
    with reading(tmp_path / "1.log") as reader:
        assert reader.read() == b""


@given(data=st.binary(max_size=60), position=st.integers(0, 20), most=st.integers(1, 40))
def test_a_reader_gets_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, position: int, most: int
) -> None:
    file = tmp_path_factory.mktemp("log") / "1.log"
    file.write_bytes(data)
    with reading(file) as reader:
        piece = data[position : position + most]
        whole = piece[: piece.rfind(b"\n") + 1]
        assert reader.read(position, most) == (piece if not whole and len(piece) == most else whole)
        assert reader.read() == data[: data.rfind(b"\n") + 1]


_WRITER = """
import sys, time
from pathlib import Path
from reku.foundation.append_log import AppendLog
log = AppendLog.create(Path(sys.argv[1]))
log.append(b"a line\\n")
print("written", flush=True)
time.sleep(600)
"""


def test_a_dead_writer_is_told_from_a_living_one(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "1.log"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(file)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    with reading(file) as reader:
        assert (reader.is_complete, reader.read()) == (False, b"a line\n")
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    with reading(file) as reader, reading(file) as second:
        assert (reader.is_complete, reader.read()) == (True, b"a line\n")
        assert not second.is_complete, "who reads it first has it for himself"
        assert reader.is_in_place()
        reader.remove()
        assert not reader.is_in_place()
    assert list(file.parent.iterdir()) == []


def test_a_file_has_its_name_only_once_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as context:
        context.setattr("reku.foundation.append_log.fcntl.flock", killed)
        with pytest.raises(Killed):
            AppendLog.create(tmp_path / "1.log")
    assert [file.name for file in tmp_path.iterdir()] == ["1.draft"]


def test_it_takes_the_place_of_an_older_file_and_notices_its_own_removal(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_bytes(b"of somebody else\n")
    log = AppendLog.create(tmp_path / "1.log")
    log.append(b"mine\n")
    log.sync()
    assert (tmp_path / "1.log").read_bytes() == b"mine\n"
    assert not log.is_removed
    (tmp_path / "1.log").unlink()
    assert log.is_removed
    log.remove()
