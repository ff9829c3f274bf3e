"""What one scan of a bank's inbox came to, for its caller, its log and people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from reku.store.states import FileVerdict

CONTROL_KINDS = ("VREKU", "VIAM")
"""Dateiart of control files."""


@dataclass(frozen=True)
class FileResult:
    """What became of one file. `kind`, `order_number` and `delivery_number` come from its name, empty if unknown."""

    file_id: int
    verdict: FileVerdict
    code: str = ""
    kind: str = ""
    order_number: str = ""
    delivery_number: str = ""


@dataclass
class IntakeReport:
    """One scan of one institute.

    `busy`: another scan had the institute in hand, nothing was done. `waiting`: files still being written. `no_files`:
    folders and links in the inbox, which are not touched. `left`: files that the next scans take up, since this one had
    done what a bank may have done at a time. `freed`: ids of deliveries that are parked no more. `failures`: what went
    wrong, one sentence each.
    """

    institute: str
    busy: bool = False
    waiting: int = 0
    no_files: int = 0
    left: int = 0
    outcomes: list[FileResult] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many files had which verdict; only verdicts that occurred."""
        return dict(sorted(Counter(outcome.verdict.value for outcome in self.outcomes).items()))

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should look at, one sentence each; a file stands in the report of one scan only.

        Refused and parked deliveries are not among them: their senders have receipts, and the occasions' runs name
        what is missing.
        """
        told = list(self.failures)
        if unknown := self.counts.get(FileVerdict.UNKNOWN):
            told.append(f"Institute {self.institute}: {unknown} files that no contract knows lie in fehler/.")
        told += [
            f"Institute {self.institute}: the control file of order {one.order_number} was refused ({one.code}). "
            "Its receipt says why; until a good one comes, deliveries of this order are parked."
            for one in self.outcomes
            if one.verdict == FileVerdict.REFUSED and one.kind in CONTROL_KINDS
        ]
        return tuple(told)

    def __str__(self) -> str:
        """One line for logs and people: counts and codes."""
        if self.busy:
            return f"institute {self.institute}: another scan is at work"
        counts = Counter(f"{one.verdict}{f' {one.code}' if one.code else ''}" for one in self.outcomes)
        parts = [f"{number} {what}" for what, number in sorted(counts.items())]
        others = {
            "set free": len(self.freed),
            "still being written": self.waiting,
            "no files": self.no_files,
            "left for the next scan": self.left,
            "failed": len(self.failures),
        }
        parts += [f"{number} {what}" for what, number in others.items() if number]
        return f"institute {self.institute}: {', '.join(parts) or 'nothing new'}"
