"""What media say to whom: birthdays by age, maturities by the days that are left."""

from __future__ import annotations

import quopri
from datetime import UTC, date, datetime

import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import compile_medium
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.placeholders import days_left

pytestmark = pytest.mark.usefixtures("reku_settings")

BLZ = "99990001"
BIRTHDAYS = ("LBS_GEBURTSTAG", "SCOM_GEBURTSTAG", "SV_WEITERDENKERBU")
MATURITIES = (
    "DEKA_VERMOEGENSWIRKSAME_LEISTUNGEN_LETZTE_RATE",
    "LBS_AUSLAUF_ZINSBINDUNG_UND_BAUSPARVERTRAG",
    "LBS_LETZTE_RATE_BAUSPARDARLEHEN",
    "LBS_LETZTE_RATE_SPARPLAN",
    "SKP_LAUFZEITENDE_SKP_KREDIT",
    "VOEV_WOHNGEBAEUDE",
)


def texts(medium: str, **fields: str) -> tuple[str, str]:
    """Text and HTML for a person, which what is sent holds as well."""
    compiled = compile_medium(media()[medium], institutes()[BLZ])
    person = sample_person(institutes()[BLZ]) | fields
    links = {"links": compiled.links, "unsubscribe": "https://abmelden.example/u/token"}
    shown = compiled.render(person, **links)
    bodies = compiled.bodies(compiled.values(person, **links))
    sent = [quopri.decodestring(part.encode()).decode().replace("\r\n", "\n") for part in bodies]
    assert sent == [shown.text, shown.html]
    return shown.text, shown.html


@pytest.mark.parametrize("medium", BIRTHDAYS)
def test_a_birthday_speaks_by_age(medium: str) -> None:
    ages = ("18", "30", "50") if medium == "SV_WEITERDENKERBU" else ("18", "30", "50", "65", "80", "100")
    said = {age: texts(medium, Anlass_Wert=age)[0].split("\n\n")[2] for age in (*ages, "60", "75", "43")}
    assert len(set(said.values())) == len(said)
    for same in (("60", "20"), ("60", "90"), ("75", "25"), ("75", "95"), ("43", "81"), ("43", "")):
        assert texts(medium, Anlass_Wert=same[1])[0].split("\n\n")[2] == said[same[0]]
    headlines = {age: texts(medium, Anlass_Wert=age)[1].partition("<h1")[2].partition("</h1>")[0] for age in said}
    assert len(set(headlines.values())) == len(said)


@pytest.mark.parametrize("medium", MATURITIES)
def test_a_maturity_names_the_days_left(medium: str, clock_at) -> None:
    clock_at(datetime(2026, 11, 24, 8, 0, tzinfo=UTC))
    for day, left in (("08.01.2027", "in 45 Tagen"), ("25.11.2026", "morgen"), ("24.11.2026", "heute")):
        for part in texts(medium, Anlass_Datum=day):
            assert left in part
            assert day in part
    for part in texts(medium, Anlass_Datum="23.11.2026"):
        assert " Tagen" not in part


@pytest.mark.parametrize(
    ("medium", "before", "after"),
    [
        (MATURITIES[0], "wird die letzte Rate", "wurde die letzte Rate"),
        (MATURITIES[2], "zahlen Sie die letzte Rate", "haben Sie die letzte Rate für Ihr Bauspardarlehen gezahlt."),
        (MATURITIES[3], "wird die letzte Rate", "war die letzte Rate für Ihren Sparplan fällig."),
        (MATURITIES[4], "endet die Laufzeit", "endete die Laufzeit für Ihren Kredit. Jetzt ist alles zurückgezahlt"),
        (MATURITIES[5], "zahlen Sie die letzte Rate", "haben Sie die letzte Rate Ihres Bauspardarlehens gezahlt."),
    ],
)
def test_a_last_rate_after_its_day_is_told_as_past(medium: str, before: str, after: str, clock_at) -> None:
    clock_at(datetime(2026, 11, 24, 8, 0, tzinfo=UTC))
    for day, said, unsaid in (("24.11.2026", before, after), ("23.11.2026", after, before)):
        for part in texts(medium, Anlass_Datum=day):
            assert said in part
            assert unsaid not in part


@pytest.mark.parametrize(
    ("day", "words"),
    [
        ("24.11.2026", "heute"),
        ("25.11.2026", "morgen"),
        ("26.11.2026", "in 2 Tagen"),
        ("24.11.2027", "in 365 Tagen"),
        ("23.11.2026", ""),
        ("31.02.2027", ""),
        ("2027-02-20", ""),
        ("", ""),
    ],
)
def test_days_left_in_words(day: str, words: str) -> None:
    assert days_left(day, date(2026, 11, 24)) == words
