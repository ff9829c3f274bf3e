"""The control address (Kontrolladresse) gets one uncounted copy of each delivery's mail, with nobody's data in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.dispatch.stop_switches import Stopped
from reku.responses.tracker import app
from reku.store.tables import messages, suppressions
from reku_testing import dispatching, smtp
from reku_testing.dispatching import (
    BANK,
    DAY,
    NO_CONTROL_COPY,
    change_settings,
    configure,
    dispatch,
    events,
    loaded,
    people,
    states,
)
from reku_testing.serving import served
from reku_testing.steps import allow_any_step


@pytest.fixture
def relay(
    database: sa.Engine, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[smtp.Sink]:
    """A relay that keeps what it takes, at half past nine on the day."""
    clock_at(dispatching.NINE)
    with smtp.running(smtp.Sink()) as sink:
        change_settings(monkeypatch, smtp_port=sink.port)
        yield sink


def test_one_for_each_delivery_and_it_is_not_counted(database: sa.Engine, relay: smtp.Sink) -> None:
    delivery = loaded(database, people(3))
    assert dispatch(database, delivery, day=DAY).sent == 3
    assert len(relay.control_copies) == 1
    assert relay.taken[0].recipient == "kontrolle@sparkasse-musterstadt.example"  # before everybody else
    assert states(database) == {"SENT": 3}
    assert events(database) == {("SENT", ""): 3}
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).where(messages.c.id == 1).values(state="OPEN"))
    assert dispatch(database, delivery, day=DAY).sent == 1
    assert len(relay.control_copies) == 1
    dispatch(database, loaded(database, people(3, first=10), number=18), day=DAY)
    assert len(relay.control_copies) == 2


def test_it_shows_the_mail_and_nobodys_data_and_its_links_count_nothing(database: sa.Engine, relay: smtp.Sink) -> None:
    dispatch(database, loaded(database, people(1, Nachname="Kundig"), tracking=True), day=DAY)
    (data,) = relay.control_copies
    copy, (mail,) = message_from_bytes(data, policy=policy.default), relay.mails()
    body = copy.get_body(("html",))
    assert body is not None
    text = body.get_content()
    assert "Kundig" in str(mail["To"])
    assert "Kundig" not in text + str(copy)
    assert "person1@" not in str(copy)
    assert copy["Subject"] == mail["Subject"]
    assert copy["Feedback-ID"] == mail["Feedback-ID"]
    assert copy["Message-ID"] != mail["Message-ID"]
    assert not re.search(r"/[co]/", text)  # no counted link, no pixel
    (unsubscribe,) = re.findall(r"<http://[^/]*(/u/.*)>", str(copy["List-Unsubscribe"]))
    with served(app) as address:
        answer = httpx.post(f"{address}{unsubscribe}", data={"List-Unsubscribe": "One-Click"}, timeout=30)
    assert answer.status_code == 404
    with database.connect() as connection:
        assert connection.execute(sa.select(suppressions)).all() == []
    assert events(database) == {("SENT", ""): 1}


def test_one_that_found_no_relay_is_sent_by_the_next_dispatch(
    database: sa.Engine, relay: smtp.Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = loaded(database, people(2))
    change_settings(monkeypatch, smtp_port=1)
    assert dispatch(database, delivery, day=DAY).sent == 0
    change_settings(monkeypatch, smtp_port=relay.port)
    assert dispatch(database, delivery, day=DAY).sent == 2
    assert len(relay.control_copies) == 1


@pytest.mark.parametrize("answer", ["550 5.1.1 no such user", "451 4.7.1 later"])
def test_one_that_is_refused_is_told_and_stops_nothing(
    database: sa.Engine, relay: smtp.Sink, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    relay.say = smtp.only("rcpt", lambda address: answer if address.startswith(smtp.CONTROL) else None)
    delivery = loaded(database, people(2))
    with caplog.at_level(logging.WARNING):
        assert dispatch(database, delivery, day=DAY).sent == 2
    assert "control copy was not taken" in caplog.text
    assert "@" not in caplog.text
    relay.say = lambda _point, _address: None
    dispatch(database, delivery, day=DAY)
    assert relay.control_copies == []


def test_one_whose_answer_is_lost_is_not_sent_again(database: sa.Engine, sink: dispatching.Sink) -> None:
    def breaks_off(point: str, recipient: str) -> None:
        if point == "dot" and recipient.startswith(smtp.CONTROL):
            raise ConnectionResetError

    sink.say = breaks_off
    delivery = loaded(database, people(2))
    assert dispatch(database, delivery, day=DAY).sent == 2
    sink.say = lambda _point, _recipient: None
    dispatch(database, delivery, day=DAY)
    assert [mail.recipient for mail in sink.taken] == sink.recipients


def test_no_control_address_no_copy(
    database: sa.Engine, relay: smtp.Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY])
    assert dispatch(database, loaded(database, people(1)), day=DAY).sent == 1
    assert len(relay.taken) == 1


def test_none_before_the_mails_themselves_may_go_out(
    database: sa.Engine, relay: smtp.Sink, clock_at: Callable[[datetime], None]
) -> None:
    delivery = loaded(database, people(1))
    clock_at(dispatching.NINE - timedelta(hours=1))
    dispatch(database, delivery, day=DAY)
    clock_at(dispatching.NINE)
    stop = stop_switches.throw(database, institute=BANK, order=None, actor="anna", note="")
    with pytest.raises(Stopped):
        dispatch(database, delivery, day=DAY)
    assert relay.taken == []
    stop_switches.lift(database, stop, actor="anna", note="")
    dispatch(database, delivery, day=DAY)
    assert len(relay.control_copies) == 1
