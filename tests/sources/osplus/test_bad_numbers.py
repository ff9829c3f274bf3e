"""Delivery numbers used again, left out or corrected: the exact receipt at every step.

Told in docs/file-contracts.md, "Numbers of deliveries".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from reku_testing import world
from tests.sources.conftest import Bank
from tests.sources.osplus.bad_files import AGAIN, COUNT
from tests.sources.osplus.bad_rows import SALUTATION
from tests.sources.osplus.broken import (
    MADE,
    WRONG_COUNT,
    Damage,
    Line,
    Verdict,
    after,
    delivery,
    delivery_name,
    duplicate,
    judge,
    outcome,
    refused,
    registered,
    swap,
)


@dataclass(frozen=True)
class Step:
    """A delivery in one scan, damaged, and its verdict; made anew so many `hours` later; `judged`: by the gate too."""

    verdict: Verdict
    number: int = 17
    damage: Damage = bytes
    rows: int = 2
    hours: int = 0
    judged: bool = False


COUNTED = refused((5, "Anzahl_D", "ANZAHL", COUNT))
SUM_WRONG = refused((5, "Pruefsumme", "PRUEFSUMME", AGAIN))
TAKEN = refused(
    (
        1,
        "Lieferungs_Nr",
        "NUMMER_VERGEBEN",
        "Die Lieferungsnummer 000017 ist mit anderem Inhalt vergeben. Neue Daten unter der nächsten freien Nummer "
        "liefern.",
    )
)
TOO_MANY = Verdict(
    (
        (
            "DATEI",
            "ABGELEHNT",
            "",
            "",
            "",
            "FEHLERQUOTE",
            "1 von 2 Zeilen fehlerhaft, erlaubt sind 0 (5,0 %). Häufigster Fehler: Anrede (WERT). "
            "Datei berichtigen und mit gleicher Nummer liefern",
        ),
        ("SATZ", "ABGELEHNT", "3", "{order}-000017-00001", "Anrede", "WERT", SALUTATION),
    ),
    "fehler",
    "REFUSED",
    "FEHLERQUOTE",
)
NUMBERS: dict[str, list[Step]] = {
    "the same again": [Step(registered()), Step(duplicate()), Step(duplicate())],
    "other content under its number": [Step(registered()), Step(TAKEN, rows=3), Step(duplicate())],
    "the same people made anew": [Step(registered()), Step(TAKEN, hours=1)],
    "a gap, and the missing one late": [
        Step(registered()),
        Step(registered("NUMMERNLUECKE"), number=20),
        Step(registered(), number=18),
    ],
    "a corrected file in the place of a refused one": [
        Step(COUNTED, damage=WRONG_COUNT),
        Step(registered(), hours=1),
        Step(duplicate(), hours=1),
    ],
    "a corrected file after the gate refused": [
        Step(TOO_MANY, judged=True, damage=swap(";50;2;", ";50;7;")),
        Step(registered(), hours=1),
    ],
    "refused twice": [Step(COUNTED, damage=WRONG_COUNT), Step(COUNTED, damage=WRONG_COUNT)],
    "a broken one after the good one": [
        Step(registered()),
        Step(SUM_WRONG, damage=after(b"Beispiel", b"beispiel"), hours=1),
        Step(duplicate()),
    ],
    "a refused one leaves no gap behind it": [
        Step(COUNTED, damage=WRONG_COUNT),
        Step(registered(), number=18),
        Step(registered(), hours=1),
    ],
}


def test_numbers_used_again_left_out_or_corrected(inbox: Bank, subtests: pytest.Subtests) -> None:
    for number in range(1, len(NUMBERS) + 1):
        world.order(inbox.engine, f"R{number:07d}")
    for wave in range(max(map(len, NUMBERS.values()))):
        arrived, judged = [], []
        for number, (what, steps) in enumerate(NUMBERS.items(), 1):
            if wave < len(steps):
                order, step = f"R{number:07d}", steps[wave]
                made = MADE + timedelta(hours=step.hours)
                data = step.damage(delivery(order, step.rows, step.number, made=made))
                name = inbox.put(delivery_name(order, step.number, made=made), data)
                arrived.append((what, order, name, data, step.verdict))
                if step.judged:
                    judged.append(order)
        inbox.scan()
        judge(inbox.engine, *judged)
        for what, order, name, data, verdict in arrived:
            with subtests.test(f"{what}, file {wave + 1}"):
                assert outcome(inbox, name, data) == replace(verdict, receipt=_of(order, verdict.receipt))


def _of(order: str, receipt: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple((*line[:3], line[3].format(order=order), *line[4:]) for line in receipt)
