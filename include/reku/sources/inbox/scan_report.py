"""What one scan of a bank's inbox came to, for its caller, its log and people: what is the same for every core system.

Each core system's report says of its files what only it knows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reku.store.states import FileVerdict


@dataclass(frozen=True)
class FileResult:
    """What became of one file. `kind`: its Dateiart, as its name says; empty if unknown."""

    file_id: int
    verdict: FileVerdict
    code: str = ""
    kind: str = ""


Result = TypeVar("Result", bound=FileResult)


@dataclass
class ScanReport(ABC, Generic[Result]):
    """One scan of one institute.

    `busy`: another scan had the institute in hand, nothing was done. `waiting`: files still being written, or that wait
    for another file. `no_files`: folders and links in the inbox, which are not touched. `left`: files that the next
    scans take up, since this one had done what a bank may have done at a time. `failures`: what went wrong here and not
    in a file, one sentence each; those files wait for the next scan, or are set aside.
    """

    institute: str
    busy: bool = False
    waiting: int = 0
    no_files: int = 0
    left: int = 0
    outcomes: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @abstractmethod
    def note_set_aside(self, file_id: int) -> None:
        """Add the outcome of a file that was tried in vain and is set aside; why stands in `failures`."""

    @property
    def counts(self) -> dict[str, int]:
        """How many files had which verdict; only verdicts that occurred."""
        return dict(sorted(Counter(outcome.verdict.value for outcome in self.outcomes).items()))

    def numbers(self) -> dict[str, int]:
        """What else is counted, as it is called for people."""
        return {
            "still being written": self.waiting,
            "no files": self.no_files,
            "left for the next scan": self.left,
            "failed": len(self.failures),
        }

    def __str__(self) -> str:
        """One line for logs and people: counts and codes."""
        if self.busy:
            return f"institute {self.institute}: another scan is at work"
        counts = Counter(f"{one.verdict}{f' {one.code}' if one.code else ''}" for one in self.outcomes)
        parts = [f"{number} {what}" for what, number in sorted(counts.items())]
        parts += [f"{number} {what}" for what, number in self.numbers().items() if number]
        return f"institute {self.institute}: {', '.join(parts) or 'nothing new'}"
