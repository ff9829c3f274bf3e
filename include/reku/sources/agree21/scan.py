"""One scan of a cooperative bank's inbox: customers, holdings, appointments, impulses, then agreeMailing's answers.

Each kind is taken in oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.bank_folders import Folder
from reku.foundation.settings import settings
from reku.records import Fault, FaultCode, match_name
from reku.sources.agree21 import mailing_answers
from reku.sources.agree21.import_file import ImportResult, import_file
from reku.sources.agree21.import_report import FileResult, ImportReport, file_result
from reku.sources.agree21.impulses import forget_expired
from reku.sources.agree21.kinds import Kind
from reku.sources.agree21.newest import are_addresses_left, forget_old_addresses
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import shown_name
from reku.sources.inbox.receipts import refusal
from reku.sources.inbox.scan import ClaimedFile, NamedFile, Scan, scan_inbox
from reku.sources.source import TakenIn
from reku.store.imports import newest_import
from reku.store.states import FileVerdict
from reku.store.tables import imports

_RANK: dict[str, int] = {kind: rank for rank, kind in enumerate((*Kind, mailing_answers.KIND))}


class _DataFile(NamedFile):
    """One whose name a contract of ours knows."""

    @property
    def day(self) -> date:
        """The day in its name. Raises ValueError if there is no such day."""
        stamp = self.groups["zeit"]
        return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8]))


def take_in(engine: sa.Engine, bank: Institute) -> ImportReport:
    """Take in what has arrived for a bank, after finishing what an interrupted scan left.

    Raises SetupError or OSError if the folders cannot be used at all, StageError if the database connection is lost.
    """
    report = ImportReport(bank.blz)
    scan_inbox(engine, bank, report, _DataScan)
    return report


def import_data_of(engine: sa.Engine, bank: Institute) -> TakenIn:
    """One scan, as the process has it. Raises as `take_in` does."""
    report = take_in(engine, bank)
    return TakenIn(report.counts, report.problems)


class _DataScan(Scan[ImportReport]):
    """One scan under the lock."""

    @staticmethod
    def is_left(bank: Institute) -> sa.ColumnElement[bool]:
        """Whether there are addresses whose time is over."""
        return are_addresses_left(bank)

    def take_claimed(self, names: Sequence[str]) -> None:
        """The kinds in their order, each oldest first; then addresses whose time is over are forgotten."""
        known, others = list[_DataFile](), list[ClaimedFile]()
        for name in names:
            named = _named(name)
            if named is not None and named.groups["blz"] == self.bank.blz:
                known.append(named)
            else:
                others.append(ClaimedFile(name))
        self.take_each(others, self._refuse_unknown)
        known.sort(key=lambda one: (_RANK[one.kind], one.groups["zeit"], one.name))
        self.take_each(known, self._take)
        with self.connection.begin():
            self.report.forgotten = forget_old_addresses(self.connection, self.bank)
            self.report.expired = forget_expired(self.connection, self.bank.blz)

    def _take(self, named: _DataFile) -> FileResult | None:
        if named.kind == mailing_answers.KIND:
            return self._take_answers(named)
        if _waits_for_customers(self.connection, self.bank, named):
            return self._refuse_without_customers(named)
        arrived = filing.arrive(self.folders, named.name, named.contract.max_bytes)
        name = shown_name(named.name)
        result = import_file(self.connection, self.bank, named.contract, name, arrived.data, arrived.sha256)
        file_id = filing.record(self.connection, self.folders, arrived, named.kind, result.decision)
        note_import(self.connection, file_id, result)
        return file_result(file_id, named.kind, result)

    def _take_answers(self, named: _DataFile) -> FileResult:
        arrived = filing.arrive(self.folders, named.name, named.contract.max_bytes)
        name, order = shown_name(named.name), named.groups["auftrag"]
        result = mailing_answers.take_answers(
            self.connection, self.bank, named.contract, name, order, arrived.data, arrived.sha256
        )
        file_id = filing.record(self.connection, self.folders, arrived, named.kind, result.decision)
        decision = result.decision
        return FileResult(file_id, decision.verdict, decision.code, named.kind, decision.advice, result.counts)

    def _refuse_without_customers(self, named: _DataFile) -> FileResult | None:
        """Refuse a file that has waited for customers for as long as a refused one is kept; None: it may wait on."""
        hours = settings().keep_refused_imports_hours
        # times of files are real, so they are held against the real clock
        if time.time() - self.folders.modified(self.folders.path(Folder.AT_WORK, named.name)) < hours * 3600:
            return None
        advice = f"Seit {hours:g} Stunden fehlen die Kunden dazu. Kunden (ida_kunden_…) und diese Datei neu liefern."
        fault = Fault(FaultCode.PERSON_UNBEKANNT, advice=advice)
        decision = FileDecision(FileVerdict.REFUSED, fault.code, advice, refusal([fault]), keep=False)
        arrived = filing.arrive(self.folders, named.name, 0)
        file_id = filing.record(self.connection, self.folders, arrived, named.kind, decision)
        return FileResult(file_id, decision.verdict, decision.code, named.kind, advice)

    def _refuse_unknown(self, file: ClaimedFile) -> FileResult:
        advice = "Der Dateiname passt zu keiner vereinbarten Datei dieses Instituts."
        fault = Fault(FaultCode.DATEINAME, advice=advice)
        receipt = refusal([fault]) if match_name(shown_name(file.name)) is not None else ()
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, advice, receipt)
        arrived = filing.arrive(self.folders, file.name, 0)
        file_id = filing.record(self.connection, self.folders, arrived, file.kind, decision)
        return FileResult(file_id, decision.verdict, decision.code, advice=decision.advice)


def _named(name: str) -> _DataFile | None:
    match = match_name(shown_name(name))
    if match is None or match[0].kind not in _RANK:
        return None
    named = _DataFile(name, *match)
    try:
        named.day  # noqa: B018 - a name whose stamp is no day is none of ours
    except ValueError:
        return None
    return named


def _waits_for_customers(connection: sa.Connection, bank: Institute, named: _DataFile) -> bool:
    """Whether the people of a file are still to come: the customers of its day, until the bank's `data_by`."""
    if named.kind == Kind.CUSTOMERS:
        return False
    newest = newest_import(connection, bank.blz, Kind.CUSTOMERS)
    if newest is None:
        return True
    by = bank.imports.data_by
    deadline = clock.at(named.day, by.hour, by.minute)
    return clock.berlin(newest.data_at).date() < named.day and clock.now() < deadline


def note_import(connection: sa.Connection, file_id: int, result: ImportResult) -> None:
    """Write what an import changed into `imports`."""
    if result.entry is not None:
        connection.execute(sa.insert(imports).values(file_id=file_id, **result.entry))
