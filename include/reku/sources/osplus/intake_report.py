"""What one scan of an OSPlus bank's inbox came to, for its caller, its log and people."""

from __future__ import annotations

from dataclasses import dataclass, field

from reku.records import FaultCode
from reku.sources.inbox import scan_report
from reku.sources.inbox.scan_report import ScanReport
from reku.store.states import FileVerdict

CONTROL_KINDS = ("VREKU", "VIAM")
"""Dateiart of control files."""


@dataclass(frozen=True)
class FileResult(scan_report.FileResult):
    """What became of one file. `order_number` and `delivery_number` come from its name too, empty if unknown."""

    order_number: str = ""
    delivery_number: str = ""


@dataclass
class IntakeReport(ScanReport[FileResult]):
    """One scan of one institute. `freed`: ids of deliveries that are parked no more."""

    freed: list[int] = field(default_factory=list)

    def note_set_aside(self, file_id: int) -> None:
        """Add the outcome of a file that was tried in vain; why stands in `failures`."""
        self.outcomes.append(FileResult(file_id, FileVerdict.SET_ASIDE, FaultCode.VERARBEITUNG))

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

    def numbers(self) -> dict[str, int]:
        """What else is counted, as it is called for people."""
        return {"set free": len(self.freed), **super().numbers()}
