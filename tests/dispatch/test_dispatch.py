from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import lease, ledger
from reku.dispatch.doubt import in_doubt, resolve
from reku.dispatch.lease import LockLost
from reku.dispatch.lock import StillRunning, delivery_lock
from reku.dispatch.plan import CampaignFault
from reku.foundation import clock
from reku.foundation import settings as settings_module
from reku.foundation.errors import StageError
from reku.store.locks import Lock
from reku.store.states import DeliveryState
from reku.store.tables import messages, orders, responses, suppressions
from reku_testing import sessions, smtp, world
from reku_testing.dispatching import dispatch
from reku_testing.steps import allow_any_step
from tests.conftest import PROJECT

DAY = date(2026, 11, 24)
NINE = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
BANK = "99990001"
ORDER = "R0000101"  # of the demo institute: its campaign sends SCOM_GEBURTSTAG
Settle = Callable[..., None]


@pytest.fixture
def relay(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[smtp.Sink]:
    """A real SMTP server that our settings point to, at half past nine on the day."""
    clock_at(NINE)
    with smtp.running(smtp.Sink()) as sink:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings_module.settings.cache_clear()
        yield sink


def _loaded(engine: sa.Engine, people: list[dict[str, str]], number: int = 17, **order: Any) -> int:
    """A loaded and released delivery of the demo bank with one open message per person."""
    with engine.connect() as connection:
        order_id = connection.scalar(sa.select(orders.c.id).where(orders.c.order_number == ORDER))
    if order_id is None:
        order_id = world.order(engine, ORDER, institute=BANK, **order)
        world.subscriber_list(engine, order_id, created_at=NINE)
    delivery = world.delivery(engine, order_id, number, state=DeliveryState.LOADED, released_at=NINE)
    for row in world.rows(engine, delivery, people):
        world.message(engine, row)
    return delivery


def _people(count: int, **changes: str) -> list[dict[str, str]]:
    return [world.reku_fields(number, order=ORDER, **changes) for number in range(1, count + 1)]


def _states(engine: sa.Engine, delivery: int) -> dict[str, int]:
    with engine.connect() as connection:
        return {state: count for state, count in ledger.counts(connection, delivery).items() if count}


def _one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, and a look at the database before each mail, as if each took longer than a look holds."""
    monkeypatch.setenv("REKU_SMTP_CONNECTIONS", "1")
    monkeypatch.setattr(lease, "FRESH_SECONDS", 0.0)
    settings_module.settings.cache_clear()


def _attempts(engine: sa.Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(messages.c.attempts)))


def _events(engine: sa.Engine) -> Counter[tuple[str, str]]:
    with engine.connect() as connection:
        return Counter(
            (kind, reason) for kind, reason in connection.execute(sa.select(responses.c.kind, responses.c.reason))
        )


def test_everybody_gets_one_mail_and_a_second_dispatch_none(database: sa.Engine, relay: smtp.Sink) -> None:
    delivery = _loaded(database, _people(60))
    assert dispatch(database, delivery, day=DAY).sent == 60
    assert dispatch(database, delivery, day=DAY).sent == 0
    assert Counter(relay.recipients) == Counter(f"person{n}@kunde.example" for n in range(1, 61))
    assert _states(database, delivery) == {"SENT": 60}
    assert _events(database) == {("SENT", ""): 60}


def test_mail_carries_umlauts_and_unsubscribe(database: sa.Engine, relay: smtp.Sink) -> None:
    dispatch(database, _loaded(database, _people(1)), day=DAY)
    (mail,) = relay.mails()
    assert "Jördis Beispiel-Müßig" in str(mail["To"])
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = mail.get_body(("html",))
    assert body is not None
    assert "Beispiel-Müßig" in body.get_content()
    assert "/o/" not in body.get_content()  # no tracking consent, no pixel


def test_what_is_not_due_stays_open(database: sa.Engine, relay: smtp.Sink) -> None:
    delivery = _loaded(database, _people(2))
    with database.begin() as connection:
        first = connection.scalar(sa.select(sa.func.min(messages.c.id)))
        connection.execute(
            sa.update(messages).where(messages.c.id == first).values(due_at=datetime(2026, 11, 25, 8, tzinfo=UTC))
        )
    dispatch(database, delivery, day=DAY)
    assert relay.recipients == ["person2@kunde.example"]
    assert _states(database, delivery) == {"OPEN": 1, "SENT": 1}


def test_past_days_run_takes_only_that_day(database: sa.Engine, relay: smtp.Sink) -> None:
    delivery = _loaded(database, _people(2))
    with database.begin() as connection:
        first = connection.scalar(sa.select(sa.func.min(messages.c.id)))
        connection.execute(
            sa.update(messages).where(messages.c.id == first).values(due_at=datetime(2026, 11, 23, 8, tzinfo=UTC))
        )
    dispatch(database, delivery, day=date(2026, 11, 23), due_day=date(2026, 11, 23))
    assert relay.recipients == ["person1@kunde.example"]


def test_same_date_under_a_new_number_is_a_duplicate_and_next_year_is_not(
    database: sa.Engine, relay: smtp.Sink, clock_at: Callable[[datetime], None]
) -> None:
    """docs/domain.md, rules 10 and 11."""
    dispatch(database, _loaded(database, _people(3)), day=DAY)
    again = _loaded(database, [world.reku_fields(n, 18, ORDER) for n in (1, 2, 3)], number=18)
    assert dispatch(database, again, day=DAY).withheld == 3
    assert _events(database)[("NOT_SENT", "DUBLETTE")] == 3
    next_year = [world.reku_fields(n, 19, ORDER, Anlass_Datum="24.11.2027") for n in (1, 2, 3)]
    assert dispatch(database, _loaded(database, next_year, number=19), day=DAY).sent == 3


def test_same_person_twice_in_one_delivery_gets_one_mail(database: sa.Engine, relay: smtp.Sink) -> None:
    twice = [
        world.reku_fields(1, order=ORDER),
        world.reku_fields(2, order=ORDER, Personennummer="0000000001", EMail="Person1@KUNDE.example"),
    ]
    delivery = _loaded(database, twice)
    dispatch(database, delivery, day=DAY)
    assert len(relay.recipients) == 1
    assert _states(database, delivery) == {"SENT": 1, "WITHHELD": 1}


@pytest.mark.parametrize(
    ("answer", "state", "event"),
    [
        ("550 5.1.1 user unknown", "REJECTED", ("BOUNCED_HARD", "5.1.1")),
        ("552 5.2.2 mailbox full", "REJECTED", ("BOUNCED_SOFT", "5.2.2")),
        ("554 5.7.1 blocked", "REJECTED", ("BOUNCED_SOFT", "5.7.1")),
    ],
)
@pytest.mark.parametrize("place", ["rcpt", "dot"])
def test_refusal_of_one_person(
    database: sa.Engine, relay: smtp.Sink, place: str, answer: str, state: str, event: tuple[str, str]
) -> None:
    relay.say = smtp.only(place, lambda address: answer if address.startswith("person2@") else None)
    delivery = _loaded(database, _people(3))
    assert dispatch(database, delivery, day=DAY).rejected == 1
    assert _states(database, delivery) == {"SENT": 2, state: 1}
    assert _events(database) == {("SENT", ""): 2, event: 1}


def test_put_off_stays_open_and_is_not_delivered_in_time_past_its_window(
    database: sa.Engine, relay: smtp.Sink, clock_at: Callable[[datetime], None]
) -> None:
    relay.say = smtp.only("rcpt", lambda address: "451 4.7.1 greylisted" if address.startswith("person1@") else None)
    delivery = _loaded(database, _people(2))
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.put_off) == (1, 1)
    assert done.next_try is not None
    assert timedelta(seconds=50) < done.next_try - clock.now() <= timedelta(seconds=60)
    assert _states(database, delivery) == {"OPEN": 1, "SENT": 1}
    clock_at(datetime(2026, 11, 24, 18, 59, tzinfo=UTC))
    done = dispatch(database, delivery, day=DAY)  # tried again, and put off again
    assert done.next_try == datetime(2026, 11, 24, 19, tzinfo=UTC)  # the window's end, 20:00 in Berlin
    assert _attempts(database) == {1, 2}
    clock_at(datetime(2026, 11, 24, 19, tzinfo=UTC))
    assert dispatch(database, delivery, day=DAY).next_try is None
    assert _states(database, delivery) == {"SENT": 1, "UNDELIVERED": 1}
    assert _events(database)[("BOUNCED_SOFT", "4.4.7")] == 1


def test_relay_that_refuses_everybody_is_stopped_early(database: sa.Engine, relay: smtp.Sink) -> None:
    relay.say = smtp.only("rcpt", lambda _address: "554 5.7.1 we do not like you")
    delivery = _loaded(database, _people(60))
    with pytest.raises(StageError, match="20 messages in a row"):
        dispatch(database, delivery, day=DAY)
    states = _states(database, delivery)
    assert states["OPEN"] + states["REJECTED"] == 60
    assert 20 <= states["REJECTED"] < 20 + settings_module.settings().smtp_connections  # those in hand were answered


def test_no_relay_leaves_everything_open(
    database: sa.Engine, relay: smtp.Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_SMTP_PORT", "1")
    settings_module.settings.cache_clear()
    delivery = _loaded(database, _people(2))
    result = dispatch(database, delivery, day=DAY)
    assert (result.put_off, result.sent) == (2, 0)
    assert result.next_try
    assert "No session with the relay" in result.why_later
    assert _states(database, delivery) == {"OPEN": 2}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"consent": False}, "KEINE_EINWILLIGUNG"),
        ({"mailable": False}, "ADRESSE_UNGUELTIG"),
        ({"last_day": date(2026, 11, 23)}, "ABGELAUFEN"),
    ],
)
def test_withheld_with_its_reason(
    database: sa.Engine, relay: smtp.Sink, values: dict[str, object], reason: str
) -> None:
    """docs/domain.md, rule 14."""
    delivery = _loaded(database, _people(1))
    with database.begin() as connection:
        connection.execute(sa.update(messages).values(**values))
    assert dispatch(database, delivery, day=DAY).withheld == 1
    assert relay.recipients == []
    assert _events(database) == {("NOT_SENT", reason): 1}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("active: true|active: false", "is not active"),
        (", list: R0000101|", "block 1 (start) has no list"),
        ("[SCOM_GEBURTSTAG]|[]", "block 3 (send) has no mail"),
        ("list: R0000101|list: EINE_ANDERE", "block 1 (start)"),
    ],
)
def test_campaign_fault_names_the_block_and_sends_nothing(
    database: sa.Engine, relay: smtp.Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    """docs/domain.md, rule 12."""
    _copied_configuration(tmp_path, monkeypatch, change)
    delivery = _loaded(database, _people(2))
    with pytest.raises(CampaignFault) as fault:
        dispatch(database, delivery, day=DAY)
    assert says in str(fault.value)
    assert _states(database, delivery) == {"OPEN": 2}
    monkeypatch.delenv("REKU_CONFIG_DIR")
    settings_module.settings.cache_clear()
    assert dispatch(database, delivery, day=DAY).sent == 2  # clearing it later sends


@pytest.mark.parametrize(
    ("order", "message", "reason"),
    [({"ended": True}, {}, "AUFTRAG_BEENDET"), ({}, {"last_day": date(2026, 11, 23)}, "ABGELAUFEN")],
)
def test_what_has_ended_does_not_wait_for_a_faulty_campaign(
    database: sa.Engine,
    relay: smtp.Sink,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: dict[str, Any],
    message: dict[str, Any],
    reason: str,
) -> None:
    _copied_configuration(tmp_path, monkeypatch, "active: true|active: false")
    delivery = _loaded(database, _people(2), **order)
    if message:
        with database.begin() as connection:
            first = connection.scalar(sa.select(sa.func.min(messages.c.id)))
            connection.execute(sa.update(messages).where(messages.c.id == first).values(**message))
    with pytest.raises(CampaignFault):
        dispatch(database, delivery, day=DAY)
    withheld = 1 if message else 2
    assert _states(database, delivery) == {"WITHHELD": withheld} | ({"OPEN": 1} if message else {})
    assert _events(database) == {("NOT_SENT", reason): withheld}


@pytest.mark.parametrize("by", ["address", "person"])
def test_an_unsubscribe_after_the_claim_still_stops_the_mail(
    database: sa.Engine, relay: smtp.Sink, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """It applies at once to everything not yet handed over, the rest of a claimed batch included."""
    _one_after_the_other(monkeypatch)
    delivery = _loaded(database, _people(3))

    def unsubscribes(address: str) -> None:
        if address.startswith("person1@"):
            with database.begin() as connection:
                third = connection.execute(sa.select(messages).order_by(messages.c.id.desc()).limit(1)).one()
                connection.execute(
                    sa.insert(suppressions).values(
                        institute=BANK,
                        kind="UNSUBSCRIBED",
                        recipient_key=third.recipient_key if by == "address" else "0" * 64,
                        person_number=third.person_number if by == "person" else "",
                        order_id=third.order_id,
                        source="EINKLICK",
                        since=NINE,
                    )
                )

    relay.say = smtp.only("rcpt", unsubscribes)
    assert dispatch(database, delivery, day=DAY).withheld == 1
    assert relay.recipients == ["person1@kunde.example", "person2@kunde.example"]
    assert _states(database, delivery) == {"SENT": 2, "WITHHELD": 1}
    assert _events(database) == {("SENT", ""): 2, ("NOT_SENT", "ABGEMELDET"): 1}


def test_an_unusual_yes_to_a_recipient_is_no_mail_yet(database: sa.Engine, relay: smtp.Sink) -> None:
    """252 means "will attempt delivery" (RFC 5321 section 4.2.2); the mail has to follow all the same."""

    relay.say = smtp.only("rcpt", lambda _address: "252 2.1.5 cannot verify, will try")
    dispatch(database, _loaded(database, _people(1)), day=DAY)
    assert relay.recipients == ["person1@kunde.example"]


def test_a_campaign_that_names_a_frozen_list_stops_and_names_the_block(
    database: sa.Engine, relay: smtp.Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = _loaded(database, _people(1))
    with database.connect() as connection:
        order = connection.scalar(sa.select(orders.c.id))
    assert order is not None
    world.subscriber_list(database, order, order_name="Alter_Name", name="Alte_Liste", frozen_at=NINE)
    _copied_configuration(tmp_path, monkeypatch, "list: R0000101|list: Alte_Liste")
    with pytest.raises(CampaignFault, match=r"block 1 \(start\): list Alte_Liste is frozen"):
        dispatch(database, delivery, day=DAY)
    assert _states(database, delivery) == {"OPEN": 1}


def _copied_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    include = tmp_path / "include"
    include.mkdir()
    for name in ("occasions", "templates", "contracts"):
        (include / name).symlink_to(PROJECT / "include" / name)
    (include / "institutes").mkdir()
    text = (PROJECT / "include" / "institutes" / f"{BANK}.yaml").read_text(encoding="utf-8")
    start = text.index(f"order: {ORDER}")
    old, new = change.split("|")
    assert old in text[start:]
    text = text[:start] + text[start:].replace(old, new, 1)
    (include / "institutes" / f"{BANK}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(include))
    settings_module.settings.cache_clear()


@pytest.mark.parametrize("state", [s for s in DeliveryState if s is not DeliveryState.LOADED])
def test_only_a_loaded_delivery_is_mailed(database: sa.Engine, relay: smtp.Sink, state: DeliveryState) -> None:
    order = world.order(database, ORDER, institute=BANK)
    with pytest.raises(StageError, match="not mailed"):
        dispatch(database, world.delivery(database, order, state=state, released_at=NINE), day=DAY)


def test_a_delivery_that_was_not_released_is_not_mailed(database: sa.Engine, relay: smtp.Sink) -> None:
    order = world.order(database, ORDER, institute=BANK)
    with pytest.raises(StageError, match="not released"):
        dispatch(database, world.delivery(database, order, state=DeliveryState.LOADED), day=DAY)


def test_second_dispatcher_fails_while_the_first_runs(database: sa.Engine, relay: smtp.Sink) -> None:
    delivery = _loaded(database, _people(1))
    with delivery_lock(database, delivery), pytest.raises(StillRunning):
        dispatch(database, delivery, day=DAY)
    assert dispatch(database, delivery, day=DAY).sent == 1


def test_dispatcher_that_lost_its_lock_stops(
    database: sa.Engine, relay: smtp.Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    _one_after_the_other(monkeypatch)
    delivery = _loaded(database, _people(5))

    def cut(_address: str) -> None:
        if len(relay.recipients) == 2:
            sessions.end_holder(database, Lock.DELIVERY, delivery)

    relay.say = smtp.only("rcpt", cut)
    with pytest.raises(LockLost):
        dispatch(database, delivery, day=DAY)
    assert _states(database, delivery) == {"OPEN": 3, "SENT": 2}  # answers were recorded, the rest never begun
    relay.say = lambda _point, _address: None
    dispatch(database, delivery, day=DAY)
    assert sorted(relay.recipients) == sorted({f"person{n}@kunde.example" for n in range(1, 6)})


@pytest.mark.parametrize(
    ("sent", "state", "event"), [(True, "SENT", ("SENT", "")), (False, "WITHHELD", ("NOT_SENT", "UNGEKLAERT"))]
)
def test_doubt_is_resolved_by_a_person_only(
    database: sa.Engine, relay: smtp.Sink, sent: bool, state: str, event: tuple[str, str]
) -> None:
    delivery = _loaded(database, _people(1))
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).values(state="IN_DOUBT", begun_at=NINE, fence=1))
    dispatch(database, delivery, day=DAY)
    assert relay.recipients == []  # never silently sent again
    (row,) = in_doubt(database)
    resolve(database, BANK, row.reference, sent=sent, actor="anna", note="relay log")
    assert in_doubt(database) == []
    assert _states(database, delivery) == {state: 1}
    assert _events(database) == {event: 1}
    with pytest.raises(StageError, match="no message in doubt"):
        resolve(database, BANK, row.reference, sent=sent, actor="anna", note="")
