"""The index beside the letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reku.channels.letter.index import IndexRow, index_file
from reku.records.faults import FileRefused
from reku.records.record_file import Head

HEAD = Head(
    kind="BRIEF",
    version="1",
    institute="99990003",
    order_number="K2026-001",
    delivery_number="000003",
    created_at=datetime(2026, 11, 24, 8, tzinfo=UTC),
    sender="MF",
    receiver="AGREE21",
    environment="T",
)
ROW = IndexRow(1, 2, "K2026-001-000003-00001", "0001234567", "Łukasz Müßig", "Prüfweg 1", "01067", "Musterstadt")


def test_pages_and_people_with_leading_zeros_and_close_letters() -> None:
    lines = index_file(HEAD, [ROW]).decode("cp1252").split("\r\n")
    assert lines[0] == "V;BRIEF;1;99990003;K2026-001;000003;24.11.2026 09:00:00;MF;AGREE21;T"
    assert lines[1] == "K;Seite_von;Seite_bis;Referenz;Personennummer;Name;Strasse;PLZ;Ort"
    assert lines[2] == "D;1;2;K2026-001-000003-00001;0001234567;Lukasz Müßig;Prüfweg 1;01067;Musterstadt"
    assert lines[3].startswith("N;1;")


def test_what_the_contract_does_not_allow_is_refused_with_its_field() -> None:
    with pytest.raises(FileRefused, match="Ort"):
        index_file(HEAD, [replace(ROW, place="Muster\x07stadt")])
