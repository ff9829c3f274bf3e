"""The release of one delivery: a normal one goes on by itself, an unusual one when a person says so.

What was decided stands in `releases` and is never asked again; the first decision holds. All of it happens under the
lock of the delivery's row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.release.anomaly import MOST_HISTORY, DeliveryLimits, JudgedMetric, PastMetric, judge_metrics
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.states import WAITS_FOR_THE_GATE, WAS_RELEASED, Decision, DeliveryState
from reku.store.tables import deliveries, metrics, releases


@dataclass(frozen=True)
class ReleaseDecision:
    """What is to become of a delivery.

    `decision`: NORMAL or APPROVED, or None when a person has to be asked. `metrics`: all of them, judged; none when it
    was decided before. `first`: it is the first of its order, which `approve_first` lets a person see.
    """

    delivery: int
    decision: Decision | None
    metrics: tuple[JudgedMetric, ...] = ()
    first: bool = False

    @property
    def unusual(self) -> tuple[JudgedMetric, ...]:
        """The metrics outside their range."""
        return tuple(metric for metric in self.metrics if metric.is_unusual)


def decide_release(engine: sa.Engine, delivery_id: int) -> ReleaseDecision:
    """Release a VALIDATED delivery if nothing about it is unusual; else note that a person is asked.

    Asked again, it judges anew, by the limits and the history of the moment, unless it was decided meanwhile: then
    that holds. Raises StageError if the delivery was refused or declined, or has not passed the gate yet.
    """
    moment = clock.now()
    with engine.begin() as connection:
        delivery = _locked(connection, delivery_id)
        if delivery.state in WAS_RELEASED:
            return ReleaseDecision(delivery_id, _decided(connection, delivery_id).decision)
        _check_undecided(connection, delivery)
        judged, first = _judged(connection, delivery), _is_awaited_first(connection, delivery)
        _keep_ranges(connection, delivery_id, judged)
        if first or any(metric.is_unusual for metric in judged):
            _put(connection, delivery, asked_at=moment)
            return ReleaseDecision(delivery_id, None, judged, first)
        _put(connection, delivery, decision=Decision.NORMAL, decided_at=moment)
        _release(connection, delivery_id)
    return ReleaseDecision(delivery_id, Decision.NORMAL, judged)


def approve(engine: sa.Engine, delivery_id: int, *, actor: str, note: str) -> Decision:
    """A person lets a VALIDATED delivery through; audited. Returns the decision that holds.

    One that went through before stays as it is. Raises StageError if it was declined or refused, or has not passed the
    gate yet.
    """
    with engine.begin() as connection:
        delivery = _locked(connection, delivery_id)
        if delivery.state in WAS_RELEASED:
            return _decided(connection, delivery_id).decision
        _check_undecided(connection, delivery)
        _decide(connection, delivery, Decision.APPROVED, actor, note)
        _release(connection, delivery_id)
    return Decision.APPROVED


def decline(connection: sa.Connection, delivery_id: int, *, actor: str, note: str) -> bool:
    """A person keeps a VALIDATED delivery back for good; audited. Returns False if somebody did so before.

    Works in the caller's transaction, who also closes its messages. Raises StageError if it went through already or was
    refused, or has not passed the gate yet.
    """
    delivery = _locked(connection, delivery_id)
    if delivery.state == DeliveryState.DECLINED:
        return False
    if delivery.state in WAS_RELEASED:
        who = _decided(connection, delivery_id).actor
        by = f"approved by {who}" if who else "let through as normal"
        raise StageError(
            f"Delivery {delivery_id} was {by} before, and that holds. What has not been handed over yet is held back by"
            f" `reku stop order {delivery.institute} {delivery.order_number} --note …`."
        )
    _check_undecided(connection, delivery)
    _decide(connection, delivery, Decision.DECLINED, actor, note)
    connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery_id).values(state=DeliveryState.DECLINED))
    return True


def _locked(connection: sa.Connection, delivery_id: int) -> sa.Row[Any]:
    return load_delivery(connection, delivery_id, sa.select(deliveries).with_for_update())


def _check_undecided(connection: sa.Connection, delivery: sa.Row[Any]) -> None:
    match delivery.state:
        case DeliveryState.REFUSED:
            raise StageError(
                f"Delivery {delivery.id} was refused as a whole and is never released."
                " The sender delivers it again, corrected and with the same number."
            )
        case DeliveryState.DECLINED:
            known = _decided(connection, delivery.id)
            by = f" by {known.actor} on {clock.berlin(known.decided_at):%d.%m.%Y %H:%M}" if known.decided_at else ""
            raise StageError(
                f"Delivery {delivery.id} was declined{by}: it is never mailed, and its rows are reported as not sent"
                " (FREIGABE_VERWEIGERT). If these people shall be written to after all, the sender delivers them again"
                " with a new delivery number."
            )
        case state if state in WAITS_FOR_THE_GATE:
            raise StageError(f"Delivery {delivery.id} is {delivery.state}: it has to pass `validate` first.")


@dataclass(frozen=True)
class _Known:
    decision: Decision
    actor: str = ""
    decided_at: Any = None


def _decided(connection: sa.Connection, delivery_id: int) -> _Known:
    """What was decided; a delivery released before decisions were kept counts as normal."""
    row = connection.execute(
        sa.select(releases.c.decision, releases.c.actor, releases.c.decided_at).where(
            releases.c.delivery_id == delivery_id, releases.c.decision.is_not(None)
        )
    ).one_or_none()
    return _Known(Decision.NORMAL) if row is None else _Known(Decision(row.decision), row.actor, row.decided_at)


def _judged(connection: sa.Connection, delivery: sa.Row[Any]) -> tuple[JudgedMetric, ...]:
    values = dict(
        map(
            tuple,
            connection.execute(
                sa.select(metrics.c.name, metrics.c.value)
                .where(metrics.c.delivery_id == delivery.id)
                .order_by(metrics.c.name)
            ),
        )
    )
    bank = institutes().get(delivery.institute)
    if bank is None:
        raise StageError(
            f"Institute {delivery.institute} of delivery {delivery.id} is not set up, so its limits are not known."
            f" Add include/institutes/{delivery.institute}.yaml, then clear the task."
        )
    limits = DeliveryLimits(
        bank.row_limit(delivery.order_number), bank.consent_limit(delivery.order_number), bank.max_damaged
    )
    return tuple(judge_metrics(values, delivery.accepted, _history(connection, delivery), limits))


def _history(connection: sa.Connection, delivery: sa.Row[Any]) -> Mapping[str, Sequence[PastMetric]]:
    """Metrics of the order's last earlier deliveries that brought people and went through."""
    earlier = (
        sa.select(deliveries.c.id, deliveries.c.accepted)
        .where(deliveries.c.order_id == delivery.order_id, deliveries.c.delivery_number < delivery.delivery_number)
        .where(deliveries.c.state.in_(WAS_RELEASED), deliveries.c.accepted > 0)
        .order_by(deliveries.c.delivery_number.desc())
        .limit(MOST_HISTORY)
        .subquery()
    )
    found: defaultdict[str, list[PastMetric]] = defaultdict(list)
    for row in connection.execute(
        sa.select(metrics.c.name, metrics.c.value, earlier.c.accepted).join(
            earlier, earlier.c.id == metrics.c.delivery_id
        )
    ):
        found[row.name].append(PastMetric(row.value, row.accepted))
    return found


def _is_awaited_first(connection: sa.Connection, delivery: sa.Row[Any]) -> bool:
    """Whether a person wants to see the order's first delivery, and this is it. An empty one shows nothing."""
    bank = institutes()[delivery.institute]
    if not bank.asks_first(delivery.order_number) or not delivery.accepted:
        return False
    others = sa.exists().where(
        deliveries.c.order_id == delivery.order_id,
        deliveries.c.id != delivery.id,
        deliveries.c.state.in_(WAS_RELEASED),
        deliveries.c.accepted > 0,
    )
    return not connection.scalar(sa.select(others))


def _keep_ranges(connection: sa.Connection, delivery_id: int, judged: Sequence[JudgedMetric]) -> None:
    for metric in judged:
        connection.execute(
            sa.update(metrics)
            .where(metrics.c.delivery_id == delivery_id, metrics.c.name == metric.name)
            .values(low=metric.low, high=metric.high, basis=str(metric.basis or ""))
        )


def _decide(connection: sa.Connection, delivery: sa.Row[Any], decision: Decision, actor: str, note: str) -> None:
    _put(connection, delivery, decision=decision, decided_at=clock.now(), actor=actor, note=note)
    action, subject = f"delivery {decision.lower()}", f"deliveries:{delivery.id}"
    put_on_record(connection, delivery.institute, actor=actor, action=action, subject=subject, note=note)


def _put(connection: sa.Connection, delivery: sa.Row[Any], **values: Any) -> None:
    statement = insert(releases).values(delivery_id=delivery.id, institute=delivery.institute, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["delivery_id"], set_=values))


def _release(connection: sa.Connection, delivery_id: int) -> None:
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id == delivery_id)
        .values(state=DeliveryState.RELEASED, released_at=clock.now())
    )
