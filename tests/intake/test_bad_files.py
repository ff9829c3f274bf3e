"""Bad deliveries in the inbox of a bank: each with the exact receipt that its sender gets (rules 1, 8 and 9 of 9.17).

The files of one test lie in the inbox at once, each of an order of its own; one scan and the gate judge them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from reku.store import tables
from tests import world
from tests.intake.bad_files import FILES, PACKED
from tests.intake.bad_rows import BAD_ADDRESSES, GOOD_ADDRESSES, IAMW, ONE_ADDRESS, REKU, Row
from tests.intake.broken import Line, configure, delivery, delivery_name, judge_all, outcome, receipt_of
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
    rejected = [
        (str(row.line), row.reference, row.field, row.code, row.advice) for row in bank.rows(tables.rejects)
    ]
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
