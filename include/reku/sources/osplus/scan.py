"""One scan of an OSPlus bank's inbox: control files first, by Erstellt_am, then deliveries in number order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.foundation.bank_folders import receipt_name
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, FileRefused, contracts, match_name
from reku.sources.inbox import filing
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.folders import shown_name
from reku.sources.inbox.receipts import KIND, Line, Status, refusal
from reku.sources.inbox.scan import ClaimedFile, NamedFile, Scan, scan_inbox
from reku.sources.osplus import control_file, delivery_files
from reku.sources.osplus.advisor_package import MOST_BYTES, read_package
from reku.sources.osplus.intake_report import CONTROL_KINDS, PACKAGE, FileResult, IntakeReport
from reku.store.states import DeliveryState, FileVerdict
from reku.store.tables import deliveries

DELIVERY_KINDS = ("REKU", "IAMW")


class _OsplusFile(NamedFile):
    """One whose name a contract of ours knows."""

    def __str__(self) -> str:
        what = {PACKAGE: "package of pictures", **dict.fromkeys(CONTROL_KINDS, "control file")}
        return f"{what.get(self.kind, 'delivery')} {self.name}"


def take_in(engine: sa.Engine, bank: Institute) -> IntakeReport:
    """Scan the inbox of one bank, after finishing what an interrupted scan left.

    Each file has a transaction of its own. What goes wrong with one is reported and leaves the others alone. Raises
    SetupError or OSError if the folders cannot be used at all, StageError if the database connection is lost.
    """
    report = IntakeReport(bank.blz, bank=bank.name)
    scan_inbox(engine, bank, report, _OsplusScan)
    return report


class _OsplusScan(Scan[IntakeReport]):
    """One scan under the lock."""

    @staticmethod
    def is_left(bank: Institute) -> sa.ColumnElement[bool]:
        """Whether deliveries are parked, which may be set free."""
        return sa.exists().where(deliveries.c.institute == bank.blz, deliveries.c.state == DeliveryState.PARKED)

    def take_claimed(self, names: Sequence[str]) -> None:
        """Control files before deliveries, which wait for them; what nobody knows comes last."""
        controls: list[_OsplusFile] = []
        numbered: list[_OsplusFile] = []
        foreign: list[_OsplusFile] = []
        packages: list[_OsplusFile] = []
        others: list[ClaimedFile] = []
        for name in names:
            match = match_name(shown_name(name))
            if match is None or match[0].kind not in (*CONTROL_KINDS, *DELIVERY_KINDS, PACKAGE):
                others.append(ClaimedFile(name))
                continue
            known = _OsplusFile(name, *match)
            if known.groups["blz"] != self.bank.blz:
                foreign.append(known)
            elif known.kind == PACKAGE:
                packages.append(known)
            else:
                (controls if known.kind in CONTROL_KINDS else numbered).append(known)
        self.take_each(foreign, self._refuse_foreign)
        self._take_controls(controls)
        self._unpark()
        numbered.sort(key=lambda one: (one.groups["auftrag"], one.groups["lnr"], one.name))
        self.take_each(numbered, self._take_delivery)
        self.take_each(packages, self._take_package)
        self.take_each(others, self._take_unknown)

    def _take_controls(self, controls: list[_OsplusFile]) -> None:
        """In the order of Erstellt_am, for which each is read once more: all of them together could take any room."""
        made: dict[_OsplusFile, datetime] = {}

        def look(known: _OsplusFile) -> None:
            if self.may_be_tried(known):
                made[known] = self._read_control(known).created_at

        self.handle_each(controls, look)
        self.take_each(sorted(made, key=lambda known: (made[known], known.name)), self._take_control)

    def _read_control(self, known: _OsplusFile) -> control_file.ControlFile:
        arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
        return control_file.read_control_file(self.bank, known.contract, known.groups, arrived)

    def _take_control(self, known: _OsplusFile) -> FileResult:
        control = self._read_control(known)
        return _result(known, *control_file.carry_out(self.connection, self.bank, self.folders, control))

    def _refuse_foreign(self, known: _OsplusFile) -> FileResult:
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
        return _result(known, filing.record(self.connection, self.folders, arrived, known.kind, decision), decision)

    def _take_delivery(self, known: _OsplusFile) -> FileResult:
        arrived = filing.arrive(self.folders, known.name, known.contract.max_bytes)
        taken = delivery_files.take(self.connection, self.bank, self.folders, known.contract, known.groups, arrived)
        return _result(known, *taken)

    def _take_package(self, known: _OsplusFile) -> FileResult:
        """Advisors' pictures: looked through and archived; what is wrong with single ones stands in the receipt."""
        arrived = filing.arrive(self.folders, known.name, MOST_BYTES)
        try:
            package = read_package(known.contract, arrived.data, shown_name(known.name), settings().environment)
        except FileRefused as error:
            first = error.faults[0]
            decision = FileDecision(FileVerdict.REFUSED, first.code, first.advice, refusal(error.faults))
        else:
            lines = [replace(line, status=Status.OK_MIT_WARNUNG) for line in refusal(package.passed_over)]
            decision = FileDecision(FileVerdict.PROCESSED, receipt=tuple(lines) or (Line(Status.OK),))
        return _result(known, filing.record(self.connection, self.folders, arrived, known.kind, decision), decision)

    def _take_unknown(self, file: ClaimedFile) -> FileResult:
        arrived = filing.arrive(self.folders, file.name, 0)
        fault = Fault(FaultCode.DATEINAME, advice="Der Dateiname passt zu keiner vereinbarten Datei.")
        receipt: tuple[Line, ...] = ()
        if (meant := _meant(shown_name(file.name))) is not None:
            advice = f"{fault.advice[:-1]}; erwartet wie {meant.file_name_example}. Mit richtigem Namen neu liefern."
            fault = replace(fault, advice=advice)
            receipt = refusal([fault])
        decision = FileDecision(FileVerdict.UNKNOWN, fault.code, fault.advice, receipt)
        file_id = filing.record(self.connection, self.folders, arrived, file.kind, decision)
        return FileResult(file_id, decision.verdict, decision.code)

    def _unpark(self) -> None:
        """Set parked deliveries free whose control file is there, now or since a scan that was cut off."""
        with self.connection.begin():
            waiting = delivery_files.parked_orders(self.connection, self.bank.blz)

        def free(order_number: str) -> None:
            self.report.freed += delivery_files.unpark(self.connection, self.bank, self.folders, order_number)

        self.do_each(waiting, free, lambda order: f"parked deliveries of order {order}", "They wait for the next scan.")


def _result(known: _OsplusFile, file_id: int, decision: FileDecision) -> FileResult:
    return FileResult(file_id, decision.verdict, decision.code, known.kind, known.name, decision.advice)


def _meant(name: str) -> Contract | None:
    """The contract that the sender of a misnamed file seems to have meant; None if a receipt could not be named."""
    if contracts()[KIND].match(receipt_name(name)) is None:
        return None
    word = name.partition("_")[0].upper()
    return contracts()[word] if word in (*CONTROL_KINDS, *DELIVERY_KINDS) else None
