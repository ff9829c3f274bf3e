"""One scan of a bank's inbox: control files first, by Erstellt_am, then deliveries in number order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.foundation.bank_folders import Folder, receipt_name
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import MOST_TRIES, Budget, Failure, one_by_one
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, contracts, match_name
from reku.sources.inbox import filing, set_aside
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import InboxFile, InboxFolders, shown_name, storable
from reku.sources.inbox.receipts import KIND, Line, refusal
from reku.sources.osplus import control_file, delivery_files
from reku.sources.osplus.intake_report import CONTROL_KINDS, FileResult, IntakeReport
from reku.store.locks import Lock, session_lock
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import deliveries, files

logger = logging.getLogger(__name__)

DELIVERY_KINDS = ("REKU", "IAMW")

_OF = sa.bindparam("institute", type_=sa.CHAR(8))
_LEFT = sa.select(
    sa.exists().where(files.c.institute == _OF, files.c.moving_from.is_not(None))
    | sa.exists().where(deliveries.c.institute == _OF, deliveries.c.state == DeliveryState.PARKED)
)
"""Whether an earlier scan has left something to do: files to be moved, deliveries to be set free."""


@dataclass(frozen=True, eq=False)
class _ClaimedFile:
    """A file in `in_arbeit/`, with the parts of its name if a contract knows it."""

    name: str
    groups: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "a file of an unknown name"

    @property
    def kind(self) -> str:
        """Its Dateiart, as its name says; empty if unknown."""
        return ""


@dataclass(frozen=True, eq=False, kw_only=True)
class _NamedFile(_ClaimedFile):
    """One whose name a contract knows."""

    contract: Contract

    def __str__(self) -> str:
        return f"{'control file' if self.kind in CONTROL_KINDS else 'delivery'} {self.name}"

    @property
    def kind(self) -> str:
        """The contract's."""
        return self.contract.kind


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
    inbox, claimed = folders.arrived(_settle_seconds(institute), most=1), folders.claimed()
    if inbox.complete or inbox.failures or claimed.names or claimed.no_files:
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
        self.budget = Budget(settings().intake_seconds)
        self._tried: set[str] = set()

    def run(self) -> None:
        try:
            self._run()
        except Exception:
            if self._is_lost():
                raise StageError(
                    f"Intake of institute {self.institute.blz} lost its database connection. Files wait for the next "
                    "scan."
                ) from None
            raise

    def _run(self) -> None:
        left = self._finish_earlier()
        self._claim()
        claimed = self.folders.claimed()
        if claimed.no_files:
            self.report.failures.append(
                f"Institute {self.institute.blz}: {claimed.no_files} links or folders lie in in_arbeit/, which this "
                "program never puts there. Find out where they come from, and take them away."
            )
        controls: list[_NamedFile] = []
        numbered: list[_NamedFile] = []
        foreign: list[_NamedFile] = []
        others: list[_ClaimedFile] = []
        for name in claimed.names:
            if self.folders.path(Folder.AT_WORK, name) in left:
                continue
            match = match_name(shown_name(name))
            if match is None or match[0].kind not in (*CONTROL_KINDS, *DELIVERY_KINDS):
                others.append(_ClaimedFile(name))
                continue
            known = _NamedFile(name, match[1], contract=match[0])
            if known.groups["blz"] != self.institute.blz:
                foreign.append(known)
            else:
                (controls if known.kind in CONTROL_KINDS else numbered).append(known)
        self._take_each(foreign, self._refuse_foreign)
        self._take_controls(controls)
        self._unpark()
        numbered.sort(key=lambda one: (one.groups["auftrag"], one.groups["lnr"], one.name))
        self._take_each(numbered, self._take_delivery)
        self._take_each(others, self._take_unknown)

    def _finish_earlier(self) -> set[str]:
        """Finish what was registered and not yet moved. Returns where the originals lie that cannot be moved now."""
        with self.connection.begin():
            open_moves = filing.unfinished(self.connection, self.institute.blz)
        done = one_by_one(
            open_moves,
            self._finalise,
            named=lambda file_id: f"file {file_id}",
            stops=self._is_lost,
            is_enough=self.budget.is_used_up,
        )
        for failure in done.failures:
            self._tell(failure, "The file waits for the next scan.")
        return {open_moves[file_id] for file_id in (*done.left, *(failure.thing for failure in done.failures))}

    def _claim(self) -> None:
        inbox = self.folders.arrived(_settle_seconds(self.institute), settings().intake_files)
        self.report.waiting, self.report.no_files, self.report.left = inbox.waiting, inbox.no_files, inbox.left
        for unseen in inbox.failures:
            self._tell(unseen, "The file waits for the next scan.")
        with self.connection.begin():
            refused = set_aside.left_in_inbox(self.connection, self.institute.blz)
        complete = [file for file in inbox.complete if storable(self._in_inbox(file)) not in refused]

        def claim(file: InboxFile) -> None:
            if not self.folders.claim(file):
                self.report.waiting += 1

        done = one_by_one(
            complete, claim, named=lambda _: "claiming a file", stops=self._is_lost, is_enough=self.budget.is_used_up
        )
        self.report.left += len(done.left)
        for failure in done.failures:
            with self.connection.begin():
                set_aside.note_try(self.connection, self.institute.blz, self._in_inbox(failure.thing))
        self._after_failures(done.failures, self._in_inbox, lambda _: "")

    def _in_inbox(self, file: InboxFile) -> str:
        return self.folders.path(Folder.INBOX, file.name)

    def _take_controls(self, controls: list[_NamedFile]) -> None:
        """In the order of Erstellt_am, for which each is read once more: all of them together could take any room."""
        made: dict[_NamedFile, datetime] = {}

        def look(known: _NamedFile) -> None:
            if self._may_be_tried(known):
                made[known] = self._read_control(known).created_at

        self._handle_each(controls, look)
        self._take_each(sorted(made, key=lambda known: (made[known], known.name)), self._take_control)

    def _read_control(self, known: _NamedFile) -> control_file.ControlFile:
        arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
        return control_file.read_control_file(self.institute, known.contract, known.groups, arrived)

    def _take_control(self, known: _NamedFile) -> tuple[int, FileDecision]:
        control = self._read_control(known)
        return control_file.carry_out(self.connection, self.institute, self.folders, control)

    def _refuse_foreign(self, known: _NamedFile) -> tuple[int, FileDecision]:
        """Refuse a file whose name carries another bank's BLZ: it says nothing about this bank's orders."""
        named = known.groups["blz"]
        if named in institutes():
            code, advice = FaultCode.WIDERSPRUCH, f"Die Datei gehört nach ihrem Namen in den Eingang von {named}."
        else:
            code = FaultCode.INSTITUT_UNBEKANNT
            advice = f"Das Institut {named} im Dateinamen ist hier nicht eingerichtet. BLZ im Dateinamen prüfen."
        fault = Fault(code, field="BLZ", advice=advice)
        arrived = filing.arrive(self.folders, known.name, 0)
        decision = FileDecision(FileVerdict.REFUSED, fault.code, fault.advice, refusal([fault]))
        return filing.record(self.connection, self.folders, arrived, known.kind, decision), decision

    def _take_delivery(self, known: _NamedFile) -> tuple[int, FileDecision]:
        arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
        return delivery_files.take(self.connection, self.institute, self.folders, known.contract, known.groups, arrived)

    def _take_unknown(self, file: _ClaimedFile) -> tuple[int, FileDecision]:
        arrived = filing.arrive(self.folders, file.name, 0)
        fault = Fault(FaultCode.DATEINAME, advice="Der Dateiname passt zu keiner vereinbarten Datei.")
        receipt: tuple[Line, ...] = ()
        if (meant := _meant(shown_name(file.name))) is not None:
            advice = f"{fault.advice[:-1]}; erwartet wie {meant.file_name_example}. Mit richtigem Namen neu liefern."
            fault = replace(fault, advice=advice)
            receipt = refusal([fault])
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, fault.advice, receipt)
        return filing.record(self.connection, self.folders, arrived, "", decision), decision

    def _unpark(self) -> None:
        """Set parked deliveries free whose control file is there, now or since a scan that was cut off."""
        with self.connection.begin():
            waiting = delivery_files.parked_orders(self.connection, self.institute.blz)

        def free(order_number: str) -> None:
            self.report.freed += delivery_files.unpark(self.connection, self.institute, self.folders, order_number)

        done = one_by_one(
            waiting,
            free,
            named=lambda order: f"parked deliveries of order {order}",
            stops=self._is_lost,
            is_enough=self.budget.is_used_up,
        )
        for failure in done.failures:
            self._tell(failure, "They wait for the next scan.")

    def _take_each(
        self, files_of_a_kind: Iterable[_Claimed], decide: Callable[[_Claimed], tuple[int, FileDecision]]
    ) -> None:
        """Register each file in a transaction of its own, then move it and write its receipt."""

        def take(file: _Claimed) -> None:
            if not self._may_be_tried(file):
                return
            with self.connection.begin():
                file_id, decision = decide(file)
                set_aside.forget_tries(self.connection, self.institute.blz, self._at_work(file))
            self._note(file, file_id, decision.verdict, decision.code)
            self._finalise(file_id)

        self._handle_each(files_of_a_kind, take)

    def _handle_each(self, claimed: Iterable[_Claimed], handle: Callable[[_Claimed], None]) -> None:
        done = one_by_one(claimed, handle, named=str, stops=self._is_lost, is_enough=self.budget.is_used_up)
        self.report.left += len(done.left)
        self._after_failures(done.failures, self._at_work, lambda file: file.kind)

    def _may_be_tried(self, file: _ClaimedFile) -> bool:
        """Note the try before it is made. No: it was begun three times and never finished, and is set aside now."""
        if file.name in self._tried:
            return True
        self._tried.add(file.name)
        with self.connection.begin():
            tries = set_aside.note_try(self.connection, self.institute.blz, self._at_work(file))
        if tries > MOST_TRIES:
            self._set_aside(self._at_work(file), file.kind, set_aside.NEVER_FINISHED, str(file))
        return tries <= MOST_TRIES

    def _at_work(self, file: _ClaimedFile) -> str:
        return self.folders.path(Folder.AT_WORK, file.name)

    def _after_failures(
        self, failures: list[Failure[_Failed]], path_of: Callable[[_Failed], str], kind_of: Callable[[_Failed], str]
    ) -> None:
        """What has failed of itself for the third time is set aside; all else waits for the next scan."""

        def follow_up(failure: Failure[_Failed]) -> None:
            path = path_of(failure.thing)
            with self.connection.begin():
                if not failure.is_its_own:
                    set_aside.take_back_try(self.connection, self.institute.blz, path)
                tries = set_aside.tries_of(self.connection, self.institute.blz, path)
            if tries >= MOST_TRIES:
                self._set_aside(path, kind_of(failure.thing), failure.why, failure.name)
            else:
                self._tell(failure, "The file waits for the next scan.")

        done = one_by_one(failures, follow_up, named=lambda failure: failure.name, stops=self._is_lost)
        for failure in done.failures:
            self._tell(failure, "The file waits for the next scan.")

    def _set_aside(self, path: str, kind: str, why: str, name: str) -> None:
        with self.connection.begin():
            file_id = set_aside.set_aside(self.connection, self.folders, path, kind, why)
        self._note(None, file_id, FileVerdict.SET_ASIDE, FaultCode.VERARBEITUNG)
        self.report.failures.append(
            f"Institute {self.institute.blz}, {name}: {why} It was tried {MOST_TRIES} times and is set aside. Mend the "
            f"cause, then `reku files retry {file_id} --note …`; or `reku files drop {file_id} --note …`."
        )
        self._finalise(file_id)

    def _note(self, file: _ClaimedFile | None, file_id: int, verdict: FileVerdict, code: str) -> None:
        groups = file.groups if file else {}
        kind = file.kind if file else ""
        self.report.outcomes.append(
            FileResult(file_id, verdict, code, kind, groups.get("auftrag", ""), groups.get("lnr", ""))
        )

    def _tell(self, failure: Failure[object], then: str) -> None:
        self.report.failures.append(f"Institute {self.institute.blz}, {failure.name}: {failure.why} {then}")

    def _is_lost(self, _error: Exception | None = None) -> bool:
        """Whether the database connection, and with it the lock, is gone: then nothing more may be done."""
        return self.connection.invalidated or self.connection.closed

    def _finalise(self, file_id: int) -> None:
        with self.connection.begin():
            filing.finalise(self.connection, self.folders, file_id)


_Claimed = TypeVar("_Claimed", bound=_ClaimedFile)
_Failed = TypeVar("_Failed")


def _meant(name: str) -> Contract | None:
    """The contract that the sender of a misnamed file seems to have meant; None if a receipt could not be named."""
    if contracts()[KIND].match(receipt_name(name)) is None:
        return None
    word = name.partition("_")[0].upper()
    return contracts()[word] if word in (*CONTROL_KINDS, *DELIVERY_KINDS) else None
