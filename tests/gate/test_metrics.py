"""The metrics of a delivery, measured in the database from what the gate accepted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from reku.gate.metrics import measure
from reku.store.states import DeliveryState
from reku.store.tables import metrics
from reku_testing import world

DOMAINS = ("kunde.example", "neu.example")


def _measured(engine: sa.Engine, delivery: int) -> dict[str, float]:
    with engine.begin() as connection:
        measure(connection, delivery)
        rows = connection.execute(
            sa.select(metrics.c.name, metrics.c.value).where(metrics.c.delivery_id == delivery)
        ).all()
    return dict(map(tuple, rows))


def _person(number: int, **changes: str) -> dict[str, str]:
    return world.reku_fields(number, **changes)


def _deliver(
    engine: sa.Engine,
    order: int,
    number: int,
    people: list[dict[str, str]],
    state: str = "VALIDATED",
    rejected: int = 0,
) -> int:
    new = world.delivery(engine, order, number, state=state)
    world.rows(engine, new, [one | {"Referenz": f"{number}-{at}"} for at, one in enumerate(people)])
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE reku.deliveries SET rows = rows + :n, rejected = :n WHERE id = :id"),
            {"n": rejected, "id": new},
        )
    return new


def _subscriber(engine: sa.Engine, of_list: int, address: str, institute: str = world.BLZ) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO reku.subscribers (institute, list_id, person_number, address, fields, delivery_number,"
                " updated_at) VALUES (:institute, :list, :address, :address, '{}', 1, now())"
            ),
            {"institute": institute, "list": of_list, "address": address},
        )


def test_counts_and_shares(database: sa.Engine) -> None:
    people = [
        _person(1, Anrede="1"),
        _person(2, Anrede="2"),
        _person(3, Anrede="2", Einwilligung_EMail="N"),
        _person(4, Anrede="4", Einwilligung_EMail="N"),
    ]
    delivery = _deliver(database, world.order(database), 17, people, rejected=1)
    assert _measured(database, delivery) == {
        "rows": 5,
        "salutation_1": 0.25,
        "salutation_2": 0.5,
        "salutation_3": 0,
        "salutation_4": 0.25,
        "without_consent": 0.5,
        "unknown_domains": 1,
    }


def test_an_empty_delivery_has_nothing_but_its_rows(database: sa.Engine) -> None:
    delivery = _deliver(database, world.order(database), 17, [])
    assert _measured(database, delivery) == {"rows": 0}


def test_domains_are_known_by_any_list_of_the_same_institute_in_whatever_case(database: sa.Engine) -> None:
    order, other = world.order(database), world.order(database, "R0000999")
    foreign = world.order(database, institute="99950002")
    _subscriber(database, world.subscriber_list(database, other), "wer@Bekannt.Example")
    _subscriber(database, world.subscriber_list(database, foreign), "wer@fremd.example", "99950002")
    addresses = ("a@bekannt.example", "b@BEKANNT.example", '"c@d"@bekannt.example', "d@fremd.example", "e@neu.example")
    delivery = _deliver(database, order, 17, [_person(n, EMail=one) for n, one in enumerate(addresses)])
    assert _measured(database, delivery)["unknown_domains"] == pytest.approx(2 / 5)


def test_share_of_persons_who_were_in_the_previous_delivery(database: sa.Engine) -> None:
    order = world.order(database)
    _deliver(database, order, 1, [_person(n) for n in (1, 2, 3, 4, 9)], DeliveryState.LOADED)
    # rows, not persons: who stands in it twice counts twice
    delivery = _deliver(database, order, 2, [_person(n) for n in (3, 3, 4, 5, 6)])
    assert _measured(database, delivery)["in_previous"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("between", [DeliveryState.REFUSED, DeliveryState.DECLINED, "empty"])
def test_previous_is_the_last_that_brought_people_and_went_on(database: sa.Engine, between: str) -> None:
    order = world.order(database)
    _deliver(database, order, 1, [_person(1), _person(2)], DeliveryState.LOADED)
    if between == "empty":
        _deliver(database, order, 2, [], DeliveryState.LOADED)
    else:
        _deliver(database, order, 2, [_person(2), _person(3)], between)
    _deliver(database, order, 4, [_person(8), _person(9)], DeliveryState.LOADED)  # comes after it
    delivery = _deliver(database, order, 3, [_person(2), _person(3)])
    assert _measured(database, delivery)["in_previous"] == 0.5


def test_without_a_previous_one_or_its_rows_there_is_no_such_share(database: sa.Engine) -> None:
    order = world.order(database)
    first = _deliver(database, order, 1, [_person(1)])
    assert "in_previous" not in _measured(database, first)
    with database.begin() as connection:
        connection.execute(sa.text("DELETE FROM reku.delivery_rows"))
    assert "in_previous" not in _measured(database, _deliver(database, order, 2, [_person(1)]))
