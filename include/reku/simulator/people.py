"""Synthetic customers: German names with umlauts, ß and hyphens, all salutations, firms; `example` domains only."""

from __future__ import annotations

import random
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_WOMEN = _words("""
    Jördis Käthe Änne Doreen Heike Ursula Gülsen Özlem Anja Sabine Marie-Luise Anna-Lena Friederike Bärbel Svenja
    Renée Zoë Britta Claudia Edeltraud Ilse Jütte Katrin Lieselotte Mareike Nele Petra Rosemarie Silke Wiebke
""")
_MEN = _words("""
    Jörg Günter Jürgen Bernd Ole Sönke Björn Hans-Peter Karl-Heinz Kai-Uwe René André Uwe Volker Rüdiger Götz
    Mehmet Cem Fritz Heiner Ingo Jens Knut Lars Matthias Norbert Otto Philipp Ralf Thorsten
""")
_FAMILIES = _words("""
    Müßig Schröder Groß Weiß Böhm Krüger Jäger Köhler Möller Lüdemann Strauß Vogelsang Testmann Beispiel Muster
    Fößel Ährenfeld Öhlschläger Übermuth Hasenöhrl Brüggemann Thießen Kürschner Döring Preiß Vößing Lindenlaub
    Sommerfeld Winterstein Holzapfel Rübsam Dünnebier Kößler Nußbaum Stüwe Grünwald Hülsmann Nölting Quast Zobel
""")
_FIRMS = (
    "Bäckerei {} & Söhne GmbH",
    'Malermeister {} "Farbe und Form" GmbH',
    "Gärtnerei {} e. K.",
    "{} Straßenbau GmbH & Co. KG",
    "Öko-Markt {} eG",
    "Büro {}; Steuerberatung",
)
_TITLES = ("Dr.", "Prof. Dr.", "Dr. med.")
DOMAINS = ("kunde.example", "post.example", "mail.example", "familie.example", "Briefkasten.Example", "bücher.example")
_ASCII = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "é": "e", "ë": "e"}
)


@dataclass(frozen=True)
class Customer:
    """A person or firm of one bank.

    `salutation`: 1 Herr, 2 Frau, 3 without, 4 firm. `tracking`: J, N or empty, as delivered. `dead`: the mail server
    does not know the address.
    """

    institute: str
    person_number: str
    salutation: str
    title: str
    first_name: str
    last_name: str
    firm: str
    greeting: str
    address: str
    tracking: str
    dead: bool = False

    @property
    def allows_tracking(self) -> bool:
        """Whether opens and clicks may be noted by person."""
        return self.tracking == "J"


class People:
    """Makes customers, each with a person number and an address of its own. The same `dice` make the same customers."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._made = 0
        self._addresses: set[str] = set()

    def customer(self, institute: str, *, may_be_firm: bool) -> Customer:
        """The next customer of a bank."""
        self._made += 1
        kind = self._dice.random()
        salutation = "1" if kind < 0.44 else "2" if kind < 0.88 else "3" if kind < 0.93 or not may_be_firm else "4"
        family = self._dice.choice(_FAMILIES)
        if self._dice.random() < 0.12:
            family = f"{family}-{self._dice.choice(_FAMILIES)}"
        first = self._dice.choice(_MEN if salutation == "1" else _WOMEN)
        title = self._dice.choice(_TITLES) if salutation in "12" and self._dice.random() < 0.06 else ""
        firm = self._dice.choice(_FIRMS).format(family) if salutation == "4" else ""
        return Customer(
            institute=institute,
            person_number=f"{self._made:010d}",
            salutation=salutation,
            title=title,
            first_name="" if firm else first,
            last_name="" if firm else family,
            firm=firm,
            greeting=self._greeting(salutation, title, family),
            address=self._address("info" if firm else first, family),
            tracking=self._dice.choices(("J", "N", ""), (6, 3, 1))[0],
        )

    def _greeting(self, salutation: str, title: str, family: str) -> str:
        """Some core banks send the whole salutation; most rows leave it to us."""
        if salutation not in "12" or self._dice.random() > 0.2:
            return ""
        return " ".join(part for part in ("Liebe Frau" if salutation == "2" else "Lieber Herr", title, family) if part)

    def _address(self, first: str, family: str) -> str:
        local = f"{first}.{family}".translate(_ASCII).lower()
        domain = self._dice.choices(DOMAINS, (30, 30, 20, 16, 3, 1))[0]
        number = 1
        while (address := f"{local}{number if number > 1 else ''}@{domain}") in self._addresses:
            number += 1
        self._addresses.add(address)
        return address
