"""When a file is complete, and that no move ever loses or overwrites one."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.foundation.bank_folders import Folder, banks_present
from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.foundation.storage import store
from reku.sources.inbox.folders import InboxFolders, claimed_name, shown_name
from reku_testing import sftp
from tests.sources.conftest import BLZ, NOW, age

NAME = "reku_99950001_R0004711_000017_20261122021500.csv"


@pytest.fixture(params=["folder", "file URL", "object store", "SFTP"])
def folders(
    request: pytest.FixtureRequest, reku_settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[InboxFolders]:
    """The bank's folders on this machine, by URL, on SFTP, and in an object store, which has no moves of its own."""
    if request.param == "SFTP":
        with sftp.asyncssh_server(tmp_path) as place:
            place.use(monkeypatch)
            settings.cache_clear()
            made = InboxFolders(BLZ)
            made.prepare()
            yield made
        return
    url = {
        "folder": str(reku_settings),
        "file URL": reku_settings.as_uri(),
        "object store": f"memory://{uuid.uuid4().hex}",
    }[request.param]
    monkeypatch.setenv("REKU_FILES_URL", url)
    settings.cache_clear()
    made = InboxFolders(BLZ)
    made.prepare()
    yield made


def _put(folders: InboxFolders, name: str, data: bytes = b"data") -> None:
    files, root = store()
    files.pipe_file(f"{root}/{BLZ}/eingang/{name}", data)


def test_all_folders_are_made(folders: InboxFolders) -> None:
    assert all(folders.exists(folders.path(name)) for name in Folder)
    assert banks_present() == (BLZ,)


def test_a_file_is_claimed_once_with_its_marker(folders: InboxFolders) -> None:
    _put(folders, NAME)
    _put(folders, NAME + ".ok", b"")
    (found,) = folders.arrived(settle_seconds=3600).complete
    assert folders.claim(found)
    assert folders.claimed().names == (NAME,)
    assert folders.read(folders.path(Folder.AT_WORK, NAME)) == b"data"
    assert not folders.exists(folders.path(Folder.INBOX, NAME))
    assert not folders.exists(folders.path(Folder.INBOX, NAME + ".ok")), "it would vouch for the next file of this name"
    assert not folders.claim(found)


def test_a_draft_is_never_taken(folders: InboxFolders) -> None:
    for name in (NAME + ".tmp", NAME + ".tmp.ok", NAME + ".ok"):
        _put(folders, name)
    assert [found.name for found in folders.arrived(0).complete] == []


def test_a_name_with_a_pattern_in_it_moves_alone(folders: InboxFolders) -> None:
    for name in ("a*.csv", "a1.csv", "a[1].csv", "a?.csv"):
        _put(folders, name, name.encode())
    for found in folders.arrived(0).complete:
        if found.name == "a*.csv":
            assert folders.claim(found)
    assert len(folders.claimed().names) == 1
    assert len(folders.arrived(0).complete) == 3


def test_an_original_is_moved_once(folders: InboxFolders) -> None:
    _put(folders, NAME)
    source, target = folders.path(Folder.INBOX, NAME), folders.path(Folder.ARCHIVE, "2026", "11", NAME)
    for _ in range(2):
        folders.finish_move(source, target)
        assert folders.read(target) == b"data"
        assert not folders.exists(source)


def test_what_an_interrupted_copy_left_is_cleared(folders: InboxFolders) -> None:
    _put(folders, NAME)
    source, target = folders.path(Folder.INBOX, NAME), folders.path(Folder.ARCHIVE, NAME)
    folders.write(target, [b"data"])
    folders.finish_move(source, target)
    assert not folders.exists(source)


def test_another_file_in_its_place_is_never_overwritten(folders: InboxFolders) -> None:
    _put(folders, NAME)
    source, target = folders.path(Folder.INBOX, NAME), folders.path(Folder.ARCHIVE, NAME)
    folders.write(target, [b"other"])
    with pytest.raises(StageError, match="another file"):
        folders.finish_move(source, target)
    assert (folders.read(source), folders.read(target)) == (b"data", b"other")


def test_a_missing_original_is_told(folders: InboxFolders) -> None:
    with pytest.raises(StageError, match="missing"):
        folders.finish_move(folders.path(Folder.AT_WORK, NAME), folders.path(Folder.ARCHIVE, NAME))


def test_a_claim_waits_while_a_leftover_of_that_name_is_at_work(folders: InboxFolders) -> None:
    _put(folders, NAME, b"new")
    folders.write(folders.path(Folder.AT_WORK, NAME), [b"leftover"])
    (found,) = folders.arrived(0).complete
    assert not folders.claim(found)
    assert folders.read(folders.path(Folder.INBOX, NAME)) == b"new"
    assert folders.read(folders.path(Folder.AT_WORK, NAME)) == b"leftover"


def test_a_claim_that_was_cut_off_between_copy_and_delete_is_finished(folders: InboxFolders) -> None:
    _put(folders, NAME)
    folders.write(folders.path(Folder.AT_WORK, NAME), [b"data"])
    (found,) = folders.arrived(0).complete
    folders.claim(found)
    assert not folders.exists(folders.path(Folder.INBOX, NAME))
    assert folders.claimed().names == (NAME,)


def test_a_file_is_written_whole(folders: InboxFolders) -> None:
    path = folders.path(Folder.OUTBOX, "quittung_x.csv")
    for data in (b"first", b"second"):
        folders.write(path, [data])
        assert folders.read(path) == data
    assert not folders.exists(path + ".tmp")


def test_settling_is_measured_by_the_real_clock(reku_settings: Path, clock_at: Callable[[datetime], None]) -> None:
    folders = InboxFolders(BLZ)
    folders.prepare()
    _put(folders, NAME)
    clock_at(NOW + timedelta(days=3650))
    assert (folders.arrived(60).complete, folders.arrived(60).waiting) == ((), 1)
    age(reku_settings / BLZ / "eingang" / NAME, 61)
    assert [found.name for found in folders.arrived(60).complete] == [NAME]


def test_a_file_that_is_still_growing_is_not_claimed(reku_settings: Path) -> None:
    folders = InboxFolders(BLZ)
    folders.prepare()
    _put(folders, NAME)
    file = reku_settings / BLZ / "eingang" / NAME
    (found,) = folders.arrived(0).complete
    modified = file.stat().st_mtime
    with file.open("ab") as growing:
        growing.write(b" and more")
    age(file, file.stat().st_mtime - modified)  # the size alone must tell
    assert not folders.claim(found)
    file.unlink()
    assert not folders.claim(found), "withdrawn by its sender"


def test_a_folder_without_permission_is_one_clear_sentence(
    reku_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = InboxFolders(BLZ)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Tests may run as root, whom no mode bits stop.
    monkeypatch.setattr(type(store()[0]), "makedirs", refuse)
    with pytest.raises(SetupError, match="write permission"):
        folders.prepare()


def test_an_unknown_kind_of_url_is_one_clear_sentence(reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_FILES_URL", "gopher://host/files")
    settings.cache_clear()
    with pytest.raises(SetupError, match="REKU_FILES_URL"):
        InboxFolders(BLZ)


_NAMES = st.binary(min_size=1, max_size=120).map(lambda raw: os.fsdecode(raw.translate(None, b"/\0") or b"x"))


@given(_NAMES)
def test_a_name_comes_back_from_its_claimed_form(name: str) -> None:
    claimed = claimed_name(name)
    assert claimed.isascii()
    assert not set(claimed) & set('*?[]/\\:"<>| \t\n')
    assert len(claimed) <= 200
    if len(claimed) < 200:
        assert shown_name(claimed).encode() == name.encode(errors="backslashreplace")


@given(_NAMES, _NAMES)
def test_different_names_stay_apart(one: str, other: str) -> None:
    start = "ü" * 100
    assert (claimed_name(start + one) == claimed_name(start + other)) == (one == other)


def test_a_contract_name_is_its_own_claimed_form() -> None:
    assert claimed_name(NAME) == NAME == shown_name(NAME)


def test_paths_are_not_logged(folders: InboxFolders, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    _put(folders, "Jördis Beispiel.csv")
    for found in folders.arrived(0).complete:
        folders.claim(found)
    folders.read(folders.path(Folder.AT_WORK, folders.claimed().names[0]))
    assert "Beispiel" not in caplog.text
