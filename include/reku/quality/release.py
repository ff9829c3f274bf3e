"""The release of one delivery: a normal one goes on to the list by itself (DESIGN section 3)."""

from __future__ import annotations

import sqlalchemy as sa

from reku import clock
from reku.errors import StageError
from reku.store.tables import DeliveryState, deliveries


def release(engine: sa.Engine, delivery_id: int) -> DeliveryState:
    """Let a VALIDATED delivery go on to the list; one that has gone on already stays as it is. Returns its state.

    Raises StageError if it was refused or declined, or if it has not passed the gate yet.
    """
    with engine.begin() as connection:
        state = connection.execute(
            sa.select(deliveries.c.state).where(deliveries.c.id == delivery_id).with_for_update()
        ).scalar_one_or_none()
        match state:
            case None:
                raise StageError(
                    f"There is no delivery {delivery_id}. `reku deliveries list` lists those that are known."
                )
            case DeliveryState.RELEASED | DeliveryState.LOADED:
                return DeliveryState(state)
            case DeliveryState.VALIDATED:
                connection.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.id == delivery_id)
                    .values(state=DeliveryState.RELEASED, released_at=clock.now())
                )
                return DeliveryState.RELEASED
            case DeliveryState.REFUSED:
                raise StageError(
                    f"Delivery {delivery_id} was refused as a whole and is never released."
                    " The sender delivers it again, corrected and with the same number."
                )
            case DeliveryState.DECLINED:
                raise StageError(f"Delivery {delivery_id} was declined by a person and is never released.")
            case _:
                raise StageError(f"Delivery {delivery_id} is {state}: it has to pass `validate` first.")
