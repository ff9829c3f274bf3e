"""A letter medium, written and compiled with one change, and what can be measured in a PDF."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pdfplumber
import pytest

from reku.catalogue import institutes, media
from reku.channels.letter.medium import CompiledLetter, compile_letter

BLZ = "99990003"
MADE_AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
ADDRESS = ("Frau", "Dr. Jördis Beispiel-Müßig", "Prüfweg 1", "99999 Musterstadt")
NOBODY = {"Referenz": "R1", "Personennummer": "1", "Anlass_Datum": "24.11.2026", "Anrede": "3", "EMail": "a@b.example"}

LETTER = """\
{{ briefanrede }},

Guten Tag zu {{ Produkt_Text }}! {% if Anlass_Wert %}Wert {{ Anlass_Wert }}.
{% elif Titel == 'Dr.' %}Titel.{% else %}Ohne.{% endif %}

{% include "shared/closing.typ" %}
"""

Probe = Callable[..., CompiledLetter]


@pytest.fixture
def probe(config: Path) -> Probe:
    """Writes a letter of the medium EIGEN_PROBE and compiles it: `probe()`, or `probe(old, new)` with one change."""

    def write_and_compile(old: str = "", new: str = "") -> CompiledLetter:
        assert old in LETTER, "the change must change something"
        folder = config / "templates" / "eigen" / "probe"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "medium.yaml").write_text(
            "key: EIGEN_PROBE\nprovider: Eigene\ntitle: Probe\noccasions: []\nsubject: Guten Tag\n"
            "fallbacks:\n  Produkt_Text: Ihr Konto\n",
            encoding="utf-8",
        )
        (folder / "letter.typ").write_text(LETTER.replace(old, new, 1), encoding="utf-8")
        return compile_letter(media()["EIGEN_PROBE"], institutes()[BLZ])

    return write_and_compile


@dataclass(frozen=True)
class Word:
    """A word of a PDF and where it stands, in millimetres from the upper left corner of its page; `size` in points."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


def words_of(pdf: bytes) -> list[list[Word]]:
    """The words of each page."""
    with pdfplumber.open(io.BytesIO(pdf)) as document:
        return [
            [
                Word(word["text"], *(word[side] * 25.4 / 72 for side in ("x0", "top", "x1", "bottom")), word["size"])
                for word in page.extract_words(extra_attrs=["size"])
            ]
            for page in document.pages
        ]


def text_of(pdf: bytes) -> str:
    """All words, with one blank between them and none of the places where a long one may break."""
    return " ".join(word.text for page in words_of(pdf) for word in page).replace("\N{ZERO WIDTH SPACE}", "")
