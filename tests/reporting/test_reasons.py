"""Every reason not to contact a person reaches the response file, in the right kind of event with the right code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.contact.suppressions import bar
from reku.dispatch.doubt import resolve
from reku.process.cancel import cancel
from reku.process.decline import decline
from reku.records.contract import contracts
from reku.records.reader import read
from reku.records.rows import row_faults
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import appointments, deliveries, lists, messages, orders, suppressions
from reku_testing import contacting, world
from reku_testing.by_blz import export
from reku_testing.contacting import BIRTHDAY, DAY, LOAN, MEDIUM, NOW, Bank
from reku_testing.steps import allow_any_step

YESTERDAY = DAY - timedelta(days=1)
BY_HAND = {"actor": "Operatorin", "note": "Prüfung"}


@dataclass(frozen=True)
class Scene:
    """A bank, one open message of it that nothing stands against, and what a test does to it."""

    bank: Bank
    delivery: int
    message: int
    folder: Path

    def set(self, **values: Any) -> None:
        self.bank.change(self.message, **values)

    def fields(self, **fields: str) -> None:
        """Deliver the row with these fields instead."""
        table = sa.text("UPDATE reku.delivery_rows SET fields = fields || CAST(:more AS jsonb)")
        with self.bank.engine.begin() as connection:
            connection.execute(table.bindparams(sa.bindparam("more", fields, sa.JSON)))

    def insert(self, table: sa.Table, **values: Any) -> None:
        with self.bank.engine.begin() as connection:
            connection.execute(sa.insert(table).values(institute=self.bank.blz, **values))

    def suppress(self, kind: SuppressionKind) -> None:
        person = {
            "person_number": "0000000001",
            "recipient_key": contacting.address_hmac(self.bank.blz, self._address()),
        }
        self.insert(suppressions, kind=kind, source="LINK", since=NOW, **person)

    def bounced(self, times: int) -> None:
        for ago in range(times, 0, -1):
            sent = NOW - timedelta(days=30 * ago)
            earlier = self.bank.message(state=MessageState.SENT, begun_at=sent, ended_at=sent, due_at=sent)
            with self.bank.engine.begin() as connection:
                record(connection, [Event(earlier, EventKind.BOUNCED_HARD, sent + timedelta(minutes=1), "5.1.1")])
        export(self.bank.engine, self.bank.blz)  # told before

    def claim(self) -> None:
        self.bank.claim(self.delivery, self.folder)

    def _address(self) -> str:
        with self.bank.engine.connect() as connection:
            return str(connection.scalar(sa.text("SELECT address FROM reku.delivery_rows")))


def _ended(scene: Scene) -> None:
    with scene.bank.engine.begin() as connection:
        connection.execute(sa.update(orders).values(ended=True))
    scene.claim()


def _declined(scene: Scene) -> None:
    """As it is at the gate: no list, no message yet; `decline` writes the messages that it withholds."""
    with scene.bank.engine.begin() as connection:
        connection.execute(sa.delete(messages))
        connection.execute(sa.delete(lists))
        allow_any_step(connection)
        connection.execute(sa.update(deliveries).values(state=DeliveryState.VALIDATED, accepted=1))
    assert decline(scene.bank.engine, scene.delivery, **BY_HAND) == 1


def _stopped(scene: Scene) -> None:
    assert cancel(scene.bank.engine, scene.delivery, **BY_HAND) == 1


def _unanswered(scene: Scene) -> None:
    scene.set(state=MessageState.IN_DOUBT, begun_at=NOW)
    with scene.bank.engine.connect() as connection:
        reference = connection.scalar(sa.select(messages.c.reference))
    resolve(scene.bank.engine, scene.bank.blz, str(reference), sent=False, **BY_HAND)


def _claimed_after(change: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        change(scene)
        scene.claim()

    return act


def _written_to_before(scene: Scene) -> None:
    with scene.bank.engine.connect() as connection:
        occasion_date = connection.scalar(sa.select(messages.c.occasion_date))
    scene.bank.message(state=MessageState.SENT, occasion_date=occasion_date)


ACTS: dict[Reason, Callable[[Scene], None]] = {
    Reason.AUFTRAG_BEENDET: _ended,
    Reason.FREIGABE_VERWEIGERT: _declined,
    Reason.GESTOPPT: _stopped,
    Reason.UNGEKLAERT: _unanswered,
    Reason.ABGELAUFEN: _claimed_after(lambda scene: scene.set(last_day=YESTERDAY)),
    Reason.NACHLASS: _claimed_after(lambda scene: scene.fields(Nachlass="J")),
    Reason.WERBEVERWEIGERER: _claimed_after(lambda scene: scene.fields(Werbesperre="J")),
    Reason.KEINE_EINWILLIGUNG: _claimed_after(lambda scene: scene.set(consent=False)),
    Reason.ABGEMELDET: _claimed_after(lambda scene: scene.suppress(SuppressionKind.UNSUBSCRIBED)),
    Reason.BESCHWERDELISTE: _claimed_after(lambda scene: scene.suppress(SuppressionKind.COMPLAINED)),
    Reason.BLACKLIST: _claimed_after(
        lambda scene: bar(scene.bank.engine, scene.bank.blz, ["kunde.example"], **BY_HAND)
    ),
    Reason.ZURUECKGEHALTEN: _claimed_after(lambda scene: scene.bounced(3)),
    Reason.ADRESSE_UNGUELTIG: _claimed_after(lambda scene: scene.set(mailable=False)),
    Reason.DUBLETTE: _claimed_after(_written_to_before),
    Reason.SPERRZEIT: _claimed_after(lambda scene: scene.bank.contact(YESTERDAY, DAY)),
    Reason.ANDERE_KAMPAGNE: _claimed_after(lambda scene: scene.bank.message(LOAN)),
    Reason.OBERGRENZE: _claimed_after(
        lambda scene: [scene.bank.contact(YESTERDAY - timedelta(days=ago), YESTERDAY) for ago in range(2)]
    ),
    Reason.TERMIN: _claimed_after(lambda scene: scene.insert(appointments, person_number="0000000001", day=DAY)),
}
"""How each reason comes about, in the way that it does in life; BESTAND does only where no response file is written.

NICHT_ABGEHOLT comes about where files are prepared: tests/pickup."""


@pytest.fixture
def scene(
    database: sa.Engine,
    clock_at: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Scene:
    clock_at(NOW)
    contacting.rules(
        monkeypatch,
        tmp_path / "config",
        blocking_days={MEDIUM: 1},
        at_most={"contacts": 2, "days": 7},
        appointment_days=5,
        estate={"Nachlass": ["J"]},
        refusal={"Werbesperre": ["J"]},
    )
    bank = Bank(database)
    delivery = bank.delivery(BIRTHDAY)
    return Scene(bank, delivery, bank.message(delivery=delivery), tmp_path)


def test_no_reason_is_forgotten() -> None:
    of_others = {Reason.BESTAND, Reason.NICHT_ABGEHOLT, Reason.VERSANDSYSTEM}  # agree21's, and EMMA's: their own tests
    assert set(Reason) - ACTS.keys() == of_others


@pytest.mark.parametrize("reason", list(ACTS))
def test_every_reason_reaches_the_response_file(scene: Scene, reason: Reason, reku_settings: Path) -> None:
    ACTS[reason](scene)
    file = export(scene.bank.engine, scene.bank.blz)
    assert file is not None
    data = (reku_settings / world.BLZ / "ausgang" / file.file_name).read_bytes()
    found = read(contracts()["RESPONSE"], data, environment="T")
    assert row_faults(contracts()["RESPONSE"], found) == []
    told = [(row["Ereignis_Art"], row["Grund_Code"], row["Bounce_Serie"]) for row in found.as_dicts()]
    retained = reason is Reason.ZURUECKGEHALTEN
    assert told == [("ZRUE", "", "3") if retained else ("NVER", reason.value, "")]
    # And nothing is reported a second time.
    assert export(scene.bank.engine, scene.bank.blz) is None


def test_who_has_no_reason_against_is_not_reported_as_not_sent(scene: Scene) -> None:
    scene.claim()
    assert export(scene.bank.engine, scene.bank.blz) is None
