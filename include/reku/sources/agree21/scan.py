"""One look at a bank's inbox: customers, holdings, appointments, impulses, each file in a transaction of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TypeVar

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.one_by_one import Budget, one_by_one
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, match_name
from reku.sources.agree21.customer_rows import forget_addresses
from reku.sources.agree21.import_file import ImportResult, import_file, newest_import
from reku.sources.agree21.kinds import Kind
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import InboxFile, InboxFolders, shown_name
from reku.sources.inbox.receipts import refusal
from reku.sources.source import TakenIn
from reku.store.locks import Lock, session_lock
from reku.store.states import FILE_NEEDS_A_PERSON, FileVerdict
from reku.store.tables import imports

Thing = TypeVar("Thing")

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

    @property
    def counts(self) -> dict[str, int]:
        """How many files had which verdict, and how many rows of addresses were forgotten."""
        verdicts = Counter(result.verdict.value for result in self.results)
        return dict(sorted(verdicts.items())) | ({"addresses_forgotten": self.forgotten} if self.forgotten else {})

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should look at, one sentence each: without the data nobody is selected."""
        told = list(self.failures)
        told += [
            f"Institute {self.institute}: file {result.file_id} ({result.kind or 'of an unknown name'}) was refused "
            f"({result.code}): {result.advice}"
            for result in self.results
            if result.verdict in FILE_NEEDS_A_PERSON
        ]
        return tuple(told)


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
        look = _Look(connection, bank, folders, report)
        look.finish_earlier()
        look.claim()
        look.take_each()
        report.forgotten = _forget_at_noon(connection, bank)
    return report


def import_data_of(engine: sa.Engine, bank: Institute) -> TakenIn:
    """One look, as the process has it. Raises SetupError or OSError if the folders cannot be used at all."""
    report = take_in(engine, bank)
    return TakenIn(report.counts, report.problems)


class _Look:
    """One look under the lock. Its steps may be cut off anywhere; the next look goes on."""

    def __init__(self, connection: sa.Connection, bank: Institute, folders: InboxFolders, report: ImportReport) -> None:
        self.connection, self.bank, self.folders, self.report = connection, bank, folders, report
        self.budget = Budget(settings().intake_seconds)

    def finish_earlier(self) -> None:
        """Move or remove what was decided earlier."""
        with self.connection.begin():
            unfinished = filing.unfinished(self.connection, self.bank.blz)
        self._each(unfinished, self._finalise, lambda file_id: f"file {file_id}")

    def claim(self) -> None:
        """Claim what has arrived and is complete."""
        own = self.bank.file_settle
        arrived = self.folders.arrived(own.total_seconds() if own is not None else settings().file_settle_seconds)
        self.report.waiting += arrived.waiting

        def claim(file: InboxFile) -> None:
            if not self.folders.claim(file):
                self.report.waiting += 1

        self._each(arrived.complete, claim, lambda _: "claiming a file")

    def take_each(self) -> None:
        """Take in the files of each kind, the kinds in their order, oldest first."""
        known, others = list[_NamedFile](), list[str]()
        for name in self.folders.claimed().names:
            named = _named(name)
            if named is not None and named.institute == self.bank.blz:
                known.append(named)
            else:
                others.append(name)
        self._each(others, self._refuse_unknown, lambda _: "a file of an unknown name")
        self._each(sorted(known, key=lambda one: (_RANK[one.kind], one.stamp)), self._take, lambda one: one.name)

    def _take(self, named: _NamedFile) -> None:
        with self.connection.begin():
            if _waits_for_customers(self.connection, self.bank, named):
                self.report.waiting += 1
                return
            arrived = filing.arrive(self.folders, named.name, named.contract.max_bytes)
            name = shown_name(named.name)
            result = import_file(self.connection, self.bank, named.contract, name, arrived.data, arrived.sha256)
            file_id = filing.record(self.connection, self.folders, arrived, named.kind, result.decision)
            note_import(self.connection, file_id, result)
        self.report.results.append(file_result(file_id, named.kind, result))
        self._finalise(file_id)

    def _refuse_unknown(self, name: str) -> None:
        advice = "Der Dateiname passt zu keiner vereinbarten Datei dieses Instituts."
        fault = Fault(FaultCode.DATEINAME, advice=advice)
        receipt = refusal([fault]) if match_name(shown_name(name)) is not None else ()
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, advice, receipt)
        with self.connection.begin():
            arrived = filing.arrive(self.folders, name, 0)
            file_id = filing.record(self.connection, self.folders, arrived, "", decision)
        self.report.results.append(FileResult(file_id, "", decision.verdict, decision.code, decision.advice))
        self._finalise(file_id)

    def _finalise(self, file_id: int) -> None:
        with self.connection.begin():
            filing.finalise(self.connection, self.folders, file_id)

    def _each(self, things: Iterable[Thing], handle: Callable[[Thing], None], named: Callable[[Thing], str]) -> None:
        done = one_by_one(
            things, handle, named=named, stops=lambda _: self._is_lost(), is_enough=self.budget.is_used_up
        )
        self.report.waiting += len(done.left)
        for failure in done.failures:
            self.report.failures.append(
                f"Institute {self.bank.blz}, {failure.name}: {failure.why} The file waits for the next look."
            )

    def _is_lost(self) -> bool:
        """Whether the connection is gone, and with it the lock."""
        return self.connection.invalidated or self.connection.closed


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
