"""Acts on deliveries: release, refusal, another judgement."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.words import Words
from reku.process import decline, refuse
from reku.process.acts.act import Act, Concern, may_still_get, number_of, record_act
from reku.process.banks import bank_name
from reku.process.systems import system_of_delivery
from reku.release import decision
from reku.store.delivery import load_delivery
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, DeliveryState
from reku.store.tables import deliveries, messages, orders, releases


def concern_of_delivery(engine: sa.Engine, delivery: int) -> Concern:
    """Bank, order and people of a delivery: those who may still get something, else those who were accepted or came.

    Raises StageError if there is no such delivery.
    """
    with engine.connect() as connection:
        return _concern(connection, _delivery(connection, delivery))


def _delivery(connection: sa.Connection, delivery: int) -> sa.Row[Any]:
    what = sa.select(deliveries, orders.c.name, releases.c.actor, releases.c.decided_at)
    joined = what.join(orders, orders.c.id == deliveries.c.order_id)
    return load_delivery(connection, delivery, joined.outerjoin(releases, releases.c.delivery_id == deliveries.c.id))


def _concern(connection: sa.Connection, row: sa.Row[Any], over: Words | None = None) -> Concern:
    people = row.rows if row.accepted is None else row.accepted
    if row.state == DeliveryState.LOADED:
        people = may_still_get(connection, messages.c.delivery_id == row.id)
    what = f"{row.order_number} {row.name} · {row.delivery_number:06d}"
    return Concern(row.institute, bank_name(row.institute), row.occasion, row.order_number, what, people, over)


def _look_at_delivery(states: tuple[DeliveryState, ...], engine: sa.Engine, subject: str) -> Concern:
    """`states`: those in which the act can be done."""
    with engine.connect() as connection:
        row = _delivery(connection, number_of(subject))
        return _concern(connection, row, None if row.state in states else _what_it_is(row))


def _what_it_is(row: sa.Row[Any]) -> Words:
    state = DeliveryState(row.state)
    if row.actor and row.decided_at:
        said = _DECIDED[state == DeliveryState.DECLINED]
        at = f"{clock.berlin(row.decided_at):%d.%m.%Y %H:%M}"
        return Words(
            f"{row.actor} hat die Lieferung am {at} {said.german}.",
            f"{row.actor} {said.english} this delivery on {at}.",
        )
    return Words(f"Die Lieferung steht inzwischen auf {state}.", f"The delivery is {state} by now.")


_DECIDED = (Words("freigegeben", "approved"), Words("endgültig abgelehnt", "declined"))


def _approve(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    decision.approve(engine, int(subject), actor=actor, note=note)
    return Words("Freigegeben: die Lieferung wird geladen und versandt.", "Approved: the delivery is loaded and sent.")


def _decline(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    rows = decline.decline(engine, int(subject), actor=actor, note=note)
    return Words(
        f"Endgültig abgelehnt: {rows} Zeilen gehen als FREIGABE_VERWEIGERT zurück.",
        f"Declined for good: {rows} rows go back as FREIGABE_VERWEIGERT.",
    )


def _retry(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    delivery = int(subject)
    result = system_of_delivery(engine, delivery).source.retry(engine, delivery, actor)
    record_act(
        engine,
        concern_of_delivery(engine, delivery).institute,
        actor=actor,
        action="deliveries retry",
        subject=f"deliveries:{delivery}",
        note=note,
    )
    if result.state == DeliveryState.REFUSED:
        return Words(
            f"Noch einmal gelesen und wieder abgewiesen: {result.code} {result.advice}",
            f"Read again, and refused again: {result.code} {result.advice}",
        )
    return Words(
        "Noch einmal gelesen und angenommen: der nächste Lauf ihres Anlasses nimmt sie mit.",
        "Read again and taken in: the next run of its occasion takes it up.",
    )


def _refuse(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    refuse.refuse(engine, int(subject), actor=actor, note=note)
    return Words(
        "Abgewiesen: niemandem daraus wird geschrieben, der Absender bekommt eine Quittung.",
        "Refused: nobody of it is written to, and its sender gets a receipt.",
    )


DELIVERY_ACTS: Mapping[str, Act] = {
    "approve": Act(
        Words("Freigeben", "Approve"),
        Words("Die Lieferung wird geladen und versandt.", "The delivery is loaded and sent."),
        partial(_look_at_delivery, (DeliveryState.VALIDATED,)),
        _approve,
        needs_reason=False,
    ),
    "decline": Act(
        Words("Endgültig ablehnen", "Decline for good"),
        Words(
            "Niemandem daraus wird geschrieben; alle Zeilen gehen als FREIGABE_VERWEIGERT zurück. Das lässt sich nicht"
            " zurücknehmen.",
            "Nobody of it is written to; all rows go back as FREIGABE_VERWEIGERT. That cannot be undone.",
        ),
        partial(_look_at_delivery, (DeliveryState.VALIDATED,)),
        _decline,
        is_final=True,
    ),
    "retry": Act(
        Words("Noch einmal lesen", "Read again"),
        Words(
            "Das Original wird neu geprüft; richtig, wenn der Fehler auf unserer Seite lag und behoben ist.",
            "The original is judged anew: right where the fault was ours and has been mended.",
        ),
        partial(_look_at_delivery, (DeliveryState.REFUSED,)),
        _retry,
    ),
    "refuse": Act(
        Words("Abweisen", "Refuse"),
        Words(
            "Niemandem daraus wird geschrieben; der Absender bekommt eine Quittung, und die Nummer ist frei für eine"
            " berichtigte Datei.",
            "Nobody of it is written to; its sender gets a receipt, and its number is free for a corrected file.",
        ),
        partial(_look_at_delivery, DELIVERY_IS_ON_ITS_WAY),
        _refuse,
        is_final=True,
    ),
}
