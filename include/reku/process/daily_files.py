"""A bank's files of the day, which tell its own systems of all deliveries: for agree21BAP, and for FE 3053."""

from __future__ import annotations

from collections import Counter
from datetime import date, time

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.channels.bap.channel import SHOWN_CHANNELS, show_next
from reku.channels.bap.day_state import has_state, prepare_state
from reku.contact.data_age import is_young
from reku.dispatch import stop_switches
from reku.dispatch.dispatch import check_dispatchable
from reku.dispatch.ledger import Due
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import one_by_one
from reku.pickup.fe3053.changes import prepare_changes
from reku.process.banks import label_of
from reku.process.systems import data_bank_named, system_of
from reku.sources.source import TakenIn
from reku.store.due import due_bounds
from reku.store.imports import CUSTOMERS, newest_import
from reku.store.states import HOLDS_ITS_NUMBER, STILL_TO_BE_LOADED, DeliveryState, MessageState, in_states
from reku.store.tables import deliveries, messages, orders

LATEST = time(8)
"""From then on the files are made whatever has been selected by then; Europe/Berlin."""


def prepare_daily_files(engine: sa.Engine, institute: str) -> TakenIn:
    """Prepare the bank's files of today, once its selections are done or it is 08:00; nothing if they are there.

    Raises StageError for an unknown BLZ, a bank whose data are not imported, and data too old to tell by; ConfigError
    for the bank's broken file.
    """
    bank, day = data_bank_named(institute), clock.today()
    with engine.connect() as connection:
        if has_state(connection, bank.blz, day):
            return TakenIn({})
    if clock.berlin(clock.now()).time() < LATEST and (waits := waits_for(engine, bank, day)):
        return TakenIn({"waits_for_selections": waits})
    return prepare_now(engine, bank, day)


def prepare_now(engine: sa.Engine, bank: Institute, day: date, *, again: bool = False) -> TakenIn:
    """Prepare the files of that day now; `again`: also if there are some, whose place they take.

    Raises StageError for data too old to tell by.
    """
    _check_data_age(engine, bank)
    counts, problems = _show(engine, bank, day)
    changes = prepare_changes(engine, bank, day)  # first: once the day's state is there, nothing is looked at any more
    state = prepare_state(engine, bank, day, again=again)
    made = Counter(bap=int(state is not None), fe3053=int(changes is not None))
    return TakenIn(+(counts + made), problems)


def waits_for(engine: sa.Engine, bank: Institute, day: date) -> int:
    """How many of the bank's orders are due and not selected yet, or selected and not loaded; the data count as one."""
    own = orders.c.institute == bank.blz
    there = sa.exists().where(
        deliveries.c.order_id == orders.c.id, deliveries.c.period_start == day, in_states(deliveries, HOLDS_ITS_NUMBER)
    )
    on_its_way = sa.exists().where(deliveries.c.order_id == orders.c.id, in_states(deliveries, STILL_TO_BE_LOADED))
    wanted = sa.select(orders, there.label("there"), on_its_way.label("on_its_way")).where(own, ~orders.c.ended)
    source = system_of(bank).source
    with engine.connect() as connection:
        newest = newest_import(connection, bank.blz, CUSTOMERS)
        known = connection.execute(wanted).all()
    stale = newest is None or clock.berlin(newest.data_at).date() < day
    missing = [row for row in known if row.on_its_way or (not row.there and source.due_days(row, bank, [day]))]
    return len(missing) + stale


def _show(engine: sa.Engine, bank: Institute, day: date) -> tuple[Counter[str], tuple[str, ...]]:
    """Prepare what is due by that day on the channels that are shown, delivery by delivery; none holds up another."""
    of, end = messages.c, due_bounds(day)[1]
    due = sa.exists().where(
        of.delivery_id == deliveries.c.id, in_states(messages, (MessageState.OPEN,)), of.due_at < end
    )
    due = due.where(of.channel.in_(SHOWN_CHANNELS))
    loaded = (deliveries.c.institute == bank.blz, deliveries.c.state == DeliveryState.LOADED)
    with engine.connect() as connection:
        ids = connection.scalars(sa.select(deliveries.c.id).where(*loaded, due).order_by(deliveries.c.id)).all()
    counts = Counter[str]()

    def show(delivery: int) -> None:
        plan = check_dispatchable(engine, delivery)
        with engine.connect() as connection:
            stop_switches.check_stops(connection, bank.blz, plan.order_number)
        for channel in SHOWN_CHANNELS:
            if channel in plan.campaign.channels:
                done = show_next(engine, plan.for_channel(channel), channel, Due(delivery, day, channel=channel))
                counts.update(prepared=done.prepared, withheld=done.withheld)

    done = one_by_one(ids, show, named=lambda delivery: label_of(engine, delivery))
    return counts, tuple(f"{failure.name}: {failure.why}" for failure in done.failures)


def _check_data_age(engine: sa.Engine, bank: Institute) -> None:
    with engine.connect() as connection:
        newest = newest_import(connection, bank.blz, CUSTOMERS)
    if newest is None or not is_young(bank, newest.data_at):
        hours = bank.imports.max_data_age.total_seconds() / 3600
        raise StageError(
            f"{bank.name}: there is no file for agree21BAP today, since the bank's customers (ida_kunden) are neither "
            f"of today nor younger than {hours:g} hours, and do not say who has objected since. Yesterday's file holds "
            "there. Import fresh data; the next look prepares the file."
        )
