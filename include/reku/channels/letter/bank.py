"""What a letter says of the bank: name, colour, return address, imprint, and how to object to advertising."""

from __future__ import annotations

import math
import re
from typing import Any

from reku.catalogue.institute import Institute
from reku.channels.letter.fonts import FAMILIES, width
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings

_COLUMNS = 3
_PLACE = re.compile(r"\b\d{5} \w")
_SENDER_SIZE, _SENDER_WIDTH = 6.5, 2 * 72.0
"""Points, and the millimetres of two lines of the window's upper part."""
_OBJECTION = (
    "Sie können der Verwendung Ihrer Daten für Werbung jederzeit widersprechen, ohne dass dafür andere als die "
    "Übermittlungskosten nach den Basistarifen entstehen. Eine formlose Nachricht an die Anschrift unten genügt."
)


def bank_data(institute: Institute) -> dict[str, Any]:
    """The bank's part of a letter's data. Raises ConfigError if its imprint has no return address that fits."""
    lines = [line.strip() for line in institute.imprint.splitlines() if line.strip()]
    in_column = math.ceil(len(lines) / _COLUMNS)
    return {
        "name": institute.name,
        "colour": institute.colours.primary,
        "sender": _return_address(institute, lines),
        "imprint": [lines[at : at + in_column] for at in range(0, len(lines), in_column)],
        "objection": _OBJECTION,
        "fonts": FAMILIES,
    }


def _return_address(institute: Institute, imprint: list[str]) -> str:
    file = settings().config_dir / "institutes" / f"{institute.blz}.yaml"
    place = next((line for line in imprint if _PLACE.search(line)), None)
    if place is None:
        raise ConfigError(
            "imprint: no line has street, postcode and place, such as 'Lindenallee 4, 99997 Musterhausen'. Letters "
            "need it as their return address.",
            file=file,
        )
    address = place if place.startswith(institute.name) else f"{institute.name} · {place}"
    if width(address, _SENDER_SIZE) > _SENDER_WIDTH:
        raise ConfigError(
            f"imprint: name and address of the bank have {len(address)} characters together, which is more than the "
            "two small lines above the address of a letter hold. Shorten the line of the imprint with the postcode.",
            file=file,
        )
    return address
