"""The end of a run: what was done for whom, whether the numbers add up, and what stands in the way of green."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes, occasions
from reku.catalogue.occasion import InDoubt
from reku.dispatch import ledger, stop_switches
from reku.dispatch.lock import StillRunning, delivery_lock
from reku.dispatch.recovery import StillLeased
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.process.answers import Counts, Ending, StageOutcome
from reku.process.banks import Banks
from reku.process.days import handed_over_by
from reku.process.due_work import Item
from reku.store.due import due_by
from reku.store.replaced import KEY, replaced_by
from reku.store.states import (
    MAY_STILL_GO_OUT,
    STANDS_IN_THE_LEDGER,
    STILL_TO_BE_LOADED,
    WAS_TAKEN_IN,
    DeliveryState,
    MessageState,
    in_states,
)
from reku.store.tables import deliveries, messages, orders, releases


@dataclass
class Summary:
    """`lines` for the log, `problems` that keep the run from being green, `counts` of all deliveries together."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=dict)


def sum_up(
    engine: sa.Engine, occasion: str, day: date, run: str, items: Sequence[Item], outcomes: Sequence[StageOutcome]
) -> Summary:
    """Sum up one run: `items` is the work that it listed, `outcomes` the stages that did not do theirs."""
    summary = Summary()
    _failures(summary, items, outcomes)
    left = _left_to_others(items, outcomes)
    with engine.connect() as connection:
        rows = _deliveries(connection, occasion, day, items)
    for row in rows:
        _recover(engine, row.id)
    banks = Banks()
    with engine.begin() as connection:
        for row in rows:
            label = banks.delivery_label(row.institute, row.name, row.delivery_number)
            _delivery(connection, summary, row, label, day, elsewhere=bool({row.id, f"order {row.order_id}"} & left))
        _broken_banks(connection, summary, occasion)
        _parked(connection, summary, occasion, run)
        _stopped(connection, summary, occasion)
        _in_doubt(connection, summary, occasion, {row.id for row in rows}, day)
    summary.counts = {"deliveries": len(rows), "problems": len(summary.problems)}
    if not items and not summary.problems:
        summary.lines.append("Nothing ordered or nothing due.")
    return summary


def _failures(summary: Summary, items: Sequence[Item], outcomes: Sequence[StageOutcome]) -> None:
    """Name every stage that failed, with its bank where it is of an item."""
    for outcome in outcomes:
        if outcome.ending is Ending.FAILED:
            whose = "" if outcome.item is None else f"{items[outcome.item].label}: "
            summary.problems.append(f"{whose}task {outcome.stage} failed")


def _left_to_others(items: Sequence[Item], outcomes: Sequence[StageOutcome]) -> set[int | str]:
    """Deliveries (or `order <id>` of expected ones) that this run left to another one which had them in hand."""
    return {
        items[outcome.item].delivery or f"order {items[outcome.item].order}"
        for outcome in outcomes
        if outcome.stage == "await_delivery" and outcome.ending is Ending.SKIPPED and outcome.item is not None
    }


def _deliveries(connection: sa.Connection, occasion: str, day: date, items: Sequence[Item]) -> Sequence[sa.Row[Any]]:
    """Deliveries this run had to do with: those it listed, and those that came for an order it waited for."""
    listed = [item.delivery for item in items if item.delivery]
    refused, corrected = deliveries.alias("refused"), deliveries.alias("corrected")
    in_their_place = (
        sa.select(corrected.c.id)
        .join(refused, sa.and_(*(corrected.c[name] == refused.c[name] for name in KEY)))
        .where(refused.c.id.in_(listed), refused.c.state == DeliveryState.REFUSED, in_states(corrected, WAS_TAKEN_IN))
    )
    waited = [item.order for item in items if not item.delivery]
    return connection.execute(
        sa.select(deliveries, orders.c.name)
        .join(orders, orders.c.id == deliveries.c.order_id)
        .where(orders.c.occasion == occasion)
        .where(
            deliveries.c.id.in_(listed)
            | deliveries.c.id.in_(in_their_place)
            | (deliveries.c.order_id.in_(waited) & (deliveries.c.period_start == day))
        )
        .where(deliveries.c.state != DeliveryState.PARKED)
        .order_by(deliveries.c.institute, deliveries.c.order_number, deliveries.c.delivery_number)
    ).all()


def _delivery(
    connection: sa.Connection, summary: Summary, row: sa.Row[Any], label: str, day: date, *, elsewhere: bool
) -> None:
    states = ledger.counts(connection, row.id)
    shown = ", ".join(f"{state.lower()} {count}" for state, count in states.items() if count)
    summary.lines.append(f"{label}: {row.state}, rows {row.rows}, rejected {row.rejected}, {shown or 'no messages'}")
    if elsewhere and (row.state in STILL_TO_BE_LOADED or (row.loaded_at and clock.berlin(row.loaded_at).date() == day)):
        # Whoever loads a delivery hands over what is due by then as well, and its own report answers for it.
        summary.lines.append(f"{label}: in the hands of run {row.owner_run}")
        return
    if row.state not in STANDS_IN_THE_LEDGER:
        if row.state == DeliveryState.REFUSED and _is_corrected(connection, row):
            summary.lines.append(f"{label}: refused {row.code}, a corrected file has taken its place")
        elif row.state == DeliveryState.REFUSED:
            summary.problems.append(f"{label}: refused {row.code}".rstrip())
        elif _is_asked(connection, row.id):
            summary.problems.append(
                f"{label}: nobody has approved or declined it yet, so nothing of it is mailed. Clear `release` to be"
                f" asked again, or use `reku deliveries approve` or `decline {row.id} --note …` and clear it then"
            )
        else:
            summary.problems.append(f"{label}: not loaded, it is {row.state}")
        return
    if row.rows != row.accepted + row.rejected or row.accepted != sum(states.values()):
        summary.problems.append(
            f"{label}: the numbers do not add up: {row.rows} rows, {row.accepted} accepted, {row.rejected} rejected, "
            f"{sum(states.values())} messages"
        )
    if row.state == DeliveryState.DECLINED:
        summary.problems.append(
            f"{label}: declined by a person, nothing of it is mailed; its rows go back as FREIGABE_VERWEIGERT. If "
            "these people shall be written to after all, ask the sender for a delivery with a new number"
        )
        return
    until, exactly = handed_over_by(day, clock.today(), row.loaded_at)
    open_due = _open_due(connection, row.id, until, exactly)
    if open_due:
        stopped = "".join(f"; {stop}" for stop in stop_switches.of_order(connection, row.institute, row.order_number))
        summary.problems.append(f"{label}: {open_due} messages due by {until:%d.%m.%Y} are still open{stopped}")


def _is_asked(connection: sa.Connection, delivery: int) -> bool:
    """Whether a person was asked about the delivery and has not decided."""
    undecided = sa.exists().where(releases.c.delivery_id == delivery, releases.c.decision.is_(None))
    return bool(connection.scalar(sa.select(undecided)))


def _is_corrected(connection: sa.Connection, refused: sa.Row[Any]) -> bool:
    return connection.scalar(sa.select(replaced_by()).where(deliveries.c.id == refused.id)) is not None


def _recover(engine: sa.Engine, delivery: int) -> None:
    """A dispatcher that died leaves claimed rows; without this they would stay unnamed until the next one.

    One that is or may be alive keeps its rows. The lock is taken on a connection of its own, so never in a transaction.
    """
    with suppress(StillRunning, StillLeased), delivery_lock(engine, delivery):
        pass  # taking the lock puts them right


def _open_due(connection: sa.Connection, delivery: int, until: date, exactly: date | None) -> int:
    return (
        connection.scalar(
            sa.select(sa.func.count())
            .select_from(messages)
            .where(messages.c.delivery_id == delivery)
            .where(messages.c.state.in_(MAY_STILL_GO_OUT))
            .where(due_by(messages.c.due_at, until, exactly))
        )
        or 0
    )


def _broken_banks(connection: sa.Connection, summary: Summary, occasion: str) -> None:
    """Name each broken file of a bank with such an order: what is expected of that bank cannot be worked out."""
    wanted = sa.select(orders.c.institute).where(orders.c.occasion == occasion, ~orders.c.ended)
    for institute in connection.scalars(wanted.distinct().order_by(orders.c.institute)).all():
        try:
            institutes().get(institute)
        except ConfigError as error:
            summary.problems.append(f"{institute}: {error}")


def _stopped(connection: sa.Connection, summary: Summary, occasion: str) -> None:
    """Name the stops in force. What they keep open is red by itself; where nothing is due, they harm nobody yet."""
    for stop in stop_switches.of_occasion(connection, occasion):
        summary.lines.append(f"{stop}; `reku stop lift {stop.id} --note …` lets it go on")


def _parked(connection: sa.Connection, summary: Summary, occasion: str, run: str) -> None:
    """Each parked delivery is named in every report, and makes the first run red that meets it."""
    rows = connection.execute(
        sa.select(deliveries).where(deliveries.c.occasion == occasion, deliveries.c.state == DeliveryState.PARKED)
    ).all()
    for row in rows:
        line = f"{row.institute}, order {row.order_number}, delivery {row.delivery_number:06d} is parked: {row.advice}"
        if row.alarmed_run in (None, run):
            summary.problems.append(line)
        else:
            summary.lines.append(line)
    connection.execute(
        sa.update(deliveries)
        .where(deliveries.c.id.in_([row.id for row in rows]), deliveries.c.alarmed_run.is_(None))
        .values(alarmed_run=run)
    )


def _in_doubt(connection: sa.Connection, summary: Summary, occasion: str, listed: set[int], day: date) -> None:
    """Messages in doubt keep the present day's run of their occasion red until they are resolved or sent again."""
    known = occasions().whole.get(occasion)
    resent = known is not None and known.in_doubt is InDoubt.RESEND
    first = "Clear `dispatch` first: it sends them again while it may (in_doubt: resend). " if resent else ""
    statement = (
        sa.select(deliveries.c.institute, deliveries.c.order_number, sa.func.count())
        .join(messages, messages.c.delivery_id == deliveries.c.id)
        .join(orders, orders.c.id == deliveries.c.order_id)
        .where(orders.c.occasion == occasion, messages.c.state == MessageState.IN_DOUBT)
        .group_by(deliveries.c.institute, deliveries.c.order_number)
    )
    if day < clock.today():
        statement = statement.where(deliveries.c.id.in_(listed))
    for institute, order, count in connection.execute(statement):
        summary.problems.append(
            f"{institute}, order {order}: {count} messages in doubt. {first}List them with `reku messages in-doubt`, "
            "find out from the relay's log whether they were taken, then `reku messages resolve`."
        )
