"""The OSPlus response file (docs/domain.md, rules 7, 19, 24 and 25)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.records.contract import contracts, match_name
from reku.records.reader import read
from reku.store.states import MessageState
from reku.store.tables import feedback_rows, responses
from reku_testing import banks, world
from reku_testing.by_blz import export, rebuild
from reku_testing.reported import BEGUN, NOW, K, World, files, rows_of


@pytest.fixture(autouse=True)
def bank(
    database: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> Path:
    clock_at(NOW)
    return banks.configure(monkeypatch, tmp_path / "include")


@pytest.fixture
def outbox(reku_settings: Path) -> Path:
    return reku_settings / world.BLZ / "ausgang"


def test_file(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    first, second = of.message(), of.message(state=MessageState.WITHHELD, begun_at=None)
    of.event(first, K.SENT, BEGUN)
    of.event(first, K.CLICKED, BEGUN + timedelta(hours=1), link_number=1, link_target="https://www.bank.example/x")
    of.event(first, K.BOUNCED_HARD, BEGUN + timedelta(hours=2), "5.1.1")
    of.event(second, K.NOT_SENT, BEGUN + timedelta(hours=3), "KEINE_EINWILLIGUNG")
    of.event(first, K.UNSUBSCRIBED, BEGUN + timedelta(hours=4), "EINKLICK")
    file = export(database, world.BLZ, order_id=of.order)
    assert file is not None
    assert (file.number, file.rows) == (1, 5)
    assert file.file_name == "response_99950001_000001_20261122220000.csv"
    assert match_name(file.file_name)
    data = (outbox / file.file_name).read_bytes()
    assert [path.name for path in outbox.iterdir()] == [file.file_name]
    head = read(contracts()["RESPONSE"], data, environment="T").head
    assert (head.institute, head.order_number, head.delivery_number) == (world.BLZ, world.ORDER, "000001")
    assert (head.sender, head.receiver, head.created_at) == ("EMMA", "FI", NOW)
    sent, clicked, bounced, withheld, gone = rows_of(data)
    assert sent == {
        "Ereignis_ID": sent["Ereignis_ID"],
        "Ereignis_Art": "VERS",
        "Ereignis_Zeit": "22.11.2026 10:00:00",
        "Referenz": "R0004711-000017-00001",
        "Personennummer": "0000000001",
        "Auftrags_Nr": world.ORDER,
        "Lieferungs_Nr": "000017",
        "Anlass_Code": "MCAG002",
        "Grund_Code": "",
        "Abmelde_Umfang": "",
        "Link_Nr": "",
        "Link_Ziel": "",
        "Bounce_Serie": "",
        "Werbemittel": "SCOM_GEBURTSTAG",
    }
    assert (clicked["Link_Nr"], clicked["Link_Ziel"]) == ("1", "https://www.bank.example/x")
    assert (bounced["Grund_Code"], bounced["Bounce_Serie"]) == ("5.1.1", "1")
    assert (withheld["Ereignis_Art"], withheld["Grund_Code"]) == ("NVER", "KEINE_EINWILLIGUNG")
    assert (gone["Grund_Code"], gone["Abmelde_Umfang"]) == ("EINKLICK", "LISTE")


def test_same_columns_as_the_example(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    of.event(of.message(), K.SENT)
    file = export(database, world.BLZ)
    assert file is not None
    example = [column.name for column in contracts()["RESPONSE"].columns]
    lines = (outbox / file.file_name).read_bytes().decode().split("\r\n")
    assert next(csv.reader([lines[1]], delimiter=";")) == ["K", *example]


def test_each_event_once(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    ids: list[str] = []
    for _ in range(3):
        message = of.message()
        of.event(message, K.SENT)
        of.event(message, K.OPENED)
        file = export(database, world.BLZ)
        assert file is not None
        ids += [row["Ereignis_ID"] for row in rows_of((outbox / file.file_name).read_bytes())]
    assert len(ids) == len(set(ids)) == 6
    assert export(database, world.BLZ) is None
    assert [row.number for row in files(database)] == [1, 2, 3]


def test_an_outbox_that_cannot_be_written_to_keeps_number_and_rows(
    database: sa.Engine, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = World(database)
    of.event(of.message(), K.SENT)
    with monkeypatch.context() as patch:
        patch.setenv("REKU_FILES_URL", "/proc/nowhere")
        settings.cache_clear()
        with pytest.raises(SetupError, match=r"ausgang/response_.* cannot be written .*: No such file"):
            export(database, world.BLZ)
    settings.cache_clear()
    export(database, world.BLZ)
    (file,) = files(database)
    assert [path.name for path in outbox.iterdir()] == [file.file_name]


def test_nothing_to_report(database: sa.Engine, outbox: Path) -> None:
    order = world.order(database)
    assert export(database, world.BLZ, order_id=order) is None
    assert export(database, world.BLZ) is None
    assert not outbox.exists()
    assert files(database) == []


def test_daily_file_is_written_empty_once_a_day(
    database: sa.Engine, outbox: Path, clock_at: Callable[[datetime], None]
) -> None:
    file = export(database, world.BLZ, daily=True)
    assert file is not None
    assert rows_of((outbox / file.file_name).read_bytes()) == []
    assert export(database, world.BLZ, daily=True) is None  # run again on the same day
    clock_at(NOW + timedelta(days=1))
    second = export(database, world.BLZ, daily=True)
    assert second is not None
    assert second.number == 2  # no number was lost in between


def test_daily_run_again_reports_what_came_meanwhile(database: sa.Engine) -> None:
    of = World(database)
    export(database, world.BLZ, daily=True)
    of.event(of.message(), K.SENT)
    file = export(database, world.BLZ, daily=True)
    assert file is not None
    assert file.rows == 1


def test_daily_file_is_of_all_orders(database: sa.Engine, outbox: Path) -> None:
    one, other = World(database), World(database, "R0000002", name="Zweiter")
    one.event(one.message(), K.SENT)
    other.event(other.message(), K.SENT)
    only = export(database, world.BLZ, order_id=other.order)
    assert only is not None
    assert [row["Auftrags_Nr"] for row in rows_of((outbox / only.file_name).read_bytes())] == ["R0000002"]
    rest = export(database, world.BLZ, daily=True)
    assert rest is not None
    assert [row["Auftrags_Nr"] for row in rows_of((outbox / rest.file_name).read_bytes())] == [world.ORDER]
    assert (
        read(contracts()["RESPONSE"], (outbox / rest.file_name).read_bytes(), environment="T").head.order_number == ""
    )


def test_daily_file_of_one_order_is_refused(database: sa.Engine) -> None:
    with pytest.raises(ValueError, match="all orders"):
        export(database, world.BLZ, order_id=1, daily=True)


def test_hour_that_comes_twice_is_in_order_of_utc(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    start = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 summer time
    for minutes in (90, 30, 0, 60):
        of.event(of.message(begun_at=start), K.SENT, start + timedelta(minutes=minutes))
    file = export(database, world.BLZ)
    assert file is not None
    shown = [row["Ereignis_Zeit"][11:] for row in rows_of((outbox / file.file_name).read_bytes())]
    assert shown == ["02:30:00", "02:00:00", "02:30:00", "03:00:00"]


def test_same_second_is_in_order_of_ids(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    for number in range(8):
        of.event(of.message(), K.SENT, NOW + timedelta(microseconds=100 - number))
    file = export(database, world.BLZ)
    assert file is not None
    ids = [row["Ereignis_ID"] for row in rows_of((outbox / file.file_name).read_bytes())]
    assert ids == sorted(ids)


def test_series_at_each_bounce(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    for week in (1, 2, 3):
        begun = BEGUN - timedelta(weeks=4 - week)
        delivery = world.delivery(database, of.order, week, created_at=begun)
        fields = world.reku_fields(1, week, EMail="same@kunde.example", Anlass_Datum=f"{week:02}.11.2026")
        row = world.row(database, delivery, fields)
        message = world.message(database, row, state=MessageState.SENT, begun_at=begun, ended_at=begun)
        of.event(message, K.BOUNCED_HARD, begun + timedelta(days=1))
    delivery = world.delivery(database, of.order, 4)
    row = world.row(database, delivery, world.reku_fields(1, 4, EMail="same@kunde.example"))
    barred = world.message(database, row, state=MessageState.WITHHELD, reason="ZURUECKGEHALTEN", ended_at=BEGUN)
    of.event(barred, K.RETAINED, BEGUN)
    file = export(database, world.BLZ)
    assert file is not None
    rows = rows_of((outbox / file.file_name).read_bytes())
    assert [(row["Ereignis_Art"], row["Bounce_Serie"]) for row in rows] == [
        ("HBOU", "1"),
        ("HBOU", "2"),
        ("HBOU", "3"),
        ("ZRUE", "3"),
    ]
    # What comes in later must not change a file that was built.
    late = world.delivery(database, of.order, 9, created_at=BEGUN - timedelta(weeks=9))
    row = world.row(database, late, world.reku_fields(1, 9, EMail="same@kunde.example", Anlass_Datum="09.10.2026"))
    earlier = BEGUN - timedelta(weeks=9)
    of.event(world.message(database, row, state=MessageState.SENT, begun_at=earlier, ended_at=earlier), K.BOUNCED_HARD)
    assert rebuild(database, world.BLZ, 1) == (outbox / file.file_name).read_bytes()


def test_codes_and_encoding_of_the_bank(
    database: sa.Engine, outbox: Path, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    banks.configure(monkeypatch, bank, response={"codes": {"OEFF": "01"}, "encoding": "iso-8859-15"})
    of = World(database)
    message = of.message()
    of.event(message, K.SENT, BEGUN)
    of.event(message, K.OPENED, link_target="https://bank.example/ü")
    file = export(database, world.BLZ)
    assert file is not None
    text = (outbox / file.file_name).read_bytes().decode("iso-8859-15")
    assert ";VERS;" in text
    assert ";01;" in text
    assert "OEFF" not in text


def test_a_bank_that_nobody_knows(database: sa.Engine) -> None:
    with pytest.raises(StageError, match="99950009"):
        export(database, "99950009")


# --- the same file, whatever happens -------------------------------------------------------------------------------


def test_rebuilt_twice_is_the_same(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    for kind in (K.SENT, K.OPENED, K.UNSUBSCRIBED, K.BOUNCED_HARD):
        of.event(of.message(), kind)
    file = export(database, world.BLZ)
    assert file is not None
    written = (outbox / file.file_name).read_bytes()
    assert rebuild(database, world.BLZ, 1) == rebuild(database, world.BLZ, 1) == written


def test_rebuild_says_when_it_cannot(database: sa.Engine, bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = World(database)
    of.event(of.message(), K.SENT)
    export(database, world.BLZ)
    banks.configure(monkeypatch, bank, response={"codes": {"VERS": "99"}})
    with pytest.raises(StageError, match="codes"):
        rebuild(database, world.BLZ, 1)
    with pytest.raises(StageError, match="000007"):
        rebuild(database, world.BLZ, 7)


def test_outbox_that_cannot_be_written(database: sa.Engine, outbox: Path) -> None:
    of = World(database)
    of.event(of.message(), K.SENT)
    outbox.parent.mkdir()
    outbox.write_text("in the way")
    with pytest.raises(SetupError, match="number and rows are kept"):
        export(database, world.BLZ)
    with pytest.raises(SetupError):  # the first file has to be finished before a new number is drawn
        export(database, world.BLZ)
    assert [(row.number, row.written_at) for row in files(database)] == [(1, None)]
    outbox.unlink()
    assert export(database, world.BLZ) is None  # nothing new, but the old file is there now
    assert [path.name for path in outbox.iterdir()] == [files(database)[0].file_name]


def test_writers_at_once(database: sa.Engine, outbox: Path) -> None:
    several = [World(database, f"R000000{number}", name=f"Auftrag_{number}") for number in range(4)]
    for of in several:
        for _ in range(5):
            of.event(of.message(), K.SENT)
    calls: list[dict[str, Any]] = [{"order_id": of.order} for of in several] + [{"daily": True}, {}] * 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda call: export(database, world.BLZ, **call), calls))
    written = files(database)
    assert [row.number for row in written] == list(range(1, len(written) + 1))
    assert sorted(path.name for path in outbox.iterdir()) == sorted(row.file_name for row in written)
    ids = [row["Ereignis_ID"] for path in outbox.iterdir() for row in rows_of(path.read_bytes())]
    assert len(ids) == len(set(ids)) == 20
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(feedback_rows)) == 20
        assert connection.scalar(sa.select(sa.func.count()).select_from(responses)) == 20


def test_banks_have_numbers_of_their_own(database: sa.Engine, bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    banks.configure(monkeypatch, bank, blz="99950003")
    for institute in (world.BLZ, "99950003"):
        of = World(database, institute=institute)
        of.event(of.message(), K.SENT)
        file = export(database, institute)
        assert file is not None
        assert (file.number, file.rows) == (1, 1)
