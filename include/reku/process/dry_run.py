"""A day's work tried out: everything is judged, decided, filled and counted, nothing is kept and nothing is sent.

It calls what the stages call, on an engine that commits nothing; only what would leave the house is left out: receipts,
reports, the hand-over, response files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa

from reku.dispatch import claim, stop_switches
from reku.dispatch.channel import Channel, FillsEach, MessageFault, PreparedChannel
from reku.dispatch.claim import Claimed
from reku.dispatch.dispatch import check_dispatchable
from reku.dispatch.late import send_although_late
from reku.dispatch.ledger import Due
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.errors import RekuError
from reku.gate import gate
from reku.process.answers import Done
from reku.process.days import check_has_come, handed_over_by
from reku.process.due_work import Item, due_items, earlier_not_loaded
from reku.process.errors import told_database_errors
from reku.process.run_options import EVERYTHING, RunOptions
from reku.process.stages.await_delivery import await_delivery
from reku.process.stages.dispatch import loaded_at
from reku.process.systems import channels_of, system_of_delivery
from reku.release.decision import approve, decide_release
from reku.store.never_committed import never_committed
from reku.store.states import MessageState
from reku.store.tables import messages
from reku.subscribers.load import load

_NOBODY = "dry run"


@dataclass
class DryRunLine:
    """What would become of one item. `send`: messages that would be begun today; `later`: due on another day.

    `withheld`: by the reason that would be reported; `unfillable`: whose data make no message. `notes`: what a person
    would be asked, and what would stop it.
    """

    label: str
    rows: int = 0
    accepted: int = 0
    rejected: int = 0
    send: int = 0
    later: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    unfillable: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        withheld = ", ".join(f"{reason} {count}" for reason, count in sorted(self.withheld.items()))
        parts = [
            f"{self.rows} rows, {self.accepted} accepted, {self.rejected} rejected",
            f"{self.send} would be sent today, {self.later} later",
            f"{sum(self.withheld.values())} withheld{f' ({withheld})' if withheld else ''}",
            *([f"{self.unfillable} make no message"] if self.unfillable else []),
        ]
        return "\n".join([f"{self.label}: {'; '.join(parts)}", *(f"- {note}" for note in self.notes)])


def dry_run(
    engine: sa.Engine, occasion: str, day: date, *, institute: str = "", options: RunOptions = EVERYTHING
) -> list[DryRunLine]:
    """Try out a day's work of an occasion, item by item. Raises StageError for a day that has not come yet."""
    check_has_come(day)
    items = due_items(engine, occasion, day, clock.today(), institute, options)
    return [_try_out(engine, item, day, late=options.late) for item in items]


def _try_out(engine: sa.Engine, item: Item, day: date, *, late: bool) -> DryRunLine:
    line = DryRunLine(item.label)
    try:
        with told_database_errors():
            with never_committed(engine) as trying:
                taken = _decided(trying, item, day, line, late=late)
            for plan, prepared, claimed in taken:
                _fill(plan, prepared, claimed, line)
    except RekuError as error:
        line.notes.append(str(error))
    return line


def _decided(
    trying: sa.Engine, item: Item, day: date, line: DryRunLine, *, late: bool
) -> list[tuple[SendPlan, PreparedChannel, list[Claimed]]]:
    """As far as the claim, channel by channel; nothing if there is nothing to be sent."""
    answer = await_delivery(trying, item, day)
    if not isinstance(answer, Done):
        line.notes.append(str(answer))
        return []
    delivery = int(str(answer.counts["delivery"]))
    system = system_of_delivery(trying, delivery)
    judged = gate.validate(trying, delivery, system.source.read_rows)
    line.rows, line.accepted, line.rejected = judged.rows, judged.accepted, judged.rejected
    line.notes += judged.warnings
    if judged.refused:
        line.notes.append(f"It would be refused as a whole ({judged.code}: {judged.advice}).")
        return []
    if decide_release(trying, delivery).decision is None:
        line.notes.append("It is unusual: a person would be asked before anything is sent.")
        approve(trying, delivery, actor=_NOBODY, note=_NOBODY)
    earlier = earlier_not_loaded(trying, delivery)
    if earlier is not None:
        line.notes.append(f"It would wait for delivery {earlier:06d} of the same order, which comes first.")
    load(trying, delivery)
    plan = check_dispatchable(trying, delivery)
    until, exactly = handed_over_by(day, clock.today(), loaded_at(trying, delivery))
    taken = [
        _claimed(
            trying,
            plan.for_channel(channel.name),
            channel,
            Due(delivery, until, exactly, channel.name),
            line,
            late=late,
        )
        for channel in channels_of(trying, delivery)
    ]
    return [one for one in taken if one]


def _claimed(
    trying: sa.Engine, plan: SendPlan, channel: Channel, due: Due, line: DryRunLine, *, late: bool
) -> tuple[SendPlan, PreparedChannel, list[Claimed]] | None:
    """Decide about all that is due, and take in hand what may go out."""
    if late:
        send_although_late(trying, due, actor=_NOBODY, note=_NOBODY)
    moment = clock.now()
    with trying.begin() as connection:
        for stop in stop_switches.of_order(connection, plan.institute.blz, plan.order_number):
            line.notes.append(f"{stop}; nothing is sent as long as it is in force.")
        decision = claim.decide(connection, plan, channel, due, moment)
        free = [row.id for row in decision.free] if decision else []
        claimed = claim.take(connection, plan, free, 0, moment) if free else []
        line.withheld = dict(Counter(map(str, connection.scalars(_withheld(due.delivery)))))
        line.later = connection.scalar(_open(due.delivery)) or 0
    return (plan, channel.prepare(plan), claimed) if claimed else None


def _withheld(delivery: int) -> sa.Select[str]:
    return sa.select(messages.c.reason).where(
        messages.c.delivery_id == delivery, messages.c.state == MessageState.WITHHELD
    )


def _open(delivery: int) -> sa.Select[int]:
    return sa.select(sa.func.count()).where(messages.c.delivery_id == delivery, messages.c.state == MessageState.OPEN)


def _fill(plan: SendPlan, prepared: PreparedChannel, claimed: list[Claimed], line: DryRunLine) -> None:
    """Make each message, where the channel makes them one by one."""
    for message in claimed:
        try:
            plan.medium_for(message.content_key, message.variant)
            if isinstance(prepared, FillsEach):
                prepared.fill(message)
            line.send += 1
        except MessageFault:
            line.unfillable += 1
