"""Invented people that a medium is looked at with: `reku preview --person`, `reku media check`, test mails."""

from __future__ import annotations

from collections.abc import Mapping

from reku.catalogue.institute import Institute
from reku.channels.email.media.placeholders import ADDRESS, DELIVERED_AS, MANDATORY, OPTIONAL, REFERENCE

_LONG_WORD = "W" * 60
FIELDS = tuple(DELIVERED_AS.get(name, name) for name in (*MANDATORY, *OPTIONAL))
"""Delivered fields that a mail may show something of, by their German names."""

PEOPLE: Mapping[str, Mapping[str, str]] = {
    "everything": {"Produkt_Text": "Girokonto Plus", "Firma": "Muster & Söhne OHG"},
    "nothing": dict.fromkeys((*OPTIONAL, "Berater_E-Mail"), "") | {"Anrede": "3"},
    "man": {"Anrede": "1", "Titel": "", "Vorname": "Ole", "Nachname": "Muster"},
    "woman": {"Titel": "", "Vorname": "Maja", "Nachname": "Öztürk"},
    "neutral": {"Anrede": "3", "Titel": "Prof. Dr.", "Vorname": "Kim", "Nachname": "Muster-Beispiel"},
    "firm": {"Anrede": "4", "Titel": "", "Vorname": "", "Nachname": "", "Firma": "Muster & Söhne OHG"},
    "long": dict.fromkeys((*OPTIONAL, "Berater_E-Mail"), _LONG_WORD)
    | {"Anrede": "1", "Berater_E_Mail": "", "Berater_E-Mail": f"{_LONG_WORD.lower()}@bank.example"},
}
"""What is different about each of them from `sample_person`, by name."""


def sample_person(
    institute: Institute, address: str = "joerdis@kunde.example", occasion: str = "MCAG002", kind: str = ""
) -> dict[str, str]:
    """An invented person with the fields of a delivery; the advisor has an address of this bank.

    `kind`: one of `PEOPLE`; none: somebody of whom most is known.
    """
    known = {
        REFERENCE: "R0004711-000001-00001",
        "Personennummer": "0001234567",
        "Anlass_Code": occasion,
        "Anlass_Datum": "24.11.2026",
        "Anlass_Wert": "50",
        "Anrede": "2",
        "Titel": "Dr.",
        "Vorname": "Jördis",
        "Nachname": "Beispiel-Müßig",
        ADDRESS: address,
        "Geschaeftsstelle": "Filiale Marktplatz",
        "Berater_Nr": "B0042",
        "Berater_Absendername": "Ole Muster",
        "Berater_E-Mail": f"ole.muster@{institute.sender.domains[0]}",
        "Berater_Telefon": "+49 99 000000",
    }
    return known | {field: value for field, value in PEOPLE.get(kind, {}).items() if field in FIELDS}
