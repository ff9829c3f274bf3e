"""Letters as they are set: measured in the PDF, the same each time, and nothing of a person's data breaks out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import pdfplumber
import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.placeholders import DELIVERED_AS, OPTIONAL
from reku.channels.letter.medium import CompiledLetter, compile_letter, has_letter
from reku.channels.letter.trial import letter_faults
from reku.channels.letter.typesetting import LetterRun, set_letters
from reku.dispatch.channel import MessageFault
from tests.channels.letter.conftest import ADDRESS, BLZ, MADE_AT, NOBODY, Probe, Word, text_of, words_of

LETTERS = [
    "SCOM_AUFHEBUNG_GEBUEHRENBEFREIUNG",
    "SCOM_GEBURTSTAG",
    "SCOM_HEIRAT",
    "SCOM_KONTENJUBILAEUM",
    "SCOM_NEUES_GIROKONTO",
    "SCOM_VOLLJAEHRIGKEIT",
]
BIRTHDAY, JUBILEE = "SCOM_GEBURTSTAG", "SCOM_KONTENJUBILAEUM"
FIELDS = [DELIVERED_AS.get(name, name) for name in OPTIONAL]
SIX_LINES = ("Frau", "Dr. Jördis Beispiel", "Haus Lindenblick", "Hinterhof 3", "Prüfweg 1", "99999 Musterstadt")
SHEET = (210.0, 297.0)


def run(compiled: CompiledLetter, *people: Mapping[str, str], address: tuple[str, ...] = ADDRESS) -> LetterRun:
    return set_letters([compiled.fill(NOBODY | dict(one), address, MADE_AT.date()) for one in people], MADE_AT)


def joined(pages: list[list[Word]]) -> str:
    """All that is printed, without blanks."""
    return "".join(word.text for page in pages for word in page).replace("\N{ZERO WIDTH SPACE}", "")


def shipped(key: str = BIRTHDAY, bank: str = BLZ) -> CompiledLetter:
    return compile_letter(media()[key], institutes()[bank])


@pytest.mark.usefixtures("reku_settings")
def test_the_shipped_letters_are_whole_for_every_bank() -> None:
    assert letter_faults() == []
    assert sorted(medium.key for medium in media().values() if has_letter(medium)) == LETTERS


@pytest.mark.usefixtures("reku_settings")
@pytest.mark.parametrize(
    ("key", "bank"), [(key, BLZ) for key in LETTERS] + [(BIRTHDAY, bank) for bank in ("99990001", "99990002")]
)
def test_in_the_window_stands_the_address_and_nothing_else(key: str, bank: str) -> None:
    compiled = shipped(key, bank)
    people = ({}, dict.fromkeys(FIELDS, "W" * 200), dict.fromkeys(FIELDS, "Wort " * 40))
    addresses = [address for _ in people for address in (ADDRESS, SIX_LINES)]
    letters = [
        compiled.fill(NOBODY | person, address, MADE_AT.date())
        for person, address in zip([one for one in people for _ in range(2)], addresses, strict=True)
    ]
    made = set_letters(letters, MADE_AT)
    sheets = words_of(made.pdf)
    for (first, _), address in zip(made.pages, addresses, strict=True):
        words = sheets[first - 1]
        # DIN 5008, form B: 85 x 45 mm at 20 and 45 mm; the upper 17.7 mm are for the return address.
        inside = [word for word in words if word.left < 105 and word.bottom > 45 and word.top < 90]
        lower = [word for word in inside if word.bottom > 62.7]
        assert [word.text for word in lower] == " ".join(address).split()
        assert all(word.top >= 62.7 and word.bottom <= 90 and word.left >= 20 and word.right <= 105 for word in lower)
        assert {round(word.size, 1) for word in lower} == {10.0}
        sender = " ".join(word.text for word in inside if word not in lower)
        assert sender.startswith(f"{institutes()[bank].name} · ")
        # Lines of an address follow each other without a gap.
        tops = sorted({round(word.top, 1) for word in lower})
        assert all(4.2 < below - above < 4.8 for above, below in pairwise(tops))
        begins = compiled.medium.subject.split()[0]
        assert all(word.top >= 98.4 for word in words if word.text == begins)


@pytest.mark.usefixtures("reku_settings")
def test_nothing_leaves_the_sheet_or_is_lost_however_long_it_is() -> None:
    people = [dict.fromkeys(FIELDS, value) for value in ("W" * 200, "W#*$@" * 40, "Wort " * 40)]
    made = run(shipped(), *people)
    sheets = words_of(made.pdf)
    for page in sheets:
        assert all(word.left > 0 and word.right < SHEET[0] and word.bottom < SHEET[1] for word in page)
    for (first, last), person in zip(made.pages, people, strict=True):
        assert joined(sheets[first - 1 : last]).count("".join(person["Nachname"].split())) >= 4


NEVER_CODE = (
    '#panic("x")',
    "#v(3cm)",
    "*fett* _schräg_ `roh`",
    "$x^2$",
    "@label <label>",
    "= Titel",
    "- Liste",
    "+ 1. Liste",
    "] [ { } ( )",
    "\\ \\n // Kommentar /* mehr */",
    "{{ Nachname }} {% if x %}",
    "\"zu\" 'ende'",
    "Übergrößen-Äther ß €",
    "https://x.example/#a?b=c&d",
    "שלום",
)


def test_what_stands_in_data_is_never_read_as_code(probe: Probe) -> None:
    made = run(probe(), *(dict.fromkeys(FIELDS, value) for value in NEVER_CODE))
    assert made.pages == tuple((page, page) for page in range(1, len(NEVER_CODE) + 1))
    for value, page in zip(NEVER_CODE, words_of(made.pdf), strict=True):
        # What is read from right to left is extracted from left to right.
        wanted = value[::-1] if value == NEVER_CODE[-1] else "".join(value.split())
        assert joined([page]).count(wanted) >= 3, value


@pytest.mark.usefixtures("reku_settings")
@pytest.mark.parametrize("key", LETTERS)
def test_nor_in_any_shipped_letter(key: str) -> None:
    compiled, values = shipped(key), ("#*$@_`<x>" * 20, "] #panic()\\", "שלום", "W" * 200, "Wort " * 40)
    made = run(compiled, *(dict.fromkeys(FIELDS, value) for value in values))
    sheets = words_of(made.pdf)
    for page in sheets:
        assert all(word.left > 0 and word.right < SHEET[0] and word.bottom < SHEET[1] for word in page)
    for value, (first, last) in zip(values, made.pages, strict=True):
        wanted = value[::-1] if value == "שלום" else "".join(value.split())
        assert joined(sheets[first - 1 : last]).count(wanted) >= 3, value


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Produkt_Text", "Gold 😀", r"Produkt_Text has U\+1F600 \(GRINNING FACE\)"),
        ("Nachname", "漢字", r"Nachname has U\+6F22"),
        ("Berater_Absendername", "Ole\u202eretsuM", r"Berater_Absendername has U\+202E \(RIGHT-TO-LEFT OVERRIDE\)"),
    ],
)
def test_what_no_font_prints_is_refused_in_words(probe: Probe, field: str, value: str, said: str) -> None:
    with pytest.raises(MessageFault, match=said) as refused:
        run(probe(), {field: value})
    assert not refused.value.unreachable
    assert value not in str(refused.value)


def test_letters_that_come_apart_as_letter_and_accent_are_printed(probe: Probe) -> None:
    assert "Müßig" in text_of(run(probe(), {"Nachname": "Mu\N{COMBINING DIAERESIS}ßig"}).pdf)


def test_conditions_and_fallbacks_are_those_of_mails(probe: Probe) -> None:
    compiled = probe()
    assert "Guten Tag zu Ihr Konto! Ohne." in text_of(run(compiled, {}).pdf)
    assert "Guten Tag zu Gold! Titel." in text_of(run(compiled, {"Produkt_Text": "Gold", "Titel": "Dr."}).pdf)
    assert "Wert 7." in text_of(run(compiled, {"Anlass_Wert": "7", "Titel": "Dr."}).pdf)


@pytest.mark.usefixtures("reku_settings")
def test_one_pdf_of_many_letters_of_two_media_and_the_pages_of_each() -> None:
    long = dict.fromkeys(FIELDS, "Wort " * 40)
    birthday, jubilee = shipped(BIRTHDAY), shipped(JUBILEE)
    letters = [
        compiled.fill(NOBODY | person | {"Referenz": f"R{number}"}, ADDRESS, MADE_AT.date())
        for number, (compiled, person) in enumerate([(birthday, {}), (jubilee, long), (birthday, {}), (jubilee, {})])
    ]
    made = set_letters(letters, MADE_AT)
    assert made.pages == ((1, 1), (2, 3), (4, 4), (5, 5))
    pages = [" ".join(word.text for word in page) for page in words_of(made.pdf)]
    assert "Jahre Vertrauen: Vielen Dank!" in pages[1]
    assert [number for number, page in enumerate(pages, 1) if "Seite" in page.split()] == [3]
    assert "Seite 2" in pages[2]
    assert sum("24.11.2026" in page for page in pages) == 4


@pytest.mark.usefixtures("reku_settings")
def test_a_rebuilt_run_has_the_same_bytes_and_another_time_stamp_others(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(shipped(), {"Nachname": "Müßig"}, {}).pdf
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    compiled = shipped()
    assert run(compiled, {"Nachname": "Müßig"}, {}).pdf == first
    later = [compiled.fill(NOBODY | {"Nachname": "Müßig"}, ADDRESS, MADE_AT.date())]
    assert set_letters(later, MADE_AT) == set_letters(later, MADE_AT)
    assert set_letters(later, MADE_AT).pdf != set_letters(later, datetime(2026, 11, 25, tzinfo=UTC)).pdf


@pytest.mark.usefixtures("reku_settings")
def test_only_shipped_fonts_are_in_a_pdf() -> None:
    made = run(shipped(), {"Nachname": "שלום Müßig"})
    with pdfplumber.open(io.BytesIO(made.pdf)) as document:
        fonts = {character["fontname"].partition("+")[2] for page in document.pages for character in page.chars}
    assert fonts == {"NotoSans-Regular", "NotoSans-Bold", "NotoSansHebrew-Regular"}
