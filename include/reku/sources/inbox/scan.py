"""One scan of a bank's inbox: what is the same for every core system.

Finish what an interrupted scan left, claim what has arrived, take in each file in a transaction of its own, move it and
write its receipt. What goes wrong with one file is told and leaves the others alone; what three scans try in vain is
set aside. A core system says which names it knows, in which order, and what it makes of each.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation.bank_folders import Folder
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import MOST_TRIES, Budget, Failure, one_by_one
from reku.foundation.settings import settings
from reku.records import Contract
from reku.sources.inbox import filing, set_aside
from reku.sources.inbox.folders import InboxFile, InboxFolders, storable
from reku.sources.inbox.scan_report import FileResult, ScanReport
from reku.store.locks import Lock, session_lock
from reku.store.tables import files

log = logging.getLogger(__name__)

WAITS = "The file waits for the next scan."


@dataclass(frozen=True, eq=False)
class ClaimedFile:
    """A file in `in_arbeit/`; its name may hold anything."""

    name: str

    def __str__(self) -> str:
        return "a file of an unknown name"

    @property
    def kind(self) -> str:
        """Its Dateiart, as its name says; empty if unknown."""
        return ""


@dataclass(frozen=True, eq=False)
class NamedFile(ClaimedFile):
    """One whose name a contract knows, with the parts of its name."""

    contract: Contract
    groups: dict[str, str]

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        """The contract's."""
        return self.contract.kind


Report = TypeVar("Report", bound=ScanReport[Any])
Claimed = TypeVar("Claimed", bound=ClaimedFile)
Thing = TypeVar("Thing")


def scan_inbox(engine: sa.Engine, bank: Institute, report: Report, scan: type[Scan[Report]]) -> None:
    """Scan the inbox of one bank and write into the report what it came to.

    Raises SetupError or OSError if the folders cannot be used at all, StageError if the database connection is lost.
    """
    if not _is_idle(engine, bank, report, scan):
        with session_lock(engine, Lock.FILES, int(bank.blz)) as connection:
            if connection is None:
                report.busy = True
            else:
                scan(connection, bank, report).run()
    level = logging.WARNING if report.failures else logging.INFO
    log.log(level, "intake, %s", report)


def _is_idle(engine: sa.Engine, bank: Institute, report: Report, scan: type[Scan[Report]]) -> bool:
    """Whether there is nothing to take in and nothing left to finish: most scans of most banks.

    A look without the lock, and without a database connection of its own: whatever comes a moment later is the next
    scan's. Raises SetupError or OSError if the folders cannot be used at all.
    """
    folders = InboxFolders(bank.blz)
    folders.prepare()
    inbox, claimed = folders.arrived(_settle_seconds(bank), most=1), folders.claimed()
    if inbox.complete or inbox.failures or claimed.names or claimed.no_files:
        return False
    report.waiting, report.no_files = inbox.waiting, inbox.no_files
    to_be_moved = sa.exists().where(files.c.institute == bank.blz, files.c.moving_from.is_not(None))
    with engine.connect() as connection:
        return not connection.scalar(sa.select(to_be_moved | scan.is_left(bank)))


def _settle_seconds(bank: Institute) -> float:
    own = bank.file_settle
    return own.total_seconds() if own is not None else settings().file_settle_seconds


class Scan(ABC, Generic[Report]):
    """One scan under the lock of the bank's files. Its steps may be cut off anywhere; the next scan goes on."""

    def __init__(self, connection: sa.Connection, bank: Institute, report: Report) -> None:
        self.connection, self.bank, self.report = connection, bank, report
        self.folders = InboxFolders(bank.blz)
        self._budget = Budget(settings().intake_seconds)
        self._tried: set[str] = set()

    @staticmethod
    @abstractmethod
    def is_left(bank: Institute) -> sa.ColumnElement[bool]:
        """Whether there is something to do for a bank though no file lies there; originals to be moved are seen to."""

    @abstractmethod
    def take_claimed(self, names: Sequence[str]) -> None:
        """Take in what is claimed, by `take_each`; `names`: of the files in `in_arbeit/`, sorted."""

    def run(self) -> None:
        """Make the scan. Raises StageError if the database connection, and with it the lock, is lost."""
        try:
            self._run()
        except Exception:
            if self._is_lost():
                raise StageError(
                    f"Intake of institute {self.bank.blz} lost its database connection. Files wait for the next scan."
                ) from None
            raise

    def _run(self) -> None:
        left = self._finish_earlier()
        self._claim()
        claimed = self.folders.claimed()
        if claimed.no_files:
            self.report.failures.append(
                f"Institute {self.bank.blz}: {claimed.no_files} links or folders lie in in_arbeit/, which this "
                "program never puts there. Find out where they come from, and take them away."
            )
        self.take_claimed([name for name in claimed.names if self._at_work(name) not in left])

    def _finish_earlier(self) -> set[str]:
        """Finish what was registered and not yet moved. Returns where the originals lie that cannot be moved now."""
        with self.connection.begin():
            open_moves = filing.unfinished(self.connection, self.bank.blz)
        not_moved = self.do_each(open_moves, self._finalise, lambda file_id: f"file {file_id}", WAITS)
        return {open_moves[file_id] for file_id in not_moved}

    def do_each(
        self, things: Iterable[Thing], do: Callable[[Thing], None], named: Callable[[Thing], str], then: str
    ) -> list[Thing]:
        """Do what is to be done besides taking files in. Returns those with which it was not done now.

        `then`: what becomes of one that has failed, a sentence for people.
        """
        done = one_by_one(things, do, named=named, stops=self._is_lost, is_enough=self._budget.is_used_up)
        for failure in done.failures:
            self._tell(failure, then)
        return [*done.left, *(failure.thing for failure in done.failures)]

    def _claim(self) -> None:
        inbox = self.folders.arrived(_settle_seconds(self.bank), settings().intake_files)
        self.report.waiting, self.report.no_files, self.report.left = inbox.waiting, inbox.no_files, inbox.left
        for unseen in inbox.failures:
            self._tell(unseen, WAITS)
        with self.connection.begin():
            refused = set_aside.left_in_inbox(self.connection, self.bank.blz)
        complete = [file for file in inbox.complete if storable(self._in_inbox(file)) not in refused]

        def claim(file: InboxFile) -> None:
            if not self.folders.claim(file):
                self.report.waiting += 1

        done = one_by_one(
            complete, claim, named=lambda _: "claiming a file", stops=self._is_lost, is_enough=self._budget.is_used_up
        )
        self.report.left += len(done.left)
        for failure in done.failures:
            with self.connection.begin():
                set_aside.note_try(self.connection, self.bank.blz, self._in_inbox(failure.thing))
        self._after_failures(done.failures, self._in_inbox, lambda _: "")

    def _in_inbox(self, file: InboxFile) -> str:
        return self.folders.path(Folder.INBOX, file.name)

    def _at_work(self, name: str) -> str:
        return self.folders.path(Folder.AT_WORK, name)

    def take_each(self, claimed: Iterable[Claimed], decide: Callable[[Claimed], FileResult | None]) -> None:
        """Register each file in a transaction of its own, then move it and write its receipt.

        `decide` works in that transaction; it answers None of a file that has to wait for another one.
        """

        def take(file: Claimed) -> None:
            if not self.may_be_tried(file):
                return
            with self.connection.begin():
                outcome = decide(file)
                set_aside.forget_tries(self.connection, self.bank.blz, self._at_work(file.name))
            if outcome is None:
                self.report.waiting += 1
                return
            self.report.outcomes.append(outcome)
            self._finalise(outcome.file_id)

        self.handle_each(claimed, take)

    def handle_each(self, claimed: Iterable[Claimed], handle: Callable[[Claimed], None]) -> None:
        """Handle each claimed file by itself; what fails is tried again by the next scans, three times in all."""
        done = one_by_one(claimed, handle, named=str, stops=self._is_lost, is_enough=self._budget.is_used_up)
        self.report.left += len(done.left)
        self._after_failures(done.failures, lambda file: self._at_work(file.name), lambda file: file.kind)

    def may_be_tried(self, file: ClaimedFile) -> bool:
        """Note the try before it is made. No: it was begun three times and never finished, and is set aside now."""
        if file.name in self._tried:
            return True
        self._tried.add(file.name)
        path = self._at_work(file.name)
        with self.connection.begin():
            tries = set_aside.note_try(self.connection, self.bank.blz, path)
        if tries > MOST_TRIES:
            self._set_aside(path, file.kind, set_aside.NEVER_FINISHED, str(file))
        return tries <= MOST_TRIES

    def _after_failures(
        self, failures: list[Failure[Thing]], path_of: Callable[[Thing], str], kind_of: Callable[[Thing], str]
    ) -> None:
        """What has failed of itself for the third time is set aside; all else waits for the next scan."""

        def follow_up(failure: Failure[Thing]) -> None:
            path = path_of(failure.thing)
            with self.connection.begin():
                if not failure.is_its_own:
                    set_aside.take_back_try(self.connection, self.bank.blz, path)
                tries = set_aside.tries_of(self.connection, self.bank.blz, path)
            if tries >= MOST_TRIES:
                self._set_aside(path, kind_of(failure.thing), failure.why, failure.name)
            else:
                self._tell(failure, WAITS)

        done = one_by_one(failures, follow_up, named=lambda failure: failure.name, stops=self._is_lost)
        for failure in done.failures:
            self._tell(failure, WAITS)

    def _set_aside(self, path: str, kind: str, why: str, name: str) -> None:
        with self.connection.begin():
            file_id = set_aside.set_aside(self.connection, self.folders, path, kind, why)
        self.report.note_set_aside(file_id)
        self.report.failures.append(
            f"Institute {self.bank.blz}, {name}: {why} It was tried {MOST_TRIES} times and is set aside. Mend the "
            f"cause, then `reku files retry {file_id} --note …`; or `reku files drop {file_id} --note …`."
        )
        self._finalise(file_id)

    def _finalise(self, file_id: int) -> None:
        with self.connection.begin():
            filing.finalise(self.connection, self.folders, file_id)

    def _tell(self, failure: Failure[Any], then: str) -> None:
        self.report.failures.append(f"Institute {self.bank.blz}, {failure.name}: {failure.why} {then}")

    def _is_lost(self, _error: Exception | None = None) -> bool:
        """Whether the database connection, and with it the lock, is gone: then nothing more may be done."""
        return self.connection.invalidated or self.connection.closed
