"""What should have happened by now and has not: runs, response files, looks at what has come back."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes
from reku.foundation import clock
from reku.process.missed_rhythms import known_orders
from reku.process.systems import is_served, system_of
from reku.store.tables import begun_runs, collections
from reku.store.unreported import not_told_since

BEGUN_BY = time(4, 15)
"""The last run of a day starts at 03:44 Berlin time; half an hour later each should be at work."""
REPORTED_AT, REPORTED_WITHIN = time(22), timedelta(hours=1)
"""When the daily feedback starts, and how long it may take."""
COLLECTED_WITHIN = timedelta(hours=1)
"""So long ago the last look at what has come back may have been; it is taken each minute."""
LOOKED_BACK = timedelta(days=3)
"""Events that are older have been named for long enough; more would have to be read for each look."""


def note_begun(engine: sa.Engine, occasion: str, day: date) -> None:
    """A run has begun with the work of that day."""
    put = insert(begun_runs).values(occasion=occasion, day=day, at=clock.now())
    later = {"day": sa.func.greatest(begun_runs.c.day, put.excluded.day), "at": put.excluded.at}
    with engine.begin() as connection:
        connection.execute(put.on_conflict_do_update(index_elements=["occasion"], set_=later))


def runs_not_begun(connection: sa.Connection) -> dict[str, datetime]:
    """Occasions of which a delivery is expected today and no run has begun, and when it should have.

    Where no run of any occasion has ever begun, or where the clock is moved and there is no schedule, nothing is late.
    """
    due, today = clock.at(clock.today(), BEGUN_BY.hour, BEGUN_BY.minute), clock.today()
    begun = {row.occasion: row.day for row in connection.execute(sa.select(begun_runs))}
    if not begun or clock.is_moved() or clock.now() < due:
        return {}
    known = institutes().whole
    late = set()
    for order in known_orders(connection):
        bank = known.get(order.institute)
        has_begun = begun.get(order.occasion, date.min) >= today
        if not has_begun and order.occasion not in late and bank is not None and is_served(bank):
            is_new = order.since is not None and order.since >= due
            if not is_new and system_of(bank).source.due_days(order, bank, [today]):
                late.add(order.occasion)
    return dict.fromkeys(sorted(late), due)


def late_reports(connection: sa.Connection) -> dict[str, datetime]:
    """Banks with events from before the last daily feedback that stand in no written file: the oldest's moment."""
    due = clock.at(clock.today(), REPORTED_AT.hour)
    if clock.now() < due + REPORTED_WITHIN:
        due = clock.at(clock.today() - timedelta(days=1), REPORTED_AT.hour)
    served = {blz for blz, bank in institutes().whole.items() if is_served(bank)}
    rows = connection.execute(not_told_since(due - LOOKED_BACK, due))
    return {row.institute: row.oldest for row in rows if row.institute in served}


def late_collections(connection: sa.Connection) -> dict[str, datetime]:
    """What has not been looked at for too long, with the moment of its last look: return_mails, hits."""
    late = collections.c.complete_at < clock.now() - COLLECTED_WITHIN
    rows = connection.execute(sa.select(collections.c.source, collections.c.complete_at).where(late))
    return {row.source: row.complete_at for row in rows.all()}
