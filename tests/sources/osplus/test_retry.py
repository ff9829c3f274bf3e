"""`reku deliveries retry`: a refused original is read again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.release.decision import approve, decide_release
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus import retry as retrying
from reku.sources.osplus.retry import retry
from reku.store import tables
from reku.store.locks import Lock, session_lock
from reku.store.states import Decision, DeliveryState
from reku.subscribers.load import load
from reku_testing.by_blz import validate
from reku_testing.steps import allow_any_step
from tests.sources.conftest import NOW, Bank, original


def _of_production(data: bytes) -> bytes:
    return data.replace(b";EMMA;T\r\n", b";EMMA;P\r\n", 1)


@pytest.fixture
def refused(bank: Bank) -> Bank:
    """A delivery refused by the end of its order, which has been reopened since."""
    bank.control()
    bank.control(Ereignis="ENDE")
    bank.delivery()
    bank.scan()
    bank.control()
    bank.scan()
    assert bank.deliveries() == [(17, "REFUSED", "AUFTRAG_BEENDET")]
    return bank


def test_one_that_was_released_before_its_order_ended_goes_the_whole_way_again(inbox: Bank) -> None:
    """What gate and release found out about it then is not in the way, and a person is asked anew."""
    inbox.control()
    inbox.delivery()
    inbox.scan()
    (delivery,) = inbox.rows(tables.deliveries)
    validate(inbox.engine, delivery.id)
    assert approve(inbox.engine, delivery.id, actor="anna", note="seen") is Decision.APPROVED
    inbox.control(Ereignis="ENDE")
    inbox.scan()
    with pytest.raises(StageError, match="has ended"):
        load(inbox.engine, delivery.id)
    inbox.control()
    inbox.scan()
    assert retry(inbox.engine, delivery.id, "anna").state is DeliveryState.REGISTERED
    assert inbox.rows(tables.releases) == []
    assert validate(inbox.engine, delivery.id).accepted == delivery.rows
    assert decide_release(inbox.engine, delivery.id).decision is Decision.NORMAL
    assert load(inbox.engine, delivery.id).messages == delivery.rows


def test_what_was_put_right_is_registered_for_today(refused: Bank, clock_at: Callable[..., None]) -> None:
    clock_at(NOW + timedelta(days=1))
    (before,) = refused.rows(tables.deliveries)
    done = retry(refused.engine, before.id, "anna")
    assert (done.delivery_id, done.state, done.code) == (before.id, "REGISTERED", "")
    (after,) = refused.rows(tables.deliveries)
    assert (after.state, after.day, after.period_start, after.rows) == (
        "REGISTERED",
        date(2026, 11, 23),
        date(2026, 11, 22),
        2,
    )
    (entry,) = refused.rows(tables.audit)
    assert (entry.actor, entry.action, entry.subject) == ("anna", "deliveries retry", f"deliveries:{before.id}")
    assert entry.note == "REFUSED AUFTRAG_BEENDET -> REGISTERED"
    assert refused.names("fehler") == []
    file = refused.rows(tables.files)[2]
    assert (file.verdict, file.moving_from) == ("REGISTERED", None)
    assert "/archiv/2026/11/" in file.stored_as
    assert original(refused.engine, before.id)


def test_what_is_still_wrong_stays_refused_in_its_place(bank: Bank) -> None:
    bank.control()
    name = bank.delivery(damage=_of_production)
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    for _ in range(2):
        done = retry(bank.engine, delivery.id, "anna")
        assert (done.state, done.code) == ("REFUSED", "UMGEBUNG")
        assert bank.names("fehler") == [name]
    assert len(bank.rows(tables.audit)) == 2


def test_a_delivery_for_production_is_read_after_the_setting_was_put_right(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.control()
    bank.delivery(damage=lambda data: data)
    monkeypatch.setenv("REKU_ENVIRONMENT", "P")
    monkeypatch.setenv("REKU_TRACKER_URL", "https://links.bank.example")
    settings.cache_clear()
    bank.scan()
    monkeypatch.setenv("REKU_ENVIRONMENT", "T")
    settings.cache_clear()
    (delivery,) = bank.rows(tables.deliveries)
    assert (delivery.state, delivery.code, delivery.rows) == ("REFUSED", "UMGEBUNG", None)
    done = retry(bank.engine, delivery.id, "anna")
    assert (done.state, done.code) == ("PARKED", "STEUERUNG_FEHLERHAFT"), "its control file was refused as well"
    assert bank.rows(tables.deliveries)[0].rows == 2


def test_what_the_gate_refused_is_read_again_without_its_old_rejects(bank: Bank) -> None:
    bank.control()
    bank.delivery()
    bank.scan()
    (delivery,) = bank.rows(tables.deliveries)
    with bank.engine.begin() as connection:
        connection.execute(
            sa.insert(tables.rejects).values(institute=bank.blz, delivery_id=delivery.id, line=3, code="ADRESSE")
        )
        connection.execute(
            sa.update(tables.deliveries).values(
                state="REFUSED", code="FEHLERQUOTE", accepted=0, rejected=2, owner_dag="d", owner_run="r"
            )
        )
    retry(bank.engine, delivery.id, "anna")
    (again,) = bank.rows(tables.deliveries)
    assert (again.state, again.accepted, again.rejected, again.owner_run) == ("REGISTERED", None, None, None)
    assert bank.rows(tables.rejects) == []
    assert len(bank.names("archiv")) == 2, "control file and delivery; the original has not moved"


@pytest.mark.parametrize("state", ["PARKED", "REGISTERED", "VALIDATED", "RELEASED", "LOADED", "DECLINED"])
def test_only_refused_deliveries_are_read_again(bank: Bank, state: str) -> None:
    bank.control()
    bank.delivery()
    bank.scan()
    with bank.engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(tables.deliveries).values(state=state))
    with pytest.raises(StageError, match=f"is {state}, not REFUSED"):
        retry(bank.engine, bank.rows(tables.deliveries)[0].id, "anna")
    assert bank.rows(tables.audit) == []


def test_a_delivery_whose_place_was_taken_stays_refused(bank: Bank) -> None:
    bank.control()
    bank.delivery(damage=_of_production)
    bank.scan()
    bank.delivery()
    bank.scan()
    first, second = bank.rows(tables.deliveries)
    with pytest.raises(StageError, match=f"Delivery {second.id} has taken the place"):
        retry(bank.engine, first.id, "anna")


def test_a_lost_original_is_told(refused: Bank) -> None:
    (delivery,) = refused.rows(tables.deliveries)
    (refused.root / refused.rows(tables.files)[2].stored_as).unlink()
    with pytest.raises(StageError, match="no longer at"):
        retry(refused.engine, delivery.id, "anna")


def test_an_unknown_delivery_is_an_error(bank: Bank) -> None:
    with pytest.raises(StageError, match="no delivery 99"):
        retry(bank.engine, 99, "anna")


def test_it_waits_for_a_scan_and_gives_up_in_time(refused: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "WAIT_SECONDS", 0.2)
    (delivery,) = refused.rows(tables.deliveries)
    with session_lock(refused.engine, Lock.FILES, int(refused.blz)), pytest.raises(StageError, match="at work"):
        retry(refused.engine, delivery.id, "anna")
    assert retry(refused.engine, delivery.id, "anna").state == "REGISTERED"


def test_a_retry_cut_off_before_its_move_is_repaired(refused: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    (delivery,) = refused.rows(tables.deliveries)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(InboxFolders, "move", fail)
        with pytest.raises(OSError, match="Input/output"):
            retry(refused.engine, delivery.id, "anna")
    assert refused.deliveries() == [(17, "REGISTERED", "")]
    assert original(refused.engine, delivery.id), "found where it still lies"
    refused.scan()
    assert refused.names("fehler") == []
    assert original(refused.engine, delivery.id)
