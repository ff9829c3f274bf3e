"""What one scan of a cooperative bank's inbox came to, for its caller, its log and people."""

from __future__ import annotations

from dataclasses import dataclass, field

from reku.records import FaultCode
from reku.sources.agree21.import_file import ImportResult
from reku.sources.inbox import scan_report
from reku.sources.inbox.scan_report import ScanReport
from reku.store.states import FILE_WAS_REFUSED, FileVerdict


@dataclass(frozen=True)
class FileResult(scan_report.FileResult):
    """What became of one file. `counts`: what stands in `imports` of it, or events; empty if nothing was written."""

    advice: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class ImportReport(ScanReport[FileResult]):
    """One scan of one institute. `forgotten`: rows of addresses whose time was over; `expired`: impulses that left."""

    forgotten: int = 0
    expired: int = 0

    def note_set_aside(self, file_id: int) -> None:
        """Add the outcome of a file that was tried in vain; why stands in `failures`."""
        self.outcomes.append(FileResult(file_id, FileVerdict.SET_ASIDE, FaultCode.VERARBEITUNG))

    @property
    def counts(self) -> dict[str, int]:
        """How many files had which verdict, how many rows of addresses were forgotten and how many impulses expired."""
        left = {"addresses_forgotten": self.forgotten, "impulses_expired": self.expired}
        return super().counts | {name: number for name, number in left.items() if number}

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should look at, one sentence each: without the data nobody is selected."""
        told = list(self.failures)
        told += [
            f"Institute {self.institute}: file {one.file_id} ({one.kind or 'of an unknown name'}) was refused "
            f"({one.code}): {one.advice}"
            for one in self.outcomes
            if one.verdict in FILE_WAS_REFUSED
        ]
        told += [
            f"Institute {self.institute}: {one.counts['unknown_references']} answers of file {one.file_id} name no "
            "mail of ours: see its receipt, and ask agreeMailing whose they are."
            for one in self.outcomes
            if one.counts.get("unknown_references")
        ]
        return tuple(told)

    def numbers(self) -> dict[str, int]:
        """What else is counted, as it is called for people."""
        return {**super().numbers(), "addresses forgotten": self.forgotten, "impulses expired": self.expired}


def file_result(file_id: int, kind: str, result: ImportResult) -> FileResult:
    """What is told of a file."""
    counts = {name: value for name, value in (result.entry or {}).items() if isinstance(value, int)}
    decision = result.decision
    return FileResult(file_id, decision.verdict, decision.code, kind, decision.advice, counts)
