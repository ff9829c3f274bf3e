"""One scan of a bank's inbox: control files first, by Erstellt_am, then deliveries in number order."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.foundation.bank_folders import Folder, receipt_name
from reku.foundation.errors import RekuError, StageError
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, contracts, match_name
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import InboxFolders, shown_name
from reku.sources.inbox.receipts import KIND, Line, refusal
from reku.sources.osplus import control_file, delivery_files
from reku.store.locks import Lock, session_lock
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import deliveries, files

logger = logging.getLogger(__name__)

CONTROL_KINDS = ("VREKU", "VIAM")
DELIVERY_KINDS = ("REKU", "IAMW")

_OF = sa.bindparam("institute", type_=sa.CHAR(8))
_LEFT = sa.select(
    sa.exists().where(files.c.institute == _OF, files.c.moving_from.is_not(None))
    | sa.exists().where(deliveries.c.institute == _OF, deliveries.c.state == DeliveryState.PARKED)
)
"""Whether an earlier scan has left something to do: files to be moved, deliveries to be set free."""


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
    folders and links in the inbox, which are not touched. `freed`: ids of deliveries that are parked no more.
    `failures`: what went wrong here and not in a file, one sentence each; those files wait for the next scan.
    """

    institute: str
    busy: bool = False
    waiting: int = 0
    no_files: int = 0
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
            "failed": len(self.failures),
        }
        parts += [f"{number} {what}" for what, number in others.items() if number]
        return f"institute {self.institute}: {', '.join(parts) or 'nothing new'}"


@dataclass(frozen=True)
class _NamedFile:
    """A claimed file whose name a contract knows, with the parts of its name."""

    name: str
    contract: Contract
    groups: dict[str, str]


def take_in(engine: sa.Engine, bank: Institute) -> IntakeReport:
    """Scan the inbox of one bank, after finishing what an interrupted scan left.

    Each file has a transaction of its own. What goes wrong with one is reported and leaves the others alone. Raises
    SetupError or OSError if the folders cannot be used at all.
    """
    report = IntakeReport(bank.blz)
    if not _is_idle(engine, bank, report):
        with session_lock(engine, Lock.FILES, int(bank.blz)) as connection:
            if connection is None:
                report.busy = True
            else:
                _Scan(connection, bank, report).run()
    level = logging.WARNING if report.failures else logging.INFO
    logger.log(level, "intake, %s", report)
    return report


def _is_idle(engine: sa.Engine, institute: Institute, report: IntakeReport) -> bool:
    """Whether there is nothing to take in and nothing left to finish: most scans of most banks.

    A look without the lock, and without a database connection of its own: whatever comes a moment later is the next
    scan's. Raises SetupError or OSError if the folders cannot be used at all.
    """
    folders = InboxFolders(institute.blz)
    folders.prepare()
    inbox, claimed = folders.arrived(_settle_seconds(institute)), folders.claimed()
    if inbox.complete or claimed.names or claimed.no_files:
        return False
    report.waiting, report.no_files = inbox.waiting, inbox.no_files
    with engine.connect() as connection:
        return not connection.scalar(_LEFT, {"institute": institute.blz})


def _settle_seconds(institute: Institute) -> float:
    own = institute.file_settle
    return own.total_seconds() if own is not None else settings().file_settle_seconds


class _Scan:
    """One scan under the lock. Its steps may be cut off anywhere; the next scan goes on."""

    def __init__(self, connection: sa.Connection, institute: Institute, report: IntakeReport) -> None:
        self.connection, self.institute, self.report = connection, institute, report
        self.folders = InboxFolders(institute.blz)

    def run(self) -> None:
        left = self._finish_earlier()
        self._claim()
        claimed = self.folders.claimed()
        if claimed.no_files:
            self.report.failures.append(
                f"Institute {self.institute.blz}: {claimed.no_files} links or folders lie in in_arbeit/, which this "
                "program never puts there. Find out where they come from, and take them away."
            )
        names = [name for name in claimed.names if self.folders.path(Folder.AT_WORK, name) not in left]
        controls, numbered, others = [], [], []
        for name in names:
            match = match_name(shown_name(name))
            if match and match[0].kind in CONTROL_KINDS:
                controls.append(_NamedFile(name, *match))
            elif match and match[0].kind in DELIVERY_KINDS:
                numbered.append(_NamedFile(name, *match))
            else:
                others.append(name)
        self._take_controls(controls)
        self._unpark()
        for known in sorted(numbered, key=lambda one: (one.groups["auftrag"], one.groups["lnr"], one.name)):
            self._take(f"delivery {known.name}", known, partial(self._take_delivery, known))
        for name in others:
            self._take("a file of an unknown name", None, partial(self._take_unknown, name))

    def _finish_earlier(self) -> set[str]:
        """Finish what was registered and not yet moved. Returns where the originals lie that cannot be moved now."""
        with self.connection.begin():
            open_moves = filing.unfinished(self.connection, self.institute.blz)
        left = set()
        for file_id, place in open_moves.items():
            left.add(place)
            with _guarded(self.report, f"file {file_id}", self.connection):
                self._finalise(file_id)
                left.discard(place)
        return left

    def _claim(self) -> None:
        inbox = self.folders.arrived(_settle_seconds(self.institute))
        self.report.waiting, self.report.no_files = inbox.waiting, inbox.no_files
        for file in inbox.complete:
            with _guarded(self.report, "claiming a file"):
                if not self.folders.claim(file):
                    self.report.waiting += 1

    def _take_controls(self, controls: list[_NamedFile]) -> None:
        read = []
        for known in controls:
            with _guarded(self.report, f"control file {known.name}", self.connection):
                if not self._refused_elsewhere(known):
                    arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
                    read.append(
                        (control_file.read_control_file(self.institute, known.contract, known.groups, arrived), known)
                    )
        for control, known in sorted(read, key=lambda one: (one[0].created_at, one[0].arrived.name)):
            self._take(
                f"control file {known.name}",
                known,
                partial(control_file.carry_out, self.connection, self.institute, self.folders, control),
            )

    def _refused_elsewhere(self, known: _NamedFile) -> bool:
        """Refuse a file whose name carries another bank's BLZ: it says nothing about this bank's orders."""
        if known.groups["blz"] == self.institute.blz:
            return False
        self._take(f"file {known.name}", known, partial(self._refuse_foreign, known))
        return True

    def _refuse_foreign(self, known: _NamedFile) -> tuple[int, FileDecision]:
        named = known.groups["blz"]
        if named in institutes():
            code, advice = FaultCode.WIDERSPRUCH, f"Die Datei gehört nach ihrem Namen in den Eingang von {named}."
        else:
            code = FaultCode.INSTITUT_UNBEKANNT
            advice = f"Das Institut {named} im Dateinamen ist hier nicht eingerichtet. BLZ im Dateinamen prüfen."
        fault = Fault(code, field="BLZ", advice=advice)
        arrived = filing.arrive(self.folders, known.name, 0)
        decision = FileDecision(FileVerdict.REFUSED, fault.code, fault.advice, refusal([fault]))
        return filing.record(self.connection, self.folders, arrived, known.contract.kind, decision), decision

    def _take_delivery(self, known: _NamedFile) -> tuple[int, FileDecision]:
        if known.groups["blz"] != self.institute.blz:
            return self._refuse_foreign(known)
        arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
        return delivery_files.take(self.connection, self.institute, self.folders, known.contract, known.groups, arrived)

    def _take_unknown(self, name: str) -> tuple[int, FileDecision]:
        arrived = filing.arrive(self.folders, name, 0)
        fault = Fault(FaultCode.DATEINAME, advice="Der Dateiname passt zu keiner vereinbarten Datei.")
        receipt: tuple[Line, ...] = ()
        if (meant := _meant(shown_name(name))) is not None:
            advice = f"{fault.advice[:-1]}; erwartet wie {meant.file_name_example}. Mit richtigem Namen neu liefern."
            fault = replace(fault, advice=advice)
            receipt = refusal([fault])
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, fault.advice, receipt)
        return filing.record(self.connection, self.folders, arrived, "", decision), decision

    def _unpark(self) -> None:
        """Set parked deliveries free whose control file is there, now or since a scan that was cut off."""
        with self.connection.begin():
            waiting = delivery_files.parked_orders(self.connection, self.institute.blz)
        for order_number in waiting:
            with _guarded(self.report, f"parked deliveries of order {order_number}", self.connection):
                self.report.freed += delivery_files.unpark(self.connection, self.institute, self.folders, order_number)

    def _take(self, what: str, known: _NamedFile | None, decide: Callable[[], tuple[int, FileDecision]]) -> None:
        """Register one file in a transaction of its own, then move it and write its receipt."""
        with _guarded(self.report, what, self.connection):
            with self.connection.begin():
                file_id, decision = decide()
            groups = known.groups if known else {}
            self.report.outcomes.append(
                FileResult(
                    file_id,
                    decision.verdict,
                    decision.code,
                    known.contract.kind if known else "",
                    groups.get("auftrag", ""),
                    groups.get("lnr", ""),
                )
            )
            self._finalise(file_id)

    def _finalise(self, file_id: int) -> None:
        with self.connection.begin():
            filing.finalise(self.connection, self.folders, file_id)


def _meant(name: str) -> Contract | None:
    """The contract that the sender of a misnamed file seems to have meant; None if a receipt could not be named."""
    if contracts()[KIND].match(receipt_name(name)) is None:
        return None
    word = name.partition("_")[0].upper()
    return contracts()[word] if word in (*CONTROL_KINDS, *DELIVERY_KINDS) else None


@contextmanager
def _guarded(report: IntakeReport, what: str, connection: sa.Connection | None = None) -> Iterator[None]:
    """Report what goes wrong inside and go on, unless the database connection, and with it the lock, is gone."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 # one file must never stop the others; nothing is swallowed, see report
        report.failures.append(f"Institute {report.institute}, {what}: {_told(error)}")
        logger.warning("intake, institute %s: %s failed at %s", report.institute, what, _place(error))
        if connection is not None and (connection.invalidated or connection.closed):
            raise StageError(
                f"Intake of institute {report.institute} lost its database connection. Files wait for the next scan."
            ) from None


def _told(error: Exception) -> str:
    """An error's text where it is ours or the system's; others may hold values, so only their kind and place."""
    if isinstance(error, RekuError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}. The file waits for the next scan."
    return f"{type(error).__name__} at {_place(error)}. The file waits for the next scan."


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "reku" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
