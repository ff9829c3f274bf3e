from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.dispatch import journal
from reku.dispatch.journal import Begun, Ended, Journal, JournalContent, Owner
from reku.foundation.errors import SetupError

NINE = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
MOMENTS = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=1))]))
TEXTS = st.text(max_size=20)
IDS = st.integers(1, 5)
BEGUN = st.builds(Begun, IDS, MOMENTS, TEXTS, TEXTS)
ENDED = st.builds(
    Ended,
    IDS,
    st.sampled_from(["SENT", "REJECTED", "OPEN", "WITHHELD", "IN_DOUBT"]),
    st.none() | MOMENTS,
    MOMENTS,
    *[TEXTS] * 5,
    retry_at=st.none() | MOMENTS,
)
NOTES = st.lists(BEGUN | ENDED, max_size=8)


def _write(folder: Path, notes: list[Begun | Ended]) -> Path:
    written = Journal.create(folder, 7, 1)
    for note in notes:
        if isinstance(note, Begun):
            written.begin(note)
        else:
            written.end(note)
    written.close()
    return folder / "7-1.journal"


def _meant(notes: list[Begun | Ended]) -> JournalContent:
    """What a reader must make of the notes."""
    begun: dict[int, Begun] = {}
    for note in notes:
        if isinstance(note, Begun):
            begun[note.id] = note
        else:
            begun.pop(note.id, None)
    return JournalContent(Owner.DEAD, begun, [note for note in notes if isinstance(note, Ended)])


@given(notes=NOTES)
def test_what_is_noted_is_read(tmp_path_factory: pytest.TempPathFactory, notes: list[Begun | Ended]) -> None:
    folder = tmp_path_factory.mktemp("journal")
    _write(folder, notes)
    assert journal.read(folder, 7, 1) == _meant(notes)


@given(notes=NOTES, cut=st.integers(0, 2000))
def test_a_torn_line_counts_for_nothing_and_those_before_for_all(
    tmp_path_factory: pytest.TempPathFactory, notes: list[Begun | Ended], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    file = _write(folder, notes)
    data = file.read_bytes()[:cut]
    file.write_bytes(data)
    whole = data.count(b"\n")
    meant = _meant(notes[: whole - 1]) if whole else JournalContent(Owner.UNKNOWN)
    assert journal.read(folder, 7, 1) == meant


@given(notes=NOTES, start=st.integers(0, 2000), length=st.integers(1, 2000))
def test_blocks_that_never_reached_the_disk_make_it_worth_nothing(
    tmp_path_factory: pytest.TempPathFactory, notes: list[Begun | Ended], start: int, length: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    file = _write(folder, notes)
    data = bytearray(file.read_bytes())
    zeros = min(length, len(data) - start)
    if zeros <= 0:
        return
    data[start : start + zeros] = bytes(zeros)
    file.write_bytes(data)
    content = journal.read(folder, 7, 1)
    whole = bytes(data).count(b"\n")
    in_torn_line_only = b"\0" not in bytes(data).rpartition(b"\n")[0]
    assert content == (_meant(notes[: whole - 1]) if in_torn_line_only and whole else JournalContent(Owner.UNKNOWN))


def test_a_beginning_stands_on_the_disk_at_once_and_the_answers_before_it_with_it(tmp_path: Path) -> None:
    held = Journal.create(tmp_path, 7, 1)
    held.begin(Begun(1, NINE, "<1@bank.example>", "SCOM_GEBURTSTAG"))
    held.end(Ended(1, "SENT", NINE, NINE, "250 2.0.0"))
    held.begin(Begun(2, NINE, "<2@bank.example>", "SCOM_GEBURTSTAG"))
    copy = tmp_path / "7-2.journal"
    copy.write_bytes((tmp_path / "7-1.journal").read_bytes())  # as a kill would leave it
    content = journal.read(tmp_path, 7, 2)
    assert content.begun.keys() == {2}
    assert [one.id for one in content.ended] == [1]
    held.close()


def test_a_dispatcher_that_holds_its_journal_is_alive(tmp_path: Path) -> None:
    held = Journal.create(tmp_path, 7, 1)
    assert journal.read(tmp_path, 7, 1) == JournalContent(Owner.ALIVE)
    held.close()
    assert journal.read(tmp_path, 7, 1).owner is Owner.DEAD


def test_a_process_that_was_forked_meanwhile_does_not_keep_it_alive(tmp_path: Path) -> None:
    """As a worker process is started: with exec, which closes what belongs to the dispatcher."""
    held = Journal.create(tmp_path, 7, 1)
    assert not os.get_inheritable(held._log._descriptor)
    held.close()


@pytest.mark.parametrize(
    "text",
    [
        '["boot","another start of the machine"]\n',
        '["begun",1]\n',
        "17\n",
        "{}\n[]\n",
        "",
        "\0" * 512,
        "\n\n\n",
    ],
)
def test_what_is_no_journal_of_ours_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "7-1.journal").write_text(text, encoding="ascii")
    assert journal.read(tmp_path, 7, 1).owner is Owner.UNKNOWN


@pytest.mark.parametrize("line", ["17", "null", '["ended",1]', '["begun"]', "[]", '["begun",1,"no moment","",""]'])
def test_a_line_that_is_none_of_ours_makes_it_worth_nothing(tmp_path: Path, line: str) -> None:
    file = _write(tmp_path, [])
    with file.open("a", encoding="ascii") as open_file:
        open_file.write(f"{line}\n")
    assert journal.read(tmp_path, 7, 1) == JournalContent(Owner.UNKNOWN)


def test_of_an_earlier_start_of_the_machine_the_answers_are_known_all_the_same(tmp_path: Path) -> None:
    notes: list[Begun | Ended] = [Begun(1, NINE, "", ""), Ended(1, "SENT", NINE, NINE), Begun(2, NINE, "", "")]
    file = _write(tmp_path, notes)
    first, rest = file.read_bytes().split(b"\n", 1)
    file.write_bytes(first[:-3] + b'x"]\n' + rest)
    meant = _meant(notes)
    assert journal.read(tmp_path, 7, 1) == JournalContent(Owner.UNKNOWN, meant.begun, meant.ended)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(SetupError, match="REKU_JOURNAL_DIR"):
        Journal.create(tmp_path / "a file" / "journal", 7, 1)


def test_a_full_disk_is_named_before_anything_goes_out(tmp_path: Path) -> None:
    (tmp_path / "7-1.draft").symlink_to("/dev/full")
    with pytest.raises(SetupError, match="is full"):
        Journal.create(tmp_path, 7, 1)


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "7-1.journal").mkdir()
    with pytest.raises(SetupError, match="cannot be read"):
        journal.read(tmp_path, 7, 1)


def test_settled_journals_go_and_held_ones_stay(tmp_path: Path) -> None:
    Journal.create(tmp_path, 7, 1).close()
    held, other = Journal.create(tmp_path, 7, 2), Journal.create(tmp_path, 70, 1)
    other.close()
    journal.remove_settled(tmp_path, 7)
    assert {file.name for file in tmp_path.iterdir()} == {"7-2.journal", "70-1.journal"}
    held.remove()
    assert {file.name for file in tmp_path.iterdir()} == {"70-1.journal"}
