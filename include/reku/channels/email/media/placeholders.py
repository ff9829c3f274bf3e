"""What a mail template may name: the delivered fields, the salutation, the bank, the links.

Operators read of it in docs/media.md, "Placeholders". A placeholder is a delivered field by its German name; only
`Berater_E-Mail` is written `Berater_E_Mail`, because Jinja would read the hyphen as a minus. An optional field that is
empty takes the medium's fallback.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from reku.catalogue.institute import Institute

REFERENCE, ADDRESS = "Referenz", "EMail"
"""The fields that name the row to its sender, and the mailbox."""

MANDATORY = (REFERENCE, "Personennummer", "Anlass_Datum", "Anrede", ADDRESS)
"""Delivered fields that the gate lets nobody through without."""

OPTIONAL = (
    "Anlass_Code",
    "Anlass_Wert",
    "Ansprache_Nr",
    "Berater_Absendername",
    "Berater_Bild",
    "Berater_E_Mail",
    "Berater_Nr",
    "Berater_Telefon",
    "Berater_Unterschrift",
    "Briefanrede",
    "Content_Schluessel",
    "Firma",
    "Geschaeftsstelle",
    "Gueltig_bis",
    "Impuls_ID",
    "Nachname",
    "Prioritaet",
    "Produkt_Text",
    "Titel",
    "Vorname",
)
"""Delivered fields that may be empty: a template shows them with a fallback, or inside an `if` on the same field."""

BANK = ("Bank_Name", "Bank_Impressum", "Bank_Farbe", "Bank_Farbe_Schrift", "Bank_Textfarbe", "Bank_Hintergrund")
"""Taken from the institute's file; always filled."""

DERIVED = ("briefanrede", "Betreff", "Abmelde_Link")
"""Always filled: salutation without its comma, subject, unsubscribe link."""

DAYS_LEFT = "Anlass_Frist"
"""How far off the occasion's date is, in words: `heute`, `morgen`, `in 45 Tagen`; empty once it has passed."""

MAY_BE_EMPTY = ("Vorschau", "Zaehlpixel", DAYS_LEFT)
"""The preheader, the URL of the open pixel, which is empty without tracking consent, and the days left."""

LINK = "link_"
"""`link_<name>` is the link `<name>` of the medium."""

DELIVERED_AS = {"Berater_E_Mail": "Berater_E-Mail"}
_FIELDS = {name: DELIVERED_AS.get(name, name) for name in (*MANDATORY, *OPTIONAL)}
_OF_SALUTATION = ("Briefanrede", "Anrede", "Titel", "Vorname", "Nachname")


def delivered_fields(names: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Placeholder and delivered field of all that `person_values` needs to give these names."""
    also = (*_OF_SALUTATION, "Anlass_Datum") if DAYS_LEFT in names else _OF_SALUTATION
    return tuple((name, field) for name, field in _FIELDS.items() if name in names or name in also)


def person_values(
    person: Mapping[str, str],
    fallbacks: Mapping[str, str],
    fields: Iterable[tuple[str, str]] = tuple(_FIELDS.items()),
) -> dict[str, str]:
    """Delivered placeholders of a person, trimmed; empty optional ones take their fallback, else stay empty.

    `fields`: those that a medium asks for, as `delivered_fields` has them; else all.
    """
    values = {name: (person.get(field) or "").strip() for name, field in fields}
    values["briefanrede"] = salutation(values)
    for name, fallback in fallbacks.items():
        if not values.get(name, fallback):
            values[name] = fallback
    return values


def salutation(values: Mapping[str, str]) -> str:
    """The salutation: the delivered `Briefanrede`, else built from `Anrede` (1 Herr, 2 Frau, 3 ohne, 4 Firma).

    It has no comma at its end, since templates write it.
    """
    delivered = values["Briefanrede"].rstrip(", ")
    if delivered:
        return delivered
    kind, surname = values["Anrede"], values["Nachname"]
    words: tuple[str, ...]
    if kind in ("1", "2") and surname:
        words = ("Sehr geehrter Herr" if kind == "1" else "Sehr geehrte Frau", values["Titel"], surname)
    elif kind in ("1", "2", "3") and (surname or values["Vorname"]):
        words = ("Guten Tag", values["Titel"] if surname else "", values["Vorname"], surname)
    else:
        words = ("Sehr geehrte Damen und Herren",)
    return " ".join(word for word in words if word)


@lru_cache(maxsize=1024)
def days_left(date: str, today: datetime.date) -> str:
    """What `Anlass_Frist` says for a delivered date (TT.MM.JJJJ); empty for what is none."""
    try:
        days = (datetime.datetime.strptime(date, "%d.%m.%Y").date() - today).days  # noqa: DTZ007 - a day, not a moment
    except ValueError:
        return ""
    return {0: "heute", 1: "morgen"}.get(days, f"in {days} Tagen" if days > 1 else "")


def bank_values(institute: Institute) -> dict[str, str]:
    """The bank's placeholders; the imprint keeps its lines in HTML as well."""
    lines = institute.imprint.strip().splitlines()
    return {
        "Bank_Name": institute.name,
        "Bank_Impressum": Imprint("\n".join(line.strip() for line in lines)),
        "Bank_Farbe": institute.colours.primary,
        "Bank_Farbe_Schrift": institute.colours.on_primary,
        "Bank_Textfarbe": institute.colours.text,
        "Bank_Hintergrund": institute.colours.background,
    }


class Imprint(str):
    """A text of several lines: as it is in plain text, with `<br>` where Jinja escapes for HTML."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(Markup("<br>").join(escape(line) for line in self.splitlines()))
