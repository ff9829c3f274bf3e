"""Which tests `make check` runs beside the quick ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reku_testing.touched import _tests_of, touched


@pytest.mark.parametrize(
    ("changed", "meant", "in_room", "neither"),
    [
        (
            "include/reku/dispatch/claim.py",
            "tests/dispatch/test_claim.py",
            "tests/dispatch/test_lock.py",
            "tests/gate/test_gate.py",
        ),
        (
            "include/reku/channels/email/smtp/hand_over.py",
            "tests/channels/email/smtp/test_hand_over.py",
            "tests/channels/email/smtp/test_x.py",
            "tests/channels/email/test_x.py",
        ),
        ("tests/gate/test_gate.py", "tests/gate/test_gate.py", None, "tests/gate/test_suite.py"),
        ("tests/gate/conftest.py", None, "tests/gate/test_suite.py", "tests/store/test_due.py"),
        ("dags/intake.py", None, "tests/orchestration/test_chain.py", "tests/store/test_due.py"),
        ("include/templates/eigen/x/mail.mjml", None, "tests/channels/email/media/test_fill.py", "tests/test_docs.py"),
        ("tests/conftest.py", None, None, "tests/store/test_due.py"),
        ("README.md", None, None, "tests/test_docs.py"),
    ],
)
def test_what_a_change_touches(changed: str, meant: str | None, in_room: str | None, neither: str) -> None:
    found = _tests_of([Path(changed)])
    assert meant is None or found.is_meant(Path(meant))
    assert in_room is None or found.is_in_room(Path(in_room))
    assert not found.is_meant(Path(neither))
    assert not found.is_in_room(Path(neither))


def test_what_differs_from_main_counts_committed_or_not(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@bank.example", *arguments], cwd=tmp_path, check=True
        )

    def write(name: str) -> None:
        (tmp_path / name).write_text("new")

    assert touched(tmp_path).files == set()
    git("init", "-q", "-b", "main")
    (tmp_path / "tests").mkdir()
    write("tests/test_old.py")
    git("add", ".")
    git("commit", "-qm", "first")
    git("switch", "-qc", "mine")
    write("tests/test_committed.py")
    git("add", ".")
    git("commit", "-qm", "second")
    write("tests/test_new.py")
    assert touched(tmp_path).files == {Path("tests/test_committed.py"), Path("tests/test_new.py")}
