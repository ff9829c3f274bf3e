"""Lists are filled on and never replaced, every accepted row opens one message, and nothing half done stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import addresses, clock
from reku.foundation.errors import StageError
from reku.store.states import DeliveryState
from reku.store.tables import deliveries, delivery_rows, lists, messages, orders, subscribers
from reku.subscribers.load import load
from reku_testing import banks, world
from reku_testing.steps import allow_any_step

CAMPAIGN = {
    "order": world.ORDER,
    "name": "Runde Geburtstage",
    "active": True,
    "blocks": [
        {"block": "start", "list": world.ORDER},
        {"block": "wait", "until": "10:30"},
        {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
    ],
}


@pytest.fixture
def bank(
    database: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> sa.Engine:
    """A database, one bank with a campaign, and the clock at 03:15 of Sunday, 22 November 2026 in Berlin."""
    banks.configure(monkeypatch, tmp_path / "config", campaigns=[CAMPAIGN])
    clock_at(datetime(2026, 11, 22, 2, 15, tzinfo=UTC))
    return database


@pytest.fixture
def order(bank: sa.Engine) -> int:
    """An order with its reserved list."""
    new = world.order(bank)
    world.subscriber_list(bank, new)
    return new


def _all(engine: sa.Engine, table: sa.Table) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(*table.primary_key.columns)))


def _released(engine: sa.Engine, order: int, rows: list[dict[str, str]], number: int = 17, **values: Any) -> int:
    new = world.delivery(engine, order, number, **{"state": DeliveryState.RELEASED} | values)
    world.rows(engine, new, rows)
    return new


def _person(engine: sa.Engine, number: int = 1) -> Any:
    return next(row for row in _all(engine, subscribers) if row.person_number == f"{number:010d}")


def test_the_first_delivery_creates_the_list_and_opens_the_messages(bank: sa.Engine, order: int) -> None:
    rows = [
        world.reku_fields(1, Tracking_Einwilligung="J"),
        world.reku_fields(2, Einwilligung_EMail="N", Tracking_Einwilligung=""),
        world.reku_fields(3, EMail="JÖRG@Müßig.example"),
    ]
    delivery = _released(bank, order, rows)
    result = load(bank, delivery)
    (made,) = _all(bank, lists)
    assert (result.list_id, result.people, result.messages, result.already) == (made.id, 3, 3, False)
    assert made.created_at is not None
    (after,) = _all(bank, deliveries)
    assert (after.state, after.list_id) == (DeliveryState.LOADED, made.id)
    assert after.loaded_at is not None
    opened = _all(bank, messages)
    assert [(m.reference, m.consent, m.tracking, m.mailable, m.state) for m in opened] == [
        (rows[0]["Referenz"], True, True, True, "OPEN"),
        (rows[1]["Referenz"], False, False, True, "OPEN"),
        (rows[2]["Referenz"], True, False, True, "OPEN"),
    ]
    assert opened[2].recipient_key == addresses.address_hmac(world.BLZ, "jörg@müßig.example")
    assert {(m.institute, m.order_id, m.delivery_id, m.delivery_number) for m in opened} == {
        (world.BLZ, order, delivery, 17)
    }
    assert [m.person_number for m in opened] == ["0000000001", "0000000002", "0000000003"]
    with bank.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(subscribers)) == 3


def test_each_message_is_due_on_its_own_day(bank: sa.Engine, order: int) -> None:
    days = ["24.11.2026", "25.11.2026", "22.11.2026", "20.11.2026", "01.11.2026"]
    load(bank, _released(bank, order, [world.reku_fields(n, Anlass_Datum=day) for n, day in enumerate(days, 1)]))
    due = [(m.due_at, m.last_day) for m in _all(bank, messages)]
    assert due[:4] == [  # birthdays go out on days 0 to 3 at the campaign's 10:30
        (datetime(2026, 11, 24, 9, 30, tzinfo=UTC), date(2026, 11, 27)),
        (datetime(2026, 11, 25, 9, 30, tzinfo=UTC), date(2026, 11, 28)),
        (datetime(2026, 11, 22, 9, 30, tzinfo=UTC), date(2026, 11, 25)),
        (datetime(2026, 11, 22, 9, 30, tzinfo=UTC), date(2026, 11, 23)),
    ]
    assert due[4][1] == date(2026, 11, 4)  # past: withheld as expired when it is taken up
    assert due[4][0] < datetime(2026, 11, 22, 2, 15, tzinfo=UTC)


def test_an_address_that_no_mail_can_reach_is_marked(bank: sa.Engine, order: int) -> None:
    reached = {"a@kunde.example": True, "a@kontor": False, "b@kontor": False, "c@kunde.example": True}
    rows = [world.reku_fields(n, EMail=address) for n, address in enumerate(reached, 1)]
    load(bank, _released(bank, order, rows))
    assert [message.mailable for message in _all(bank, messages)] == list(reached.values())


def test_without_a_campaign_mails_are_due_at_nine(
    bank: sa.Engine, order: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    banks.configure(monkeypatch, tmp_path / "config")
    load(bank, _released(bank, order, [world.reku_fields(1)]))
    assert _all(bank, messages)[0].due_at == datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def test_gueltig_bis_of_an_approach_ends_a_message_earlier(bank: sa.Engine) -> None:
    order = world.order(bank, world.APPROACH, interface="IAMW", name="Willkommen_Giro", occasion="MCAC120")
    world.subscriber_list(bank, order)
    ends = ["", "23.11.2026", "31.12.9999", "20.11.2026"]
    rows = [world.iamw_fields(n, Gueltig_bis=end) for n, end in enumerate(ends, 1)]
    load(bank, _released(bank, order, rows, number=3))
    open_end, tomorrow, endless, past = _all(bank, messages)
    assert tomorrow.last_day == date(2026, 11, 23) < open_end.last_day == endless.last_day
    assert past.last_day < clock.berlin(past.due_at).date()  # expired before it is due


def test_loading_again_changes_nothing(bank: sa.Engine, order: int) -> None:
    delivery = _released(bank, order, [world.reku_fields(1), world.reku_fields(2)])
    first = load(bank, delivery)
    before = (_all(bank, subscribers), _all(bank, messages), _all(bank, deliveries), _all(bank, lists))
    again = load(bank, delivery)
    assert (again.already, again.list_id, again.messages) == (True, first.list_id, 2)
    assert (_all(bank, subscribers), _all(bank, messages), _all(bank, deliveries), _all(bank, lists)) == before


def test_a_later_delivery_updates_and_adds_and_removes_nobody(bank: sa.Engine, order: int) -> None:
    load(bank, _released(bank, order, [world.reku_fields(1, Titel="Dr."), world.reku_fields(2)]))
    change = world.reku_fields(1, 18, Nachname="Neumann", Titel="", EMail="neu@kunde.example")
    result = load(bank, _released(bank, order, [change, world.reku_fields(3, 18)], number=18))
    assert (result.people, result.messages) == (2, 2)
    assert [row.person_number for row in _all(bank, subscribers)] == ["0000000001", "0000000002", "0000000003"]
    person = _person(bank)
    assert (person.address, person.fields["Nachname"], person.delivery_number) == ("neu@kunde.example", "Neumann", 18)
    assert person.fields["Titel"] == "Dr."  # an empty value does not erase a stored one
    assert _person(bank, 2).delivery_number == 17
    assert len(_all(bank, messages)) == 4


def test_an_empty_value_erases_where_the_bank_says_so(
    bank: sa.Engine, order: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    banks.configure(monkeypatch, tmp_path / "config", overwrite_empty=["Titel"])
    load(bank, _released(bank, order, [world.reku_fields(1, Titel="Dr.", Firma="Muster GmbH")]))
    load(bank, _released(bank, order, [world.reku_fields(1, 18, Titel="", Firma="")], number=18))
    fields = _person(bank).fields
    assert (fields["Titel"], fields["Firma"]) == ("", "Muster GmbH")


def test_a_lower_number_that_comes_later_mails_but_does_not_overwrite(bank: sa.Engine, order: int) -> None:
    load(bank, _released(bank, order, [world.reku_fields(1, 18, EMail="neu@kunde.example")], number=18))
    late = [world.reku_fields(1, 17, EMail="alt@kunde.example"), world.reku_fields(2, 17)]
    result = load(bank, _released(bank, order, late, number=17))
    assert (result.people, result.messages) == (1, 2)
    person = _person(bank)
    assert (person.address, person.delivery_number) == ("neu@kunde.example", 18)
    assert _person(bank, 2).delivery_number == 17


def test_of_a_person_twice_in_a_delivery_the_last_row_counts(bank: sa.Engine, order: int) -> None:
    same = [world.reku_fields(n, Personennummer="0000000001", Vorname=f"V{n}", Titel="Dr." * (n == 1)) for n in (1, 2)]
    result = load(bank, _released(bank, order, same))
    assert (result.people, result.messages) == (1, 2)
    person = _person(bank)
    assert (person.address, person.fields["Vorname"], person.fields["Titel"]) == ("person2@kunde.example", "V2", "")


def test_an_empty_delivery_creates_the_list_and_no_message(bank: sa.Engine, order: int) -> None:
    result = load(bank, _released(bank, order, []))
    assert (result.people, result.messages) == (0, 0)
    assert _all(bank, lists)[0].created_at is not None
    assert _all(bank, deliveries)[0].state == DeliveryState.LOADED


def test_after_a_rename_only_the_new_list_is_filled(bank: sa.Engine) -> None:
    order = world.order(bank, name="Neuer_Name")
    frozen = datetime(2026, 11, 20, tzinfo=UTC)
    old = world.subscriber_list(bank, order, order_name="Alter_Name", created_at=frozen, frozen_at=frozen)
    new = world.subscriber_list(bank, order)
    assert load(bank, _released(bank, order, [world.reku_fields(1)])).list_id == new != old
    assert {row.list_id for row in _all(bank, subscribers)} == {new}


def test_two_lists_know_one_person_apart(bank: sa.Engine, order: int) -> None:
    other = world.order(bank, "R0004712", name="Anderes")
    world.subscriber_list(bank, other)
    load(bank, _released(bank, order, [world.reku_fields(1)]))
    load(bank, _released(bank, other, [world.reku_fields(1, order="R0004712", EMail="zwei@kunde.example")]))
    assert [row.address for row in _all(bank, subscribers)] == ["person1@kunde.example", "zwei@kunde.example"]


@pytest.mark.parametrize("state", ["PARKED", "REGISTERED", "VALIDATED", "DECLINED", "REFUSED"])
def test_only_released_deliveries_are_loaded(bank: sa.Engine, order: int, state: str) -> None:
    delivery = _released(bank, order, [world.reku_fields(1)], state=state)
    _is_stopped(bank, delivery, state)


def test_a_frozen_list_takes_nobody(bank: sa.Engine) -> None:
    order = world.order(bank)
    world.subscriber_list(bank, order, frozen_at=datetime(2026, 11, 20, tzinfo=UTC))
    _is_stopped(bank, _released(bank, order, [world.reku_fields(1)]), "frozen")


def test_no_list_without_a_processed_control_file(bank: sa.Engine) -> None:
    _is_stopped(bank, _released(bank, world.order(bank), [world.reku_fields(1)]), "has no list")
    with bank.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(deliveries).values(state=DeliveryState.PARKED, order_id=None))
    _is_stopped(bank, 1, "belongs to no order")


@pytest.mark.parametrize("ended", [{"ended": True}, {"valid_until": date(2026, 11, 21)}])
def test_a_delivery_of_an_order_that_ended_meanwhile_is_refused(bank: sa.Engine, ended: dict[str, Any]) -> None:
    order = world.order(bank, **ended)
    world.subscriber_list(bank, order)
    delivery = _released(bank, order, [world.reku_fields(1)])
    with pytest.raises(StageError, match="AUFTRAG_BEENDET"):
        load(bank, delivery)
    (row,) = _all(bank, deliveries)
    assert (row.state, row.code, row.rows, row.accepted, row.rejected) == ("REFUSED", "AUFTRAG_BEENDET", 1, 0, 1)
    assert _all(bank, subscribers) == _all(bank, messages) == _all(bank, delivery_rows) == []
    assert _all(bank, lists)[0].created_at is None


@pytest.mark.parametrize("registered", [date(2026, 11, 22), date(2026, 11, 23), date(2026, 12, 5)])
def test_a_delivery_of_the_last_valid_day_is_loaded(bank: sa.Engine, registered: date) -> None:
    """Whenever it came in or was set free: what counts is when it was made, as for intake."""
    order = world.order(bank, valid_until=date(2026, 11, 22))
    world.subscriber_list(bank, order)
    assert load(bank, _released(bank, order, [world.reku_fields(1)], day=registered)).messages == 1


def test_an_occasion_without_a_file_is_named(bank: sa.Engine) -> None:
    order = world.order(bank, occasion="BANK_EIGEN")
    world.subscriber_list(bank, order)
    _is_stopped(bank, _released(bank, order, [world.reku_fields(1)]), r"BANK_EIGEN\.yaml")


def test_a_reference_already_in_the_ledger_under_this_number_stops_the_load(bank: sa.Engine, order: int) -> None:
    old = _released(bank, order, [world.reku_fields(1)])
    load(bank, old)
    with bank.begin() as connection:
        refused = sa.update(deliveries).where(deliveries.c.id == old)
        allow_any_step(connection)
        connection.execute(refused.values(state=DeliveryState.REFUSED))
    again = _released(bank, order, [world.reku_fields(1), world.reku_fields(2)])
    with pytest.raises(StageError, match="2 accepted rows but 1 messages"):
        load(bank, again)
    assert len(_all(bank, messages)) == 1
    assert len(_all(bank, subscribers)) == 1


def test_an_unknown_delivery_is_named(bank: sa.Engine) -> None:
    with pytest.raises(StageError, match="no delivery 4711"):
        load(bank, 4711)


def test_two_tries_at_once_load_once(bank: sa.Engine, order: int) -> None:
    delivery = _released(bank, order, [world.reku_fields(n) for n in range(1, 200)])
    results = []
    tries = [threading.Thread(target=lambda: results.append(load(bank, delivery))) for _ in range(3)]
    for one in tries:
        one.start()
    for one in tries:
        one.join()
    assert sorted(result.already for result in results) == [False, True, True]
    assert {result.messages for result in results} == {199}
    assert len(_all(bank, messages)) == 199


def _is_stopped(engine: sa.Engine, delivery: int, said: str) -> None:
    before = [_all(engine, table) for table in (deliveries, lists, orders)]
    with pytest.raises(StageError, match=said):
        load(engine, delivery)
    assert [_all(engine, table) for table in (deliveries, lists, orders)] == before
    assert _all(engine, subscribers) == []
    assert _all(engine, messages) == []
