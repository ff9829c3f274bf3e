"""What one scan of an OSPlus bank's inbox came to, for its caller, its log and people."""

from __future__ import annotations

from dataclasses import dataclass, field

from reku.records import FaultCode
from reku.sources.inbox import scan_report
from reku.sources.inbox.scan_report import ScanReport
from reku.store.states import FileVerdict

CONTROL_KINDS = ("VREKU", "VIAM")
"""Dateiart of control files."""
PACKAGE = "BERATER"
"""Dateiart of advisors' pictures: nothing waits for them, so a refused one is told to its sender only."""

MOST_NAMED = 10
"""Files of unknown names whose ids are listed; the rest is counted."""


@dataclass(frozen=True)
class FileResult(scan_report.FileResult):
    """What became of one file. `name`: that of a file whose name a contract knows; any other may hold anything.

    `advice`: German, as its receipt has it.
    """

    name: str = ""
    advice: str = ""


@dataclass
class IntakeReport(ScanReport[FileResult]):
    """One scan of one institute. `bank`: its name for people; `freed`: ids of deliveries that are parked no more."""

    bank: str = ""
    freed: list[int] = field(default_factory=list)

    def note_set_aside(self, file_id: int) -> None:
        """Add the outcome of a file that was tried in vain; why stands in `failures`."""
        self.outcomes.append(FileResult(file_id, FileVerdict.SET_ASIDE, FaultCode.VERARBEITUNG))

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should look at, one sentence each; a file stands in the report of one scan only.

        Parked deliveries are not among them: the occasions' runs name them. Who waits for a refused one says so too,
        but is not red before its deadline.
        """
        unknown = [one.file_id for one in self.outcomes if one.verdict == FileVerdict.UNKNOWN]
        refused = [one for one in self.outcomes if one.verdict == FileVerdict.REFUSED and one.kind != PACKAGE]
        told = [*self.failures, *([self._told_unknown(unknown)] if unknown else ()), *map(self._told_refused, refused)]
        return tuple(told)

    @property
    def _whose(self) -> str:
        return f"{self.bank} (BLZ {self.institute})"

    def _told_unknown(self, file_ids: list[int]) -> str:
        ids = ", ".join(map(str, file_ids[:MOST_NAMED])) + (" …" if len(file_ids) > MOST_NAMED else "")
        return (
            f"{self._whose}: no contract knows the names of {len(file_ids)} files, which lie in fehler/ (their ids:"
            f" {ids}). `reku files list --institute {self.institute} --verdict UNKNOWN` shows them. Rename them as"
            " agreed and put them into eingang/ again, or have their sender do so."
        )

    def _told_refused(self, one: FileResult) -> str:
        then = (
            "until a good one comes, deliveries of its order are parked"
            if one.kind in CONTROL_KINDS
            else "nothing of it is sent"
        )
        return f"{self._whose}: {one.name} was refused for {one.code}, {then}. {one.advice.rstrip('.')}. {_way_on(one)}"

    def numbers(self) -> dict[str, int]:
        """What else is counted, as it is called for people."""
        return {"set free": len(self.freed), **super().numbers()}


def _way_on(one: FileResult) -> str:
    """The way on after a refusal, in sentences."""
    receipt = "The receipt in ausgang/ tells its sender the same."
    if one.code == FaultCode.UMGEBUNG:
        return (
            f"{receipt} If it is REKU_ENVIRONMENT of this system that is wrong, every bank's files are refused: set it,"
            " then `reku deliveries retry ID` for each of `reku deliveries list --state REFUSED`."
        )
    return f"{receipt} Ask for a corrected file; it is taken as soon as it comes."
