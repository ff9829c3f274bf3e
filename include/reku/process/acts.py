"""What a person may do about a thing that needs one, as pages offer it (docs/operations.md, "Acts").

An act looks first: who is concerned, and whether it has been done already. Acts on one thing are done one at a time, so
of two people who want the same, one does it and the other hears so.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.process import decline, refuse
from reku.process.systems import system_of_delivery
from reku.release import decision
from reku.sources.inbox import set_aside
from reku.store.audit import put_on_record
from reku.store.delivery import load_delivery
from reku.store.locks import Lock, session_lock
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, DeliveryState, FileVerdict, MessageState, in_states
from reku.store.tables import claims, deliveries, files, messages, orders, releases, stops

LONGEST_NOTE = 500
"""Characters of a reason."""
WAIT_SECONDS = 30.0
EVERYTHING = "everything"
"""The subject of a stop of all dispatch; else it is a BLZ, or a BLZ and an order number with a hyphen between."""


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


def concern_of_delivery(engine: sa.Engine, delivery: int) -> Concern:
    """Bank, order and people of a delivery: those who may still get something, else those who were accepted or came.

    Raises StageError if there is no such delivery.
    """
    with engine.connect() as connection:
        return _concern(connection, _delivery(connection, delivery))


def _number(subject: str) -> int:
    if not subject.isascii() or not subject.isdecimal() or len(subject) > 18:
        raise StageError(f"There is no {subject or 'empty number'}.")
    return int(subject)


def _delivery(connection: sa.Connection, delivery: int) -> sa.Row[Any]:
    what = sa.select(deliveries, orders.c.name, releases.c.actor, releases.c.decided_at)
    joined = what.join(orders, orders.c.id == deliveries.c.order_id)
    return load_delivery(connection, delivery, joined.outerjoin(releases, releases.c.delivery_id == deliveries.c.id))


def _concern(connection: sa.Connection, row: sa.Row[Any], over: Words | None = None) -> Concern:
    people = row.rows if row.accepted is None else row.accepted
    if row.state == DeliveryState.LOADED:
        people = _may_still_get(connection, messages.c.delivery_id == row.id)
    what = f"{row.order_number} {row.name} · {row.delivery_number:06d}"
    return Concern(row.institute, _name(row.institute), row.occasion, row.order_number, what, people, over)


def _may_still_get(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> int:
    """People of open messages and of those in somebody's hands, asked so that indexes answer (see `due_work`)."""
    counted = sa.select(sa.func.count()).select_from(messages).where(*wanted)
    at_work = messages.c.delivery_id.in_(sa.select(claims.c.delivery_id))
    waiting = connection.scalar(counted.where(in_states(messages, (MessageState.OPEN,)))) or 0
    return waiting + (connection.scalar(counted.where(in_states(messages, (MessageState.CLAIMED,)), at_work)) or 0)


def _name(institute: str) -> str:
    bank = institutes().whole.get(institute)
    return bank.name if bank else institute


def _look_at_delivery(states: tuple[DeliveryState, ...], engine: sa.Engine, subject: str) -> Concern:
    """`states`: those in which the act can be done."""
    with engine.connect() as connection:
        row = _delivery(connection, _number(subject))
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


def _look_at_stop(engine: sa.Engine, subject: str) -> Concern:
    with engine.connect() as connection:
        stop = connection.execute(sa.select(stops).where(stops.c.id == _number(subject))).one_or_none()
        if stop is None:
            raise StageError(f"There is no stop {subject}.")
        over = None
        if stop.lifted_at is not None:
            at = f"{clock.berlin(stop.lifted_at):%d.%m.%Y %H:%M}"
            over = Words(
                f"{stop.lifted_by} hat diesen Halt am {at} aufgehoben.", f"{stop.lifted_by} lifted this stop on {at}."
            )
        return _scope(connection, stop.institute or "", stop.order_number or "", over)


def _lift(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    stop_switches.lift(engine, int(subject), actor=actor, note=note)
    return Words(
        "Aufgehoben. Die fehlgeschlagenen Tasks `dispatch` jetzt noch einmal versuchen.",
        "Lifted. Now try the failed `dispatch` tasks again.",
    )


def _look_at_scope(engine: sa.Engine, subject: str) -> Concern:
    institute, order = _scope_of(subject)
    with engine.connect() as connection:
        for stop in stop_switches.in_force(connection):
            if ((stop.institute or ""), (stop.order or "")) == (institute, order):
                at = f"{clock.berlin(stop.since):%d.%m.%Y %H:%M}"
                over = Words(f"{stop.actor} hat das am {at} angehalten.", f"{stop.actor} stopped this on {at}.")
                return _scope(connection, institute, order, over)
        return _scope(connection, institute, order, None)


def _scope_of(subject: str) -> tuple[str, str]:
    """Bank and order, both empty for everything, and only for what is called so."""
    if subject == EVERYTHING:
        return "", ""
    institute, _, order = subject.partition("-")
    if not institute:
        raise StageError("Nothing was named that could be stopped.")
    return institute, order


def _scope(connection: sa.Connection, institute: str, order: str, over: Words | None) -> Concern:
    """Everything, a bank or an order of it, and how many people of it may still get something."""
    if not institute:
        return Concern(people=_may_still_get(connection), over=over)
    known = sa.select(orders.c.id, orders.c.occasion, orders.c.name).where(orders.c.institute == institute)
    rows = connection.execute(known.where(orders.c.order_number == order) if order else known).all()
    if not rows:
        raise StageError(f"{institute} has no order {order}." if order else f"No institute {institute} has an order.")
    people = _may_still_get(connection, messages.c.order_id.in_([row.id for row in rows]))
    occasion, what = (rows[0].occasion, f"{order} {rows[0].name}") if order else ("", "")
    return Concern(institute, _name(institute), occasion, order, what, people, over)


def _stop(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    institute, order = _scope_of(subject)
    stop = stop_switches.throw(engine, institute=institute or None, order=order or None, actor=actor, note=note)
    return Words(
        f"Angehalten (Halt {stop}): in spätestens zwei Sekunden wird keine Mail mehr begonnen.",
        f"Stopped (stop {stop}): within two seconds no further mail is begun.",
    )


def _look_at_file(engine: sa.Engine, subject: str) -> Concern:
    with engine.connect() as connection:
        file = connection.execute(sa.select(files).where(files.c.id == _number(subject))).one_or_none()
    if file is None:  # a file that is taken in again begins anew
        return Concern(over=Words("Diese Datei wird schon neu eingelesen.", "This file is being taken in again."))
    over = None
    if file.verdict != FileVerdict.SET_ASIDE:
        over = Words(f"Die Datei steht inzwischen auf {file.verdict}.", f"The file is {file.verdict} by now.")
    return Concern(file.institute, _name(file.institute), what=f"{file.kind} {file.id}".strip(), over=over)


def _retry_file(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    set_aside.retry(engine, int(subject), actor=actor, note=note)
    return Words("Der nächste Eingangslauf nimmt die Datei noch einmal.", "The next intake takes the file again.")


def _drop_file(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    set_aside.drop(engine, int(subject), actor=actor, note=note)
    return Words("Die Datei bleibt abgewiesen.", "The file stays refused.")


ACTS: Mapping[str, Act] = {
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
    "lift": Act(
        Words("Halt aufheben", "Lift the stop"),
        Words(
            "Danach darf wieder versandt werden. Von allein geht dadurch nichts hinaus: die fehlgeschlagenen Tasks"
            " `dispatch` noch einmal versuchen.",
            "Mails may go out again. Nothing is sent by that alone: try the failed `dispatch` tasks again.",
        ),
        _look_at_stop,
        _lift,
    ),
    "stop": Act(
        Words("Versand anhalten", "Stop the dispatch"),
        Words(
            "Innerhalb von zwei Sekunden wird keine Mail mehr begonnen; was nicht begonnen ist, bleibt offen.",
            "Within two seconds no further mail is begun; what was not begun stays open.",
        ),
        _look_at_scope,
        _stop,
    ),
    "retry-file": Act(
        Words("Noch einmal einlesen", "Take in again"),
        Words(
            "Der nächste Eingangslauf nimmt die Datei, als wäre sie eben gekommen.",
            "The next intake takes the file as if it had just arrived.",
        ),
        _look_at_file,
        _retry_file,
    ),
    "drop-file": Act(
        Words("Verwerfen", "Drop"),
        Words("Die Datei bleibt endgültig abgewiesen.", "The file stays refused for good."),
        _look_at_file,
        _drop_file,
        is_final=True,
    ),
}
"""Every act on our own tables, by its name in addresses."""
