"""Letters of a cooperative bank, from its data to the PDF that somebody fetches."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from reku.pickup.take import fetch
from reku.process.daily_feedback import write_daily_feedback
from reku.process.run_day import DayResult
from reku.process.systems import FILE_FORMATS, bank_named
from reku.store import tables
from reku.views.funnel import funnel
from reku_testing.reported import rows_of
from reku_testing.world import BLZ
from tests.channels.letter.conftest import text_of
from tests.process.test_channels import BIRTHDAY, NOWHERE, by, reached
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import deliver, failed, in_clear, rows
from tests.process.test_selection_chain import work as work  # a fixture
from tests.sources.agree21.conftest import CoopBank, person


def test_a_household_gets_one_letter_to_its_contact_person(
    database: sa.Engine, bank: CoopBank, work: Callable[..., DayResult]
) -> None:
    bank.configure(campaigns=by("letter"))
    household = {"Haushalt_ID": "0000077001"}
    deliver(
        bank,
        person(4, **NOWHERE, Strasse="Unaussprechlichlangerstraßennamenohnejedeluecke 12"),
        person(1, **BIRTHDAY),
        person(2, **NOWHERE, **household, Ansprechperson="J"),
        person(3, **NOWHERE, **household, Ansprechperson="N"),
    )
    assert failed(work()) == []
    assert sorted(reached(database).values()) == [*["letter PREPARED"] * 2, "letter WITHHELD"]
    assert in_clear(database, "Müßig2", "0000000002", "Prüfweg") == set()
    (line,) = rows(database, tables.prepared_files)
    assert line["file_name"].startswith(f"brief_{BLZ}_")
    taken = fetch(database, bank_named(BLZ), FILE_FORMATS, line["id"], actor="Erika Beispiel")
    pdf, index = taken.files.values()
    text = text_of(pdf)
    assert all(name in text for name in ("Müßig1", "Müßig2", "Prüfweg"))
    assert "Müßig3" not in text
    lines = index.decode("cp1252").splitlines()[2:-1]
    assert sorted(line.split(";")[4] for line in lines) == ["0000000001", "0000000002"]
    assert sorted(reached(database).values()) == [*["letter SENT"] * 2, "letter WITHHELD"]
    assert all(row.adds_up for row in funnel(database))
    write_daily_feedback(database, BLZ)
    told = [
        (row["Personennummer"], row["Aktivitaet_Art"], row["Ergebnis"])
        for file in (bank.files / BLZ / "ausgang").glob("vtm_akte_*.csv")
        for row in rows_of(file.read_bytes(), "VTM_AKTE")
    ]
    assert sorted(told) == [
        ("0000000001", "BRIEF", "VERSENDET"),
        ("0000000002", "BRIEF", "VERSENDET"),
        ("0000000004", "BRIEF", "NICHT_VERSENDET"),
    ]
    assert in_clear(database, "Müßig2", "0000000002", "Prüfweg") == set()
    assert fetch(database, bank_named(BLZ), FILE_FORMATS, line["id"], actor="Ole Muster").files == taken.files
