"""Banks, orders and deliveries as people know them. A bank's broken file stops its own work only."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.store.tables import deliveries, orders


class Banks:
    """The banks of the configuration as it is now, for one listing: they are read once, not for each row."""

    def __init__(self) -> None:
        self._whole = institutes().whole

    def get(self, institute: str) -> Institute | None:
        """A bank; None when it has left the configuration, or when its file is broken: `report` names the fault."""
        return self._whole.get(institute)

    def order_label(self, institute: str, order: str) -> str:
        """Bank and order by name: `Sparkasse Musterstadt · Geburtstag_rund`; a bank that is not known by its BLZ."""
        bank = self.get(institute)
        return f"{bank.name if bank else institute} · {order}"

    def delivery_label(self, institute: str, order: str, number: int) -> str:
        """Bank, order and delivery number: `Sparkasse Musterstadt · Geburtstag_rund · 000017`."""
        return f"{self.order_label(institute, order)} · {number:06d}"


def bank_name(institute: str) -> str:
    """The name of one bank; its BLZ where it is not known, or its file is broken."""
    bank = institutes().whole.get(institute)
    return bank.name if bank else institute


def label_of(engine: sa.Engine, delivery: int) -> str:
    """The label of a delivery that is known to be there and to belong to an order."""
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(deliveries.c.institute, orders.c.name, deliveries.c.delivery_number)
            .join(orders, orders.c.id == deliveries.c.order_id)
            .where(deliveries.c.id == delivery)
        ).one()
    return Banks().delivery_label(*row)


@dataclass(frozen=True)
class OrderOfDelivery:
    """BLZ and number of an order, and the number of its delivery."""

    institute: str
    order: str
    delivery_number: int


def order_of(engine: sa.Engine, delivery: int) -> OrderOfDelivery:
    """The order of a delivery that is known to be there."""
    with engine.connect() as connection:
        c = deliveries.c
        row = connection.execute(
            sa.select(c.institute, c.order_number, c.delivery_number).where(c.id == delivery)
        ).one()
    return OrderOfDelivery(*row)
