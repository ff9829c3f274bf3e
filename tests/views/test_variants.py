"""Variants against one another: counts, intervals, and when nothing may be said."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import DeliveryState, MessageState
from reku.views.variants import Interval, VariantRow, comparisons, difference, variant_rows, wilson
from reku_testing import world

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def rounded(interval: Interval) -> tuple[float, float]:
    return round(interval.low, 4), round(interval.high, 4)


def test_intervals_are_those_of_the_literature() -> None:
    """Newcombe, Statistics in Medicine 17 (1998): table I (81 of 263, 0 of 20), and II (56 of 70 against 48 of 80)."""
    assert rounded(wilson(81, 263)) == (0.2553, 0.3662)
    assert rounded(wilson(0, 20)) == (0.0, 0.1611)
    assert wilson(0, 0) == (0.0, 1.0)
    assert rounded(difference((56, 70), (48, 80))) == (0.0524, 0.3339)
    assert rounded(difference((0, 10), (0, 10))) == (-0.2775, 0.2775)


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ((300, 50), (200, 48), "opened: A is ahead of B by at least"),
        ((200, 50), (300, 48), "opened: B is ahead of A by at least"),
        ((30, 5), (29, 5), "opened: the difference between A and B may be chance."),
        ((0, 0), (0, 0), "clicked: the difference between A and B may be chance."),
    ],
)
def test_what_may_be_said(one: tuple[int, int], other: tuple[int, int], said: str) -> None:
    rows = [VariantRow("99950001", "R1", name, 1100, 1000, *counts) for name, counts in (("A", one), ("B", other))]
    assert said in comparisons(rows)["99950001", "R1"]


def test_three_at_once_need_more_than_two() -> None:
    rows = [VariantRow("99950001", "R1", name, 500, 500, count, 0) for name, count in (("A", 130), ("B", 100))]
    assert "A is ahead of B" in comparisons(rows)["99950001", "R1"]
    third = VariantRow("99950001", "R1", "C", 500, 500, 115, 0)
    assert "between A and B may be chance" in comparisons([*rows, third])["99950001", "R1"]


def test_people_are_counted_and_only_those_whose_opens_are(database: sa.Engine) -> None:
    delivery = world.delivery(database, world.order(database), 17, state=DeliveryState.LOADED)
    rows = world.rows(database, delivery, [world.reku_fields(place, 17) for place in range(1, 6)])
    kinds = ((True, "A"), (True, "A"), (False, "A"), (True, "B"), (True, ""))
    ids = [
        world.message(
            database, row, state=MessageState.SENT, tracking=tracking, variant=variant, person_number=f"{row}"
        )
        for row, (tracking, variant) in zip(rows, kinds, strict=True)
    ]
    with database.begin() as connection:
        opened = [Event(id_, EventKind.OPENED, AT, "") for id_ in (ids[0], ids[2], ids[4])]
        record(connection, [*opened, Event(ids[0], EventKind.CLICKED, AT, "")])
    found = variant_rows(database)
    assert [(row.variant, row.sent, row.tracked, row.opened, row.clicked) for row in found] == [
        ("A", 3, 2, 1, 1),
        ("B", 1, 1, 0, 0),
    ]
    assert variant_rows(database, order="R9") == []
