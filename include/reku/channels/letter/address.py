"""The address of a letter: made of a person's fields, and held against the window of DIN 5008, form B.

Told in docs/agree21.md, "Letters".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reku.channels.letter.fonts import first_unprintable, width
from reku.dispatch.channel import MessageFault

LINES = 6
"""Lines that the lower part of the window holds (27.3 mm)."""
FEWEST = 3
SIZE = 10.0
"""Points; a post office's machine reads nothing smaller."""
WIDTH = 76.0
"""Millimetres that a line may take: the window's 85, without 5 on the left and a rest on the right for the fold."""

_WORDS = {"1": "Herrn", "2": "Frau"}
_NEEDED = ("Strasse", "PLZ", "Ort")


def address_lines(person: Mapping[str, str]) -> tuple[str, ...]:
    """Recipient, street, postcode and place of a selected person or company as they stand in the window.

    Raises MessageFault, as somebody whom no letter reaches, where one of them is missing.
    """
    value = {name: " ".join((text or "").split()) for name, text in person.items()}
    recipient = full_name(value)
    missing = [name for name in _NEEDED if not value.get(name)]
    if not (value.get("Nachname") or value.get("Firma")):
        missing.insert(0, "Nachname")
    if missing:
        raise _unreachable(f"The postal address lacks {', '.join(missing)}.")
    word = _WORDS.get(value.get("Anrede", ""), "")
    return tuple(line for line in (word, recipient, value["Strasse"], f"{value['PLZ']} {value['Ort']}") if line)


def full_name(person: Mapping[str, str]) -> str:
    """Title, first name and surname, as far as they are known; of a company its name."""
    parts = ("Firma",) if person.get("Firma") else ("Titel", "Vorname", "Nachname")
    return " ".join(person[part] for part in parts if person.get(part))


def fit_window(lines: Sequence[str]) -> tuple[str, ...]:
    """The lines as they are set: without empty ones, and with what is too long for one line continued on the next.

    Raises MessageFault, as somebody whom no letter reaches, for fewer than three lines or more than six, for a word
    that is wider than the window, and for a character that no font prints. It never says what stands in a line.
    """
    whole = [" ".join(line.split()) for line in lines]
    whole = [line for line in whole if line]
    if len(whole) < FEWEST:
        raise _unreachable(
            f"The postal address has {len(whole)} lines. It needs recipient, street, and postcode with place."
        )
    fitted: list[str] = []
    for number, line in enumerate(whole, 1):
        if unprintable := first_unprintable(line):
            raise _unreachable(f"Line {number} of the postal address has {unprintable}, which no font here prints.")
        fitted += _wrapped(line, number)
    if len(fitted) > LINES:
        raise _unreachable(
            f"The postal address takes {len(fitted)} lines, and the window of an envelope shows {LINES}. Shorten it in "
            "the bank's data."
        )
    return tuple(fitted)


def _wrapped(line: str, number: int) -> list[str]:
    parts: list[str] = []
    for word in line.split(" "):
        if width(word, SIZE) > WIDTH:
            raise _unreachable(
                f"Line {number} of the postal address has a word of {len(word)} characters, wider than the window of "
                "an envelope. Shorten it in the bank's data."
            )
        if parts and width(f"{parts[-1]} {word}", SIZE) <= WIDTH:
            parts[-1] = f"{parts[-1]} {word}"
        else:
            parts.append(word)
    return parts


def _unreachable(text: str) -> MessageFault:
    return MessageFault(text, unreachable=True)
