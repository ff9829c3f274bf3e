"""Bad rows: each goes back by receipt once, with all its faults, and nowhere else (docs/domain.md, rule 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.ledger import withhold_ended
from reku.records import contracts, read
from reku.store import tables
from reku.subscribers.load import load
from reku_testing import world
from reku_testing.by_blz import export
from tests.sources.conftest import NOW, Bank, configure
from tests.sources.osplus.bad_rows import BAD_ADDRESSES, GOOD_ADDRESSES, IAMW, ONE_ADDRESS, REKU, SALUTATION, Row
from tests.sources.osplus.broken import (
    Line,
    Verdict,
    delivery,
    delivery_name,
    judge,
    outcome,
    receipt_of,
)


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
    judge(bank.engine, order)
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


LIMITS: dict[str, tuple[int, int, float | None, int | None]] = {
    "4 %": (25, 1, None, None),
    "exactly 5 %": (40, 2, None, None),
    "6 %": (50, 3, None, 2),
    "5.04 %": (119, 6, None, 5),
    "half of them, where the order allows it": (10, 5, 0.5, None),
    "one more, where the order allows half": (10, 6, 0.5, 5),
    "one in a hundred, where the order allows none": (100, 1, 0.0, 0),
    "a single bad one": (1, 1, None, 0),
}
"""Rows, bad ones, the order's own limit, and how many were allowed if the whole is refused."""


def test_rule_9_above_the_limit_of_its_order_the_whole_file_is_refused(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    orders = {f"R{number:07d}": case for number, case in enumerate(LIMITS.values(), 1)}
    own = {order: {"max_reject_share": limit} for order, (_, _, limit, _) in orders.items() if limit is not None}
    configure(monkeypatch, tmp_path / "config", orders=own)
    arrived = {}
    for order, (rows, bad, _, _) in orders.items():
        world.order(bank.engine, order)
        # The bad ones are the last, so that a limit counted too early would let them through.
        listed = [
            world.reku_fields(n, 17, order, **({"Anrede": "9"} if n > rows - bad else {})) for n in range(1, rows + 1)
        ]
        data = delivery(order, listed)
        arrived[order] = (bank.put(delivery_name(order), data), data)
    bank.scan()
    judge(bank.engine, *orders)
    for what, order in zip(LIMITS, orders, strict=True):
        rows, bad, limit, most = orders[order]
        lines: tuple[Line, ...] = tuple(
            ("SATZ", "ABGELEHNT", str(n + 2), f"{order}-000017-{n:05d}", "Anrede", "WERT", SALUTATION)
            for n in range(rows - bad + 1, rows + 1)
        )
        if most is None:
            advice = f"{bad} von {rows} Zeilen abgelehnt, die übrigen sind angenommen"
            first: Line = ("DATEI", "OK_MIT_WARNUNG", "", "", "", "WERT", advice)
            verdict = Verdict((first, *lines), "archiv/2026/11", "VALIDATED", "", rows - bad)
        else:
            allowed = f"{100 * (0.05 if limit is None else limit):.1f}".replace(".", ",")
            advice = (
                f"{bad} von {rows} Zeilen fehlerhaft, erlaubt sind {most} ({allowed} %). "
                "Häufigster Fehler: Anrede (WERT). Datei berichtigen und mit gleicher Nummer liefern"
            )
            first = ("DATEI", "ABGELEHNT", "", "", "", "FEHLERQUOTE", advice)
            verdict = Verdict((first, *lines), "fehler", "REFUSED", "FEHLERQUOTE")
        with subtests.test(what):
            assert outcome(bank, *arrived[order]) == verdict


def test_rejected_rows_are_never_reported_as_people_who_got_no_mail(inbox: Bank) -> None:
    """They go back by receipt only; those that went on are all reported, here as withheld by the order's end."""
    order = world.order(inbox.engine)
    rows = [world.reku_fields(n, **({"EMail": "keine"} if n in (3, 40) else {})) for n in range(1, 41)]
    inbox.put(delivery_name(world.ORDER), delivery(world.ORDER, rows))
    inbox.scan()
    judge(inbox.engine, world.ORDER)
    (judged,) = inbox.rows(tables.deliveries)
    world.subscriber_list(inbox.engine, order)
    with inbox.engine.begin() as connection:
        connection.execute(sa.update(tables.deliveries).values(state="RELEASED", released_at=NOW))
    load(inbox.engine, judged.id)
    with inbox.engine.begin() as connection:
        connection.execute(sa.update(tables.orders).values(ended=True))
    withhold_ended(inbox.engine, judged.id)
    reported = export(inbox.engine, inbox.blz, daily=True)
    assert reported is not None
    file = read(contracts()["RESPONSE"], (inbox.root / reported.path).read_bytes(), environment="T")
    went_on = {values["Referenz"] for values in rows} - {rows[2]["Referenz"], rows[39]["Referenz"]}
    assert {(row["Ereignis_Art"], row["Referenz"]) for row in file.as_dicts()} == {("NVER", one) for one in went_on}
    assert len(file.rows) == 38
    assert {row.reference for row in inbox.rows(tables.messages)} == went_on
    refused_lines = [line[3] for line in receipt_of(inbox, delivery_name(world.ORDER)) if line[0] == "SATZ"]
    assert refused_lines == [rows[2]["Referenz"], rows[39]["Referenz"]]
