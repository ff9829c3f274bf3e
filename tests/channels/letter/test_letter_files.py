"""The letters of a delivery as a prepared file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reku.catalogue import institutes, media
from reku.channels.letter.letter_files import LetterFiles
from reku.foundation.errors import ConfigError
from reku.pickup.file_format import FileStamp, PreparedPerson
from tests.channels.letter.conftest import BLZ, MADE_AT, text_of

STAMP = FileStamp(BLZ, "K2026-001", 3, 1, MADE_AT)
NAME = "brief_99990003_K2026-001_000003_20261124090000.pdf"
PERSON = PreparedPerson(
    1,
    "0001234567",
    "K2026-001-000003-00001",
    medium="SCOM_GEBURTSTAG",
    fields={
        "Anrede": "2",
        "Vorname": "Jördis",
        "Nachname": "Müßig",
        "Anlass_Datum": "24.11.2026",
        "Anlass_Wert": "80",
        "Strasse": "Prüfweg 1",
        "PLZ": "01067",
        "Ort": "Musterstadt",
    },
)

COMPANY = {"Anrede": "4", "Firma": "Bau & Co. #1", "Vorname": "", "Nachname": ""}


def made(*people: PreparedPerson) -> dict[str, bytes]:
    files = LetterFiles().files(institutes()[BLZ], STAMP, NAME, people)
    return {file.name: b"".join(file.blocks) for file in files}


@pytest.mark.usefixtures("reku_settings")
def test_a_pdf_and_an_index_of_the_same_name_that_come_out_the_same_again() -> None:
    other = replace(PERSON, position=4, reference="K2026-001-000003-00004", medium="SCOM_KONTENJUBILAEUM")
    files = made(PERSON, other)
    assert list(files) == [NAME, NAME.replace(".pdf", ".csv")]
    assert LetterFiles().file_name(STAMP) == NAME
    assert "zu Ihrem 80. Geburtstag" in text_of(files[NAME])
    lines = files[NAME.replace(".pdf", ".csv")].decode("cp1252").splitlines()
    assert lines[0].startswith("V;BRIEF;1;99990003;K2026-001;000003;24.11.2026 09:00:00;MF;AGREE21;")
    assert lines[2:4] == [
        "D;1;1;K2026-001-000003-00001;0001234567;Jördis Müßig;Prüfweg 1;01067;Musterstadt",
        "D;2;2;K2026-001-000003-00004;0001234567;Jördis Müßig;Prüfweg 1;01067;Musterstadt",
    ]
    assert made(PERSON, other) == files


@pytest.mark.usefixtures("reku_settings")
def test_whose_letter_cannot_be_set_is_named_before_with_no_word_about_the_person() -> None:
    bad: dict[str, dict[str, str]] = {
        "word of 60 characters, wider than the window": {"Ort": "x" * 60},
        "lacks Strasse": {"Strasse": ""},
        "lacks Nachname": {"Nachname": " "},
        "GRINNING FACE": {"Produkt_Text": "\N{GRINNING FACE}"},
        "RIGHT-TO-LEFT OVERRIDE": {"Vorname": "\u202eab"},
        "takes 11 lines": {"Vorname": "Wortreich " * 30},
        "PLZ, genau 5 Ziffern": {"PLZ": "A-1010"},
        "Name, höchstens 120 Zeichen": {
            "Titel": "li " * 9 + "li",
            "Vorname": "li " * 19 + "li",
            "Nachname": "li " * 20,
        },
    }
    people = [
        replace(PERSON, position=at, reference=f"R{at}", fields={**PERSON.fields, **changed})
        for at, changed in enumerate((*bad.values(), {}, COMPANY))
    ]
    found = LetterFiles().faults(institutes()[BLZ], people)
    assert list(found) == list(range(len(bad)))
    for text, (why, changed) in zip(found.values(), bad.items(), strict=True):
        assert why in text
        assert all(value not in text for value in (*changed.values(), "Müßig", "Prüfweg") if len(value) > 1)


@pytest.mark.usefixtures("reku_settings")
def test_a_letter_to_a_company_names_it() -> None:
    files = made(replace(PERSON, fields={**PERSON.fields, **COMPANY}))
    assert "Bau & Co. #1 Prüfweg 1 01067 Musterstadt" in text_of(files[NAME])
    assert "Sehr geehrte Damen und Herren" in text_of(files[NAME])
    assert ";Bau & Co. #1;Prüfweg 1;" in files[NAME.replace(".pdf", ".csv")].decode("cp1252")


@pytest.mark.usefixtures("reku_settings")
def test_a_medium_without_a_letter_is_refused_in_words() -> None:
    assert "SKP_UMZUG" in media()
    with pytest.raises(ConfigError, match=r"SKP_UMZUG has no letter.typ"):
        made(replace(PERSON, medium="SKP_UMZUG"))
