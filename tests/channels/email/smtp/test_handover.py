"""The hand-over on several connections: how many it opens, what it survives, how it ends."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from reku.channels.email.smtp import handover
from reku.channels.email.smtp.answers import LoginRefused, NoSession, SessionError
from reku.channels.email.smtp.handover import hand_over
from reku.channels.email.smtp.transport import open_transport
from reku_testing import certificate, hostile, mail_queues
from reku_testing.hostile import DROP, STALL, Act, Then
from reku_testing.mail_queues import BODY, Notes, ProbeMail
from reku_testing.ports import free_port

BIG = b"".join(b"%06d %s\r\n" % (number, b"x" * 980) for number in range(20_000))  # more than sockets hold
GOODBYE = Act(b"421 4.3.2 bye\r\n", Then.CLOSE)


def _raises(error: BaseException) -> Callable[[], object]:
    def now() -> object:
        raise error

    return now


def _accepted(count: int) -> list[str]:
    return sorted(f"{number}@kunde.example" for number in range(1, count + 1))


# How many connections


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
def test_every_mail_goes_out_once_on_all_connections(pipelining: bool) -> None:
    notes = Notes(mail_queues.probe_mails(100))
    with hostile.running(hostile.Hostile(pipelining=pipelining)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=4)
    assert sorted(server.accepted) == sorted(server.recipients) == _accepted(100)
    assert notes.counted() == {"ACCEPTED": 100}
    assert server.connections == 4
    assert server.ends == ["quit"] * 4


@pytest.mark.parametrize("mails", [0, 1, 2])
def test_no_more_connections_than_mails(mails: int) -> None:
    with hostile.running(hostile.Hostile(pipelining=False)) as server:
        hand_over(Notes(mail_queues.probe_mails(mails)), mail_queues.relay(server.port), connections=4)
    assert server.connections <= mails
    assert sorted(server.accepted) == _accepted(mails)


def test_no_connection_at_all_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="0 connections"):
        hand_over(Notes(mail_queues.probe_mails(1)), mail_queues.relay(free_port()), connections=0)


@pytest.mark.parametrize("refusal", [GOODBYE, DROP, Act(b"554 5.7.0 too many\r\n")], ids=["421", "drop", "554"])
def test_with_further_connections_refused_those_there_are_do_it(refusal: Act) -> None:
    notes = Notes(mail_queues.probe_mails(50))
    with hostile.running(hostile.Hostile({(3, "banner", 1): refusal, (4, "banner", 1): refusal})) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=10)
    assert sorted(server.accepted) == _accepted(50)
    assert server.connections == 3  # another one would be tried later


def test_a_further_connection_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "REOPEN_SECONDS", 0.0)
    with hostile.running(hostile.Hostile({(2, "banner", 1): GOODBYE, (1, "dot", 1): Act(after=0.3)})) as server:
        hand_over(Notes(mail_queues.probe_mails(9)), mail_queues.relay(server.port), connections=2)
    assert sorted(server.accepted) == _accepted(9)
    assert server.connections == 3


def test_without_a_relay_nothing_is_touched() -> None:
    notes = Notes(mail_queues.probe_mails(2))
    with pytest.raises(NoSession, match="No session with the relay"):
        hand_over(notes, mail_queues.relay(free_port()), connections=2)
    assert notes.notes == ["returned 1"]


# What a relay may do


def test_three_connections_lost_in_a_row_end_all() -> None:
    notes = Notes(mail_queues.probe_mails(9))
    script = {(number, "dot", 1): DROP for number in range(1, 9)}
    with (
        hostile.running(hostile.Hostile(script)) as server,
        pytest.raises(SessionError, match=r"ended the session 3 times in a row; at last it closed the connection\. "),
    ):
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.counted() == {"lost": 3}  # never two of one connection
    assert server.connections == 3
    assert len(notes.waiting) == 6


@pytest.mark.parametrize("point", ["mail", "rcpt", "data"])
def test_before_the_content_nothing_is_in_doubt(point: str) -> None:
    notes = Notes(mail_queues.probe_mails(9))
    script = {(number, point, 1): DROP for number in range(1, 9)}
    with hostile.running(hostile.Hostile(script)) as server, pytest.raises(SessionError, match="3 times in a row"):
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.notes == ["returned 1"] * 3


def test_an_answered_mail_in_between_starts_the_count_anew() -> None:
    notes = Notes(mail_queues.probe_mails(9))
    script = {(number, "mail", 1 if number % 2 else 2): DROP for number in range(1, 18)}
    with hostile.running(hostile.Hostile(script)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert sorted(server.accepted) == _accepted(9)
    assert server.connections == 18


def test_a_relay_that_takes_one_mail_a_connection_does_for_all() -> None:
    notes = Notes(mail_queues.probe_mails(9))
    script = {(number, "mail", 2): GOODBYE for number in range(1, 20)}
    with hostile.running(hostile.Hostile(script)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=2)
    assert sorted(server.accepted) == _accepted(9)


def test_connections_closed_while_there_is_nothing_to_do_are_no_failures() -> None:
    script = {(number, "dot", 1): Act(None, Then.CLOSE, on_go_ahead=True) for number in (1, 2, 3, 4)}
    with hostile.running(hostile.Hostile(script, pipelining=False)) as server:
        notes = _Pausing(server)
        hand_over(notes, mail_queues.relay(server.port), connections=4)
    assert notes.counted() == {"ACCEPTED": 5}
    assert server.connections == 5
    assert "returned 5" not in notes.notes


class _Pausing(Notes):
    """Four mails; once they are answered the server hangs up; when it has, the fifth mail."""

    def __init__(self, server: hostile.Hostile) -> None:
        super().__init__(mail_queues.probe_mails(4))
        self.server = server

    def seconds_until_next(self) -> float | None:
        if len(self.outcomes) == 4:
            self.server.go_ahead.set()
            if len(self.server.ends) == 4 and not self.out:
                self.waiting.append(ProbeMail.to(5))
        return None if len(self.outcomes) == 5 else 0.01


def test_a_login_refused_in_the_middle_ends_all_and_what_is_begun_is_answered() -> None:
    notes = Notes(mail_queues.probe_mails(3))
    script = {(1, "dot", 1): Act(after=0.3), (2, "auth", 1): Act(b"535 5.7.8 no\r\n")}
    with (
        hostile.running(hostile.Hostile(script, offers=("AUTH PLAIN",))) as server,
        pytest.raises(LoginRefused, match="535"),
    ):
        hand_over(notes, mail_queues.relay(server.port, user="us", password="secret"), connections=2)
    assert server.connections == 2
    assert notes.out == {}
    assert "lost" not in notes.counted()
    assert server.accepted == [f"{number}@kunde.example" for number in notes.outcomes]


def test_a_mail_larger_than_the_relay_takes_is_about_the_relay() -> None:
    notes = Notes([ProbeMail.to(1, data=b"x" * 100), ProbeMail.to(2, data=b"x" * 101)])
    with (
        hostile.running(hostile.Hostile(offers=("SIZE 100",))) as server,
        pytest.raises(SessionError, match=r"mail of 101 bytes.* takes at most 100"),
    ):
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert "2@kunde.example" not in "".join(server.commands)
    assert notes.out == {}
    assert notes.outcomes == dict.fromkeys(notes.begun, "ACCEPTED")


def test_what_cannot_be_addressed_is_not_said() -> None:
    mails = [
        ProbeMail(1, envelope_to="jördis@kunde.example"),
        ProbeMail.to(2, smtputf8=True),
        ProbeMail(3, envelope_to="x@kunde.example\r\nRCPT TO:<y@kunde.example>"),
        ProbeMail.to(4),
    ]
    notes = Notes(mails)
    with hostile.running(hostile.Hostile()) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.outcomes == {1: "UNADDRESSABLE", 2: "UNADDRESSABLE", 3: "UNADDRESSABLE", 4: "ACCEPTED"}
    assert server.accepted == ["4@kunde.example"]
    assert sum(command.startswith("RCPT") for command in server.commands) == 1


def test_smtputf8_and_8bitmime_where_they_are_offered() -> None:
    mails = [
        ProbeMail(1, envelope_to="jördis@kunde.example"),
        ProbeMail.to(2, data="Grüße\r\n".encode()),
        ProbeMail.to(3),
    ]
    with hostile.running(hostile.Hostile(offers=("8BITMIME", "SMTPUTF8"))) as server:
        hand_over(Notes(mails), mail_queues.relay(server.port), connections=1)
    said = [command.partition("> ")[2] for command in server.commands if command.startswith("MAIL")]
    assert said == ["SMTPUTF8", "BODY=8BITMIME", ""]
    assert server.accepted == ["jördis@kunde.example", "2@kunde.example", "3@kunde.example"]


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
def test_a_slow_reader_holds_up_nobody_else(pipelining: bool) -> None:
    class Telling(Notes):
        def heartbeat(self) -> None:
            super().heartbeat()
            if "answered 19 ACCEPTED 250 2.0.0" in self.notes:
                server.go_ahead.set()

    notes = Telling([ProbeMail.to(1, data=BIG), *mail_queues.probe_mails(20)[1:]])
    script = {(1, "content", 1): Act(on_go_ahead=True)}
    with hostile.running(hostile.Hostile(script, pipelining=pipelining)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=2)
    assert sorted(server.accepted) == _accepted(20)
    assert dict(server.taken)["1@kunde.example"] == BIG
    assert notes.notes.index("answered 1 ACCEPTED 250 2.0.0") > notes.notes.index("answered 19 ACCEPTED 250 2.0.0")


@pytest.mark.parametrize(
    ("early", "heard", "logged"),
    [
        (b"552 5.3.4 too big\r\n", "answered 1 REFUSED 552 5.3.4", []),  # and the rest is not sent
        (b"250 2.0.0 fine\r\n", "lost 1", ["The relay took a mail before its end"]),  # no dot is there
    ],
    ids=["refused", "taken"],
)
@pytest.mark.parametrize("then", [Then.STALL, Then.CLOSE])
@pytest.mark.parametrize("connections", [1, 2])
def test_an_answer_before_the_mail_is_there(
    early: bytes, then: Then, heard: str, logged: list[str], connections: int, caplog: pytest.LogCaptureFixture
) -> None:
    with hostile.running(hostile.Hostile({(1, "content", 1): Act(early, then, on_go_ahead=True)})) as server:
        notes = Notes([ProbeMail.to(1, data=BIG), ProbeMail.to(2)], on={heard: server.go_ahead.set})
        hand_over(notes, mail_queues.relay(server.port), connections=connections)
    assert heard in notes.notes
    assert server.accepted == ["2@kunde.example"]
    assert caplog.messages == logged


def test_tls_with_pipelining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = certificate.self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    mails = [ProbeMail.to(number, data=b"%d %s\r\n" % (number, b"x" * 500) * 150) for number in range(1, 31)]
    long = Act(b"250-%s\r\n" % (b"x" * 120) * 100 + b"250 ok\r\n")  # nearly a whole record of TLS
    script = {(number, "dot", 2): long for number in (1, 2, 3)}
    for manner in ({}, {"bytewise": True}, {"together": False}, {"pipelining": False}):
        tls = certificate.server_context(file)
        notes = Notes(mails)
        bytewise = "bytewise" in manner
        with hostile.running(hostile.Hostile({} if bytewise else script, tls=tls, **manner)) as server:  # type: ignore[arg-type]
            hand_over(notes, mail_queues.relay(server.port, tls=True), connections=3)
        assert notes.counted() == {"ACCEPTED": 30}
        assert dict(server.taken) == {mail.envelope_to: mail.data for mail in mails}
        assert len(server.accepted) == 30


class _Handler:
    """For aiosmtpd: a server that is not of our making judges what we say."""

    def __init__(self, pipelining: bool) -> None:
        self._pipelining = pipelining
        self.taken: list[tuple[str, bytes]] = []

    async def handle_EHLO(
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd bears pipelining, and does not say so
        return [responses[0], "250-PIPELINING", *responses[1:]] if self._pipelining else responses

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("7@"):
            return "550 5.1.1 no"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        (recipient,) = envelope.rcpt_tos
        if recipient.startswith("8@"):
            return "452 4.2.2 full"
        self.taken.append((recipient, envelope.original_content))
        return "250 2.0.0 OK"


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
def test_a_server_of_others(pipelining: bool) -> None:
    handler = _Handler(pipelining)
    mails = [ProbeMail.to(number, data=b"Subject: %d\r\n\r\n.\r\n..dots\r\n" % number) for number in range(1, 61)]
    mails.append(ProbeMail(61, envelope_to="jördis@kunde.example", data="Grüße\r\n".encode()))
    notes = Notes(mails)
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=True)
    controller.start()
    try:
        relay = mail_queues.relay(controller.port)
        with contextlib.closing(open_transport(relay, lambda: None)) as transport:
            assert transport.offers.pipelining is pipelining
        hand_over(notes, relay, connections=4)
    finally:
        controller.stop()
    assert notes.counted() == {"ACCEPTED": 59, "REFUSED": 1, "LATER": 1}
    assert (notes.outcomes[7], notes.outcomes[8]) == ("REFUSED", "LATER")
    assert Counter(handler.taken) == Counter(
        (mail.envelope_to, mail.data) for mail in mails if notes.outcomes[mail.number] == "ACCEPTED"
    )


# What the queue may do


def test_what_must_not_go_out_does_not_and_no_empty_mail_either() -> None:
    forbidden = {f"start {number}": lambda: False for number in (2, 3, 4, 5, 6)}
    for pipelining in (True, False):
        notes = Notes(mail_queues.probe_mails(8), on=forbidden)
        with hostile.running(hostile.Hostile(pipelining=pipelining)) as server:
            hand_over(notes, mail_queues.relay(server.port), connections=1)
        assert server.recipients == server.accepted == [f"{number}@kunde.example" for number in (1, 7, 8)]
        assert notes.counted() == {"ACCEPTED": 3, "forbidden": 5}
        assert not [note for note in notes.notes if note.startswith("un")]


def test_mails_that_come_later_are_waited_for() -> None:
    class Later(Notes):
        def seconds_until_next(self) -> float | None:
            if self.ticks > 1 and (come := len(self.outcomes) + len(self.out)) < 3:
                self.waiting.append(ProbeMail.to(come + 1))
            return 0.01 if len(self.outcomes) < 3 else None

    notes = Later([])
    with hostile.running(hostile.Hostile()) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=2)
    assert sorted(server.accepted) == _accepted(3)


def test_a_queue_that_says_at_once_is_soon_asked_again_and_does_not_keep_the_processor_busy() -> None:
    class Empty(Notes):
        def seconds_until_next(self) -> float | None:
            return 0 if self.takes < 60 or self.ticks < 4 else None

    notes = Empty([])
    hand_over(notes, mail_queues.relay(free_port()), connections=2)
    assert notes.ticks < 60 <= notes.takes < 1000


def test_time_goes_on_while_an_answer_is_slow() -> None:
    notes = Notes(mail_queues.probe_mails(1))
    with hostile.running(hostile.Hostile({(1, "dot", 1): Act(after=0.6)})) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.ticks >= 4
    assert notes.counted() == {"ACCEPTED": 1}


def test_an_answer_that_came_in_time_counts_though_the_queue_took_long(monkeypatch: pytest.MonkeyPatch) -> None:
    real, later = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + later[0])

    def takes_long() -> None:
        server.go_ahead.set()
        hostile.until(lambda: server.ends == ["close at dot"])
        later[0] = 1000.0

    notes = Notes(mail_queues.probe_mails(2), on={"answered 1 ACCEPTED 250 2.0.0": takes_long})
    script = {
        (1, "dot", 1): Act(after=0.3),  # by then the other one is begun
        (2, "content", 1): Act(on_go_ahead=True),
        (2, "dot", 1): Act(None, Then.CLOSE),
    }
    with hostile.running(hostile.Hostile(script, pipelining=False)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=2)
    assert notes.counted() == {"ACCEPTED": 2}


AT = ["heartbeat 2", "next_mail 3", "start 1", "start 2", "start 3", "answered 2 ACCEPTED 250 2.0.0"]


@pytest.mark.parametrize("at", AT)
def test_after_an_error_nothing_is_begun_and_what_is_begun_is_answered(at: str) -> None:
    """Mail 1 waits for its answer when the error comes (or is to be begun)."""
    error = RuntimeError("stop")
    notes = Notes(mail_queues.probe_mails(9), on={at: _raises(error)})
    with hostile.running(hostile.Hostile({(1, "dot", 1): Act(after=0.4)})) as server:
        with pytest.raises(RuntimeError) as raised:
            hand_over(notes, mail_queues.relay(server.port), connections=2)
        assert raised.value is error
        hostile.until(lambda: len(server.ends) == server.connections)
    assert notes.out == {}
    assert sorted(server.accepted) == sorted(f"{number}@kunde.example" for number in notes.outcomes)
    assert "lost" not in notes.counted()
    if at in notes.notes:
        assert not [note for note in notes.notes[notes.notes.index(at) + 1 :] if note.startswith("start")]


@pytest.mark.parametrize("at", AT)
def test_after_an_interruption_nothing_more_is_said(at: str) -> None:
    notes = Notes(mail_queues.probe_mails(9), on={at: _raises(KeyboardInterrupt())})
    with hostile.running(hostile.Hostile({(1, "dot", 1): Act(after=0.4)})) as server:
        with pytest.raises(KeyboardInterrupt):
            hand_over(notes, mail_queues.relay(server.port), connections=2)
        heard = list(notes.notes)
        hostile.until(lambda: len(server.ends) == server.connections)
    assert notes.notes == heard
    assert at not in heard[:-1]
    assert set(server.recipients) <= {f"{number}@kunde.example" for number in notes.begun}


def test_an_interruption_in_the_middle_of_sending_sends_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything has gone out, and the interruption comes before that is known."""
    real = socket.socket.send

    def interrupted(sock: socket.socket, data: memoryview) -> int:
        sent = real(sock, data)
        if BODY in bytes(data):
            raise KeyboardInterrupt
        return sent

    monkeypatch.setattr(socket.socket, "send", interrupted, raising=False)
    with hostile.running(hostile.Hostile()) as server:
        with pytest.raises(KeyboardInterrupt):
            hand_over(Notes(mail_queues.probe_mails(3)), mail_queues.relay(server.port), connections=1)
        hostile.until(lambda: len(server.ends) == server.connections)
    assert server.recipients == ["1@kunde.example"]


@pytest.mark.parametrize("at", ["lost 1", "returned 2"])
def test_an_error_while_a_lost_connection_is_accounted_for_loses_no_mail(at: str) -> None:
    error = RuntimeError("stop")
    notes = Notes(mail_queues.probe_mails(5), on={at: _raises(error)})
    with hostile.running(hostile.Hostile({(1, "dot", 1): DROP})) as server, pytest.raises(RuntimeError) as raised:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert raised.value is error
    assert notes.notes == ["start 1", "lost 1", "returned 2"]


class _Stopping(Notes):
    """Raises, and tells the server so, once the first mail is begun and the second taken."""

    def __init__(self, server: hostile.Hostile, on: dict[str, Callable[[], object]]) -> None:
        super().__init__(mail_queues.probe_mails(2), on)
        self.server = server

    def heartbeat(self) -> None:
        super().heartbeat()
        if not self.server.go_ahead.is_set() and 1 in self.begun and 2 in self.out:
            self.server.go_ahead.set()
            raise RuntimeError("the first")


def test_answers_are_not_waited_for_without_end() -> None:
    script = {(1, "dot", 1): STALL, (2, "rcpt", 1): Act(on_go_ahead=True)}
    with hostile.running(hostile.Hostile(script, pipelining=False)) as server:
        notes = _Stopping(server, {})
        with pytest.raises(RuntimeError, match="the first"):
            hand_over(notes, mail_queues.relay(server.port, drain_seconds=0.1, answer_seconds=60), connections=2)
    assert notes.notes == ["start 1", "returned 2", "lost 1"]


def test_further_errors_are_told_with_the_first() -> None:
    on = {
        "returned 2": _raises(OSError("the second")),
        "answered 1 ACCEPTED 250 2.0.0": _raises(ValueError("the third")),
    }
    script = {(1, "content", 1): Act(on_go_ahead=True), (2, "rcpt", 1): Act(on_go_ahead=True)}
    with hostile.running(hostile.Hostile(script, pipelining=False)) as server:
        notes = _Stopping(server, on)
        with pytest.raises(RuntimeError, match="the first") as raised:
            hand_over(notes, mail_queues.relay(server.port), connections=2)
    assert notes.notes == ["start 1", "returned 2", "answered 1 ACCEPTED 250 2.0.0"]
    notes_of_error = "\n".join(raised.value.__notes__)
    assert "OSError: the second" in notes_of_error
    assert "ValueError: the third" in notes_of_error


def test_no_address_and_no_word_of_the_server_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    act = Act(b"354 person@kunde.example\r\n")
    script = {(1, "mail", 2): act, (2, "rcpt", 2): act, (3, "banner", 1): act, (3, "dot", 1): act}
    with hostile.running(hostile.Hostile(script)) as server, suppress(SessionError):  # the third may be the last one
        hand_over(Notes(mail_queues.probe_mails(9)), mail_queues.relay(server.port), connections=2)
    assert caplog.messages
    assert "kunde.example" not in caplog.text
