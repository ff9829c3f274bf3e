"""One look at a bank's inbox: customers, holdings, appointments, impulses, each file in a transaction of its own."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.errors import RekuError
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, match_name
from reku.sources.agree21.customer_rows import forget_addresses
from reku.sources.agree21.import_file import ImportResult, import_file, newest_import
from reku.sources.agree21.kinds import Kind
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import InboxFolders, shown_name
from reku.sources.inbox.receipts import refusal
from reku.store.locks import Lock, session_lock
from reku.store.states import FileVerdict
from reku.store.tables import imports

logger = logging.getLogger(__name__)

_RANK = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True)
class FileResult:
    """What became of one file. `counts`: what stands in `imports` of it; empty if nothing was written."""

    file_id: int
    kind: str
    verdict: FileVerdict
    code: str
    advice: str
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class ImportReport:
    """One look. `busy`: another one was at work. `waiting`: files still being written, or that wait for customers.

    `failures`: what went wrong here and not in a file, one sentence each; those files wait for the next look.
    """

    institute: str
    busy: bool = False
    waiting: int = 0
    forgotten: int = 0
    results: list[FileResult] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _NamedFile:
    """A claimed file whose name a contract of ours knows."""

    name: str
    contract: Contract
    institute: str
    stamp: str

    @property
    def kind(self) -> Kind:
        return Kind(self.contract.kind)

    @property
    def day(self) -> date:
        """The day in its name."""
        return date(int(self.stamp[:4]), int(self.stamp[4:6]), int(self.stamp[6:8]))


def take_in(engine: sa.Engine, bank: Institute) -> ImportReport:
    """Take in what has arrived for a bank, after finishing what an interrupted look left.

    Raises SetupError or OSError if the folders cannot be used at all.
    """
    report = ImportReport(bank.blz)
    with session_lock(engine, Lock.FILES, int(bank.blz)) as connection:
        if connection is None:
            report.busy = True
            return report
        folders = InboxFolders(bank.blz)
        folders.prepare()
        _finish_earlier(connection, folders, report)
        _claim(bank, folders, report)
        for name in folders.claimed().names:
            if (named := _named(name)) is None or named.institute != bank.blz:
                _refuse_unknown(connection, folders, name, report)
        claimed = [named for name in folders.claimed().names if (named := _named(name)) is not None]
        for named in sorted(claimed, key=lambda one: (_RANK[one.kind], one.stamp)):
            _take(connection, bank, folders, named, report)
        report.forgotten = _forget_at_noon(connection, bank)
    return report


def _finish_earlier(connection: sa.Connection, folders: InboxFolders, report: ImportReport) -> None:
    with connection.begin():
        unfinished = filing.unfinished(connection, report.institute)
    for file_id in unfinished:
        _finalise(connection, folders, file_id, report)


def _claim(bank: Institute, folders: InboxFolders, report: ImportReport) -> None:
    own = bank.file_settle
    arrived = folders.arrived(own.total_seconds() if own is not None else settings().file_settle_seconds)
    report.waiting += arrived.waiting
    for file in arrived.complete:
        if not folders.claim(file):
            report.waiting += 1


def _named(name: str) -> _NamedFile | None:
    match = match_name(shown_name(name))
    if match is None or match[0].kind not in list(Kind):
        return None
    contract, groups = match
    try:
        named = _NamedFile(name, contract, groups["blz"], groups["zeit"])
        named.day  # noqa: B018 - a name whose stamp is no day is none of ours
    except ValueError:
        return None
    return named


def _refuse_unknown(connection: sa.Connection, folders: InboxFolders, name: str, report: ImportReport) -> None:
    advice = "Der Dateiname passt zu keiner vereinbarten Datei dieses Instituts."
    fault = Fault(FaultCode.DATEINAME, advice=advice)
    decision = FileDecision(FileVerdict.UNKNOWN, fault.code, advice)
    if match_name(shown_name(name)) is not None:
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, advice, refusal([fault]))
    with connection.begin():
        arrived = filing.arrive(folders, name, 0)
        file_id = filing.record(connection, folders, arrived, "", decision)
    report.results.append(FileResult(file_id, "", decision.verdict, decision.code, decision.advice))
    _finalise(connection, folders, file_id, report)


def _take(
    connection: sa.Connection, bank: Institute, folders: InboxFolders, named: _NamedFile, report: ImportReport
) -> None:
    try:
        with connection.begin():
            if _waits_for_customers(connection, bank, named):
                report.waiting += 1
                return
            arrived = filing.arrive(folders, named.name, named.contract.max_bytes)
            result = import_file(connection, bank, named.contract, shown_name(named.name), arrived.data, arrived.sha256)
            file_id = filing.record(connection, folders, arrived, named.kind, result.decision)
            note_import(connection, file_id, result)
    except (RekuError, OSError) as error:
        said = str(error) if isinstance(error, RekuError) else error.strerror or type(error).__name__
        report.failures.append(f"Institute {bank.blz}, {named.name}: {said} The file waits for the next look.")
        return
    report.results.append(file_result(file_id, named.kind, result))
    _finalise(connection, folders, file_id, report)


def _waits_for_customers(connection: sa.Connection, bank: Institute, named: _NamedFile) -> bool:
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


def _finalise(connection: sa.Connection, folders: InboxFolders, file_id: int, report: ImportReport) -> None:
    try:
        with connection.begin():
            filing.finalise(connection, folders, file_id)
    except (RekuError, OSError) as error:
        said = str(error) if isinstance(error, RekuError) else error.strerror or type(error).__name__
        report.failures.append(f"Institute {report.institute}, file {file_id}: {said} The next look goes on.")


def file_result(file_id: int, kind: str, result: ImportResult) -> FileResult:
    """What is told of a file."""
    counts = {name: value for name, value in (result.entry or {}).items() if isinstance(value, int)}
    decision = result.decision
    return FileResult(file_id, kind, decision.verdict, decision.code, decision.advice, counts)


def _forget_at_noon(connection: sa.Connection, bank: Institute) -> int:
    """Forget the addresses that came before the last `addresses_until`. Returns how many rows left."""
    until = bank.imports.addresses_until
    noon = _last(until)
    with connection.begin():
        newest = newest_import(connection, bank.blz, Kind.CUSTOMERS)
        if newest is None or newest.taken_at >= noon:
            return 0
        return forget_addresses(connection, bank.blz)


def _last(wall_clock: time) -> datetime:
    """The last moment at which it was that time in Berlin."""
    today = clock.at(clock.today(), wall_clock.hour, wall_clock.minute)
    if today <= clock.now():
        return today
    return clock.at(clock.today() - timedelta(days=1), wall_clock.hour, wall_clock.minute)
