"""Who looks after what: an alarm is taken by a person, or silenced for a while, each with who and why in the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.process.alarming.raising import note_seen
from reku.store.audit import put_on_record
from reku.store.tables import alarms, silences

LONGEST_SILENCE = timedelta(days=31)


@dataclass(frozen=True)
class AlarmState:
    """What has become of a cause that is not over; `id` numbers it for people.

    `told_at`: None as long as nobody was told. `silent_until` with `silenced_by` and `note`: None and empty where it is
    not silenced.
    """

    id: int
    cause: str
    about: str
    institute: str | None
    team: str
    seen_at: datetime
    told_at: datetime | None
    escalated_at: datetime | None
    taken_at: datetime | None
    taken_by: str
    silent_until: datetime | None
    silenced_by: str
    note: str


def alarm_states(connection: sa.Connection, institute: str = "") -> dict[str, AlarmState]:
    """By cause, in the order in which they were seen; of all banks, or of one and of what belongs to none."""
    c = alarms.c
    silent = silences.c.until > clock.now()
    statement = (
        sa.select(
            *(c.id, c.cause, c.about, c.institute, c.team, c.seen_at, c.told_at, c.escalated_at),
            *(c.taken_at, c.taken_by, silences.c.until.label("silent_until")),
            sa.func.coalesce(silences.c.actor, "").label("silenced_by"),
            sa.func.coalesce(silences.c.note, "").label("note"),
        )
        .outerjoin(silences, (silences.c.cause == c.cause) & silent)
        .order_by(c.id)
    )
    if institute:
        statement = statement.where(c.institute.is_(None) | (c.institute == institute))
    return {row.cause: AlarmState(**row._mapping) for row in connection.execute(statement)}


def open_alarms(engine: sa.Engine, institute: str = "") -> list[AlarmState]:
    """All that needs a person now, each with its number and what has become of it."""
    present = note_seen(engine)
    with engine.connect() as connection:
        return [state for cause, state in alarm_states(connection, institute).items() if cause in present]


def cause_of(engine: sa.Engine, alarm: int) -> str:
    """The cause that has this number. Raises StageError if there is none."""
    with engine.connect() as connection:
        cause: str | None = connection.scalar(sa.select(alarms.c.cause).where(alarms.c.id == alarm))
    if cause is None:
        raise StageError(f"There is no alarm {alarm}, or it is over. `reku alarms list` shows those there are.")
    return cause


def taken(engine: sa.Engine, cause: str) -> Words | None:
    """Who has taken it and when, in words; None if nobody has."""
    with engine.connect() as connection:
        state = alarm_states(connection).get(cause)
    if state is None or state.taken_at is None:
        return None
    at = f"{clock.berlin(state.taken_at):%d.%m.%Y %H:%M}"
    return Words(f"{state.taken_by} hat das am {at} übernommen.", f"{state.taken_by} took this on {at}.")


def take(engine: sa.Engine, cause: str, *, actor: str, note: str) -> None:
    """Put down who looks after it; nobody else is told then. Raises StageError if it is over."""
    with engine.begin() as connection:
        row = connection.execute(
            sa.update(alarms)
            .where(alarms.c.cause == cause)
            .values(taken_at=clock.now(), taken_by=actor)
            .returning(alarms.c.id, alarms.c.institute)
        ).one_or_none()
        if row is None:
            raise StageError("This is over: nobody has to take it any more.")
        put_on_record(
            connection, row.institute, actor=actor, action="take alarm", subject=f"alarms:{row.id}", note=note
        )


def silence(engine: sa.Engine, cause: str, until: datetime, *, actor: str, note: str) -> None:
    """Let nobody be told of it until then; what is still there afterwards is told anew.

    Raises StageError if it is over, or for an end that is past or more than `LONGEST_SILENCE` away.
    """
    now = clock.now()
    if not now < until <= now + LONGEST_SILENCE:
        raise StageError(f"A silence ends in the future, in {LONGEST_SILENCE.days} days at the latest.")
    with engine.begin() as connection:
        row = connection.execute(
            sa.update(alarms)
            .where(alarms.c.cause == cause)
            .values(told_at=None, told_first_at=None, escalated_at=None)
            .returning(alarms.c.id, alarms.c.institute)
        ).one_or_none()
        if row is None:
            raise StageError("This is over: there is nothing to be silenced.")
        values = {"institute": row.institute, "until": until, "since": now, "actor": actor, "note": note}
        put = insert(silences).values(cause=cause, **values)
        connection.execute(put.on_conflict_do_update(index_elements=["cause"], set_=values))
        put_on_record(
            connection, row.institute, actor=actor, action="silence alarm", subject=f"alarms:{row.id}", note=note
        )


def unsilence(engine: sa.Engine, cause: str, *, actor: str, note: str) -> None:
    """Let people be told of it again. Raises StageError if it is not silenced."""
    with engine.begin() as connection:
        row = connection.execute(
            sa.delete(silences).where(silences.c.cause == cause).returning(silences.c.id, silences.c.institute)
        ).one_or_none()
        if row is None:
            raise StageError("This is not silenced. `reku alarms list` shows what is.")
        put_on_record(
            connection, row.institute, actor=actor, action="end silence", subject=f"silences:{row.id}", note=note
        )
