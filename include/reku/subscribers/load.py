"""Load a released delivery: fill its order's list on and open one message per accepted row.

How a list is kept: docs/domain.md, "Subscriber lists". One transaction: either the delivery is LOADED with all its
people and messages, or nothing has changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.delivery import load_delivery
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, delivery_rows, lists, messages, orders
from reku.subscribers.consents import settle_contradictions
from reku.subscribers.fill import fill_list
from reku.subscribers.households import mark_seconds
from reku.subscribers.new_messages import create_messages
from reku.vault.erasure import erasure_on_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadResult:
    """What loading a delivery came to.

    `people`: how many of the list's people are new or changed by it (0 when it told nothing new, when a later delivery
    had brought all of them, or when it had been loaded before); `messages`: the ledger rows of the delivery, one per
    accepted row; `already`: it had been loaded before, and nothing was done.
    """

    delivery: int
    list_id: int
    people: int
    messages: int
    already: bool = False


def load(engine: sa.Engine, delivery_id: int) -> LoadResult:
    """Fill the order's list on with a RELEASED delivery and open its messages; a LOADED one answers at once.

    Nobody is removed from the list; see `fill_list` for what changes. Each message gets its own due_at and last_day
    from the occasion's window around Anlass_Datum and the campaign's play-out time; an own last day ends it earlier.

    Raises StageError if the delivery is not released, or the order has no list that may be filled; ConfigError for a
    broken occasion or institute file. Nothing has changed then. Raises StageError too if the order has ended since the
    delivery was taken in: the delivery is REFUSED then with AUFTRAG_BEENDET, as intake refuses a later one.
    """
    with engine.begin() as connection:
        order = _locked_order(connection, delivery_id)
        delivery = connection.execute(
            sa.select(deliveries).where(deliveries.c.id == delivery_id).with_for_update()
        ).one()
        if delivery.state == DeliveryState.LOADED:
            return LoadResult(delivery_id, delivery.list_id, 0, _message_count(connection, delivery_id), already=True)
        _check_may_load(delivery)
        if _has_ended(order, delivery):
            _refuse(connection, delivery)
            connection.commit()
            raise StageError(
                f"Order {order.order_number} of institute {order.institute} has ended (AUFTRAG_BEENDET), so delivery"
                f" {delivery_id} was refused. If it should go on, have the sender set the order up again, then"
                f" `reku deliveries retry {delivery_id}`."
            )
        list_id = _locked_list(connection, order, delivery)
        now = clock.now()
        people = fill_list(connection, delivery, list_id, now)
        opened = _open_all(connection, delivery, order, now)
        settle_contradictions(connection, delivery_id)
        bank = institutes().get(delivery.institute)
        if bank is not None:
            mark_seconds(connection, delivery_id, bank.contact)
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery_id)
            .values(state=DeliveryState.LOADED, loaded_at=now, list_id=list_id)
        )
    logger.info("delivery %d: list %d, %d people, %d messages", delivery_id, list_id, people, opened)
    return LoadResult(delivery_id, list_id, people, opened)


def open_without_list(connection: sa.Connection, delivery_id: int) -> list[int]:
    """Open the messages of a delivery that is never loaded, so that the ledger can record what becomes of its rows.

    Nobody is put on a list. Works in the caller's transaction, who ends the messages in it. Returns their ids. Raises
    StageError if the ledger knows rows of this delivery number already; ConfigError as `load` does.
    """
    order = _locked_order(connection, delivery_id)
    delivery = connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id).with_for_update()).one()
    _open_all(connection, delivery, order, clock.now())
    return list(connection.scalars(sa.select(messages.c.id).where(messages.c.delivery_id == delivery_id)))


def lock_order(connection: sa.Connection, delivery_id: int) -> None:
    """Keep the delivery's order as it is. To be called before the delivery itself is locked, as intake does.

    Raises StageError if there is no such delivery, or it belongs to no order yet.
    """
    _locked_order(connection, delivery_id)


def _open_all(connection: sa.Connection, delivery: sa.Row[Any], order: sa.Row[Any], now: datetime) -> int:
    """Open one message per accepted row and return how many; raises StageError if it could not be all of them."""
    opened = create_messages(connection, delivery, order, now)
    if opened != delivery.accepted:
        raise StageError(
            f"Delivery {delivery.id} has {delivery.accepted} accepted rows but {opened} messages: rows with the"
            " same Referenz stand in the ledger under this delivery number already. Nothing was loaded. See"
            f" `reku messages list --order {order.order_number}`."
        )
    return opened


def _locked_order(connection: sa.Connection, delivery_id: int) -> sa.Row[Any]:
    """The delivery's order, kept from being renamed or ended meanwhile; locked before the delivery, as intake does."""
    delivery = load_delivery(connection, delivery_id)
    if delivery.order_id is None:
        raise StageError(
            f"Delivery {delivery_id} belongs to no order: the control file of {delivery.order_number} has not been"
            " processed. Have the sender change the order's name once, so that it is sent again."
        )
    return connection.execute(
        sa.select(orders).where(orders.c.id == delivery.order_id).with_for_update(read=True)
    ).one()


def _check_may_load(delivery: sa.Row[Any]) -> None:
    cure = {
        DeliveryState.PARKED: "It waits for a processed control file.",
        DeliveryState.REGISTERED: "It has not passed the gate: clear `validate`.",
        DeliveryState.VALIDATED: "It has not been released: clear `release`.",
        DeliveryState.DECLINED: "A person declined it; it is never loaded.",
        DeliveryState.REFUSED: "It was refused as a whole; the sender delivers it again, corrected.",
    }
    if delivery.state in cure:
        raise StageError(f"Delivery {delivery.id} is {delivery.state} and was not loaded. {cure[delivery.state]}")


def _has_ended(order: sa.Row[Any], delivery: sa.Row[Any]) -> bool:
    """As intake sees it: a delivery made on the order's last day belongs to it, whenever it came or was set free."""
    if order.valid_until is None:
        return bool(order.ended)
    return bool(order.ended or clock.berlin(delivery.created_at).date() > order.valid_until)


def _refuse(connection: sa.Connection, delivery: sa.Row[Any]) -> None:
    """Otherwise it would stand before every later run, and nobody could close it."""
    with erasure_on_record(connection, delivery.institute, delivery.id):
        connection.execute(sa.delete(delivery_rows).where(delivery_rows.c.delivery_id == delivery.id))
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery.id)
        .values(
            state=DeliveryState.REFUSED,
            code="AUFTRAG_BEENDET",
            advice="Der Auftrag ist beendet. Für weitere Lieferungen den Auftrag in OSPlus ändern oder neu anlegen.",
            accepted=0,
            rejected=delivery.rows,
        )
    )


def _locked_list(connection: sa.Connection, order: sa.Row[Any], delivery: sa.Row[Any]) -> int:
    """The order's current list, created with its first delivery. Raises StageError if there is none or it is frozen."""
    current = connection.execute(
        sa.select(lists.c.id, lists.c.name, lists.c.created_at, lists.c.frozen_at)
        .where(lists.c.order_id == order.id, lists.c.order_name == order.name)
        .with_for_update()
    ).one_or_none()
    where = f"Order {order.order_number} of institute {order.institute}"
    if current is None:
        raise StageError(
            f"{where} has no list for its name {order.name}, so delivery {delivery.id} was not loaded. Have the sender"
            " change the order's name once, so that the control file is sent again, then clear the task."
        )
    if current.frozen_at is not None:
        raise StageError(
            f"{where}: its list {current.name} is frozen and takes no more people, so delivery {delivery.id} was not"
            " loaded. Have the sender give the order its new name by a control file, then clear the task."
        )
    if current.created_at is None:
        connection.execute(sa.update(lists).where(lists.c.id == current.id).values(created_at=clock.now()))
    return int(current.id)


def _message_count(connection: sa.Connection, delivery_id: int) -> int:
    count: int = connection.execute(
        sa.select(sa.func.count()).select_from(messages).where(messages.c.delivery_id == delivery_id)
    ).scalar_one()
    return count
