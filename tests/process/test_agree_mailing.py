"""agreeMailing: jobs in the outbox, their acknowledgement, and what becomes of them without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.pickup.push import push_files
from reku.privacy.retention import apply
from reku.process.data_import import import_data
from reku.process.run_day import DayResult
from reku.process.systems import FILE_FORMATS, bank_named
from reku.records.contract import contracts
from reku.records.reader import read
from reku.records.record_file import Head
from reku.records.rows import row_faults
from reku.records.writer import write
from reku.store import tables
from reku.views.prepared_overview import prepared_files_of
from reku_testing.reported import rows_of
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.process.test_channels import MEDIUM, NOWHERE, by, counted, reached
from tests.process.test_selection_chain import BORN, deliver, failed, in_clear, rows
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import work as work  # a fixture
from tests.sources.agree21.conftest import CoopBank, person

KIND = "AGREEMAILING_ANTWORT"
ORDER = "K2026-014"
Move = Callable[[datetime], None]
Work = Callable[..., DayResult]


@pytest.fixture
def handed_over(bank: CoopBank, work: Work, relay: Sink) -> Path:
    """The jobs of three people, one of whom agreeMailing cannot reach, and the file."""
    bank.configure(campaigns=by("agree_mailing"))
    born = {"Geburtsdatum": BORN}
    tracked = person(2, **born, Tracking_Einwilligung="J", Anrede="1", Titel="Dr.", Nachname="Älter")
    deliver(bank, person(1, **born), tracked, person(3, **NOWHERE), person(4, **born, Einwilligung_EMail="N"))
    assert failed(work()) == []
    assert relay.recipients == []
    (file,) = (bank.files / BLZ / "ausgang").glob("agreemailing_*")
    return file


def read_jobs(path: Path) -> list[dict[str, Any]]:
    return list(read(contracts()["AGREEMAILING"], path.read_bytes(), environment="T").as_dicts())


def states(database: sa.Engine) -> set[str]:
    return set(reached(database).values())


def test_the_jobs_lie_in_the_outbox(database: sa.Engine, handed_over: Path) -> None:
    contract, data = contracts()["AGREEMAILING"], handed_over.read_bytes()
    found = read(contract, data, environment="T")
    assert row_faults(contract, found) == []
    told: list[dict[str, Any]] = sorted(found.as_dicts(), key=lambda row: row["Personennummer"])
    assert [row["Personennummer"] for row in told] == ["0000000001", "0000000002"]
    assert [row["Briefanrede"] for row in told] == ["Sehr geehrte Frau Müßig1", "Sehr geehrter Herr Dr. Älter"]
    assert [row["Tracking_Einwilligung"] for row in told] == ["N", "J"]
    assert {row["Vorlage"] for row in told} == {MEDIUM}
    assert [row["EMail"] for row in told] == ["person1@kunde.example", "person2@kunde.example"]
    assert {(row["Platzhalter_1"], row["Platzhalter_2"]) for row in told} == {("24.11.2026", "50")}
    assert states(database) == {"agree_mailing PREPARED"}
    assert counted(database) == {"selected": 2, "KEINE_EINWILLIGUNG": 1, "without_address": 1}
    # Written again, as after a kill between file and commit, it is the same.
    with database.begin() as connection:
        connection.execute(sa.update(tables.prepared_files).values(pushed_at=None))
    handed_over.unlink()
    assert push_files(database, bank_named(BLZ), FILE_FORMATS) == (1, [])
    assert handed_over.read_bytes() == data
    assert in_clear(database, "Müßig1", "0000000001") == set()


def test_an_ok_sends_them_and_nothing_is_left(database: sa.Engine, bank: CoopBank, handed_over: Path) -> None:
    inbox = bank.files / BLZ / "eingang"
    (inbox / f"{handed_over.name}.ok").touch()
    assert import_data(database, BLZ).counts["acknowledged"] == 1
    assert states(database) == {"agree_mailing SENT"}
    assert not handed_over.exists()
    assert list(inbox.iterdir()) == []
    assert (rows(database, tables.delivery_rows), rows(database, tables.prepared_rows)) == ([], [])
    assert [one.state for one in prepared_files_of(database)] == ["acknowledged"]
    assert sorted((row["kind"]) for row in rows(database, tables.responses)) == ["SENT", "SENT"]


def test_an_ok_for_a_file_that_never_was(database: sa.Engine, bank: CoopBank, handed_over: Path) -> None:
    name = f"agreemailing_{BLZ}_K2026-099_20261124103000.csv.ok"
    (bank.files / BLZ / "eingang" / name).touch()
    taken = import_data(database, BLZ)
    assert [name in problem and "has no prepared file" in problem for problem in taken.problems] == [True]
    assert (bank.files / BLZ / "fehler" / name).exists()
    assert import_data(database, BLZ).problems == ()
    assert states(database) == {"agree_mailing PREPARED"}
    assert handed_over.exists()


def put_answers(bank: CoopBank, *rows: tuple[str, str, str, str], second: int = 0, framed: bool = True) -> Path:
    """A file of answers in the inbox: reference, kind, moment, reason."""
    contract, at = contracts()[KIND], clock.now() + timedelta(seconds=second)
    names = [column.name for column in contract.columns]
    head = Head(KIND, "1", BLZ, ORDER, "000001", at, "AGREEMAILING", "MF", "T")
    data = write(contract.model_copy(update={"frame": "vkdn"}), head, names, rows)
    if not framed:
        data = b"".join(line[2:] + b"\r\n" for line in data.split(b"\r\n")[1:-2])
    name = f"agreemailing_antwort_{BLZ}_{ORDER}_{clock.berlin(at):%Y%m%d%H%M%S}.csv"
    return bank.files / BLZ / "eingang" / bank.put_bytes(name, data)


def answered(database: sa.Engine) -> list[tuple[str, str, str]]:
    """Events: last digits of the reference, kind, reason."""
    references = {row["id"]: row["reference"][-5:] for row in rows(database, tables.messages)}
    told = rows(database, tables.responses)
    return sorted((references[row["message_id"]], row["kind"], row["reason"]) for row in told)


def test_answers_are_taken_in_once_and_what_nobody_knows_is_told_and_kept(
    database: sa.Engine, bank: CoopBank, handed_over: Path
) -> None:
    by_number = {row["person_number"]: row["reference"] for row in rows(database, tables.messages)}
    number_of = {row["Personennummer"]: row["Referenz"] for row in read_jobs(handed_over)}
    first, tracked = number_of["0000000001"], number_of["0000000002"]
    assert {first, tracked} == set(by_number.values())
    events = [
        (first, "VERS", "24.11.2026 09:30:00", ""),
        (first, "OEFF", "24.11.2026 09:31:00", ""),  # who has not consented to be counted
        (first, "ABME", "24.11.2026 09:32:00", "EINKLICK"),
        (tracked, "OEFF", "24.11.2026 09:33:00", ""),
        (tracked, "OEFF", "24.11.2026 09:33:00", ""),
        (tracked, "OEFF", "24.11.2026 09:34:00", ""),
        (tracked, "KLIC", "24.11.2026 09:35:00", ""),
        (tracked, "HBOU", "24.11.2026 09:36:00", "5.1.1"),
        ("K2026-014-000001-99999", "VERS", "24.11.2026 09:30:00", ""),
        (first, "ZRUE", "24.11.2026 09:30:00", ""),
        (first, "SBOU", "31.02.2026 09:30:00", ""),
    ]
    name = put_answers(bank, *events).name
    taken = import_data(database, BLZ)
    assert ["1 answers of file" in problem and "ask agreeMailing" in problem for problem in taken.problems] == [True]
    expected = [
        (tracked[-5:], "BOUNCED_HARD", "5.1.1"), (tracked[-5:], "CLICKED", ""), (tracked[-5:], "OPENED", ""),
        (tracked[-5:], "OPENED", ""), (tracked[-5:], "SENT", ""), (first[-5:], "SENT", ""),
        (first[-5:], "UNSUBSCRIBED", "EINKLICK"),
    ]  # fmt: skip
    assert answered(database) == sorted(expected)
    assert states(database) == {"agree_mailing SENT"}, "an answer shows that it was taken"
    assert rows(database, tables.delivery_rows) == []
    assert [row["kind"] for row in rows(database, tables.suppressions)] == ["UNSUBSCRIBED"]
    (receipt,) = (bank.files / BLZ / "ausgang").glob(f"quittung_{name}*")
    told = [(row["Fehler_Code"], row["Zeile"]) for row in rows_of(receipt.read_bytes(), "QUITTUNG") if row["Zeile"]]
    assert told == [("WERT", "4"), ("REFERENZ_UNBEKANNT", "11"), ("WERT", "12"), ("FORMAT", "13")]
    assert list((bank.files / BLZ / "archiv").rglob(name)) != [], "the original is kept for those who ask"
    # The same answers once more: word for word, and in a file of its own without a frame, with one that is new.
    put_answers(bank, *events)
    put_answers(bank, *events[:1], (tracked, "BESC", "24.11.2026 10:00:00", ""), second=1, framed=False)
    assert import_data(database, BLZ).problems == ()
    assert answered(database) == sorted([*expected, (tracked[-5:], "COMPLAINED", "")])
    assert sorted(row["kind"] for row in rows(database, tables.suppressions)) == ["COMPLAINED", "UNSUBSCRIBED"]
    in_order = sorted(rows(database, tables.files), key=lambda row: row["id"])
    verdicts = [row["verdict"] for row in in_order if row["kind"] == KIND]
    assert verdicts == ["PROCESSED", "DUPLICATE", "PROCESSED"]
    # The acknowledgement that comes after them changes nothing more.
    (bank.files / BLZ / "eingang" / f"{handed_over.name}.ok").touch()
    assert import_data(database, BLZ).counts["acknowledged"] == 1
    assert len(answered(database)) == len(expected) + 1


def test_answers_that_are_none_are_refused_whole(database: sa.Engine, bank: CoopBank, handed_over: Path) -> None:
    path = put_answers(bank, ("R", "VERS", "24.11.2026 09:30:00", ""))
    path.write_bytes(path.read_bytes().replace(b"VERS", b"NVER"))
    bank.put_bytes(f"agreemailing_antwort_{BLZ}_{ORDER}_20261124120000.csv", b"%PDF-1.7")
    import_data(database, BLZ)
    codes = sorted(row["code"] for row in rows(database, tables.files) if row["kind"] == KIND)
    assert (codes[0], len(codes)) == ("PRUEFSUMME", 2)
    assert states(database) == {"agree_mailing PREPARED"}


def test_without_an_ok_they_are_in_doubt_after_36_hours(
    database: sa.Engine, bank: CoopBank, handed_over: Path, clock_at: Move
) -> None:
    start = clock.now()
    for hours, expected in ((35, "PREPARED"), (37, "IN_DOUBT")):
        clock_at(start + timedelta(hours=hours))
        apply(database, clock.now())
        assert states(database) == {f"agree_mailing {expected}"}
    assert not handed_over.exists()
    assert rows(database, tables.delivery_rows) == []
    # And an acknowledgement that comes late is believed.
    (bank.files / BLZ / "eingang" / f"{handed_over.name}.ok").touch()
    assert import_data(database, BLZ).counts["acknowledged"] == 1
    assert states(database) == {"agree_mailing SENT"}
    assert rows(database, tables.prepared_rows) == []
