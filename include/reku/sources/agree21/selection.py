"""A selection is a delivery without a file: fixed rows of people whose window is open and who have no message yet."""

from __future__ import annotations

import hashlib
import logging
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes, occasions
from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Occasion
from reku.catalogue.selection import Selection
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.sources.agree21.freshness import FreshData, fresh_data
from reku.sources.agree21.impulses import note_selected, set_free
from reku.sources.agree21.kinds import Kind
from reku.sources.agree21.selected_people import Selected, selected_people
from reku.sources.agree21.selection_rows import write_rows
from reku.sources.source import Retried
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.kinds import DeliverySource
from reku.store.locks import Lock, lock_until_commit
from reku.store.states import DeliveryState
from reku.store.tables import (
    deliveries,
    delivery_rows,
    metrics,
    orders,
    rejects,
    releases,
    rule_counts,
    selected_rows,
    selections,
)

log = logging.getLogger(__name__)

CONTRACT = "AUSWAHL"
_DATA = {Kind.CUSTOMERS: "customers (ida_kunden)", Kind.HOLDINGS: "holdings (ida_bestand)"}


def deadline(bank: Institute, day: date) -> datetime:
    """Until when fresh data are waited for: the end of the day's send window, since nothing goes out after it."""
    return clock.at(day, bank.send_until.hour, bank.send_until.minute)


def can_be_had(engine: sa.Engine, order_id: int, day: date) -> bool:
    """Whether `obtain` has something to say: the delivery is there, can be made, or is waited for in vain."""
    with engine.connect() as connection:
        _, bank, occasion = _ordered(connection, order_id)
        if clock.now() >= deadline(bank, day) or _made(connection, order_id, day) is not None:
            return True
        return not fresh_data(connection, bank, _rule(occasion)).missing


def obtain(engine: sa.Engine, order_id: int, day: date) -> int | None:
    """The order's delivery of that day, selected now unless it was before; None while fresh data are waited for.

    Windows are those that are open now, so that a day made up for later selects nobody in vain. Raises StageError
    that names the missing data when the deadline is past.
    """
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.SELECTION, order_id)
        known = _made(connection, order_id, day)
        if known is not None:
            return known
        order, bank, occasion = _ordered(connection, order_id)
        data = fresh_data(connection, bank, _rule(occasion))
        if data.missing:
            if clock.now() >= deadline(bank, day):
                raise StageError(_in_vain(bank, order.order_number, data))
            return None
        delivery = _register(connection, order, day)
        _fill(connection, delivery, order, bank, occasion, data)
    return delivery


def retry(engine: sa.Engine, delivery_id: int, actor: str) -> Retried:
    """Select a refused delivery's rows anew, under its number; `actor` stands in the audit.

    Raises StageError if there is no such delivery, if it is not refused, or if there are no fresh data.
    """
    with engine.begin() as connection:
        order_id = load_delivery(connection, delivery_id).order_id
        lock_until_commit(connection, Lock.SELECTION, order_id)
        delivery = connection.execute(
            sa.select(deliveries).where(deliveries.c.id == delivery_id).with_for_update(key_share=True)
        ).one()
        if delivery.state != DeliveryState.REFUSED:
            raise StageError(f"Delivery {delivery_id} is {delivery.state}, not REFUSED: nothing is selected anew.")
        order, bank, occasion = _ordered(connection, order_id)
        data = fresh_data(connection, bank, _rule(occasion))
        if data.missing:
            raise StageError(_in_vain(bank, order.order_number, data))
        # What gate and release found out about it goes: both will see it anew, and a person may be asked again.
        for table in (rejects, rule_counts, delivery_rows, selected_rows, selections, metrics, releases):
            connection.execute(sa.delete(table).where(table.c.delivery_id == delivery_id))
        set_free(connection, delivery_id)
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(
                state=DeliveryState.REGISTERED,
                code="",
                advice="",
                created_at=clock.now(),
                day=clock.today(),
                accepted=None,
                rejected=None,
                released_at=None,
                owner_dag=None,
                owner_run=None,
            )
        )
        _fill(connection, delivery_id, order, bank, occasion, data)
        put_on_record(
            connection,
            bank.blz,
            actor=actor,
            action="deliveries retry",
            subject=f"deliveries:{delivery_id}",
            note=f"{delivery.state} {delivery.code} -> {DeliveryState.REGISTERED}",
        )
    return Retried(delivery_id, DeliveryState.REGISTERED, "", "")


def _made(connection: sa.Connection, order_id: int, day: date) -> int | None:
    """The order's newest delivery of that day, a refused one too: a person decides what becomes of it."""
    newest: int | None = connection.scalar(
        sa.select(sa.func.max(deliveries.c.id)).where(
            deliveries.c.order_id == order_id, deliveries.c.period_start == day
        )
    )
    return newest


def _ordered(connection: sa.Connection, order_id: int) -> tuple[sa.Row[Any], Institute, Occasion]:
    """An order with its bank and occasion. Raises StageError if one of them has no file."""
    order = connection.execute(sa.select(orders).where(orders.c.id == order_id)).one()
    bank, occasion = institutes().get(order.institute), occasions().get(order.occasion)
    if bank is None or occasion is None:
        lacking = f"institutes/{order.institute}.yaml" if bank is None else f"occasions/{order.occasion}.yaml"
        raise StageError(f"Order {order.order_number} of institute {order.institute}: restore {lacking}, then clear.")
    return order, bank, occasion


def _rule(occasion: Occasion) -> Selection:
    if not isinstance(occasion.selection, Selection):
        raise StageError(
            f"occasions/{occasion.code}.yaml has no rule that selects people. Give it a `selection`, or take its "
            "campaigns out of the banks' files; `reku check` names them."
        )
    return occasion.selection


def _in_vain(bank: Institute, order_number: str, data: FreshData) -> str:
    missing = " and ".join(_DATA[kind] for kind in data.missing)
    hours = bank.imports.max_data_age.total_seconds() / 3600
    return (
        f"{bank.name}, order {order_number}: nobody was selected, since fresh data are missing: {missing}. There are"
        f" none of today and none younger than {hours:g} hours, or the addresses were forgotten at"
        f" {bank.imports.addresses_until:%H:%M}. `reku agree21 status` shows what there is. Have the bank draw them"
        " anew and import them, then clear `await_delivery`; the next run makes up for it while windows are open."
    )


def _register(connection: sa.Connection, order: sa.Row[Any], day: date) -> int:
    """A new delivery under the order's next number; numbers are never used twice."""
    last = connection.scalar(
        sa.select(sa.func.max(deliveries.c.delivery_number)).where(
            deliveries.c.institute == order.institute,
            deliveries.c.contract == CONTRACT,
            deliveries.c.order_number == order.order_number,
        )
    )
    return int(
        connection.execute(
            sa.insert(deliveries)
            .values(
                institute=order.institute,
                source=DeliverySource.SELECTION,
                contract=CONTRACT,
                order_number=order.order_number,
                order_id=order.id,
                occasion=order.occasion,
                delivery_number=(last or 0) + 1,
                created_at=clock.now(),
                day=clock.today(),
                period_start=day,
                state=DeliveryState.REGISTERED,
            )
            .returning(deliveries.c.id)
        ).scalar_one()
    )


def _fill(
    connection: sa.Connection,
    delivery: int,
    order: sa.Row[Any],
    bank: Institute,
    occasion: Occasion,
    fresh: FreshData,
) -> None:
    """Write who is selected today, by which rule and from which data, which were `fresh` a moment ago."""
    rule, day = _rule(occasion), clock.today()
    data, people = _consistent(connection, bank, order, occasion, day, fresh)
    number = connection.execute(sa.select(deliveries.c.delivery_number).where(deliveries.c.id == delivery)).scalar_one()
    rows = write_rows(connection, bank, order, delivery, number, people.rows, people.channels)
    note_selected(connection, bank.blz, delivery, people.impulses)
    connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(rows=rows))
    connection.execute(
        sa.insert(selections).values(
            delivery_id=delivery,
            institute=bank.blz,
            selected_on=day,
            rule_hash=_hash(rule, occasion),
            imports=list(data.imports),
            funnel=people.funnel | {"rows": rows},
        )
    )
    log.info("order %s: delivery %d selected: %s", order.order_number, delivery, people.funnel | {"rows": rows})


def _consistent(
    connection: sa.Connection, bank: Institute, order: sa.Row[Any], occasion: Occasion, day: date, data: FreshData
) -> tuple[FreshData, Selected]:
    """Who is selected, and from which imports: those of `data`, or selected again if one has come in since."""
    rule = _rule(occasion)
    while True:
        people = selected_people(connection, bank, order, rule, occasion.window, day)
        now = fresh_data(connection, bank, rule)
        if now == data:
            return data, people
        data = now


def _hash(rule: Selection, occasion: Occasion) -> str:
    return hashlib.sha256(f"{rule.model_dump_json()}|{occasion.window.model_dump_json()}".encode()).hexdigest()
