"""Refused deliveries in whose place a corrected one has come: they wait for nobody any more."""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.states import HOLDS_ITS_NUMBER, DeliveryState
from reku.store.tables import deliveries

KEY = ("institute", "contract", "order_number", "delivery_number")
"""What a refused delivery and the corrected one in its place have in common."""


def replaced_by() -> sa.ScalarSelect[int]:
    """The id of the delivery that took the place of the one of `deliveries` at hand; null if it is not replaced."""
    other = deliveries.alias("in_its_place")
    return (
        sa.select(sa.func.max(other.c.id))
        .where(
            deliveries.c.state == DeliveryState.REFUSED,
            *(other.c[name] == deliveries.c[name] for name in KEY),
            other.c.state.in_(HOLDS_ITS_NUMBER),
        )
        .correlate(deliveries)
        .scalar_subquery()
    )
