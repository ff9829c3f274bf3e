"""Bad deliveries in the inbox of a bank: each with the exact receipt that its sender gets (rules 1, 8 and 9 of 9.17).

The files of one test lie in the inbox at once, each of an order of its own; one scan and the gate judge them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.store import tables
from tests import world
from tests.intake.bad_files import FILES, PACKED
from tests.intake.broken import configure, delivery, delivery_name, judge_all, outcome
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
