"""What Excel does to a file on its way, said in words: the sender sees a number or a date and no fault in it."""

from __future__ import annotations

import re

_ROUNDED = re.compile(r"\d+([.,]\d+)?E\+?\d+", re.IGNORECASE)
_TURNED = re.compile(
    r"(\d{4}-\d\d?-\d\d?|\d\d?/\d\d?/\d{2,4}|\d\d?\.\d\d?\.\d\d|\d\.\d\d?\.\d{4}|\d\d?\.\d\.\d{4}|\d{5})( .*)?"
)
_WITHOUT = "die Datei nicht in Excel öffnen und speichern"


def rounded_number_advice(value: str) -> str:
    """What to tell about a number that Excel has rounded (`1,23E+09`), or ""."""
    return f"Excel hat die Nummer gerundet; {_WITHOUT}" if _ROUNDED.fullmatch(value.strip()) else ""


def short_number_advice(value: str, digits: int) -> str:
    """What to tell about a number whose leading zeros Excel has taken away, or ""."""
    text = value.strip()
    if not text.isdecimal() or len(text) >= digits:
        return ""
    return f"führende Nullen fehlen, wie nach dem Speichern in Excel; {_WITHOUT}"


def turned_date_advice(value: str) -> str:
    """What to tell about a date that Excel has written its own way, or ""."""
    return f"das Datum ist von Excel umgestellt; {_WITHOUT}" if _TURNED.fullmatch(value.strip()) else ""
