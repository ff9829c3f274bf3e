"""Whatever a server does, and wherever we stop: every mail taken is accounted for once, and none goes out twice."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from reku.channels.email.smtp.answers import SessionError
from reku.channels.email.smtp.handover import hand_over
from reku_testing import hostile, mail_queues
from reku_testing.hostile import DROP, GOOD, RESET, STALL, Act, Then

NUMBERS = range(1, 8)
ANYWHERE = [
    GOOD,
    DROP,
    RESET,
    Act(None, Then.CLOSE),
    Act(None, Then.RESET),
    Act(b"25", Then.CLOSE),
    Act(b"garbage\r\n"),
    Act(b"421 4.3.2 bye\r\n", Then.CLOSE),
    Act(b"450 4.2.1 wait\r\n"),
    Act(b"550-5.1.1 no\r\n550 5.1.1 such\r\n"),
    Act(b"354 go\r\n"),
]
EVERYWHERE_ELSE = [*ANYWHERE, Act(b"250 a\r\n250 b\r\n"), Act(b"250 fine\r\n")]
BY_POINT = dict.fromkeys(("mail", "rcpt", "data", "rset", "dot"), EVERYWHERE_ELSE) | {
    # A server that answers in the middle of a mail and then takes it is believed the first time: it must leave.
    "content": [GOOD, *(Act(act.say, Then.CLOSE) for act in ANYWHERE[1:])]
}
POINTS = st.tuples(st.integers(1, 5), st.sampled_from(sorted(BY_POINT)), st.integers(1, 3))


@st.composite
def scripts(draw: st.DrawFn) -> hostile.Script:
    """What a server does at up to eight points of its first connections."""
    points = draw(st.lists(POINTS, max_size=8, unique=True))
    return {point: draw(st.sampled_from(BY_POINT[point[1]])) for point in points}


STOPS = st.none() | st.tuples(
    st.sampled_from(["start", "next_mail", "heartbeat", "answered", "lost", "returned"]), st.integers(1, 7)
)


class _Stopping(mail_queues.Notes):
    """Raises once, at its nth note of a kind."""

    stop: tuple[str, int] | None = None
    heard = 0

    def _heard(self, what: str, *, note: bool = True) -> object:
        answer = super()._heard(what, note=note)
        if self.stop and what.startswith(self.stop[0]):
            self.heard += 1
            if self.heard == self.stop[1]:
                raise ZeroDivisionError
        return answer


def _check(
    server: hostile.Hostile, stop: tuple[str, int] | None, connections: int, **patience: float
) -> mail_queues.Notes:
    notes = _Stopping(mail_queues.probe_mails(len(NUMBERS)))
    notes.stop = stop
    raised = ""
    with hostile.running(server):
        try:
            hand_over(notes, mail_queues.relay(server.port, **patience), connections=connections)
        except (SessionError, ZeroDivisionError) as error:
            raised = type(error).__name__
        hostile.until(lambda: len(server.ends) == server.connections)
    event(raised or "came through")
    assert notes.out == {}  # everything taken was accounted for
    assert raised or not notes.waiting
    waiting = {mail.number for mail in notes.waiting}
    assert waiting | set(notes.outcomes) == set(NUMBERS)
    assert not waiting & set(notes.outcomes)
    assert not {f"{number}@kunde.example" for number in waiting - notes.begun} & set(server.recipients)
    assert not waiting & notes.begun
    assert len(set(server.recipients)) == len(server.recipients)
    assert notes.counted()["lost"] <= server.connections
    return notes


def _addresses(notes: mail_queues.Notes, outcome: str) -> set[str]:
    return {f"{number}@kunde.example" for number, ended in notes.outcomes.items() if ended == outcome}


@settings(max_examples=150)
@given(scripts(), STOPS, st.integers(1, 3), st.booleans(), st.booleans(), st.booleans())
def test_what_the_server_accepted_is_what_is_known_as_accepted(
    script: hostile.Script,
    stop: tuple[str, int] | None,
    connections: int,
    pipelining: bool,
    together: bool,
    bytewise: bool,
) -> None:
    server = hostile.Hostile(script, pipelining=pipelining, together=together, bytewise=bytewise)
    notes = _check(server, stop, connections)
    assert _addresses(notes, "ACCEPTED") == set(server.accepted)


@settings(max_examples=25)
@given(scripts(), st.lists(POINTS, min_size=1, max_size=3), STOPS, st.integers(1, 3), st.booleans())
def test_what_a_stalling_server_accepted_is_known_as_accepted_or_in_doubt(
    script: dict[Any, Act],
    stalls: list[tuple[int, str, int]],
    stop: tuple[str, int] | None,
    connections: int,
    pipelining: bool,
) -> None:
    server = hostile.Hostile(script | dict.fromkeys(stalls, STALL), pipelining=pipelining)
    notes = _check(server, stop, connections, command_seconds=0.2, answer_seconds=0.2, drain_seconds=0.2)
    assert _addresses(notes, "ACCEPTED") <= set(server.accepted)
    assert set(server.accepted) <= _addresses(notes, "ACCEPTED") | _addresses(notes, "lost")
