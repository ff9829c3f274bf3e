"""What people do by pages: looked at first, done once however many ask for it, and put on record with who and why."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation.errors import StageError
from reku.foundation.words import Words
from reku.process.acts import ACTS, acts_on_delivery
from reku.process.acts.act import ActResult, carry_out
from reku.process.acts.on_stops import EVERYTHING
from reku.process.needs import _ACTS, NeedKind
from reku.store import tables
from reku.store.states import DeliveryState, FileVerdict
from reku_testing import banks, world
from reku_testing.world import BLZ, ORDER

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
Make = Callable[[sa.Engine], str]


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config")


def _order(engine: sa.Engine) -> int:
    return world.order(engine, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))


def _validated(engine: sa.Engine) -> str:
    delivery = world.delivery(engine, _order(engine), state=DeliveryState.VALIDATED)
    world.rows(engine, delivery, [world.reku_fields(1), world.reku_fields(2)])
    return str(delivery)


def _parked(engine: sa.Engine) -> str:
    rows = [world.reku_fields(number) for number in range(1, 8)]
    return str(world.delivery_file(engine, _order(engine), rows, state=DeliveryState.PARKED, rows=7))


def _stop(engine: sa.Engine) -> str:
    return str(stop_switches.throw(engine, institute=None, order=None, actor="otto", note="wrong subject"))


def _loaded(engine: sa.Engine) -> str:
    """The order of a delivery of which one message is open and one was sent."""
    delivery = world.delivery(engine, _order(engine), state=DeliveryState.LOADED)
    for row, state in zip(
        world.rows(engine, delivery, [world.reku_fields(1), world.reku_fields(2)]), ("OPEN", "SENT"), strict=True
    ):
        world.message(engine, row, state=state)
    return f"{BLZ}-{ORDER}"


def _one_loaded(engine: sa.Engine, state: str) -> str:
    delivery = world.delivery(engine, _order(engine), state=DeliveryState.LOADED)
    for row, each in zip(
        world.rows(engine, delivery, [world.reku_fields(1), world.reku_fields(2)]), (state, "SENT"), strict=True
    ):
        world.message(engine, row, state=each, begun_at=NOON)
    return str(delivery)


def _held_back(engine: sa.Engine) -> str:
    delivery = _one_loaded(engine, "OPEN")
    with engine.begin() as connection:
        values = {"delivery_id": int(delivery), "institute": BLZ, "canary_until": NOON}
        connection.execute(sa.insert(tables.dispatches).values(**values))
    return delivery


def _everything(engine: sa.Engine) -> str:
    _loaded(engine)
    return EVERYTHING


def _set_aside(engine: sa.Engine) -> str:
    file = world.file(engine, verdict=FileVerdict.SET_ASIDE)
    return str(file)


@pytest.mark.parametrize(
    ("name", "make", "people", "over"),
    [
        ("approve", _validated, 2, "anna hat die Lieferung am 24.11.2026 12:00 freigegeben."),
        ("decline", _validated, 2, "anna hat die Lieferung am 24.11.2026 12:00 endgültig abgelehnt."),
        ("refuse", _parked, 7, "Die Lieferung steht inzwischen auf REFUSED."),
        ("lift", _stop, 0, "anna hat diesen Halt am 24.11.2026 12:00 aufgehoben."),
        ("stop", _loaded, 1, "anna hat das am 24.11.2026 12:00 angehalten."),
        ("stop", _everything, 1, "anna hat das am 24.11.2026 12:00 angehalten."),
        ("close", partial(_one_loaded, state="OPEN"), 1, "Nichts davon steht noch aus."),
        ("resolve-sent", partial(_one_loaded, state="IN_DOUBT"), 1, "Nichts davon ist ungeklärt."),
        ("resolve-unsent", partial(_one_loaded, state="IN_DOUBT"), 1, "Nichts davon ist ungeklärt."),
        ("go-on", _held_back, 1, "Kein Vorlauf hält sie auf."),
        ("drop-file", _set_aside, None, "Die Datei steht inzwischen auf REFUSED."),
    ],
)
def test_of_two_people_at_once_one_does_it_and_the_other_hears_so(
    database: sa.Engine, name: str, make: Make, people: int | None, over: str
) -> None:
    subject = make(database)
    assert ACTS[name].look(database, subject).people == people
    assert ACTS[name].look(database, subject).over is None
    both = Barrier(2)

    def at_once(_: int) -> ActResult:
        both.wait()
        return carry_out(database, ACTS[name], subject, actor="anna", note="because")

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(at_once, range(2)), key=lambda result: result.done)
    assert [result.done for result in results] == [False, True]
    assert results[0].said.german == over
    with database.connect() as connection:
        on_record = connection.execute(
            sa.select(tables.audit.c.actor, tables.audit.c.note).where(tables.audit.c.actor == "anna")
        ).all()
    assert on_record == [("anna", "because")]


@pytest.mark.parametrize("name", sorted(ACTS))
@pytest.mark.parametrize("subject", ["4711", "", "x", "9" * 30, "99950001-R1", "'; --"])
def test_what_does_not_exist_is_said(database: sa.Engine, name: str, subject: str) -> None:
    try:
        concern = ACTS[name].look(database, subject)
    except StageError:
        return
    assert concern.over is not None
    assert carry_out(database, ACTS[name], subject, actor="anna", note="x").done is False


def test_while_somebody_is_at_it_nothing_is_done(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reku.process.acts.act.WAIT_SECONDS", 0.05)
    subject = _validated(database)

    def meanwhile(*_: Any) -> Words:
        return carry_out(database, ACTS["approve"], subject, actor="otto", note="").said

    slow = replace(ACTS["decline"], do=meanwhile)
    with pytest.raises(StageError, match="Somebody else is at it"):
        carry_out(database, slow, subject, actor="anna", note="no")


def test_every_act_that_the_list_offers_exists() -> None:
    assert {name for names in _ACTS.values() for name in names} <= set(ACTS)
    assert set(_ACTS) <= set(NeedKind)
    for act in ACTS.values():
        assert act.button.german != act.button.english
        assert act.effect.german != act.effect.english


@pytest.mark.parametrize(
    ("make", "offered"),
    [
        (_validated, ("approve", "decline")),
        (_held_back, ("go-on", "close")),
        (partial(_one_loaded, state="IN_DOUBT"), ("resolve-sent", "resolve-unsent")),
        (partial(_one_loaded, state="WITHHELD"), ()),
    ],
)
def test_what_can_be_done_about_a_delivery_as_it_stands(
    database: sa.Engine, make: Make, offered: tuple[str, ...]
) -> None:
    assert acts_on_delivery(database, int(make(database))) == offered
