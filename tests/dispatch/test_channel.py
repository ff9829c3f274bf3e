"""Channels that the package does not know: one that sends message by message, and one that sends all in one batch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.institute import Institute, RateLimits
from reku.contact.reasons import Reason
from reku.dispatch.channel import ControlCopyResult, MessageFault, PreparedChannel
from reku.dispatch.claim import Claimed, decide
from reku.dispatch.dispatch import dispatch
from reku.dispatch.dispatcher import Dispatcher
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.errors import ConfigError, StageError
from reku.process.systems import CHANNELS, channel_named
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.locks import Lock, lock_until_commit
from reku.store.states import MessageState
from reku.store.tables import delivery_rows, dispatches, messages
from reku_testing import dispatching
from reku_testing.dispatching import BANK, DAY, claimed, events, loaded, people, states


@dataclass
class _ToyChannel:
    """What both toys have in common. `barred_by`: only what bars everything, unlike e-mail."""

    name: str = "toy"
    barred_by: frozenset[Reason] = frozenset(Reason) - {Reason.KEINE_EINWILLIGUNG}
    processes: int = 1
    prepared: list[SendPlan] = field(default_factory=list)
    copies: int = 0

    def limits(self, institute: Institute) -> RateLimits | None:  # noqa: ARG002 - nobody minds
        return None

    def recipient_key(self, institute: str, person_number: str, address: str) -> str:  # noqa: ARG002 - by person
        return f"{institute}{person_number}".ljust(64, "0")

    has_control_copy = True

    def send_control_copy(self, result: ControlCopyResult) -> None:
        self.copies += 1
        result.taken += 1


@dataclass(frozen=True)
class _Slip:
    message_id: str
    medium: str
    text: str


@dataclass
class Messenger(_ToyChannel):
    """Sends message by message. `says`: what the other side answers to a person's number; nothing: it takes it."""

    says: Callable[[str], str] = lambda _number: ""
    delivered: list[str] = field(default_factory=list)

    def prepare(self, plan: SendPlan) -> PreparedChannel:
        self.prepared.append(plan)
        return self

    def fill(self, message: Claimed) -> _Slip:
        number = message.fields["Personennummer"]
        if self.says(number) == "no slip":
            raise MessageFault(f"{message.reference} cannot be written", unreachable=False)
        if self.says(number) == "nowhere":
            raise MessageFault(f"{message.reference} has no place", unreachable=True)
        return _Slip(f"slip-{message.id}", "SCOM_GEBURTSTAG", f"Guten Tag {message.fields['Nachname']}")

    def send(self, dispatcher: Dispatcher) -> None:
        with dispatcher.open_queue(self.fill) as queue:
            while queue.seconds_until_next() is not None:
                queue.heartbeat()
                job = queue.next_job()
                if job is None or not queue.start(job):
                    continue
                said = self.says(job.message.fields["Personennummer"])
                if said == "later":
                    queue.put_off(job, said)
                elif said == "no":
                    queue.refused(job, said, EventKind.BOUNCED_HARD, "5.1.1", said=said)
                elif said == "silence":
                    queue.lost(job)
                else:
                    self.delivered.append(job.content.text)
                    queue.sent(job, "taken")


@dataclass
class _Printer(_ToyChannel):
    """Sends all that is due as one file: claimed, decided and recorded in one transaction, then written."""

    folder: Path = field(default_factory=Path)

    def prepare(self, plan: SendPlan) -> PreparedChannel:
        self.prepared.append(plan)
        return self

    def send(self, dispatcher: Dispatcher) -> None:
        moment = clock.now()
        with dispatcher.engine.begin() as connection:
            lock_until_commit(connection, Lock.ORDER, dispatcher.plan.order)
            decision = decide(connection, dispatcher.plan, self, dispatcher.due, moment)
            if decision is None:
                return
            ids = [row.id for row in decision.free]
            taken = sa.update(messages).where(messages.c.id.in_(ids))
            connection.execute(taken.values(state=MessageState.CLAIMED, claimed_at=moment, medium="SCOM_GEBURTSTAG"))
            connection.execute(taken.values(state=MessageState.SENT, begun_at=moment, ended_at=moment))
            record(connection, [Event(id_, EventKind.SENT, moment) for id_ in ids])
        dispatcher.result.withheld += decision.withheld
        dispatcher.result.sent += len(ids)
        self.write(dispatcher)

    def write(self, dispatcher: Dispatcher) -> None:
        """Always the same file, however often it is written."""
        of_delivery = messages.c.delivery_id == dispatcher.plan.delivery
        with dispatcher.engine.connect() as connection:
            rows = connection.execute(
                sa.select(messages.c.reference, delivery_rows.c.fields["Nachname"].astext)
                .join(delivery_rows, delivery_rows.c.id == messages.c.row_id)
                .where(of_delivery, messages.c.state == MessageState.SENT)
                .order_by(messages.c.id)
            ).all()
        file = self.folder / f"{dispatcher.plan.delivery}.json"
        file.write_text(json.dumps([list(row) for row in rows]), encoding="utf-8")


@pytest.fixture(autouse=True)
def now(database: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    """Half past nine on the day."""
    clock_at(dispatching.NINE)


def _changed(engine: sa.Engine, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(messages).where(messages.c.id == 1).values(**values))


def test_message_by_message(database: sa.Engine) -> None:
    delivery = loaded(database, people(30), channel="toy")
    channel = Messenger()
    result = dispatch(database, delivery, channel, day=DAY)
    assert (result.sent, result.next_try) == (30, None)
    assert len(channel.delivered) == 30
    assert channel.delivered[0] == "Guten Tag Beispiel-Müßig"
    assert states(database) == {"SENT": 30}
    assert events(database) == {("SENT", ""): 30}
    assert claimed(database) == 0
    with database.connect() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.id == 1)).one()
    assert (row.message_id, row.medium, row.answer) == ("slip-1", "SCOM_GEBURTSTAG", "taken")


def test_every_way_in_which_it_can_end(database: sa.Engine) -> None:
    ends = {1: "later", 2: "no", 3: "silence", 4: "nowhere", 5: "no slip"}
    delivery = loaded(database, people(6), channel="toy")
    channel = Messenger(says=lambda number: ends.get(int(number), ""))
    with pytest.raises(StageError, match="1 messages cannot be filled and are still open"):
        dispatch(database, delivery, channel, day=DAY)
    assert states(database) == {"OPEN": 2, "REJECTED": 1, "IN_DOUBT": 1, "WITHHELD": 1, "SENT": 1}
    assert events(database) == {("SENT", ""): 1, ("BOUNCED_HARD", "5.1.1"): 1, ("NOT_SENT", "ADRESSE_UNGUELTIG"): 1}
    assert len(channel.delivered) == 1


def test_all_in_one_batch(database: sa.Engine, tmp_path: Path) -> None:
    delivery = loaded(database, people(30), channel="toy")
    channel = _Printer(folder=tmp_path)
    assert dispatch(database, delivery, channel, day=DAY).sent == 30
    file = tmp_path / f"{delivery}.json"
    assert len(json.loads(file.read_text(encoding="utf-8"))) == 30
    assert states(database) == {"SENT": 30}
    assert events(database) == {("SENT", ""): 30}
    assert dispatch(database, delivery, channel, day=DAY).sent == 0


@pytest.mark.parametrize("make", [Messenger, _Printer])
def test_only_what_bars_the_channel_keeps_a_message_from_going_out(
    database: sa.Engine, tmp_path: Path, make: Callable[..., Any]
) -> None:
    delivery = loaded(database, people(3), channel="toy")
    _changed(database, consent=False)
    with database.begin() as connection:
        connection.execute(sa.update(messages).where(messages.c.id == 2).values(mailable=False))
    channel = make()
    channel.folder = tmp_path
    dispatch(database, delivery, channel, day=DAY)
    assert states(database) == {"SENT": 2, "WITHHELD": 1}
    assert Counter(events(database)) == {("SENT", ""): 2, ("NOT_SENT", "ADRESSE_UNGUELTIG"): 1}


@pytest.mark.parametrize("make", [Messenger, _Printer])
def test_the_control_copy_comes_first_and_once(database: sa.Engine, tmp_path: Path, make: Callable[..., Any]) -> None:
    channel = make()
    channel.folder = tmp_path
    delivery = loaded(database, people(3), channel="toy")
    for _ in range(2):
        dispatch(database, delivery, channel, day=DAY)
    assert channel.copies == 1
    with database.connect() as connection:
        assert connection.scalar(sa.select(dispatches.c.control_copy_at)) is not None


def test_one_that_waits_for_another_system_says_when_to_ask_it_again(database: sa.Engine) -> None:
    later = clock.now() + timedelta(minutes=5)

    class Importing(Messenger):
        def send(self, dispatcher: Dispatcher) -> None:
            dispatcher.result.try_again_at(later)
            dispatcher.result.try_again_at(later + timedelta(minutes=5))
            super().send(dispatcher)

    delivery = loaded(database, people(1), channel="toy")
    for _ in range(2):  # also when nothing is open any more
        assert dispatch(database, delivery, Importing(), day=DAY).next_try == later
    assert states(database) == {"SENT": 1}


def test_a_fault_in_the_campaigns_media_is_told_before_anything_is_sent(database: sa.Engine) -> None:
    class Broken(Messenger):
        def prepare(self, plan: SendPlan) -> PreparedChannel:  # noqa: ARG002 - broken for all
            raise ConfigError("Not valid.", file=Path("letter.typ"), line=3)

    delivery = loaded(database, people(3), channel="toy")
    with pytest.raises(ConfigError, match=r"letter\.typ"):
        dispatch(database, delivery, Broken(), day=DAY)
    assert states(database) == {"OPEN": 3}


def test_it_is_entered_in_the_registry_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Messenger()
    with pytest.raises(StageError, match="Did you mean email"):
        channel_named("e-mail")
    monkeypatch.setitem(CHANNELS, toy.name, toy)
    assert channel_named("toy") is toy


def test_who_shares_an_address_shares_its_key() -> None:
    email = channel_named("email")
    key = email.recipient_key(BANK, "1", "Jördis@Kunde.example")
    assert key == email.recipient_key(BANK, "2", "jördis@kunde.example ")
    assert key != email.recipient_key("99990002", "1", "Jördis@Kunde.example")
    with pytest.raises(ValueError, match="not a valid mail address"):
        email.recipient_key(BANK, "1", "nobody")
