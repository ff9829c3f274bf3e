"""Rows of deliveries, good and bad, and what the gate must say of each (9.3, 9.4, 9.15)."""

from __future__ import annotations

Row = tuple[dict[str, str], tuple[str, str, str] | None]
"""What differs from a good row; field, code and the whole Hinweis of its line in the receipt, or None if it is good."""

EMPTY = "Pflichtfeld füllen"
DAY = "Datum als TT.MM.JJJJ angeben"
SALUTATION = "Anrede: einen erlaubten Wert angeben: 1, 2, 3, 4"
FLAG = "J oder N angeben"
CATALOGUE = "Anlass_Code: Anlass_Code aus dem Katalog verwenden, z. B. MCAG002"
OF_ORDER = "Anlass_Code: Anlass_Code des Auftrags verwenden"
ONE_ADDRESS = ("EMail", "ADRESSE", "EMail: genau eine gültige Mailadresse angeben")
MEDIUM = "Content_Schluessel: Schlüssel eines vorhandenen Werbemittels angeben"


def _empty(field: str) -> tuple[str, str, str]:
    return field, "PFLICHTFELD", f"{field}: {EMPTY}"


def _long(field: str, most: int) -> tuple[str, str, str]:
    return field, "LAENGE", f"{field}: höchstens {most} Zeichen verwenden"


def _day(field: str) -> tuple[str, str, str]:
    return field, "FORMAT", f"{field}: {DAY}"


REKU: dict[str, Row] = {
    "good": ({}, None),
    "all optional values empty": (dict.fromkeys(("Titel", "Vorname", "Tracking_Einwilligung"), ""), None),
    # Mandatory values
    "no reference": ({"Referenz": ""}, _empty("Referenz")),
    "blank reference": ({"Referenz": "   "}, _empty("Referenz")),
    "no person": ({"Personennummer": ""}, _empty("Personennummer")),
    "no occasion": ({"Anlass_Code": ""}, _empty("Anlass_Code")),
    "no date": ({"Anlass_Datum": ""}, _empty("Anlass_Datum")),
    "no salutation": ({"Anrede": ""}, _empty("Anrede")),
    "no address": ({"EMail": ""}, _empty("EMail")),
    "no consent either way": ({"Einwilligung_EMail": ""}, _empty("Einwilligung_EMail")),
    "no last name": (
        {"Nachname": ""},
        ("Nachname", "PFLICHTFELD", "Nachname: Pflichtfeld füllen, wenn Anrede = 1 oder 2 oder 3"),
    ),
    # Lengths
    "reference of 40": ({"Referenz": "R" * 40}, None),
    "reference of 41": ({"Referenz": "S" * 41}, _long("Referenz", 40)),
    "person of 21": ({"Personennummer": "0" * 21}, _long("Personennummer", 20)),
    "title of 31": ({"Titel": "Dr. " * 7 + "Dr."}, _long("Titel", 30)),
    "last name of 60 umlauts": ({"Nachname": "Ü" * 60}, None),
    "last name of 61": ({"Nachname": "Ü" * 61}, _long("Nachname", 60)),
    "salutation line of 121": ({"Briefanrede": "x" * 121}, _long("Briefanrede", 120)),
    "forty thousand characters": ({"Produkt_Text": "x" * 40_000}, _long("Produkt_Text", 60)),
    # Keys
    "a reference that stood before": (
        {"Referenz": "R" * 40},
        ("Referenz", "DUBLETTE", "Referenz: jeden Wert nur in einem Satz verwenden"),
    ),
    "the same person again": ({"Personennummer": "0000000001"}, None),
    # The occasion
    "another occasion": ({"Anlass_Code": "MCAG003"}, ("Anlass_Code", "ANLASS_ABWEICHEND", OF_ORDER)),
    "occasion in lower case": ({"Anlass_Code": "mcag002"}, ("Anlass_Code", "ANLASS_UNBEKANNT", CATALOGUE)),
    "occasion with a letter too many": ({"Anlass_Code": "MCAG002X"}, _long("Anlass_Code", 7)),
    # Days
    "30 February": ({"Anlass_Datum": "30.02.2026"}, _day("Anlass_Datum")),
    "29 February of no leap year": ({"Anlass_Datum": "29.02.2027"}, _day("Anlass_Datum")),
    "two-digit year": ({"Anlass_Datum": "24.11.26"}, _day("Anlass_Datum")),
    "ISO day": ({"Anlass_Datum": "2026-11-24"}, _day("Anlass_Datum")),
    "American day": ({"Anlass_Datum": "11/24/2026"}, _day("Anlass_Datum")),
    "day without zeros": ({"Anlass_Datum": "1.12.2026"}, _day("Anlass_Datum")),
    "blank behind the day": ({"Anlass_Datum": "24.11.2026 "}, _day("Anlass_Datum")),
    "day 0": ({"Anlass_Datum": "00.00.0000"}, _day("Anlass_Datum")),
    "day in other digits": ({"Anlass_Datum": "٢٤.11.2026"}, _day("Anlass_Datum")),
    # Closed sets of values
    "salutation 5": ({"Anrede": "5"}, ("Anrede", "WERT", SALUTATION)),
    "salutation in words": ({"Anrede": "Frau"}, ("Anrede", "WERT", SALUTATION)),
    "blank before the salutation": ({"Anrede": " 2"}, ("Anrede", "WERT", SALUTATION)),
    "consent 1": ({"Einwilligung_EMail": "1"}, ("Einwilligung_EMail", "WERT", f"Einwilligung_EMail: {FLAG}")),
    "consent j": ({"Einwilligung_EMail": "j"}, ("Einwilligung_EMail", "WERT", f"Einwilligung_EMail: {FLAG}")),
    "consent N": ({"Einwilligung_EMail": "N"}, None),
    "tracking ja": (
        {"Tracking_Einwilligung": "ja"},
        ("Tracking_Einwilligung", "WERT", f"Tracking_Einwilligung: {FLAG}"),
    ),
    # Several faults in one row: one line, named by the first
    "three faults": (
        {"Anlass_Datum": "morgen", "EMail": "keine", "Nachname": " "},
        (
            "Anlass_Datum",
            "FORMAT",
            f"Anlass_Datum: {DAY}; Nachname: Pflichtfeld füllen, wenn Anrede = 1 oder 2 oder 3; {ONE_ADDRESS[2]}",
        ),
    ),
    "more faults than words have room for": (
        {
            "Personennummer": "",
            "Anlass_Datum": "",
            "Anrede": "x",
            "EMail": "x",
            "Einwilligung_EMail": "x",
            "Titel": "x" * 99,
        }
        | {"Vorname": "x" * 99, "Firma": "x" * 99, "Produkt_Text": "x" * 99},
        (
            "Personennummer",
            "PFLICHTFELD",
            "Personennummer PFLICHTFELD, Anlass_Datum PFLICHTFELD, Anrede WERT, Titel LAENGE, Vorname LAENGE, "
            "Firma LAENGE, EMail ADRESSE, Einwilligung_EMail WERT, Produkt_Text LAENGE",
        ),
    ),
    # An advisor's bad address costs the advisor's name, not the person's mail (docs/domain.md, rule 13)
    "advisor without a good address": ({"Berater_E-Mail": "ole"}, None),
}

IAMW: dict[str, Row] = {
    "good": ({}, None),
    "firm": ({"Anrede": "4", "Nachname": "", "Firma": "Muster GmbH"}, None),
    "firm without its name": (
        {"Anrede": "4", "Nachname": ""},
        ("Firma", "PFLICHTFELD", "Firma: Pflichtfeld füllen, wenn Anrede = 4"),
    ),
    "person without a name": (
        {"Nachname": "", "Firma": "Muster GmbH"},
        ("Nachname", "PFLICHTFELD", "Nachname: Pflichtfeld füllen, wenn Anrede = 1 oder 2 oder 3"),
    ),
    "another approach": (
        {"Ansprache_Nr": "I0000816"},
        ("Ansprache_Nr", "WIDERSPRUCH", "Ansprache_Nr: Wert des Kopfsatzes V verwenden"),
    ),
    "no occasion": ({"Anlass_Code": ""}, None),
    "another occasion": (
        {"Anlass_Code": "MCAC110"},
        ("Anlass_Code", "ANLASS_ABWEICHEND", "Anlass_Code: Anlass_Code der Ansprache verwenden oder leer lassen"),
    ),
    "priority 9": ({"Prioritaet": "9"}, None),
    "priority 10": ({"Prioritaet": "10"}, ("Prioritaet", "WERT", "Prioritaet: Zahl ab 1 bis 9 angeben")),
    "priority of a decimal": ({"Prioritaet": "1,5"}, ("Prioritaet", "FORMAT", "Prioritaet: ganze Zahl angeben")),
    "end on 31 November": ({"Gueltig_bis": "31.11.2026"}, _day("Gueltig_bis")),
    "a medium that nobody has": ({"Content_Schluessel": "SCOM_GIBT_ES_NICHT"}, ("Content_Schluessel", "WERT", MEDIUM)),
    "a medium in lower case": (
        {"Content_Schluessel": "scom_neues_girokonto"},
        ("Content_Schluessel", "FORMAT", "Content_Schluessel: wie SCOM_NEUES_GIROKONTO schreiben"),
    ),
    "a medium that there is": ({"Content_Schluessel": "SCOM_NEUES_GIROKONTO"}, None),
}

GOOD_ADDRESSES = [
    "a@kunde.example",
    "anna+bank@kunde.example",
    "anna.o'neill@kunde.example",
    "ANNA@KUNDE.EXAMPLE",
    "x" * 64 + "@kunde.example",
    "anna@müller.example",
    "anna@xn--mller-kva.example",
    "anna@straße.example",
    "jördis@kunde.example",
    "a/b%c!d@kunde.example",
    " anna@kunde.example ",
    # Well written, but no mail reaches it from outside: it goes on, and is withheld when the list is loaded
    "anna@kunde",
    "anna@1.2.3.4",
]
BAD_ADDRESSES = [
    "anna",
    "anna@",
    "@kunde.example",
    "anna@@kunde.example",
    "anna@post@kunde.example",
    "anna@kunde.example,otto@kunde.example",
    "anna@kunde.example;otto@kunde.example",
    "anna otto@kunde.example",
    "anna@kunde .example",
    "anna.@kunde.example",
    ".anna@kunde.example",
    "an..na@kunde.example",
    "anna@kunde.example.",
    "anna@.kunde.example",
    "anna@kunde..example",
    "anna@localhost",
    "anna@kunde.invalid",
    "anna@-kunde.example",
    "anna@kunde-.example",
    "anna@kun_de.example",
    "x" * 65 + "@kunde.example",
    "anna@" + "x" * 64 + ".example",
    "anna@xn--.example",
    "anna@xn--a.example",
    "anna@\N{PILE OF POO}.example",
    "anna@kunde.example\N{ZERO WIDTH SPACE}",
    "an\N{RIGHT-TO-LEFT OVERRIDE}na@kunde.example",
    '"anna otto"@kunde.example',
    '"anna"@kunde.example',
    "anna(Chefin)@kunde.example",
    "anna@(bank)kunde.example",
    "Anna <anna@kunde.example>",
    "<anna@kunde.example>",
    "mailto:anna@kunde.example",
    "anna@[127.0.0.1]",
    "anna@kunde.example?subject=x",
    "keine",
    "-",
]
