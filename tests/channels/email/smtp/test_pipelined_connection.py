"""One connection against a server that does at one point what it should not: what becomes of the mail in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from reku.channels.email.smtp.answers import SessionError
from reku.channels.email.smtp.handover import hand_over
from reku_testing import hostile, mail_queues
from reku_testing.hostile import DROP, RESET, STALL, Act, Then

SENT = ["start 2", "answered 2 ACCEPTED 250 2.0.0"]
AGAIN = ["returned 2", *SENT]
DOUBT = ["start 2", "lost 2"]
GARBAGE = Act(b"hello there\r\n")
NUL = Act(b"250 \0\r\n")
HALF = Act(b"25", Then.CLOSE)
ENDLESS = Act(b"250 " + b"x" * 10_000)
TWICE = Act(b"250 a\r\n250 b\r\n")
GOODBYE = Act(b"421 4.3.2 bye\r\n", Then.CLOSE)
NO = Act(b"550 5.1.1 no\r\n")
REFUSED = ["answered 2 REFUSED 550 5.1.1"]
BROKEN = {
    "drop": DROP,
    "reset": RESET,
    "stall": STALL,
    "garbage": GARBAGE,
    "nul": NUL,
    "half": HALF,
    "endless": ENDLESS,
}

# What the server does at the second mail, what is heard of that mail, and on how many connections all are sent.
CASES: dict[str, tuple[dict[str, Act], list[str], int]] = {
    "good": ({}, SENT, 1),
    **{f"mail {name}": ({"mail": act}, AGAIN, 2) for name, act in BROKEN.items()},
    "mail 421": ({"mail": GOODBYE}, AGAIN, 2),
    "mail 354": ({"mail": Act(b"354 go\r\n")}, AGAIN, 2),
    "mail twice": ({"mail": TWICE}, AGAIN, 2),
    "mail 2xx": ({"mail": Act(b"299-fine\r\n299 really\r\n")}, SENT, 1),
    **{f"rcpt {name}": ({"rcpt": act}, AGAIN, 2) for name, act in BROKEN.items()},
    "rcpt 251": ({"rcpt": Act(b"251 will forward\r\n")}, SENT, 1),
    "rcpt 252": ({"rcpt": Act(b"252 cannot say\r\n")}, SENT, 1),
    "rcpt 354": ({"rcpt": Act(b"354 go\r\n")}, AGAIN, 2),
    "rcpt twice": ({"rcpt": TWICE}, AGAIN, 2),
    "rcpt 550": ({"rcpt": NO}, REFUSED, 1),
    "rcpt 550 in two lines": ({"rcpt": Act(b"550-5.1.1 no\n550 5.1.1 such\n")}, REFUSED, 1),
    "rcpt 450": ({"rcpt": Act(b"450 4.2.1 wait\r\n")}, ["answered 2 LATER 450 4.2.1"], 1),
    "rcpt 421": ({"rcpt": GOODBYE}, ["answered 2 LATER 421 4.3.2"], 2),
    "rcpt 421, and stays": ({"rcpt": Act(b"421 x\r\n")}, ["answered 2 LATER 421"], 2),
    **{f"data {name}": ({"data": act}, AGAIN, 2) for name, act in BROKEN.items()},
    "data 250": ({"data": Act(b"250 taken\r\n")}, AGAIN, 2),
    "data 354 and 250": ({"data": Act(b"354 go\r\n250 taken\r\n")}, AGAIN, 2),
    "data 354 and half a line": ({"data": Act(b"354 go\r\n2")}, AGAIN, 2),
    "data 451": ({"data": Act(b"451 4.3.0 wait\r\n")}, ["answered 2 LATER 451 4.3.0"], 1),
    "data 554": ({"data": Act(b"554 5.7.1 no\r\n")}, ["answered 2 REFUSED 554 5.7.1"], 1),
    "data 421": ({"data": GOODBYE}, ["answered 2 LATER 421 4.3.2"], 2),
    "data 554, rset drop": ({"data": Act(b"554 no\r\n"), "rset": DROP}, ["answered 2 REFUSED 554"], 2),
    **{f"content {name}": ({"content": act}, DOUBT, 2) for name, act in BROKEN.items()},
    "content 552": ({"content": Act(b"552 5.3.4 big\r\n", Then.CLOSE)}, ["start 2", "answered 2 REFUSED 552 5.3.4"], 2),
    **{f"dot {name}": ({"dot": act}, DOUBT, 2) for name, act in BROKEN.items()},
    "dot 354": ({"dot": Act(b"354 go\r\n")}, DOUBT, 2),
    "dot several codes": ({"dot": Act(b"250-ok\r\n550 no\r\n")}, DOUBT, 2),
    "dot 250 in two lines": ({"dot": Act(b"250-2.0.0 ok\r\n250 2.0.0 ok\r\n")}, SENT, 1),
    "dot 550": ({"dot": NO}, ["start 2", *REFUSED], 1),
    "dot 452": ({"dot": Act(b"452 4.2.2 full\r\n")}, ["start 2", "answered 2 LATER 452 4.2.2"], 1),
    "dot 421": ({"dot": GOODBYE}, ["start 2", "answered 2 LATER 421 4.3.2"], 2),
    "dot twice": ({"dot": TWICE}, ["start 2", "answered 2 ACCEPTED 250"], 2),
    "dot, then gone": ({"dot": Act(None, Then.CLOSE)}, SENT, 2),
    "dot, then reset": ({"dot": Act(None, Then.RESET)}, SENT, 2),
}

# A refused recipient whose DATA, sent with it, is answered in some way (RFC 2920 section 3.1).
REFUSED_CASES: dict[str, tuple[dict[str, Act], int]] = {
    "503": ({}, 1),
    "554": ({"data": Act(b"554 5.5.1 no\r\n")}, 1),
    "451": ({"data": Act(b"451 4.5.1 no\r\n")}, 1),
    "421": ({"data": GOODBYE}, 2),
    "250": ({"data": Act(b"250 taken\r\n")}, 2),
    "drop": ({"data": DROP}, 2),
    "stall": ({"data": STALL}, 2),
    "garbage": ({"data": GARBAGE}, 2),
    "rset refused": ({"rset": Act(b"502 what?\r\n")}, 2),
    "354": ({"data": Act(b"354 go\r\n")}, 1),
    "354 and the dot 451": ({"data": Act(b"354 go\r\n"), "dot": Act(b"451 4.5.1 no\r\n")}, 1),
    "354 and the dot 250": ({"data": Act(b"354 go\r\n"), "dot": Act(b"250 taken\r\n")}, 2),
    "354 and the dot 354": ({"data": Act(b"354 go\r\n"), "dot": Act(b"354 go\r\n")}, 2),
    "354 and the dot 421": ({"data": Act(b"354 go\r\n"), "dot": GOODBYE}, 2),
    "354 and the dot drop": ({"data": Act(b"354 go\r\n"), "dot": DROP}, 2),
    "354 and the dot stall": ({"data": Act(b"354 go\r\n"), "dot": STALL}, 2),
}


def _second(acts: dict[str, Act]) -> hostile.Script:
    return {(1, point, 1 if point == "rset" else 2): act for point, act in acts.items()}


class _Hurrying(mail_queues.Notes):
    """Lets a minute pass whenever the server begins to stall."""

    def __init__(self, server: hostile.Hostile) -> None:
        super().__init__(mail_queues.probe_mails(3))
        self.server, self.minutes = server, 0

    def heartbeat(self) -> None:
        super().heartbeat()
        self.minutes = self.server.stalls


Three = Callable[[hostile.Hostile], list[str]]


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Three:
    """Hands over three mails; the first and the third must be sent once. What is heard of the second."""

    def hand_over_three(server: hostile.Hostile) -> list[str]:
        notes, real = _Hurrying(server), time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + 60 * notes.minutes)
        hand_over(notes, mail_queues.relay(server.port, command_seconds=30, answer_seconds=30), connections=1)
        assert notes.outcomes[1] == notes.outcomes[3] == "ACCEPTED"
        assert [server.recipients.count(f"{number}@kunde.example") for number in (1, 3)] == [1, 1]
        assert server.recipients.count("2@kunde.example") <= 1
        assert notes.out == {}
        return [note for note in notes.notes if note.split()[1] == "2"]

    return hand_over_three


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
@pytest.mark.parametrize(("acts", "heard", "connections"), CASES.values(), ids=CASES)
def test_one_point(acts: dict[str, Act], heard: list[str], connections: int, pipelining: bool, three: Three) -> None:
    with hostile.running(hostile.Hostile(_second(acts), pipelining=pipelining)) as server:
        assert three(server) == heard
        assert server.connections == connections


@pytest.mark.parametrize(("acts", "connections"), REFUSED_CASES.values(), ids=REFUSED_CASES)
def test_a_refused_recipient_is_refused_whatever_comes_of_its_data(
    acts: dict[str, Act], connections: int, three: Three
) -> None:
    with hostile.running(hostile.Hostile(_second({"rcpt": NO, **acts}))) as server:
        assert three(server) == REFUSED
        assert server.connections == connections
        assert "2@kunde.example" not in server.recipients


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
@pytest.mark.parametrize(
    "manner",
    [{"bytewise": True}, {"together": False}, {"line_end": b"\n"}, {"line_end": b"\n", "bytewise": True}],
    ids=["bytewise", "each in a packet", "LF only", "LF only, bytewise"],
)
def test_answers_come_in_any_pieces(manner: dict[str, bool], pipelining: bool, three: Three) -> None:
    acts = {"rcpt": Act(b"550-5.1.1 no\r\n550 5.1.1 such\r\n")}
    with hostile.running(hostile.Hostile(_second(acts), pipelining=pipelining, **manner)) as server:
        assert three(server) == REFUSED
        assert server.connections == 1


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
@pytest.mark.parametrize("code", [550, 530])
def test_a_refused_sender_is_about_us_and_ends_all(code: int, pipelining: bool) -> None:
    script = {(1, "mail", 2): Act(b"%d 5.7.1 <b+probe@bounce.example> no\r\n" % code)}
    notes = mail_queues.Notes(mail_queues.probe_mails(3))
    with (
        hostile.running(hostile.Hostile(script, pipelining=pipelining)) as server,
        pytest.raises(SessionError, match=rf"refused MAIL FROM with {code} 5\.7\.1: .*still open.*clear") as refused,
    ):
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert f"Sent was `MAIL FROM:<…@bounce.example>`, and »{code} 5.7.1 <…> no« came back" in str(refused.value)
    assert "probe" not in str(refused.value)
    assert notes.notes == ["start 1", "answered 1 ACCEPTED 250 2.0.0", "returned 2"]


def test_with_pipelining_the_next_envelope_is_there_before_the_answer() -> None:
    """The server answers a mail only once it has read what came with it: without PIPELINING that would be nothing."""
    with hostile.running(hostile.Hostile()) as server:
        hand_over(mail_queues.Notes(mail_queues.probe_mails(3)), mail_queues.relay(server.port), connections=1)
    assert server.together_with_dot == [3, 3, 0]


def test_without_pipelining_nothing_is_sent_ahead() -> None:
    with hostile.running(hostile.Hostile(pipelining=False)) as server:
        hand_over(mail_queues.Notes(mail_queues.probe_mails(3)), mail_queues.relay(server.port), connections=1)
    assert server.together_with_dot == [0, 0, 0]


# A relay that wants less of us at once


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "plain"])
@pytest.mark.parametrize("act", [Act(b"450 4.7.1 too much mail\r\n"), Act(b"421 4.7.0 too much\r\n", Then.CLOSE)])
def test_a_first_sender_put_off_is_about_all(act: Act, pipelining: bool) -> None:
    """Nobody can tell it from a relay that wants less of us, also as 421; nothing counts as a failure."""
    script = {(number, "mail", 1): act for number in (1, 2, 3, 4)}
    notes = mail_queues.Notes(mail_queues.probe_mails(3))
    with hostile.running(hostile.Hostile(script, pipelining=pipelining)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.notes[0] == f"answered 1 ALL_LATER {(act.say or b'')[:9].decode()}"
    assert set(notes.outcomes.values()) <= {"ALL_LATER", "ACCEPTED"}
    assert notes.out == {}


# A relay that only claims PIPELINING


class _OneAtATime(mail_queues.Notes):
    """Lets the time of a first envelope pass whenever the server begins to stall."""

    def __init__(self, server: hostile.Hostile) -> None:
        super().__init__(mail_queues.probe_mails(3))
        self.server, self.seconds = server, 0.0

    def heartbeat(self) -> None:
        super().heartbeat()
        self.seconds = 11.0 * self.server.stalls


SILENCE = {"rcpt": STALL}
ONLY_CLAIMED: dict[str, dict[str, Act]] = {
    "silence": SILENCE,
    "gone": {"rcpt": DROP},
    "503": {"rcpt": Act(b"503 5.5.1 Error: improper use of SMTP command pipelining\r\n")},
    "554": {"rcpt": Act(b"554 SMTP synchronization error\r\n")},
    "data 503": {"data": Act(b"503 5.5.1 need RCPT command\r\n")},
}


@pytest.mark.parametrize("acts", ONLY_CLAIMED.values(), ids=ONLY_CLAIMED)
def test_a_relay_that_only_claims_pipelining_is_noticed(
    acts: dict[str, Act], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, and nobody is refused for it; from then on it goes command by command."""
    script: hostile.Script = {(1, point, 1): act for point, act in acts.items()}
    with hostile.running(hostile.Hostile(script)) as server:
        notes, real = _OneAtATime(server), time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + notes.seconds)
        hand_over(notes, mail_queues.relay(server.port, command_seconds=60), connections=1)
    assert notes.outcomes == dict.fromkeys((1, 2, 3), "ACCEPTED")
    assert server.together_with_dot == [0, 0, 0]
    assert server.connections == 2
    assert "offers PIPELINING and does not keep it" in caplog.text


def test_a_relay_seen_to_pipeline_is_believed_afterwards() -> None:
    """A slow or broken second mail changes nothing, on its connection or the next."""
    script: hostile.Script = {(1, "rcpt", 2): DROP, (2, "rcpt", 1): DROP}
    notes = mail_queues.Notes(mail_queues.probe_mails(4))
    with hostile.running(hostile.Hostile(script)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert set(notes.outcomes.values()) == {"ACCEPTED"}
    assert server.together_with_dot == [3, 3, 3, 0]


def test_pipelining_is_a_setting() -> None:
    with hostile.running(hostile.Hostile()) as server:
        relay = mail_queues.relay(server.port, pipelining=False)
        hand_over(mail_queues.Notes(mail_queues.probe_mails(3)), relay, connections=1)
    assert server.together_with_dot == [0, 0, 0]


@pytest.mark.parametrize(("pipelining", "more"), [(True, {"rcpt": Act(b"503 5.5.1 no MAIL\r\n")}), (False, {})])
def test_a_later_sender_put_off_keeps_the_connection(pipelining: bool, more: dict[str, Act], three: Three) -> None:
    acts = {"mail": Act(b"450 4.7.1 slowly\r\n"), **more}
    with hostile.running(hostile.Hostile(_second(acts), pipelining=pipelining)) as server:
        assert three(server) == ["answered 2 ALL_LATER 450 4.7.1"]
        assert server.connections == 1


def test_a_relay_that_wants_the_content_after_it_has_put_off_the_sender_gets_none() -> None:
    script: hostile.Script = {(1, "mail", 1): Act(b"450 4.7.1 slowly\r\n")}  # this server goes on with RCPT and DATA
    notes = mail_queues.Notes(mail_queues.probe_mails(2))
    with hostile.running(hostile.Hostile(script)) as server:
        hand_over(notes, mail_queues.relay(server.port), connections=1)
    assert notes.outcomes == {1: "ALL_LATER", 2: "ACCEPTED"}
    assert server.recipients == ["2@kunde.example"]
