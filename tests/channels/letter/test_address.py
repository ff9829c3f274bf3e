"""What stands in the window of an envelope, and what cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.channels.letter.address import LINES, SIZE, WIDTH, address_lines, fit_window
from reku.channels.letter.fonts import first_unprintable, width
from reku.dispatch.channel import MessageFault

PERSON = {
    "Anrede": "2",
    "Titel": "Dr.",
    "Vorname": "Jördis",
    "Nachname": "Beispiel-Müßig",
    "Strasse": "Prüfweg 1",
    "PLZ": "01067",
    "Ort": "Musterstadt",
}


@pytest.mark.parametrize(
    ("changed", "lines"),
    [
        ({}, ("Frau", "Dr. Jördis Beispiel-Müßig", "Prüfweg 1", "01067 Musterstadt")),
        ({"Anrede": "1", "Titel": ""}, ("Herrn", "Jördis Beispiel-Müßig", "Prüfweg 1", "01067 Musterstadt")),
        ({"Anrede": "3"}, ("Dr. Jördis Beispiel-Müßig", "Prüfweg 1", "01067 Musterstadt")),
        ({"Vorname": " ", "Titel": ""}, ("Frau", "Beispiel-Müßig", "Prüfweg 1", "01067 Musterstadt")),
        ({"Strasse": "  Prüfweg \n 1 "}, ("Frau", "Dr. Jördis Beispiel-Müßig", "Prüfweg 1", "01067 Musterstadt")),
    ],
)
def test_the_lines_of_a_customer(changed: dict[str, str], lines: tuple[str, ...]) -> None:
    assert address_lines(PERSON | changed) == lines


@pytest.mark.parametrize("field", ["Nachname", "Strasse", "PLZ", "Ort"])
def test_without_one_of_them_no_letter_gets_there(field: str) -> None:
    with pytest.raises(MessageFault, match=f"lacks {field}") as refused:
        address_lines(PERSON | {field: " "})
    assert refused.value.unreachable


@pytest.mark.parametrize(
    ("lines", "fitted"),
    [
        (("A", "B", "C"), ("A", "B", "C")),
        (("A", "", "B", " ", "C"), ("A", "B", "C")),
        (tuple("ABCDEF"), tuple("ABCDEF")),
        (("Firma", "Jørn Ærø", "Storgade 1", "8000 AARHUS", "DÄNEMARK"), None),
        (("א ב", "رسالة", "99999 Musterstadt"), None),
        (("Wort " * 20, "Prüfweg 1", "99999 Musterstadt"), ...),
    ],
)
def test_three_to_six_lines_fit(lines: tuple[str, ...], fitted: object) -> None:
    found = fit_window(lines)
    if fitted is ...:  # continued on the next line, nothing lost
        assert " ".join(found).split() == " ".join(lines).split()
        assert len(found) > len(lines)
    else:
        assert found == (lines if fitted is None else fitted)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "has 0 lines. It needs recipient, street"),
        (("A", " ", "B"), "has 2 lines"),
        (tuple("ABCDEFG"), "takes 7 lines, and the window of an envelope shows 6"),
        (tuple("ABCDEFGHI"), "takes 9 lines"),
        (("x" * 200, "B", "C"), "Line 1 of the postal address has a word of 200 characters"),
        (("Wort " * 60, "B", "C"), "takes 10 lines"),
        (("A", "Weg 1 😀", "C"), r"Line 2 of the postal address has U\+1F600 \(GRINNING FACE\)"),
        (("A", "B", "C\u202e D"), r"Line 3 .* U\+202E \(RIGHT-TO-LEFT OVERRIDE\)"),
        (("A\x07", "B", "C"), r"U\+0007"),
    ],
)
def test_what_does_not_fit_is_said_without_the_address(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(MessageFault, match=said) as refused:
        fit_window(lines)
    assert refused.value.unreachable
    assert "Wort" not in str(refused.value)


@given(st.lists(st.text(st.characters(codec="cp1252"), max_size=90), max_size=9))
def test_a_fitted_address_loses_nothing_and_fits(lines: list[str]) -> None:
    try:
        fitted = fit_window(lines)
    except MessageFault:
        return
    assert " ".join(fitted).split() == " ".join(lines).split()
    assert 3 <= len(fitted) <= LINES
    for line in fitted:
        assert width(line, SIZE) <= WIDTH
        assert first_unprintable(line) is None
