"""Bad deliveries in the inbox of a bank: each with the exact receipt that its sender gets (rules 1, 8 and 9 of 9.17).

The files of one test lie in the inbox at once, each of an order of its own; one scan and the gate judge them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from reku.store import tables
from tests import world
from tests.intake.bad_files import AGAIN, COUNT, FILES, PACKED
from tests.intake.bad_rows import BAD_ADDRESSES, GOOD_ADDRESSES, IAMW, ONE_ADDRESS, REKU, SALUTATION, Row
from tests.intake.broken import (
    MADE,
    Damage,
    Line,
    Verdict,
    accepted,
    after,
    configure,
    delivery,
    delivery_name,
    duplicate,
    judge_all,
    outcome,
    receipt_of,
    refused,
    swap,
)
from tests.intake.conftest import Bank


@pytest.fixture
def inbox(bank: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bank:
    """The bank with shipped contracts and rules, and small limits."""
    configure(monkeypatch, tmp_path / "config")
    return bank


def test_every_broken_delivery_is_answered_with_its_exact_receipt(inbox: Bank, subtests: pytest.Subtests) -> None:
    cases = [(what, ".csv", *case) for what, case in FILES.items()]
    cases += [(what, ".csv.gz", *case) for what, case in PACKED.items()]
    arrived = []
    for number, (what, end, damage, verdict) in enumerate(cases, 1):
        order = f"R{number:07d}"
        world.order(inbox.engine, order)
        data = damage(delivery(order))
        arrived.append((what, inbox.put(delivery_name(order, end=end), data), data, verdict))
    orders = inbox.rows(tables.orders)
    inbox.scan()
    judge_all(inbox.engine)
    assert inbox.names("eingang") == inbox.names("in_arbeit") == inbox.names("geparkt") == []
    assert inbox.rows(tables.orders) == orders, "a delivery changes no order"
    assert inbox.rows(tables.lists) == inbox.rows(tables.control_files) == inbox.rows(tables.rejects) == []
    for what, name, data, verdict in arrived:
        with subtests.test(what):
            assert outcome(inbox, name, data) == verdict


def _receipt_of_rows(order: str, rows: Sequence[Row], listed: Sequence[Mapping[str, str]]) -> tuple[Line, ...]:
    """The receipt that a delivery of these rows must get, whose values are `listed`."""
    bad = [
        ("SATZ", "ABGELEHNT", str(line), values["Referenz"][:40], *expected)
        for line, ((_, expected), values) in enumerate(zip(rows, listed, strict=True), 3)
        if expected is not None
    ]
    what = f"{len(bad)} von {len(rows)} Zeilen abgelehnt, die übrigen sind angenommen"
    return (("DATEI", "OK_MIT_WARNUNG", "", "", "", bad[0][5], what), *bad)  # type: ignore[return-value]  # all of seven


def _addresses() -> list[Row]:
    good: list[Row] = [({"EMail": address}, None) for address in GOOD_ADDRESSES]
    return good + [({"EMail": address}, ONE_ADDRESS) for address in BAD_ADDRESSES]


@pytest.mark.parametrize(
    ("kind", "occasion", "rows"),
    [
        ("REKU", "MCAG002", list(REKU.values())),
        ("IAMW", "MCAC120", list(IAMW.values())),
        ("REKU", "MCAG002", _addresses()),
    ],
    ids=["ReKu", "IAM.w", "addresses"],
)
def test_every_bad_row_goes_back_once_with_all_its_faults_and_no_further(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, occasion: str, rows: list[Row]
) -> None:
    order = "R0000001"
    configure(monkeypatch, tmp_path / "config", orders={order: {"max_reject_share": 1.0}})
    world.order(bank.engine, order, interface=kind, occasion=occasion)
    fields = world.reku_fields if kind == "REKU" else world.iamw_fields
    listed = [fields(number, 17, order, **changes) for number, (changes, _) in enumerate(rows, 1)]
    name = bank.put(delivery_name(order, kind=kind), delivery(order, listed, kind=kind))
    bank.scan()
    judge_all(bank.engine)
    expected = _receipt_of_rows(order, rows, listed)
    assert receipt_of(bank, name) == expected
    bad = {int(line[2]) for line in expected[1:]}
    good = {number: values for number, values in enumerate(listed, 3) if number not in bad}
    assert {row.line: row.reference for row in bank.rows(tables.delivery_rows)} == {
        number: values["Referenz"] for number, values in good.items()
    }
    rejected = [(str(row.line), row.reference, row.field, row.code, row.advice) for row in bank.rows(tables.rejects)]
    assert rejected == [line[2:] for line in expected[1:]], "each bad row stands in `rejects` once"
    (judged,) = bank.rows(tables.deliveries)
    assert (judged.state, judged.rows, judged.accepted, judged.rejected) == (
        "VALIDATED",
        len(rows),
        len(good),
        len(bad),
    )
    for values in BAD_ADDRESSES[3:]:
        assert values not in bank.folder("ausgang", f"quittung_{name}").read_text(encoding="utf-8").split(";")


@dataclass(frozen=True)
class Step:
    """A delivery in one scan: its number, what is wrong with it, and its verdict. `hours` later it was made anew."""

    verdict: Verdict
    number: int = 17
    damage: Damage = bytes
    rows: int = 2
    hours: int = 0


WRONG_COUNT = after(b"\r\nN;2;", b"\r\nN;3;")
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
    "the same again": [Step(accepted(2)), Step(duplicate()), Step(duplicate())],
    "other content under its number": [Step(accepted(2)), Step(TAKEN, rows=3), Step(duplicate())],
    "the same people made anew": [Step(accepted(2)), Step(TAKEN, hours=1)],
    "a gap, and the missing one late": [
        Step(accepted(2)),
        Step(accepted(2, "NUMMERNLUECKE"), number=20),
        Step(accepted(2), number=18),
    ],
    "a corrected file in the place of a refused one": [
        Step(COUNTED, damage=WRONG_COUNT),
        Step(accepted(2), hours=1),
        Step(duplicate(), hours=1),
    ],
    "a corrected file after the gate refused": [
        Step(TOO_MANY, damage=swap(";50;2;", ";50;7;")),
        Step(accepted(2), hours=1),
    ],
    "refused twice": [Step(COUNTED, damage=WRONG_COUNT), Step(COUNTED, damage=WRONG_COUNT)],
    "a broken one after the good one": [
        Step(accepted(2)),
        Step(SUM_WRONG, damage=after(b"Beispiel", b"beispiel"), hours=1),
        Step(duplicate()),
    ],
    "a refused one leaves no gap behind it": [
        Step(COUNTED, damage=WRONG_COUNT),
        Step(accepted(2), number=18),
        Step(accepted(2), hours=1),
    ],
}


def test_numbers_used_again_left_out_or_corrected(inbox: Bank, subtests: pytest.Subtests) -> None:
    for number in range(1, len(NUMBERS) + 1):
        world.order(inbox.engine, f"R{number:07d}")
    for wave in range(max(map(len, NUMBERS.values()))):
        arrived = []
        for number, (what, steps) in enumerate(NUMBERS.items(), 1):
            if wave < len(steps):
                order, step = f"R{number:07d}", steps[wave]
                made = MADE + timedelta(hours=step.hours)
                data = step.damage(delivery(order, step.rows, step.number, made=made))
                name = inbox.put(delivery_name(order, step.number, made=made), data)
                arrived.append((what, order, name, data, step.verdict))
        inbox.scan()
        judge_all(inbox.engine)
        for what, order, name, data, verdict in arrived:
            with subtests.test(f"{what}, file {wave + 1}"):
                assert outcome(inbox, name, data) == replace(verdict, receipt=_of(order, verdict.receipt))


def _of(order: str, receipt: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple((*line[:3], line[3].format(order=order), *line[4:]) for line in receipt)
