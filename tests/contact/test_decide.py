from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.decide import reasons
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.states import MessageState
from reku.store.tables import messages, orders, suppressions
from reku_testing import world

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)


@pytest.fixture
def open_message(database: sa.Engine, clock_at: Callable[[datetime], None]) -> int:
    """One open message that nothing stands against."""
    clock_at(NOW)
    delivery = world.delivery(database, world.order(database))
    return world.message(database, world.row(database, delivery, world.reku_fields()))


def _reason(engine: sa.Engine, message: int, day: date = DAY) -> Reason | None:
    with engine.connect() as connection:
        return next(iter(reasons(connection, policy_of(world.BLZ), [message], day).get(message, ())), None)


def _change(engine: sa.Engine, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(messages).values(**values))


def _bar(engine: sa.Engine, kind: SuppressionKind, **values: Any) -> None:
    with engine.begin() as connection:
        about = connection.execute(sa.select(messages)).first()
        assert about is not None
        row = {
            "institute": world.BLZ,
            "kind": kind,
            "recipient_key": about.recipient_key,
            "person_number": about.person_number,
            "order_id": about.order_id,
            "source": "LINK",
            "since": NOW,
        }
        connection.execute(sa.insert(suppressions).values(row | values))


def test_nothing_against_it(database: sa.Engine, open_message: int) -> None:
    assert _reason(database, open_message) is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"consent": False}, Reason.KEINE_EINWILLIGUNG),
        ({"mailable": False}, Reason.ADRESSE_UNGUELTIG),
        ({"last_day": DAY - timedelta(days=1)}, Reason.ABGELAUFEN),
        ({"last_day": DAY}, None),
        ({"last_day": DAY - timedelta(days=1), "consent": False}, Reason.ABGELAUFEN),
        ({"mailable": False, "consent": False}, Reason.KEINE_EINWILLIGUNG),
    ],
)
def test_what_the_message_says(
    database: sa.Engine, open_message: int, values: dict[str, Any], reason: Reason | None
) -> None:
    _change(database, **values)
    assert _reason(database, open_message) is reason


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (SuppressionKind.UNSUBSCRIBED, Reason.ABGEMELDET),
        (SuppressionKind.COMPLAINED, Reason.BESCHWERDELISTE),
        (SuppressionKind.BLACKLISTED, Reason.BLACKLIST),
    ],
)
@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ({}, True),
        ({"order_id": None}, True),
        ({"order_id": None, "institute": "99950002"}, False),
        ({"recipient_key": "f" * 64, "person_number": ""}, False),
    ],
)
def test_barred_addresses(
    database: sa.Engine, open_message: int, kind: SuppressionKind, reason: Reason, values: dict[str, Any], bars: bool
) -> None:
    _bar(database, kind, **values)
    assert _reason(database, open_message) is (reason if bars else None)


def test_unsubscribe_of_another_order_does_not_bar(database: sa.Engine, open_message: int) -> None:
    _bar(database, SuppressionKind.UNSUBSCRIBED, order_id=world.order(database, "R0004712"))
    assert _reason(database, open_message) is None


def test_whoever_unsubscribed_stays_so_under_a_new_address(database: sa.Engine, open_message: int) -> None:
    _bar(database, SuppressionKind.UNSUBSCRIBED, recipient_key="f" * 64)
    assert _reason(database, open_message) is Reason.ABGEMELDET


@pytest.mark.parametrize(
    ("values", "day", "ended"),
    [
        ({"ended": True}, DAY, True),
        ({"valid_until": DAY}, DAY, False),
        ({"valid_until": DAY}, DAY + timedelta(1), True),
    ],
)
def test_ended_order(database: sa.Engine, open_message: int, values: dict[str, Any], day: date, ended: bool) -> None:
    with database.begin() as connection:
        connection.execute(sa.update(orders).values(**values))
    assert _reason(database, open_message, day) is (Reason.AUFTRAG_BEENDET if ended else None)


@pytest.mark.parametrize("state", list(MessageState))
@pytest.mark.parametrize(("other_date", "other_delivery"), [("24.11.2026", 16), ("24.12.2026", 17), ("24.11.2025", 16)])
def test_duplicates(
    database: sa.Engine, open_message: int, state: MessageState, other_date: str, other_delivery: int
) -> None:
    """The same Anlass_Datum, or the same delivery number; next year's date under another number is no duplicate."""
    with database.connect() as connection:
        about = connection.execute(sa.select(messages)).one()
    fields = world.reku_fields(1, other_delivery, Referenz="another", Anlass_Datum=other_date)
    delivery = about.delivery_id if other_delivery == 17 else world.delivery(database, about.order_id, other_delivery)
    world.message(database, world.row(database, delivery, fields, line=9), state=state)
    handed_over = state in (MessageState.CLAIMED, MessageState.PREPARED, MessageState.SENT, MessageState.IN_DOUBT)
    same = other_date == "24.11.2026" or other_delivery == 17
    assert _reason(database, open_message) is (Reason.DUBLETTE if handed_over and same else None)


@pytest.mark.parametrize(
    ("outcomes", "retained"),
    [("HHH", True), ("HH", False), ("HHDH", False), ("HHSH", True), ("HHOH", False), ("HDHHH", True)],
)
def test_retained_after_three_hard_bounces_in_a_row(
    database: sa.Engine, open_message: int, outcomes: str, retained: bool
) -> None:
    """docs/domain.md, rule 15: hard, soft, delivered without bounce, opened; in order of sending."""
    with database.connect() as connection:
        about = connection.execute(sa.select(messages)).one()
    kinds = {"H": EventKind.BOUNCED_HARD, "S": EventKind.BOUNCED_SOFT, "O": EventKind.OPENED}
    for number, outcome in enumerate(outcomes):
        sent = NOW - timedelta(days=60 - number)
        delivery = world.delivery(database, about.order_id, number)
        fields = world.reku_fields(1, number, Anlass_Datum=f"{number + 1:02d}.01.2026")
        message = world.message(
            database,
            world.row(database, delivery, fields),
            state=MessageState.SENT,
            begun_at=sent,
            ended_at=sent,
            due_at=sent,
        )
        if outcome != "D":
            with database.begin() as connection:
                record(connection, [Event(message, kinds[outcome], sent + timedelta(minutes=1), "5.1.1")])
    assert _reason(database, open_message) is (Reason.ZURUECKGEHALTEN if retained else None)


def test_every_reason_has_a_code_that_the_response_contract_knows() -> None:
    from reku.records import contracts

    allowed = contracts()["RESPONSE"].column("Grund_Code")
    assert allowed is not None
    for reason in Reason:
        if reason.event is EventKind.NOT_SENT:
            assert reason.code == reason.value
        else:
            assert (reason, reason.code) == (Reason.ZURUECKGEHALTEN, "")
