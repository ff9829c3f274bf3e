"""Who lets a delivery through: nobody has to be asked, or a person is, and the first answer holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.gate.metrics import measure
from reku.release import question
from reku.release.decision import approve, decide_release, decline
from reku.store.states import Decision, DeliveryState
from reku.store.tables import audit, deliveries, metrics, releases
from reku_testing import banks, world

Configure = Callable[..., None]


@pytest.fixture
def configure(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Configure:
    """Set up the bank with some keys of its own."""

    def put(**changes: Any) -> None:
        banks.configure(monkeypatch, tmp_path / "config", **changes)

    put()
    return put


def _deliver(
    engine: sa.Engine, order: int, number: int, rows: int, state: str = DeliveryState.VALIDATED, **changes: str
) -> int:
    """A delivery that has been through the gate, with its metrics."""
    new = world.delivery(engine, order, number, state=state)
    world.rows(engine, new, [world.reku_fields(at, number, **changes) for at in range(1, rows + 1)])
    with engine.begin() as connection:
        measure(connection, new)
    return new


def _history(engine: sa.Engine, order: int, state: str = DeliveryState.LOADED, rows: int = 40) -> None:
    for number in range(1, 10):
        _deliver(engine, order, number, rows, state)


def _one(engine: sa.Engine, table: sa.Table, delivery: int) -> Any:
    key = table.c.id if table is deliveries else table.c.delivery_id
    with engine.connect() as connection:
        return connection.execute(sa.select(table).where(key == delivery)).one()


def _decline(engine: sa.Engine, delivery: int, actor: str = "ben") -> bool:
    with engine.begin() as connection:
        return decline(connection, delivery, actor=actor, note="wrong people")


@pytest.mark.usefixtures("configure")
class TestJudging:
    """Whether a person is asked."""

    def test_a_normal_delivery_goes_on_and_keeps_its_ranges(self, database: sa.Engine) -> None:
        order = world.order(database)
        _history(database, order)
        delivery = _deliver(database, order, 17, 42)
        assert decide_release(database, delivery).decision is Decision.NORMAL
        assert _one(database, deliveries, delivery).state == DeliveryState.RELEASED
        kept = _one(database, releases, delivery)
        assert (kept.decision, kept.actor, kept.asked_at) == (Decision.NORMAL, "", None)
        with database.connect() as connection:
            ranges = {
                row.name: row for row in connection.execute(sa.select(metrics).where(metrics.c.delivery_id == delivery))
            }
        assert ranges["rows"].low < 40 < ranges["rows"].high
        assert ranges["rows"].basis == "Median 40 aus 9 Lieferungen / median 40 of 9 deliveries"
        assert decide_release(database, delivery).decision is Decision.NORMAL

    def test_an_unusual_one_is_asked_about_again_and_again_until_it_is_decided(self, database: sa.Engine) -> None:
        order = world.order(database)
        _history(database, order)
        delivery = _deliver(database, order, 17, 410)
        for _ in range(2):
            verdict = decide_release(database, delivery)
            assert verdict.decision is None
            assert [metric.name for metric in verdict.unusual] == ["in_previous", "rows"]
            assert _one(database, deliveries, delivery).state == DeliveryState.VALIDATED
            kept = _one(database, releases, delivery)
            assert (kept.decision, kept.decided_at) == (None, None)
            assert kept.asked_at is not None
        told = question.body(verdict, "/reku/reports/17", "25.11.2026 08:00")
        assert "- Zeilen: 410; üblich" in told
        assert "rows: 410; usually" in told
        assert "(/reku/reports/17)" in told
        assert "person1@" not in told
        assert "rows: 410; usually" in question.in_short(verdict)

    @pytest.mark.parametrize("state", [DeliveryState.DECLINED, DeliveryState.VALIDATED, DeliveryState.REFUSED])
    def test_only_what_went_through_is_history(self, database: sa.Engine, state: str) -> None:
        order = world.order(database)
        _history(database, order, state)
        assert decide_release(database, _deliver(database, order, 17, 410)).decision is Decision.NORMAL

    def test_other_orders_and_later_deliveries_are_no_history(self, database: sa.Engine) -> None:
        order, other = world.order(database), world.order(database, "R0000999")
        _history(database, other)
        delivery = _deliver(database, order, 0, 410)
        _history(database, order)
        assert decide_release(database, delivery).decision is Decision.NORMAL

    def test_an_empty_delivery_is_never_asked_about(self, database: sa.Engine, configure: Configure) -> None:
        configure(approve_first=True)
        order = world.order(database)
        assert decide_release(database, _deliver(database, order, 16, 0)).decision is Decision.NORMAL
        verdict = decide_release(database, _deliver(database, order, 17, 1))
        assert (verdict.decision, verdict.first) == (None, True)  # still the first one that brings people
        assert question.FIRST.german in question.body(verdict, "/", "08:00")

    def test_the_first_delivery_is_asked_about_where_the_bank_wants_it(
        self, database: sa.Engine, configure: Configure
    ) -> None:
        configure(orders={world.ORDER: {"approve_first": True}})
        order, other = world.order(database), world.order(database, "R0000999")
        first, second = _deliver(database, order, 17, 3), _deliver(database, order, 18, 3)
        assert decide_release(database, first).decision is None
        assert decide_release(database, second).decision is None  # the first one has not been approved yet
        approve(database, first, actor="anna", note="")
        assert decide_release(database, second).decision is Decision.NORMAL
        assert decide_release(database, _deliver(database, other, 17, 3)).decision is Decision.NORMAL

    def test_limits_of_the_order_hold_without_history_and_a_wider_one_lets_it_through(
        self, database: sa.Engine, configure: Configure
    ) -> None:
        configure(orders={world.ORDER: {"max_rows": 5, "max_without_consent": 0.1}})
        delivery = _deliver(database, world.order(database), 17, 6, Einwilligung_EMail="N")
        unusual = decide_release(database, delivery).unusual
        assert [(metric.name, metric.by_limit) for metric in unusual] == [("rows", True), ("without_consent", True)]
        configure(orders={world.ORDER: {"max_without_consent": 1}})
        assert decide_release(database, delivery).decision is Decision.NORMAL


@pytest.mark.usefixtures("configure")
class TestDeciding:
    """What people say."""

    def test_an_approval_is_kept_and_audited_and_never_asked_for_again(self, database: sa.Engine) -> None:
        order = world.order(database)
        _history(database, order)
        delivery = _deliver(database, order, 17, 410)
        decide_release(database, delivery)
        assert approve(database, delivery, actor="anna", note="sender confirms") is Decision.APPROVED
        kept = _one(database, releases, delivery)
        assert (kept.decision, kept.actor, kept.note) == (Decision.APPROVED, "anna", "sender confirms")
        assert _one(database, deliveries, delivery).released_at is not None
        assert approve(database, delivery, actor="ben", note="me too") is Decision.APPROVED
        assert decide_release(database, delivery).decision is Decision.APPROVED
        with database.connect() as connection:
            (entry,) = connection.execute(sa.select(audit)).all()
        assert (entry.actor, entry.action, entry.subject) == ("anna", "delivery approved", f"deliveries:{delivery}")
        with pytest.raises(StageError, match=r"approved by anna before.*reku stop order"):
            _decline(database, delivery)

    def test_a_refusal_is_final(self, database: sa.Engine) -> None:
        delivery = _deliver(database, world.order(database), 17, 3)
        assert _decline(database, delivery)
        assert not _decline(database, delivery, "clara")
        assert _one(database, releases, delivery).actor == "ben"
        assert _one(database, deliveries, delivery).state == DeliveryState.DECLINED
        for late in (
            lambda: decide_release(database, delivery),
            lambda: approve(database, delivery, actor="anna", note=""),
        ):
            with pytest.raises(StageError, match=r"declined by ben on .*new delivery number"):
                late()
        assert _one(database, deliveries, delivery).released_at is None

    @pytest.mark.parametrize("state", [DeliveryState.REGISTERED, DeliveryState.PARKED, DeliveryState.REFUSED])
    def test_nothing_else_can_be_decided(self, database: sa.Engine, state: str) -> None:
        delivery = world.delivery(database, world.order(database), state=state)
        for decide in (
            lambda: approve(database, delivery, actor="anna", note=""),
            lambda: _decline(database, delivery),
            lambda: decide_release(database, delivery),
        ):
            with pytest.raises(StageError):
                decide()
        assert _one(database, deliveries, delivery).state == state
        with pytest.raises(StageError, match="no delivery 4711"):
            approve(database, 4711, actor="anna", note="")

    def test_of_two_answers_at_once_the_first_wins(self, database: sa.Engine) -> None:
        order = world.order(database)
        for number in range(10):
            delivery = _deliver(database, order, number, 1)
            with ThreadPoolExecutor(4) as people:
                answers = [
                    people.submit(approve, database, delivery, actor="anna", note="a"),
                    people.submit(_decline, database, delivery),
                ]
            refused = [type(answer.exception()) for answer in answers if answer.exception()]
            assert refused == [StageError]
            kept, state = _one(database, releases, delivery), _one(database, deliveries, delivery).state
            assert (kept.decision, kept.actor, state) in {
                (Decision.APPROVED, "anna", DeliveryState.RELEASED),
                (Decision.DECLINED, "ben", DeliveryState.DECLINED),
            }
        with database.connect() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(audit)) == 10
