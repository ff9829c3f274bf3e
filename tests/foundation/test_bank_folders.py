"""A bank's folders: files are there whole or not at all, and no link leads out of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reku.foundation.bank_folders import BankFolders, Folder, LinkRefused, banks_present, receipt_name
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.foundation.storage import store
from reku_testing import sftp

BLZ, OTHER = "99950001", "99950002"
WHERE = f"{BLZ}/ausgang/a.csv"


@pytest.fixture(params=["folder", "object store"])
def folders(request: pytest.FixtureRequest, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> BankFolders:
    """A bank's folders on this machine, and in an object store."""
    if request.param == "object store":
        monkeypatch.setenv("REKU_FILES_URL", f"memory://{uuid.uuid4().hex}")
        settings.cache_clear()
    made = BankFolders(BLZ)
    made.prepare()
    return made


def test_a_file_is_written_whole_and_over_an_older_one(folders: BankFolders) -> None:
    for data in (b"one", b"two"):
        folders.write(WHERE, [data[:1], data[1:]])
        assert [file.path for file in folders.files(Folder.OUTBOX)] == [WHERE]
        assert folders.read(WHERE) == data


def test_no_draft_stays_behind(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = BankFolders(BLZ)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folders.write(WHERE, [b"one"])
    assert folders.files() == []


def test_files_of_all_folders_and_below_are_listed(folders: BankFolders) -> None:
    named = {
        folders.path(Folder.ARCHIVE, "2026", "11", "b.csv"): (Folder.ARCHIVE, False, False),
        folders.path(Folder.OUTBOX, receipt_name("b.csv")): (Folder.OUTBOX, True, False),
        folders.path(Folder.OUTBOX, "response.csv.tmp"): (Folder.OUTBOX, False, True),
    }
    for path in named:
        folders.write(path, [b"x"])
    found = {file.path: (file.folder, file.is_receipt, file.is_draft) for file in folders.files()}
    assert found == named
    assert [file.path for file in folders.files(Folder.ARCHIVE)] == [f"{BLZ}/archiv/2026/11/b.csv"]


def test_a_moved_file_makes_its_folder(folders: BankFolders) -> None:
    folders.write(WHERE, [b"x"])
    target = folders.path(Folder.ARCHIVE, "2026", "11", "a.csv")
    folders.move(WHERE, target)
    assert (folders.read(target), folders.exists(WHERE)) == (b"x", False)


def test_the_beginning_of_a_file_has_the_check_sum_of_all(folders: BankFolders) -> None:
    folders.write(WHERE, [b"abc"])
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert folders.read_most(WHERE, 2) == (b"ab", sha256)
    assert folders.read_most(WHERE, 9) == (b"abc", sha256)
    assert folders.size(WHERE) == 3


def test_only_folders_of_banks_count(folders: BankFolders) -> None:
    files, root = store()
    for name in (OTHER, "lost+found", "1234567", "123456789", "99950001x"):
        files.makedirs(f"{root}/{name}")
    assert banks_present() == (BLZ, OTHER)


@pytest.mark.parametrize("url", ["nosuch://place", "gopher://host/files"])
def test_a_place_of_an_unknown_kind(reku_settings: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("REKU_FILES_URL", url)
    settings.cache_clear()
    with pytest.raises(SetupError, match="REKU_FILES_URL"):
        BankFolders(BLZ)


USES: dict[str, tuple[str, Callable[[BankFolders], object]]] = {
    # what is a link: what is done
    "the bank's own folder": ("", lambda folders: folders.prepare()),
    "made": ("ausgang", lambda folders: folders.prepare()),
    "listed": ("eingang", lambda folders: folders.entries(Folder.INBOX)),
    "listed with what is below": ("archiv", lambda folders: folders.files()),
    "read": ("eingang", lambda folders: folders.read(f"{BLZ}/eingang/theirs.csv")),
    "looked for": ("eingang", lambda folders: folders.exists(f"{BLZ}/eingang/theirs.csv")),
    "written": ("ausgang", lambda folders: folders.write(f"{BLZ}/ausgang/theirs.csv", [b"ours"])),
    "moved from": ("eingang", lambda folders: folders.move(f"{BLZ}/eingang/theirs.csv", f"{BLZ}/fehler/theirs.csv")),
    "moved to": ("archiv", lambda folders: folders.move(f"{BLZ}/geparkt/ours.csv", f"{BLZ}/archiv/theirs.csv")),
    "moved to, below": (
        "archiv/2026",
        lambda folders: folders.move(f"{BLZ}/geparkt/ours.csv", f"{BLZ}/archiv/2026/theirs.csv"),
    ),
    "removed": ("eingang", lambda folders: folders.remove(f"{BLZ}/eingang/theirs.csv")),
}


@pytest.fixture(params=["folder", "SFTP"])
def root(
    request: pytest.FixtureRequest, reku_settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Path]:
    """Where the files lie, here or on a server."""
    if request.param == "folder":
        yield reku_settings
        return
    with sftp.asyncssh_server(tmp_path) as place:
        place.use(monkeypatch)
        settings.cache_clear()
        yield place.root


@pytest.mark.parametrize(("link", "use"), USES.values(), ids=USES)
def test_a_folder_that_is_a_link_is_refused(root: Path, link: str, use: Callable[[BankFolders], object]) -> None:
    """Whoever may write into a bank's folder must not reach another bank's files by it."""
    theirs = root / OTHER / "archiv" / "theirs.csv"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    ours = root / BLZ / "geparkt" / "ours.csv"
    if link:
        ours.parent.mkdir(parents=True)
        ours.write_bytes(b"ours")
    here = root / BLZ / link if link else root / BLZ
    here.parent.mkdir(parents=True, exist_ok=True)
    here.symlink_to(theirs.parent)
    assert BLZ in banks_present(), "it is told, not overlooked"
    with pytest.raises(LinkRefused, match=f"{BLZ}{f'/{link}' if link else ''} below REKU_FILES_URL is a link"):
        use(BankFolders(BLZ))
    assert [(path.name, path.read_bytes()) for path in theirs.parent.iterdir()] == [("theirs.csv", b"theirs")]
    assert not link or ours.read_bytes() == b"ours"


def test_a_folder_that_becomes_a_link_meanwhile_is_refused(reku_settings: Path) -> None:
    folders = BankFolders(BLZ)
    folders.prepare()
    inbox = reku_settings / BLZ / "eingang"
    inbox.rmdir()
    inbox.symlink_to(reku_settings)
    with pytest.raises(LinkRefused):
        folders.entries(Folder.INBOX)


def test_a_link_to_a_file_is_no_file(root: Path) -> None:
    secret = root / "secret"
    secret.write_bytes(b"secret")
    folders = BankFolders(BLZ)
    folders.prepare()
    (root / BLZ / "eingang" / "a.csv").symlink_to(secret)
    assert [(entry.name, entry.is_file) for entry in folders.entries(Folder.INBOX)] == [("a.csv", False)]
    assert folders.files() == []
