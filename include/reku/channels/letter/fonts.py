"""The fonts that letters are set in: those of include/fonts and no others, so that a PDF comes out the same everywhere.

What none of them can print is found before anything is set: Typst would print an empty box and say nothing.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

import typst
from fontTools.ttLib import TTFont

from reku.foundation.settings import INCLUDE

FOLDER = INCLUDE / "fonts"
FAMILIES = ("Noto Sans", "Noto Sans Hebrew", "Noto Sans Arabic")
"""In the order in which they are asked for a character."""

_REGULAR = tuple(FOLDER / f"{family.replace(' ', '')}-Regular.ttf" for family in FAMILIES)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format and unassigned characters: a font may have them, yet nobody reads them; some turn a line round."""
_WORD_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{SOFT HYPHEN}"


@cache
def typst_fonts() -> typst.Fonts:
    """The shipped fonts as Typst takes them; neither the machine's nor those inside the wheel."""
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FOLDER])


def first_unprintable(text: str) -> str | None:
    """The first character that no shipped font prints, named as `U+1F600 (GRINNING FACE)`; None if there is none."""
    known = _advances()
    for character in text:
        invisible = unicodedata.category(character) in _INVISIBLE and character not in _WORD_JOINERS
        if invisible or character not in known:
            return f"U+{ord(character):04X} ({unicodedata.name(character, 'no name')})"
    return None


def width(text: str, size: float) -> float:
    """How wide a line is in millimetres, set in `size` points without kerning.

    Characters that no font has count as wide as the widest letter.
    """
    known = _advances()
    widest = known["W"]
    return sum(known.get(character, widest) for character in text) * size * 25.4 / 72


@cache
def _advances() -> dict[str, float]:
    """Character → its width in parts of the font's size, of all characters that one of the fonts prints."""
    advances: dict[str, float] = {}
    for file in reversed(_REGULAR):
        advances |= _advances_of(file)
    return advances


def _advances_of(file: Path) -> dict[str, float]:
    with TTFont(file, lazy=True) as font:
        per_em, widths = font["head"].unitsPerEm, font["hmtx"]
        return {chr(code): widths[glyph][0] / per_em for code, glyph in font.getBestCmap().items()}
