"""The canary: the first mails of a delivery go out, and the others only if those were taken well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.kinds import BOUNCES, EventKind
from reku.store.states import HAND_OVER_WAS_TRIED
from reku.store.tables import dispatches, messages, responses


class CanaryFault(StageError):
    """The first mails were taken badly; the others are still open."""


@dataclass(frozen=True)
class Allowance:
    """How many more mails may go out now (None: all), or from when on it can be said."""

    quota: int | None = None
    wait_until: datetime | None = None


def allowance(engine: sa.Engine, plan: SendPlan, delivery: int) -> Allowance:
    """What the delivery's canary permits now. Raises CanaryFault if the first mails were taken badly."""
    canary, moment = plan.campaign.canary, clock.now()
    with engine.begin() as connection:
        row = connection.execute(
            sa.select(dispatches.c.canary_until, dispatches.c.canary_passed_at)
            .where(dispatches.c.delivery_id == delivery)
            .with_for_update()
        ).one_or_none()
        until = row.canary_until if row else None
        if not canary.first or (row and row.canary_passed_at is not None):
            return Allowance()
        tried = _count(connection, delivery, messages.c.state.in_(HAND_OVER_WAS_TRIED))
        if until is None and tried < canary.first:
            return Allowance(quota=canary.first - tried)
        if until is None:
            until = moment + canary.pause
            _keep(connection, plan.institute.blz, delivery, canary_until=until)
            return Allowance(wait_until=until)
        if moment < until:
            return Allowance(wait_until=until)
        _check(connection, plan, delivery, tried)
        _keep(connection, plan.institute.blz, delivery, canary_passed_at=moment)
    return Allowance()


def judged_from(engine: sa.Engine, delivery: int) -> datetime | None:
    """When the pause after the delivery's first mails ends; None while they are not out, or once they were judged."""
    with engine.connect() as connection:
        found: datetime | None = connection.scalar(
            sa.select(dispatches.c.canary_until).where(
                dispatches.c.delivery_id == delivery, dispatches.c.canary_passed_at.is_(None)
            )
        )
        return found


def go_on(engine: sa.Engine, delivery: int, *, actor: str, note: str) -> None:
    """Let the others follow whatever became of the first; audited. Raises StageError if there is no such delivery."""
    with engine.begin() as connection:
        institute = load_delivery(connection, delivery).institute
        _keep(connection, institute, delivery, canary_passed_at=clock.now())
        subject = f"deliveries:{delivery}"
        put_on_record(connection, institute, actor=actor, action="go on after canary", subject=subject, note=note)


def _check(connection: sa.Connection, plan: SendPlan, delivery: int, tried: int) -> None:
    canary = plan.campaign.canary
    bounced = _count(connection, delivery, _has(BOUNCES))
    complained = _count(connection, delivery, _has((EventKind.COMPLAINED,)))
    share = bounced / max(tried, 1)
    if share <= canary.max_bounce_share and complained <= canary.max_complaints:
        return
    raise CanaryFault(
        f"{plan.institute.name}, order {plan.order_number}: of the first {tried} mails {bounced} bounced ({share:.1%}; "
        f"at most {canary.max_bounce_share:.1%} may) and {complained} people complained "
        f"(at most {canary.max_complaints} may). The other messages are still open. Find out what is wrong; if they "
        f"shall go out all the same, `reku deliveries go-on {delivery} --note …`, then clear `dispatch`."
    )


def _count(connection: sa.Connection, delivery: int, condition: sa.ColumnElement[bool]) -> int:
    counted = sa.select(sa.func.count()).select_from(messages).where(messages.c.delivery_id == delivery, condition)
    return connection.scalar(counted) or 0


def _has(kinds: tuple[EventKind, ...]) -> sa.ColumnElement[bool]:
    return sa.exists().where(responses.c.message_id == messages.c.id, responses.c.kind.in_(kinds)).correlate(messages)


def _keep(connection: sa.Connection, institute: str, delivery: int, **moments: datetime) -> None:
    row = insert(dispatches).values(delivery_id=delivery, institute=institute, **moments)
    connection.execute(row.on_conflict_do_update(index_elements=["delivery_id"], set_=moments))
