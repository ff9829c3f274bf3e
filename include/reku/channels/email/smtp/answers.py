"""What an SMTP server answers: cut into replies (RFC 5321 section 4.2), and what a reply says about one mail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from reku.foundation.errors import AwayError, PassingError, StageError
from reku.foundation.quoted_reply import quoted

LONGEST_LINE = 8192
"""Bytes of one line of a reply with its end. RFC 5321 section 4.5.3.1.5 says 512, and servers do not keep to it."""
MOST_LINES = 128
"""Lines of one reply."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\0\r\n]*+))?+\r?+\n")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")


class SessionError(PassingError):
    """The relay, not a person, is the trouble: it refused or dropped us. What is not handed over is still open."""


class NoSession(SessionError, AwayError):
    """No session with the relay can be had at the moment: it is away, or does not want us now."""


class LoginRefused(StageError):
    """The relay refused user and password. Nobody tries again by himself: accounts get locked."""


class Lost(Exception):
    """A connection is of no more use. The text completes "the relay …" and quotes nothing of what the server said.

    `expected`: nothing went wrong (an announced or wanted end), so it does not count as a failure of the relay.
    """

    def __init__(self, text: str, *, expected: bool = False) -> None:
        super().__init__(text)
        self.expected = expected


class Outcome(StrEnum):
    """What the server said about one mail."""

    ACCEPTED = "ACCEPTED"  # 2xx after the final dot
    REFUSED = "REFUSED"  # 5xx to this RCPT or DATA: will not get better
    LATER = "LATER"  # 4xx to this RCPT or DATA: try again
    ALL_LATER = "ALL_LATER"  # 4xx to MAIL FROM: about us, whoever the mail is for; try all again later
    UNADDRESSABLE = "UNADDRESSABLE"  # the address cannot be said to this relay: it needs SMTPUTF8, or is none


@dataclass(frozen=True)
class Answer:
    """The server's answer about one mail: `code` and `enhanced` status are kept, `text` only serves classification."""

    outcome: Outcome
    code: int = 0
    enhanced: str = ""
    text: str = ""

    @property
    def short(self) -> str:
        """Code and enhanced status, for the ledger: no text, it may quote an address."""
        return f"{self.code} {self.enhanced}".strip()

    def said(self, *about: str) -> str:
        """Code and words for people, without what they say of these addresses."""
        return f"{self.code} {quoted(self.text, *about)}".strip()


class Reply(NamedTuple):
    """One reply: its code, and its text with the lines joined by line feeds."""

    code: int
    text: bytes

    @property
    def kind(self) -> int:
        """The first digit, which decides (RFC 5321 section 4.3.2)."""
        return self.code // 100


_OUTCOMES = {2: Outcome.ACCEPTED, 4: Outcome.LATER, 5: Outcome.REFUSED}


class NotPipelined(Lost):
    """The relay claims PIPELINING (RFC 2920) and does not keep it; nothing of a mail's content was sent."""


def answer_of(reply: Reply) -> Answer:
    """What a reply to RCPT, DATA or the final dot says about the mail. Raises Lost for a 3xx, which says nothing."""
    outcome = _OUTCOMES.get(reply.kind)
    if outcome is None:
        raise Lost(f"answered a mail with {reply.code}, which means nothing there")
    text = reply.text.decode("utf-8", "replace")
    enhanced = _ENHANCED.match(text)
    return Answer(outcome, reply.code, enhanced.group(1) if enhanced else "", text)


class Replies:
    """Cuts what arrives, in pieces of any size, into replies. Line feeds alone are taken for line ends as well."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._lines: list[bytes] = []
        self._code = b""

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether something has arrived that `next` has not given out yet, be it half a line."""
        return self._at < len(self._buffer) or bool(self._lines)

    def next(self) -> Reply | None:
        """The next whole reply, or None if it has not arrived yet. Raises Lost for what is no SMTP."""
        while (line := _LINE.match(self._buffer, self._at)) is not None:
            if line.end() - self._at > LONGEST_LINE:
                raise Lost("answered with a line without end")
            self._at = line.end()
            code, more, text = line.groups(b"")
            if more != b"-" and not self._lines:
                return Reply(int(code), text.strip())
            if self._lines and code != self._code:
                raise Lost("answered with several codes at once")
            self._code = code
            self._lines.append(text.strip())
            if len(self._lines) > MOST_LINES:
                raise Lost("answered without end")
            if more != b"-":
                lines, self._lines = self._lines, []
                return Reply(int(code), b"\n".join(lines))
        if self._buffer.find(b"\n", self._at) >= 0:
            raise Lost("answered with what is no SMTP")
        if len(self._buffer) - self._at > LONGEST_LINE:
            raise Lost("answered with a line without end")
        return None
