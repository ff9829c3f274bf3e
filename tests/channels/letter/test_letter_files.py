"""The letters of a delivery as a prepared file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reku.catalogue import institutes, media
from reku.channels.letter.letter_files import LetterFiles
from reku.foundation.errors import ConfigError
from reku.pickup.file_format import FileStamp, PreparedPerson
from tests.channels.letter.conftest import BLZ, MADE_AT, text_of, words_of

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
def test_one_letter_that_cannot_be_set_holds_up_no_other_and_is_not_missed() -> None:
    broken = replace(PERSON, position=2, reference="K2026-001-000003-00002", fields={**PERSON.fields, "Ort": "x" * 60})
    pages = [" ".join(word.text for word in page) for page in words_of(made(PERSON, broken, PERSON)[NAME])]
    assert len(pages) == 3
    assert "Brief K2026-001-000003-00002 war nicht zu setzen" in pages[1]
    assert "Bitte nicht versenden" in pages[1]
    assert "Müßig" not in pages[1]
    assert all("80. Geburtstag" in page for page in (pages[0], pages[2]))


@pytest.mark.usefixtures("reku_settings")
def test_a_medium_without_a_letter_is_refused_in_words() -> None:
    assert "SCOM_HEIRAT" in media()
    with pytest.raises(ConfigError, match=r"SCOM_HEIRAT has no letter.typ"):
        made(replace(PERSON, medium="SCOM_HEIRAT"))
