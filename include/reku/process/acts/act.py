"""What an act is: it looks whom it concerns and whether it has been done, and does it, one at a time on one thing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.store.audit import put_on_record
from reku.store.locks import Lock, session_lock
from reku.store.states import MessageState, in_states
from reku.store.tables import claims, messages

LONGEST_NOTE = 500
"""Characters of a reason."""
WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Concern:
    """Whom an act concerns: bank, occasion and order, empty where it is no single one; `people`, None if nobody knows.

    `over`: that it has been done, or cannot be done any more.
    """

    institute: str = ""
    bank: str = ""
    occasion: str = ""
    order: str = ""
    what: str = ""
    people: int | None = None
    over: Words | None = None


@dataclass(frozen=True)
class Act:
    """Something that a person may do. `effect` says what happens then; `is_final`: nobody can take it back.

    `look` and `do` raise StageError for a subject that does not exist; `do` takes who does it and why, puts that on
    record, and says what it did.
    """

    button: Words
    effect: Words
    look: Callable[[sa.Engine, str], Concern]
    do: Callable[[sa.Engine, str, str, str], Words]
    needs_reason: bool = True
    is_final: bool = False


@dataclass(frozen=True)
class ActResult:
    """Whether it was done now, and what is to be said of it."""

    done: bool
    said: Words


def carry_out(engine: sa.Engine, act: Act, subject: str, *, actor: str, note: str) -> ActResult:
    """Do it, unless it has been done. Raises StageError if that subject does not exist or cannot be acted on now."""
    of = zlib.crc32(subject.encode()) & 0x7FFFFFFF
    with session_lock(engine, Lock.ACT, of, wait_seconds=WAIT_SECONDS) as lock:
        if lock is None:
            raise StageError("Somebody else is at it just now. Look again in a minute.")
        concern = act.look(engine, subject)
        if concern.over is not None:
            return ActResult(False, concern.over)
        return ActResult(True, act.do(engine, subject, actor, note))


def record_act(engine: sa.Engine, institute: str, *, actor: str, action: str, subject: str, note: str) -> None:
    """Put an act on record that changes no table of ours."""
    with engine.begin() as connection:
        put_on_record(connection, institute or None, actor=actor, action=action, subject=subject, note=note)


def number_of(subject: str) -> int:
    """The id that a subject names. Raises StageError if it is none."""
    if not subject.isascii() or not subject.isdecimal() or len(subject) > 18:
        raise StageError(f"There is no {subject or 'empty number'}.")
    return int(subject)


def may_still_get(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> int:
    """People of open messages and of those in somebody's hands, asked so that indexes answer (see `due_work`)."""
    counted = sa.select(sa.func.count()).select_from(messages).where(*wanted)
    at_work = messages.c.delivery_id.in_(sa.select(claims.c.delivery_id))
    waiting = connection.scalar(counted.where(in_states(messages, (MessageState.OPEN,)))) or 0
    return waiting + (connection.scalar(counted.where(in_states(messages, (MessageState.CLAIMED,)), at_work)) or 0)
