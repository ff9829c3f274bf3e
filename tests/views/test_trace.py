"""One row's whole life, out of a real database and in the order of time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch.doubt import resolve
from reku.foundation.errors import StageError
from reku.store.events import Event, record
from reku.store.kinds import DeliverySource, EventKind, HitVerdict, UnsubscribedFrom
from reku.store.states import Decision, DeliveryState, MessageState
from reku.store.tables import delivery_rows, hits, rejects, releases
from reku.views import history as history_module
from reku.views.history import Step, history
from reku.views.trace import Trace, traces
from reku_testing import banks, world
from reku_testing.by_blz import export

NOW = datetime(2026, 11, 22, 21, tzinfo=UTC)
RECEIVED = world.CREATED
RELEASED, LOADED = RECEIVED + timedelta(hours=1), RECEIVED + timedelta(hours=1, minutes=1)
DUE = datetime(2026, 11, 22, 9, tzinfo=UTC)
CLAIMED, BEGUN, ENDED = (DUE + timedelta(seconds=seconds) for seconds in (5, 6, 7))
REFERENCE = "R0004711-000017-00001"
FILE = "reku_99950001_R0004711_000017_20261122011500.csv"
K = EventKind


@pytest.fixture(autouse=True)
def _bank(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]) -> None:
    clock_at(NOW)
    banks.configure(monkeypatch, tmp_path / "include")


@pytest.fixture
def delivery(database: sa.Engine) -> int:
    """A delivery that was released as normal, and loaded."""
    made = world.delivery(database, world.order(database), state=DeliveryState.LOADED, loaded_at=LOADED)
    with database.begin() as connection:
        values = {"institute": world.BLZ, "delivery_id": made, "decision": Decision.NORMAL, "decided_at": RELEASED}
        connection.execute(sa.insert(releases).values(values))
    return made


def _message(engine: sa.Engine, delivery: int, **values: Any) -> int:
    row = world.row(engine, delivery, world.reku_fields())
    return world.message(engine, row, **({"due_at": DUE} | values))


def _handed(**values: Any) -> dict[str, Any]:
    told = {"medium": "SCOM_GEBURTSTAG", "attempts": 1, "message_id": "<1.x@bank.example>", "claimed_at": CLAIMED}
    return told | {"begun_at": BEGUN, "ended_at": ENDED} | values


def _life(engine: sa.Engine) -> list[tuple[str, str]]:
    """What and detail of each step of the only row with the reference, which stand in the order of time."""
    (fate,) = traces(engine, REFERENCE)
    steps = history(fate)
    moments = [step.at for step in steps if step.at]
    assert moments == sorted(moments)
    return [(step.what, step.detail) for step in steps]


ACCEPTED = [
    ("received", f"{FILE}, line 3"),
    ("accepted at the gate", ""),
    ("released: nothing unusual", ""),
    ("loaded into the subscriber list", ""),
    ("due", ""),
]
HANDED = [*ACCEPTED, ("claimed by a dispatcher", ""), ("handed over", "SCOM_GEBURTSTAG, try 1, <1.x@bank.example>")]


def test_from_the_file_to_the_files_it_was_reported_in(database: sa.Engine, delivery: int) -> None:
    message = _message(database, delivery, state=MessageState.SENT, answer="250 2.0.0", **_handed())
    with database.begin() as connection:
        record(connection, [Event(message, K.SENT, ENDED)])
    first = export(database, world.BLZ)
    with database.begin() as connection:
        record(
            connection,
            [
                Event(message, K.UNSUBSCRIBED, NOW - timedelta(hours=1), "EINKLICK", UnsubscribedFrom.ORDER),
                Event(message, K.OPENED, NOW - timedelta(hours=3)),
                Event(
                    message, K.CLICKED, NOW - timedelta(hours=2), link_number=1, link_target="https://bank.example/x"
                ),
            ],
        )
    second = export(database, world.BLZ)
    assert first is not None
    assert second is not None
    with database.begin() as connection:
        record(connection, [Event(message, K.OPENED, NOW + timedelta(hours=1))])
    assert _life(database) == [
        *HANDED,
        ("taken by the server", "250 2.0.0"),
        ("sent", "in response file 000001"),
        ("opened", "in response file 000002"),
        ("clicked", "link 1, https://bank.example/x, in response file 000002"),
        ("unsubscribed", "EINKLICK, of the order, in response file 000002"),
        ("response file written", first.file_name),
        ("response file written", second.file_name),
        ("opened", "not reported"),
    ]


def test_a_row_that_came_by_no_file(database: sa.Engine) -> None:
    order = world.order(database)
    _message(database, world.delivery(database, order, source=DeliverySource.SELECTION, file_id=None))
    (found,) = traces(database, REFERENCE)
    assert (found.file_name, found.received_at) == ("", world.CREATED)
    assert history(found)[0].what == "received"


def test_a_bounce_is_told_with_its_code_and_series(database: sa.Engine, delivery: int) -> None:
    message = _message(database, delivery, state=MessageState.SENT, answer="250 2.0.0", **_handed())
    with database.begin() as connection:
        record(connection, [Event(message, K.BOUNCED_HARD, ENDED + timedelta(minutes=5), "5.1.1")])
    file = export(database, world.BLZ)
    assert file is not None
    assert _life(database)[-2:] == [
        ("bounced hard", "5.1.1, hard bounces in a row: 1, in response file 000001"),
        ("response file written", file.file_name),
    ]


def test_what_a_machine_did_is_told_with_the_rule_and_beside_what_people_did(
    database: sa.Engine, delivery: int
) -> None:
    message = _message(database, delivery, state=MessageState.SENT, answer="250 2.0.0", **_handed())
    hit = {"institute": world.BLZ, "message_id": message, "kind": K.CLICKED, "link_number": 1, "agent": "Scanner/1.0"}
    machine, person = {"verdict": HitVerdict.MACHINE, "rule": "scanner"}, {"verdict": HitVerdict.PERSON}
    with database.begin() as connection:
        connection.execute(sa.insert(hits).values(hit | machine | {"at": ENDED + timedelta(seconds=2)}))
        connection.execute(sa.insert(hits).values(hit | person | {"at": ENDED + timedelta(hours=1)}))
        record(connection, [Event(message, K.CLICKED, ENDED + timedelta(hours=1), link_number=1)])
    assert _life(database)[-2:] == [
        ("clicked by a machine", "link 1, rule scanner"),
        ("clicked", "link 1, not reported"),
    ]


@pytest.mark.parametrize(
    ("values", "last"),
    [
        (
            {"state": MessageState.WITHHELD, "reason": "ABGEMELDET", "reasons": ["ABGEMELDET", "SPERRZEIT"]},
            ("withheld", "ABGEMELDET, SPERRZEIT"),
        ),
        ({"state": MessageState.WITHHELD, "reason": "DUBLETTE"}, ("withheld", "DUBLETTE")),
        ({"state": MessageState.UNDELIVERED, "answer": "451 4.7.1"}, ("not delivered in time", "451 4.7.1")),
    ],
)
def test_a_row_that_was_not_sent(
    database: sa.Engine, delivery: int, values: dict[str, Any], last: tuple[str, str]
) -> None:
    _message(database, delivery, ended_at=ENDED, **values)
    assert _life(database) == [*ACCEPTED, last]


def test_a_row_withheld_before_it_was_due(database: sa.Engine, delivery: int) -> None:
    """In the order of time, not in the order in which things usually come."""
    _message(database, delivery, state=MessageState.WITHHELD, reason="DUBLETTE", ended_at=DUE - timedelta(hours=1))
    assert _life(database) == [*ACCEPTED[:-1], ("withheld", "DUBLETTE"), ACCEPTED[-1]]


def test_a_row_that_the_server_refused(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery, state=MessageState.REJECTED, answer="550 5.1.1", **_handed())
    assert _life(database) == [*HANDED, ("refused by the server", "550 5.1.1")]


def test_a_row_in_doubt(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery, state=MessageState.IN_DOUBT, **_handed(ended_at=None))
    assert _life(database) == [*HANDED, ("in doubt", "the server's answer was never recorded")]


def test_a_row_in_doubt_that_a_person_has_settled(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery, state=MessageState.IN_DOUBT, **_handed(ended_at=None))
    resolve(database, world.BLZ, REFERENCE, sent=True, actor="anna", note="log of the relay")
    assert _life(database) == [
        *HANDED,
        ("taken by the server", ""),
        ("sent", "not reported"),
        ("by hand: resolve as sent", "log of the relay"),
    ]


def test_a_row_that_was_put_off(database: sa.Engine, delivery: int) -> None:
    retry_at = NOW + timedelta(minutes=5)
    put_off = _handed(answer="451 4.7.1", retry_at=retry_at, claimed_at=None, ended_at=None)
    _message(database, delivery, **put_off)
    assert _life(database)[-1] == ("to be tried again", "451 4.7.1")


def test_a_row_that_waits_to_be_due(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery)
    assert _life(database) == ACCEPTED


def test_a_row_that_the_gate_kept_out(database: sa.Engine, delivery: int) -> None:
    fault = {"line": 9, "reference": REFERENCE, "field": "EMail", "code": "ADRESSE", "advice": "no mail address"}
    with database.begin() as connection:
        connection.execute(sa.insert(rejects).values(institute=world.BLZ, delivery_id=delivery, **fault))
    assert _life(database) == [
        ("received", f"{FILE}, line 9"),
        ("rejected at the gate", "ADRESSE – EMail: no mail address"),
    ]


@pytest.mark.parametrize(
    ("decision", "told"), [("APPROVED", "released by a person"), ("DECLINED", "declined by a person")]
)
def test_a_delivery_that_a_person_decided_on(database: sa.Engine, delivery: int, decision: str, told: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(releases).values(decision=decision))
    _message(database, delivery)
    assert (told, "") in _life(database)


def test_a_delivery_that_nobody_has_decided_on_yet(database: sa.Engine) -> None:
    made = world.delivery(database, world.order(database), state=DeliveryState.VALIDATED)
    world.row(database, made, world.reku_fields())
    with database.begin() as connection:
        connection.execute(sa.insert(releases).values(institute=world.BLZ, delivery_id=made, asked_at=RELEASED))
    assert _life(database) == ACCEPTED[:2]


def test_a_row_that_has_left_by_retention_has_its_life_still(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery, state=MessageState.SENT, answer="250 2.0.0", **_handed())
    with database.begin() as connection:
        connection.execute(sa.delete(delivery_rows))
    assert _life(database) == [("received", FILE), *HANDED[1:], ("taken by the server", "250 2.0.0")]


def test_a_response_file_that_is_not_written_yet(database: sa.Engine, delivery: int, reku_settings: Path) -> None:
    message = _message(database, delivery, state=MessageState.SENT, answer="250 2.0.0", **_handed())
    with database.begin() as connection:
        record(connection, [Event(message, K.SENT, ENDED)])
    (reku_settings / world.BLZ).mkdir()
    (reku_settings / world.BLZ / "ausgang").write_text("in the way", encoding="ascii")
    with pytest.raises(Exception, match="number and rows are kept"):
        export(database, world.BLZ)
    assert _life(database)[-1][0] == "response file fixed, not written yet"


def test_rows_that_share_a_reference_are_all_told(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery)
    other = world.delivery(database, world.order(database, institute="99950002"), state=DeliveryState.LOADED)
    world.message(database, world.row(database, other, world.reku_fields()))
    assert [fate.institute for fate in traces(database, REFERENCE)] == [world.BLZ, "99950002"]
    assert [fate.institute for fate in traces(database, REFERENCE, "99950002")] == ["99950002"]
    with pytest.raises(StageError, match="of institute 99950003"):
        traces(database, REFERENCE, "99950003")


def test_a_step_without_a_moment_stays_behind_the_one_that_led_to_it(database: sa.Engine, delivery: int) -> None:
    _message(database, delivery)
    fate: Trace = traces(database, REFERENCE)[0]
    assert [step for step in history(fate) if step.at is None] == [Step(None, "accepted at the gate")]
    assert history(fate)[1].at is None


def test_every_step_is_called_something_in_german() -> None:
    source = Path(history_module.__file__).read_text(encoding="utf-8")
    literal = set(re.findall(r'Step\([^,]+, "([^"]+)"', source))
    assert literal
    events = {kind.lower().replace("_", " ") for kind in EventKind}
    assert {*literal, *events, *history_module._ENDS.values(), *history_module._DECIDED.values()} <= set(
        history_module.GERMAN
    )
