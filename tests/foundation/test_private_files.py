"""What is written is for the account that runs this alone, but for what a bank's group fetches."""

from __future__ import annotations

import grp
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.foundation.append_log import AppendLog
from reku.foundation.bank_folders import BankFolders, Folder
from reku.foundation.errors import SetupError
from reku.foundation.private_files import UMASK, keep_private, private_folder
from reku.foundation.settings import settings
from reku.mailbox.maildir import MaildirMailbox
from reku.runtime.home import Home
from tests.conftest import PROJECT

BLZ = "99950001"


@pytest.fixture(autouse=True)
def wide_open() -> Iterator[None]:
    """A machine on which everybody may read everything, as most are set up."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_a_private_process_makes_is_its_own(tmp_path: Path) -> None:
    keep_private()
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert (mode(tmp_path / "folder"), mode(tmp_path / "file")) == (0o700, 0o600)


PROGRAMS = [file for file in (PROJECT / "include/reku").rglob("*.py") if "__main__" in file.read_text(encoding="utf-8")]
WRITE_NOTHING_ABOUT_PEOPLE = re.compile(r"/(bench/.*|.*handbook|health)\.py$")


@pytest.mark.parametrize("file", [*PROGRAMS, PROJECT / "include/reku/cli/group.py"], ids=lambda file: file.stem)
def test_every_program_of_ours_begins_so(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert WRITE_NOTHING_ABOUT_PEOPLE.search(str(file)) or re.search(r"^    +keep_private\(\)", text, re.MULTILINE)


@pytest.mark.processes
@pytest.mark.parametrize(
    "program",
    [
        "import reku.orchestration.operators",
        "import runpy; runpy.run_path('plugins/reku_pages.py')",
        "import sys; from reku.cli.main import app; sys.argv = ['reku', 'occasions']; app(standalone_mode=False)",
    ],
)
def test_processes_are_private(program: str) -> None:
    program = f"import os; os.umask(0)\n{program}\nprint(); print(os.umask(0))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(UMASK)


@pytest.mark.parametrize(("before", "after"), [(None, 0o700), (0o755, 0o750), (0o777, 0o770), (0o750, 0o750)])
def test_a_private_folder_is_closed_to_others(tmp_path: Path, before: int | None, after: int) -> None:
    folder = tmp_path / "one" / "two"
    if before is not None:
        folder.mkdir(parents=True)
        folder.chmod(before)
    assert mode(private_folder(folder)) == after


def _home(folder: Path) -> None:
    Home(folder.parent).make()


def _journal(folder: Path) -> None:
    AppendLog.create(folder / "one.journal").close()


def _mailbox(folder: Path) -> None:
    MaildirMailbox(folder)._prepare()


@pytest.mark.parametrize(
    ("name", "make"), [("logs", _home), ("files", _home), ("airflow", _home), ("tracker", _journal), ("new", _mailbox)]
)
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, name: str, make: object) -> None:
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "here" / name
    elsewhere.mkdir(mode=0o755)
    place.parent.mkdir()
    place.symlink_to(elsewhere)
    with pytest.raises(SetupError, match=rf"folder {place} is a link\. .*Put a real folder in its place"):
        make(place.parent if make is _mailbox else place)  # type: ignore[operator]
    assert list(elsewhere.iterdir()) == []
    assert mode(elsewhere) == 0o755


def test_folders_of_a_home_and_of_banks_are_private(tmp_path: Path, reku_settings: Path) -> None:
    keep_private()
    here = Home(tmp_path / "var")
    here.make()
    folders = BankFolders(BLZ)
    folders.prepare()
    folders.write(f"{BLZ}/ausgang/a.csv", [b"x"])
    for place in (here.path, *here.path.rglob("*"), reku_settings / BLZ, *(reku_settings / BLZ).rglob("*")):
        if place.is_dir():
            assert mode(place) == 0o700, place


def test_a_group_fetches_and_delivers_and_sees_nothing_else(
    reku_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = next(group for group in grp.getgrall() if group.gr_gid != os.getgid() and os.geteuid() == 0)
    monkeypatch.setenv("REKU_FILES_GROUP", group.gr_name)
    settings.cache_clear()
    keep_private()
    folders = BankFolders(BLZ)
    for _ in range(2):
        folders.prepare()
    folders.write(f"{BLZ}/ausgang/a.csv", [b"x"])
    folders.write(f"{BLZ}/archiv/2026/11/a.csv", [b"x"])
    bank = reku_settings / BLZ
    file = bank / "ausgang/a.csv"
    assert (mode(file), file.stat().st_gid) == (0o640, group.gr_gid)
    assert (mode(bank), bank.stat().st_gid) == (0o2750, group.gr_gid)
    for folder in Folder:
        fetches = folder in (Folder.INBOX, Folder.OUTBOX)
        assert mode(bank / folder) & 0o777 == (0o770 if fetches else 0o700), folder
        assert ((bank / folder).stat().st_gid == group.gr_gid) or not fetches
    assert mode(bank / "archiv/2026/11/a.csv") & 0o007 == 0


def test_a_group_that_does_not_exist_is_told(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_FILES_GROUP", "no-such-group")
    settings.cache_clear()
    with pytest.raises(SetupError, match=r"REKU_FILES_GROUP names 'no-such-group'.*groupadd no-such-group"):
        BankFolders(BLZ).prepare()
