"""A mail that takes too long is given up, and the next one is read."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.responses import mail_reader
from reku.responses.mail_reader import SMALL, TOO_LONG, MailReader
from reku.responses.reports import understand
from reku.store.kinds import ReportKind
from tests.responses.reports import report


@pytest.fixture
def large(reku_settings: Path) -> bytes:
    """A bounce, so large that it is read by the child."""
    return report(17) + b"x" * SMALL


def _other_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """The child is another program: it says that it is there, and then does as it likes."""
    program = tmp_path / "child"
    program.write_text(
        f"#!{sys.executable}\nimport os, sys, time\nos.write(1, bytes(8))\nsys.stdin.buffer.read(8)\n{body}\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(mail_reader.sys, "executable", str(program))


def test_the_child_says_what_we_would_say(large: bytes) -> None:
    with MailReader(seconds=60) as reader:
        assert [reader.read(large) for _ in range(2)] == [understand(large)] * 2
        assert understand(large).kind is not ReportKind.UNCLEAR


@pytest.mark.parametrize(
    "body",
    ["time.sleep(600)", "os._exit(1)", "os.abort()", "os.write(1, bytes([0] * 7 + [9]) + b'short')\ntime.sleep(600)"],
    ids=["hangs", "ends", "crashes", "hangs in its answer"],
)
def test_a_mail_that_hangs_or_ends_its_reader_is_unclear(
    large: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    with MailReader(seconds=0.2) as reader:
        with monkeypatch.context() as patched:
            _other_child(tmp_path, patched, body)
            begun = time.monotonic()
            given_up = reader.read(large)
            child = reader._child
        assert (given_up.kind, given_up.why) == (ReportKind.UNCLEAR, TOO_LONG)
        assert child is None
        assert time.monotonic() - begun < 60
        reader._seconds = 60
        assert reader.read(large) == understand(large)


def test_without_keys_no_mail_is_judged(large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_TOKEN_KEYS", "")
    settings.cache_clear()
    with MailReader(seconds=60) as reader, pytest.raises(SetupError, match="REKU_TOKEN_KEYS"):
        reader.read(large)
