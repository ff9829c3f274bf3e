"""A queue for tests of the hand-over: gives mails, and notes everything that is said of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reku.channels.email.smtp.answers import Answer
from reku.channels.email.smtp.transport import Relay
from reku.channels.email.smtp.wire import SmtpMail

BODY = b"Subject: Probe\r\n\r\nEin Text.\r\n"


@dataclass(frozen=True)
class ProbeMail:
    """A mail. `number` says which one."""

    number: int
    data: bytes = BODY
    envelope_to: str = ""
    smtputf8: bool = False
    envelope_from: str = "b+probe@bounce.example"

    @staticmethod
    def to(number: int, **changes: object) -> ProbeMail:
        """The mail to person NUMBER@kunde.example."""
        return ProbeMail(number, **{"envelope_to": f"{number}@kunde.example"} | changes)  # type: ignore[arg-type]


def probe_mails(count: int, **changes: object) -> list[ProbeMail]:
    """Mails 1, 2, 3 … to one person each."""
    return [ProbeMail.to(number, **changes) for number in range(1, count + 1)]


class Notes:
    """Gives the mails one after the other, an untouched one again, and notes what it hears.

    Two accounts of one taking, and one of a mail that was not taken, fail at once. `on`: what to do when something is
    heard, by its note (`"start 2"`); what it returns for a `start` is the answer.
    """

    def __init__(self, mails: Iterable[ProbeMail], on: dict[str, Callable[[], object]] | None = None) -> None:
        self.waiting = deque(mails)
        self.on = on or {}
        self.notes: list[str] = []
        self.out: dict[int, ProbeMail] = {}
        self.begun: set[int] = set()
        self.outcomes: dict[int, str] = {}
        self.ticks = 0
        self.takes = 0

    def next_mail(self) -> ProbeMail | None:
        self._heard(f"next_mail {self.takes + 1}", note=False)
        self.takes += 1
        if not self.waiting:
            return None
        mail = self.waiting.popleft()
        assert mail.number not in self.out
        self.out[mail.number] = mail
        return mail

    def seconds_until_next(self) -> float | None:
        return 0 if self.waiting else None

    def start(self, mail: SmtpMail) -> bool:
        number = self._number(mail)
        may = self._heard(f"start {number}")
        if may is False:
            self._ended(number, "forbidden")
        else:
            assert number not in self.begun
            self.begun.add(number)
        return may is not False

    def answered(self, mail: SmtpMail, answer: Answer) -> None:
        number = self._number(mail)
        self._ended(number, answer.outcome.value)
        self._heard(f"answered {number} {answer.outcome} {answer.short}".strip())

    def lost(self, mail: SmtpMail) -> None:
        number = self._number(mail)
        assert number in self.begun
        self._ended(number, "lost")
        self._heard(f"lost {number}")

    def returned(self, mail: SmtpMail) -> None:
        number = self._number(mail)
        assert number not in self.begun
        self.waiting.appendleft(self.out.pop(number))
        self._heard(f"returned {number}")

    def heartbeat(self) -> None:
        self.ticks += 1
        self._heard(f"heartbeat {self.ticks}", note=False)

    def counted(self) -> Counter[str]:
        """How many mails ended in which way."""
        return Counter(self.outcomes.values())

    def _number(self, mail: SmtpMail) -> int:
        assert isinstance(mail, ProbeMail)
        assert mail.number in self.out, f"{mail.number} was not taken, or is accounted for already"
        return mail.number

    def _ended(self, number: int, outcome: str) -> None:
        del self.out[number]
        self.outcomes[number] = outcome

    def _heard(self, what: str, *, note: bool = True) -> object:
        if note:
            self.notes.append(what)
        return self.on.get(what, lambda: None)()


def relay(port: int, **changes: float | str | bool) -> Relay:
    """A relay on this machine, with patience of tenths of a second."""
    patience = {"connect_seconds": 5.0, "command_seconds": 5.0, "answer_seconds": 5.0, "drain_seconds": 5.0}
    return Relay("127.0.0.1", port, **{"tls": False} | patience | changes)  # type: ignore[arg-type]
