"""What every return mailbox can do, wherever its mails lie."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

SEEN = "gesehen"
"""Folder of mails that were dealt with: the evidence of their events, kept until its retention ends."""

UNCLEAR = "ungeklaert"
"""Folder of mails that a person has to look at."""

MAX_BYTES = 256 * 1024
"""So much of a mail is read: a report stands at its beginning, our own mail with its pictures at its end."""


@dataclass(frozen=True)
class ReturnedMail:
    """One mail that waits. `name` finds it again wherever it was filed; it names nobody. `data`: its first bytes."""

    key: str
    name: str
    data: bytes


class Mailbox(Protocol):
    """A return mailbox. Every method may raise SetupError (a person has to do something) or PassingError."""

    @property
    def place(self) -> str:
        """Where it is, for messages to people."""

    def waiting(self) -> Iterator[ReturnedMail]:
        """The mails that nobody has taken in, one after the other; never more than a few in memory."""

    def file(self, letters: Mapping[str, Sequence[str]]) -> None:
        """Move mails, by their keys, into folders, by their names. One that is gone was taken by somebody else."""

    def count(self) -> dict[str, int]:
        """How many mails wait (`new`) and lie in the two folders."""

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """The beginnings of the mails with these names, wherever they lie; without those that are gone."""

    def refile(self, names: Collection[str], folder: str) -> None:
        """Move the mails with these names, wherever they lie, into a folder."""

    def remove(self, names: Collection[str]) -> int:
        """Remove the mails with these names, wherever they lie. Returns how many."""

    def remove_old(self, days: int) -> int:
        """Remove what was filed and came so many days ago, by the real clock. Returns how many."""
