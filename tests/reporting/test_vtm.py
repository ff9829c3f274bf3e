"""The file for VTM: line by line what stands in the ledger, with clear numbers that stand nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.reasons import PASSING, Reason
from reku.foundation import clock
from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.records.contract import contracts, match_name
from reku.records.reader import read
from reku.records.times import parse_moment
from reku.store.states import MessageState
from reku.store.tables import data_keys, messages, orders, person_numbers, responses
from reku_testing import banks, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import BEGUN, NOW, K, World, files, pseudonymise, rows_of

KIND = "VTM_AKTE"
Move = Callable[[datetime], None]
RESULTS = {
    K.SENT: ("EMAIL", "VERSENDET"),
    K.OPENED: ("REAKTION", "GEOEFFNET"),
    K.CLICKED: ("REAKTION", "INTERESSE"),
    K.UNSUBSCRIBED: ("REAKTION", "WIDERSPRUCH"),
    K.COMPLAINED: ("REAKTION", "WIDERSPRUCH"),
    K.BOUNCED_HARD: ("REAKTION", "ADRESSE_PRUEFEN"),
    K.RETAINED: ("EMAIL", "ADRESSE_PRUEFEN"),
    K.NOT_SENT: ("EMAIL", "NICHT_VERSENDET"),
}
FINAL = [reason for reason in Reason if reason not in PASSING and reason is not Reason.ZURUECKGEHALTEN]


@pytest.fixture(autouse=True)
def bank(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Move) -> Path:
    clock_at(NOW)
    return banks.configure(monkeypatch, tmp_path / "include", core_system="agree21")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def outbox(reku_settings: Path) -> Path:
    return reku_settings / world.BLZ / "ausgang"


def campaign(database: sa.Engine, number: int = 14, **order: Any) -> World:
    """A campaign's order, and messages of it."""
    called = {"name": f"Aktion {number}", "placeholder": f"MF_{number}"} | order
    return World(database, f"K2026-{number:03d}", **called)


def told(database: sa.Engine, outbox: Path) -> list[dict[str, str]]:
    """All activities that VTM has got, file by file."""
    return [row for file in files(database) for row in rows_of((outbox / file.file_name).read_bytes(), KIND)]


def expected(database: sa.Engine, clear: dict[str, str]) -> list[dict[str, str]]:
    """What VTM has to hear of everything in the tables, in the order of the events."""
    statement = (
        sa.select(
            responses.c.kind,
            responses.c.at,
            responses.c.reason,
            messages.c.person_number,
            orders.c.order_number,
            orders.c.name,
            orders.c.placeholder,
        )
        .join(messages, messages.c.id == responses.c.message_id)
        .join(orders, orders.c.id == responses.c.order_id)
        .order_by(responses.c.at, responses.c.id)
    )
    with database.connect() as connection:
        rows = connection.execute(statement).all()
    return [
        {
            "Personennummer": clear[row.person_number],
            "Akten_Schluessel": f"{row.order_number}-{clear[row.person_number]}",
            "Akten_Titel": row.name,
            "Anlassvorlage": row.placeholder,
            "Aktivitaet_Art": RESULTS[row.kind][0],
            "Aktivitaet_Zeit": f"{clock.berlin(row.at):%d.%m.%Y %H:%M:%S}",
            "Ergebnis": RESULTS[row.kind][1],
            "Berater_Nr": "",
            "Wiedervorlage_am": "",
            "Bemerkung_Code": row.reason,
        }
        for row in rows
        if row.kind in RESULTS and row.reason not in PASSING
    ]


def every_event(of: World, begun: datetime) -> None:
    """A message for each kind and for each reason, and one that everything happened to."""
    everything = of.message(tracking=True, begun_at=begun)
    for number, kind in enumerate(kind for kind in K if kind is not K.NOT_SENT):
        of.event(everything, kind, begun + timedelta(minutes=number))
        of.event(of.message(tracking=True, begun_at=begun), kind, begun + timedelta(hours=1, minutes=number))
    for number in range(3):  # again, and another link
        at = begun + timedelta(hours=2 + number)
        of.event(everything, K.OPENED, at)
        of.event(everything, K.CLICKED, at, link_number=number)
    for number, reason in enumerate([*FINAL, *PASSING]):
        withheld = of.message(state=MessageState.WITHHELD, begun_at=None)
        of.event(withheld, K.NOT_SENT, begun + timedelta(hours=6, minutes=number), reason.value)


def test_ledger_is_vtm_line_by_line(database: sa.Engine, outbox: Path, clock_at: Move) -> None:
    """Every kind of event and every reason, in files of orders and daily ones; the next day more of the same."""
    first, second = campaign(database, name="Größte Kaßler Geburtstage – 2026"), campaign(database, 15)
    clear: dict[str, str] = {}
    for day in range(2):
        begun = BEGUN + timedelta(days=day)
        clock_at(NOW + timedelta(days=day))
        every_event(first, begun)
        every_event(second, begun + timedelta(minutes=30))
        clear |= pseudonymise(database)
        assert export(database, world.BLZ, order_id=first.order)
        assert export(database, world.BLZ, daily=True)
        assert export(database, world.BLZ) is None
    rows, wanted = told(database, outbox), expected(database, clear)
    ids = [row.pop("Aktivitaet_ID") for row in rows]
    assert len(ids) == len(set(ids)) == len(wanted) == 2 * 2 * (2 * len(RESULTS) - 2 + 6 + len(FINAL))
    ordered = sorted(rows, key=lambda row: str(row))
    assert ordered == sorted(wanted, key=lambda row: str(row))
    for file in files(database):
        data = (outbox / file.file_name).read_bytes()
        moments = [parse_moment(row["Aktivitaet_Zeit"]) for row in rows_of(data, KIND)]
        assert moments == sorted(moments)
        assert rebuild(database, world.BLZ, file.number) == data
        assert file.left_out == 0
        assert match_name(file.file_name)


@pytest.mark.usefixtures("still")
def test_the_example(database: sa.Engine, outbox: Path) -> None:
    of = campaign(database, name="Festgeld Anschluss 2026", placeholder="MF_PLATZHALTER_01")
    of.event(of.message(), K.SENT, BEGUN)
    pseudonymise(database)
    file = export(database, world.BLZ, order_id=of.order)
    assert file is not None
    assert file.file_name == "vtm_akte_99950001_20261122220000.csv"
    assert file.counts == {"file": 1, "rows": 1}
    data = (outbox / file.file_name).read_bytes()
    head = read(contracts()[KIND], data, environment="T").head
    assert (head.institute, head.order_number, head.delivery_number) == (world.BLZ, "K2026-014", "000001")
    assert (head.sender, head.receiver, head.created_at) == ("MF", "AGREE21", NOW)
    lines = data.decode("cp1252").split("\r\n")
    assert lines[1].split(";")[1:] == [column.name for column in contracts()[KIND].columns]
    (row,) = rows_of(data, KIND)
    assert lines[2] == (
        f"D;0000000001;K2026-014-0000000001;Festgeld Anschluss 2026;MF_PLATZHALTER_01;{row['Aktivitaet_ID']};EMAIL;"
        "22.11.2026 10:00:00;VERSENDET;;;"
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Größe ÄÖÜ äöüß – „Łódź“ …", "Größe ÄÖÜ äöüß – „Lódz“ …"),
        ('zwei;Teile und "Anführung"', 'zwei;Teile und "Anführung"'),
        ("zwei\nZeilen\tund \a mehr", "zwei Zeilen und mehr"),
        ("x" * 59 + " yz", "x" * 59),
        ("Ω", "?"),
    ],
)
def test_what_a_campaign_may_be_called(database: sa.Engine, outbox: Path, name: str, title: str) -> None:
    of = campaign(database, name=name)
    of.event(of.message(), K.SENT)
    assert export(database, world.BLZ)
    assert [row["Akten_Titel"] for row in told(database, outbox)] == [title]


def test_without_consent_to_tracking_no_open_is_told(database: sa.Engine, outbox: Path) -> None:
    of = campaign(database)
    message = of.message(tracking=False)
    for kind in (K.SENT, K.OPENED, K.CLICKED, K.UNSUBSCRIBED):
        of.event(message, kind)
    assert export(database, world.BLZ)
    assert [row["Ergebnis"] for row in told(database, outbox)] == ["VERSENDET", "WIDERSPRUCH"]


def test_people_whose_number_is_gone_are_left_out_and_counted(
    database: sa.Engine, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of = campaign(database)
    for _ in range(3):
        of.event(of.message(), K.SENT)
    of.event(of.message(person_number="GELOESCHT-0a1b2c3d4e"), K.SENT)
    gone = min(pseudonymise(database))
    with database.begin() as connection:
        connection.execute(sa.delete(person_numbers).where(person_numbers.c.person_number == gone))
    file = export(database, world.BLZ)
    assert file is not None
    assert (file.rows, file.left_out, len(told(database, outbox))) == (4, 2, 2)
    assert file.counts == {"file": 1, "rows": 4, "left_out": 2}
    assert "2 of 4 events are left out" in caplog.text
    assert gone not in caplog.text
    assert export(database, world.BLZ) is None, "they are not tried again"
    with database.begin() as connection:
        connection.execute(sa.delete(person_numbers))
    with pytest.raises(StageError, match="has left the bank's data"):
        rebuild(database, world.BLZ, 1)


@pytest.mark.parametrize(
    ("pseudonyms", "number", "shown"),
    [
        ("keine", "0001234567", True),
        ("bank", "p1.9f2c4e7ab01d55c3", True),
        ("eingang", "p1.9f2c4e7ab01d55c3", False),
    ],
)
def test_numbers_of_banks_that_make_pseudonyms_themselves_or_none(
    database: sa.Engine,
    bank: Path,
    monkeypatch: pytest.MonkeyPatch,
    outbox: Path,
    pseudonyms: str,
    number: str,
    shown: bool,
) -> None:
    banks.configure(monkeypatch, bank, core_system="agree21", imports={"pseudonyms": pseudonyms})
    monkeypatch.delenv("REKU_VAULT_KEYS")  # nothing is sealed, so no key is asked for
    settings.cache_clear()
    of = campaign(database)
    of.event(of.message(person_number=number), K.SENT)
    assert export(database, world.BLZ)
    rows = told(database, outbox)
    assert [(row["Personennummer"], row["Akten_Schluessel"]) for row in rows] == [
        (number, f"K2026-014-{number}")
    ] * shown


@pytest.mark.parametrize("key", [None, "b" * 43 + "="])
def test_without_the_key_nothing_is_written_and_events_wait(
    database: sa.Engine, outbox: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    of = campaign(database)
    of.event(of.message(), K.SENT)
    pseudonymise(database)
    with monkeypatch.context() as patch:
        patch.setenv("REKU_VAULT_KEYS", key) if key else patch.delenv("REKU_VAULT_KEYS")
        settings.cache_clear()
        for _ in range(2):
            with pytest.raises(SetupError, match="REKU_VAULT_KEYS"):
                export(database, world.BLZ)
            assert list(outbox.iterdir()) == []
    settings.cache_clear()
    assert export(database, world.BLZ) is None
    assert len(told(database, outbox)) == 1
    assert len(files(database)) == 1


@pytest.mark.usefixtures("still")
def test_files_of_one_second_have_two_names(database: sa.Engine, outbox: Path) -> None:
    """As of two orders whose windows end together."""
    for number in (14, 15, 16):
        of = campaign(database, number)
        of.event(of.message(), K.SENT)
        assert export(database, world.BLZ, order_id=of.order)
    assert [file.file_name[-10:-4] for file in files(database)] == ["220000", "220001", "220002"]
    assert len(list(outbox.iterdir())) == 3


def test_numbers_sealed_on_several_days_open_each_with_its_key(
    database: sa.Engine, outbox: Path, clock_at: Move
) -> None:
    of = campaign(database)
    for day in range(3):
        clock_at(NOW + timedelta(days=day))
        of.event(of.message(), K.SENT, NOW + timedelta(days=day))
        pseudonymise(database)
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(data_keys)) == 3
    assert export(database, world.BLZ)
    assert [row["Personennummer"] for row in told(database, outbox)] == ["0000000001", "0000000002", "0000000003"]
