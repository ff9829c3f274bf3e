"""Hard bounces in a row, derived from what was sent and what came back (docs/domain.md, rule 15)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.addresses import address_hmac
from reku.store.bounce_series import length_at, retained_addresses, series
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import MessageState
from reku.store.tables import messages
from reku_testing import world

ADDRESS = "person1@kunde.example"
START = datetime(2026, 6, 1, 8, tzinfo=UTC)
_OUTCOMES: dict[str, tuple[MessageState, tuple[EventKind, ...]]] = {
    "H": (MessageState.SENT, (EventKind.BOUNCED_HARD,)),
    "R": (MessageState.REJECTED, (EventKind.BOUNCED_HARD,)),  # refused at RCPT
    "S": (MessageState.SENT, (EventKind.BOUNCED_SOFT,)),
    "U": (MessageState.SENT, (EventKind.BOUNCED_UNKNOWN,)),
    "D": (MessageState.SENT, ()),  # delivered: no bounce within the grace
    "O": (MessageState.SENT, (EventKind.BOUNCED_SOFT, EventKind.OPENED)),
    "K": (MessageState.SENT, (EventKind.CLICKED,)),
    "?": (MessageState.IN_DOUBT, ()),
    "B": (MessageState.REJECTED, (EventKind.BOUNCED_SOFT,)),
}


@pytest.fixture(autouse=True)
def autumn(clock_at: Callable[[datetime], None]) -> None:
    """Long after all mails were sent."""
    clock_at(datetime(2026, 11, 23, 8, tzinfo=UTC))


def send(engine: sa.Engine, order: int, number: int, outcome: str, address: str = ADDRESS, **changes: object) -> int:
    """Delivery `number` with one mail and what came of it, a week after the one before."""
    state, kinds = _OUTCOMES[outcome]
    begun = START + timedelta(weeks=number)
    delivery = changes.pop("delivery", None) or world.delivery(engine, order, number, created_at=begun)
    person = int(changes.pop("person", 1))
    row = world.row(
        engine,
        delivery,
        world.reku_fields(person, number, EMail=address, Anlass_Datum=f"{number:02}.06.2026"),
        line=2 + person,
    )
    message = world.message(engine, row, **({"state": state, "begun_at": begun, "ended_at": begun} | changes))
    with engine.begin() as connection:
        record(connection, [Event(message, kind, begun + timedelta(hours=1), "5.1.1") for kind in kinds])
    return message


def lengths(engine: sa.Engine) -> tuple[int, bool, int]:
    """Length of the series of ADDRESS, whether it is retained, and how many addresses are retained."""
    hmac = address_hmac(world.BLZ, ADDRESS)
    with engine.connect() as connection:
        retained = set(connection.scalars(retained_addresses(world.BLZ)))
        return series(connection, world.BLZ, [hmac]).get(hmac, 0), hmac in retained, len(retained)


@pytest.mark.parametrize(
    ("outcomes", "length"),
    [
        ("", 0),
        ("D", 0),
        ("H", 1),
        ("HHDH", 1),  # not withheld
        ("HHH", 3),  # withheld
        ("RRR", 3),
        ("HRH", 3),
        ("HHHH", 4),
        ("HSHUHB", 3),  # soft, unknown and blocked leave it
        ("HH?H", 3),  # nobody knows what became of a mail in doubt
        ("HHOH", 1),
        ("HHKH", 1),
        ("HHHD", 0),
        ("SSS", 0),
    ],
)
def test_series(database: sa.Engine, outcomes: str, length: int) -> None:
    order = world.order(database)
    for number, outcome in enumerate(outcomes, 1):
        send(database, order, number, outcome)
    assert lengths(database) == (length, length >= 3, int(length >= 3))


def test_grace_of_72_hours(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    order = world.order(database)
    for number, outcome in enumerate("HHD", 1):
        send(database, order, number, outcome)
    sent = START + timedelta(weeks=3)
    clock_at(sent + timedelta(hours=71))
    assert lengths(database)[0] == 2
    clock_at(sent + timedelta(hours=73))
    assert lengths(database)[0] == 0


def test_a_late_report_counts_where_its_mail_was_sent(database: sa.Engine) -> None:
    order = world.order(database)
    first = send(database, order, 1, "D")
    for number in (2, 3):
        send(database, order, number, "H")
    assert lengths(database)[0] == 2
    with database.begin() as connection:
        record(connection, [Event(first, EventKind.BOUNCED_HARD, clock.now(), "5.1.1")])
    assert lengths(database) == (3, True, 1)


def test_one_mailing_counts_once(database: sa.Engine) -> None:
    order = world.order(database)
    delivery = world.delivery(database, order, 1, created_at=START)
    for person in (1, 2, 3):  # a household with one address
        send(database, order, 1, "H", person=person, delivery=delivery)
    assert lengths(database) == (1, False, 0)


def test_another_bank_and_another_address_do_not_count(database: sa.Engine) -> None:
    here, there = world.order(database), world.order(database, institute="99950002")
    for number in (1, 2, 3):
        send(database, there, number, "H")
        send(database, here, number, "H", address="other@kunde.example")
    assert lengths(database) == (0, False, 1)


def test_length_at_each_mail(database: sa.Engine) -> None:
    order = world.order(database)
    for number, outcome in enumerate("HHDHH", 1):
        send(database, order, number, outcome)
    withheld = send(database, order, 6, "?", state=MessageState.WITHHELD, begun_at=None)
    about = messages.alias("about")
    with database.connect() as connection:
        found = connection.execute(sa.select(about.c.id, length_at(about)).order_by(about.c.id)).all()
    assert [length for _, length in found] == [1, 2, 0, 1, 2, 2]
    assert found[-1].id == withheld
