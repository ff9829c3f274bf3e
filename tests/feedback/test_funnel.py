"""The funnel: every count, and that a fault of one delivery never makes up for that of another."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
import sqlalchemy as sa
from rich.console import Console

from reku.feedback.funnel import funnel, funnel_table
from reku.store.events import Event, record
from reku.store.tables import DeliveryState, MessageState, ResponseKind, deliveries
from tests import world

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _delivery(database: sa.Engine, order: int, number: int, states: list[MessageState], **values: object) -> list[int]:
    delivery = world.delivery(database, order, number, state=DeliveryState.LOADED)
    of = [world.reku_fields(place, number) for place in range(1, len(states) + 1)]
    rows = world.rows(database, delivery, of)
    if values:
        with database.begin() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(**values))
    return [
        world.message(
            database,
            row,
            state=state,
            reason="DUBLETTE" if state is MessageState.WITHHELD else "",
            person_number=f"{number}{row}",
        )
        for row, state in zip(rows, states, strict=True)
    ]


def test_each_state_has_its_place(database: sa.Engine) -> None:
    order = world.order(database)
    _delivery(database, order, 17, list(MessageState))
    world.delivery(database, order, 18, state=DeliveryState.PARKED, rows=5)
    world.delivery(database, order, 19, state=DeliveryState.REFUSED, rows=None)
    world.delivery(database, order, 20, state=DeliveryState.VALIDATED, rows=7, accepted=6, rejected=1)
    (row,) = funnel(database)
    found = row.as_dict()
    assert {name: found[name] for name in ("not_loaded", "rows", "rejected", "accepted")} == {
        **{"not_loaded": 12, "rows": 7},
        **{"rejected": 0, "accepted": 7},
    }
    assert (found["sent"], found["withheld"], found["rejected_by_server"]) == (1, {"DUBLETTE": 1}, 1)
    assert (found["not_in_time"], found["in_doubt"], found["open"]) == (1, 1, 2)
    assert row.adds_up


def test_a_declined_delivery_is_in_the_ledger(database: sa.Engine) -> None:
    order = world.order(database)
    declined = world.delivery(database, order, 17, state=DeliveryState.DECLINED)
    one, two = world.rows(database, declined, [world.reku_fields(n) for n in (1, 2)])
    world.message(database, one, state=MessageState.WITHHELD, reason="FREIGABE_VERWEIGERT")
    (row,) = funnel(database)
    assert (row.rows, row.accepted, row.not_loaded, row.adds_up) == (2, 2, 0, False)
    world.message(database, two, state=MessageState.WITHHELD, reason="FREIGABE_VERWEIGERT")
    (row,) = funnel(database)
    assert row.reasons == {"FREIGABE_VERWEIGERT": 2}
    assert row.adds_up


def test_responses_are_counted_by_people(database: sa.Engine) -> None:
    one, two = _delivery(database, world.order(database), 17, [MessageState.SENT] * 2)
    with database.begin() as connection:
        record(
            connection,
            [
                Event(one, ResponseKind.OEFF, AT),
                Event(one, ResponseKind.OEFF, AT.replace(hour=11)),
                Event(two, ResponseKind.OEFF, AT),
                Event(one, ResponseKind.KLIC, AT, link_number=1),
                Event(one, ResponseKind.KLIC, AT, link_number=2),
                Event(two, ResponseKind.HBOU, AT),
            ],
        )
    found = funnel(database)[0].as_dict()
    assert [found[name] for name in ("opened", "clicked", "unsubscribed", "hard", "soft")] == [2, 1, 0, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        {"rows": 3},
        {"accepted": 3, "rows": 3},
        {"accepted": 1, "rejected": 1},
        {"accepted": None},
    ],
)
def test_a_delivery_that_does_not_add_up(database: sa.Engine, values: dict[str, int | None]) -> None:
    order = world.order(database)
    _delivery(database, order, 17, [MessageState.SENT] * 2)
    assert funnel(database)[0].adds_up
    _delivery(database, order, 18, [MessageState.SENT] * 2, **values)
    assert not funnel(database)[0].adds_up


def test_faults_of_two_deliveries_do_not_make_up_for_each_other(database: sa.Engine) -> None:
    order = world.order(database)
    _delivery(database, order, 17, [MessageState.SENT] * 2, accepted=1, rows=1)
    _delivery(database, order, 18, [MessageState.SENT] * 2, accepted=3, rows=3)
    (row,) = funnel(database)
    assert (row.rows, row.accepted, row.state(MessageState.SENT), row.adds_up) == (4, 4, 4, False)


def test_orders_of_two_banks_with_one_number_are_two(database: sa.Engine) -> None:
    _delivery(database, world.order(database), 17, [MessageState.SENT])
    _delivery(database, world.order(database, institute="99950002"), 17, [MessageState.OPEN] * 2)
    assert [(row.institute, row.rows, row.state(MessageState.SENT)) for row in funnel(database)] == [
        (world.BLZ, 1, 1),
        ("99950002", 2, 0),
    ]


def test_a_delivery_parked_without_an_order_is_there(database: sa.Engine) -> None:
    order = world.order(database)
    parked = world.delivery(database, order, 1, state=DeliveryState.PARKED, rows=4)
    with database.begin() as connection:
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == parked).values(order_id=None, order_number="R0009999")
        )
    (row,) = funnel(database)
    assert (row.order_number, row.name, row.not_loaded, row.rows, row.adds_up) == ("R0009999", "", 4, 0, True)


def test_the_table_fits_eighty_columns(database: sa.Engine) -> None:
    _delivery(database, world.order(database, name="N" * 30), 17, list(MessageState), rows=123456)
    output = StringIO()
    Console(file=output, width=80).print(funnel_table(funnel(database)))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = output.getvalue()
    for piece in ("123456 rows", "1 sent", "2 open", "1 in doubt", "1 rejected by server", "1 DUBLETTE", "NO"):
        assert piece in text
