"""Rows of one delivery that contradict each other about consent: the no holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from reku.store.states import DeliveryState
from reku.store.tables import messages
from reku.subscribers.load import load
from reku_testing import world

J, N, UNKNOWN = "J", "N", ""
OTHER = "arbeit@kunde.example"

# person, address, consent to mails, consent to tracking; whether each may be mailed and tracked
Row = tuple[int, str, str, str]
CASES: dict[str, tuple[list[Row], list[tuple[bool, bool]]]] = {
    "agreed": ([(1, "", J, J), (1, "", J, J)], [(True, True), (True, True)]),
    "no first": ([(1, "", N, J), (1, "", J, J)], [(False, True), (False, True)]),
    "no last": ([(1, "", J, J), (1, "", N, J)], [(False, True), (False, True)]),
    "unknown is no yes": ([(1, "", J, J), (1, "", UNKNOWN, J)], [(False, True), (False, True)]),
    "about tracking": ([(1, "", J, J), (1, "", J, N)], [(True, False), (True, False)]),
    "about both, in different rows": ([(1, "", J, N), (1, "", N, J)], [(False, False), (False, False)]),
    "one of three": ([(1, "", J, J), (1, "", J, J), (1, "", N, J)], [(False, True)] * 3),
    "two addresses": ([(1, "", J, J), (1, OTHER, N, N)], [(True, True), (False, False)]),
    "two people": ([(1, "", J, J), (2, "person1@kunde.example", N, N)], [(True, True), (False, False)]),
    "another spelling": ([(1, "", J, J), (1, "PERSON1@Kunde.Example", N, J)], [(False, True), (False, True)]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_no_holds(
    database: sa.Engine, clock_at: Callable[[datetime], None], caplog: pytest.LogCaptureFixture, case: str
) -> None:
    clock_at(datetime(2026, 11, 22, 2, 15, tzinfo=UTC))
    rows, expected = CASES[case]
    order = world.order(database)
    world.subscriber_list(database, order)
    delivered = [
        world.reku_fields(
            person,
            line,
            EMail=address or f"person{person}@kunde.example",
            Einwilligung_EMail=mail,
            Tracking_Einwilligung=track,
        )
        for line, (person, address, mail, track) in enumerate(rows, 1)
    ]
    delivery = world.delivery(database, order, 17, state=DeliveryState.RELEASED)
    world.rows(database, delivery, delivered)
    with caplog.at_level(logging.WARNING):
        load(database, delivery)
    with database.connect() as connection:
        of = messages.c
        found = connection.execute(sa.select(of.consent, of.tracking).order_by(of.id)).all()
    assert [tuple(row) for row in found] == expected
    said = [(mail == J, track == J) for _, _, mail, track in rows]
    lost = sum(before != after for before, after in zip(said, expected, strict=True))
    told = [record.getMessage() for record in caplog.records]
    assert any(f"{lost} rows say yes" in text for text in told) == (lost > 0)
    assert not any("kunde.example" in text or "0000000001" in text for text in told)
