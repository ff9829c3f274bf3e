"""One file of a bank's data, taken in or refused as a whole in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, FileRefused, RecordFile, read
from reku.records.columns import Columns
from reku.sources.agree21.customer_rows import write_customers
from reku.sources.agree21.delta import delta_fault, is_delta, torn_households
from reku.sources.agree21.impulses import expired_rows, parked_rows
from reku.sources.agree21.kinds import SNAPSHOTS, Kind
from reku.sources.agree21.merge import Changes
from reku.sources.agree21.newest import newest_snapshot
from reku.sources.agree21.number_names import Names, column_of, has_clear_number, names_for
from reku.sources.agree21.other_rows import write_appointments, write_holdings, write_impulses
from reku.sources.agree21.row_check import orphans, rejected_rows, too_many
from reku.sources.agree21.snapshot_check import Earlier, filled_columns, lost_column, snapshot_fault
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.receipts import Line, Status, refusal
from reku.store.imports import newest_import
from reku.store.states import FileVerdict
from reku.store.tables import files, persons
from reku.vault.pseudonyms import NumberKind

_OTHERS = {
    Kind.HOLDINGS: write_holdings,
    Kind.APPOINTMENTS: write_appointments,
    Kind.IMPULSES: write_impulses,
}


@dataclass(frozen=True)
class ImportResult:
    """What became of a file. `entry`: its columns in `imports` but for the file's id; None if nothing was written."""

    decision: FileDecision
    entry: Mapping[str, Any] | None = None


def import_file(
    connection: sa.Connection,
    bank: Institute,
    contract: Contract,
    file_name: str,
    data: bytes,
    sha256: str,
    *,
    accepted: bool = False,
) -> ImportResult:
    """Take a file in, or say why not; nothing is written then. `accepted`: a person has looked at a doubtful snapshot.

    Originals hold names and clear numbers, so none is kept that was taken in. Raises SetupError if a key is missing or
    another one.
    """
    kind, delta = Kind(contract.kind), is_delta(file_name)
    if (known := _already_taken(connection, bank.blz, kind, file_name, sha256, delta=delta)) is not None:
        return ImportResult(known)
    try:
        file = read(contract, data, environment=settings().environment, file_name=file_name)
    except FileRefused as refused:
        return _refused(*refused.faults)
    if has_clear_number(bank.imports, file):
        advice = "Die Datei enthält Klarnummern; vereinbart sind Pseudonyme. Sie wird nicht aufbewahrt."
        return _refused(Fault(FaultCode.KLARNUMMER, advice=advice), keep=False)
    newest = newest_import(connection, bank.blz, kind)
    if kind in SNAPSHOTS and newest is not None and file.head.created_at <= newest.data_at:
        advice = "Ein neuerer Bestand ist schon übernommen; diese Datei ändert nichts."
        return ImportResult(_no_effect(FaultCode.VERALTET, advice))
    if delta and (fault := delta_fault(connection, bank)):
        return _refused(fault)
    # as large files are kept, so that there is one way for all
    file = replace(file, rows=Columns.of(file.rows, len(file.columns)))
    return _judged(connection, bank, kind, file, delta=delta, accepted=accepted)


def _judged(
    connection: sa.Connection,
    bank: Institute,
    kind: Kind,
    file: RecordFile,
    *,
    delta: bool,
    accepted: bool,
) -> ImportResult:
    rules, rows = bank.imports, len(file.rows)
    filled = filled_columns(file)
    if kind in SNAPSHOTS and not accepted:
        before = newest_snapshot(connection, bank.blz, kind)
        earlier = Earlier(before.rows, before.filled) if before is not None else None
        doubt = lost_column(file, filled, earlier) if delta else snapshot_fault(rows, filled, earlier, rules.max_shrink)
        if doubt:
            return _refused(doubt)
    rejected = rejected_rows(rules, file)
    if fault := too_many(bank.max_reject_share, rows, rejected, FaultCode.FEHLERQUOTE):
        return _refused(fault, *rejected.values())
    names = names_for(connection, bank)
    if delta:
        rejected |= torn_households(connection, bank.blz, file, names, rejected)
        if fault := too_many(bank.max_reject_share, rows, rejected, FaultCode.FEHLERQUOTE):
            return _refused(fault, *rejected.values())
    unknown: dict[int, Fault] = {}
    if kind != Kind.CUSTOMERS:
        unknown = orphans(file, _known_people(connection, bank.blz, file, names), rejected)
        if fault := too_many(rules.max_orphans, rows, unknown, FaultCode.PERSON_UNBEKANNT):
            return _refused(fault)
    kept_out = rejected | unknown
    parked: dict[int, Fault] = {}
    if kind == Kind.IMPULSES:
        kept_out |= expired_rows(file, kept_out)
        parked = parked_rows(bank, file, kept_out)
    changes, unclear = _write(connection, bank, kind, file, kept_out, names, delta=delta)
    entry = {
        "institute": bank.blz,
        "kind": kind,
        "delta": delta,
        "data_at": file.head.created_at,
        "taken_at": clock.now(),
        "rows": rows,
        "taken": rows - len(kept_out),
        "rejected": len(kept_out),
        "orphans": len(unknown),
        "known_before": changes.before,
        "added": changes.added,
        "changed": changes.changed,
        "gone": changes.gone,
        "known_after": changes.after,
        "filled": filled,
    }
    return ImportResult(_taken(file, kept_out, parked, unclear), entry)


def _write(
    connection: sa.Connection,
    bank: Institute,
    kind: Kind,
    file: RecordFile,
    kept_out: Mapping[int, Fault],
    names: Names,
    *,
    delta: bool,
) -> tuple[Changes, int]:
    """Write the good rows. Returns what changed, and how many households have no clear contact person."""
    from reku.sources.agree21.taken_rows import TakenRows

    rows = TakenRows.of(file, kept_out)
    if kind != Kind.CUSTOMERS:
        return _OTHERS[kind](connection, bank, rows, names), 0
    data_day = clock.berlin(file.head.created_at).date()
    return write_customers(connection, bank, rows, names, data_day, delta=delta)


def _known_people(connection: sa.Connection, institute: str, file: RecordFile, names: Names) -> set[str]:
    """Those numbers of the file, as delivered, whose people the newest customers have."""
    stored = set(
        connection.scalars(
            sa.select(persons.c.person_number).where(
                persons.c.institute == institute, persons.c.missing_since.is_(None)
            )
        )
    )
    return {number for number in set(column_of(file, "Personennummer")) if names(NumberKind.PERSON, number) in stored}


def _already_taken(
    connection: sa.Connection, institute: str, kind: Kind, file_name: str, sha256: str, *, delta: bool
) -> FileDecision | None:
    """What is told of a file that was taken in before; deltas of two days may be equal, if nothing has changed."""
    same = sa.exists().where(
        files.c.institute == institute,
        files.c.kind == kind,
        files.c.sha256 == sha256,
        files.c.verdict == FileVerdict.PROCESSED,
        files.c.file_name == file_name if delta else sa.true(),
    )
    if not connection.scalar(sa.select(same)):
        return None
    return _no_effect(FaultCode.DUBLETTE, "Diese Datei ist mit gleichem Inhalt schon übernommen.")


def _no_effect(code: FaultCode, advice: str) -> FileDecision:
    return FileDecision(FileVerdict.DUPLICATE, code, advice, (Line(Status.DUBLETTE, code, advice),), keep=False)


def _refused(*faults: Fault, keep: bool = True) -> ImportResult:
    first = faults[0]
    return ImportResult(FileDecision(FileVerdict.REFUSED, first.code, first.advice, refusal(faults), keep=keep))


def _taken(file: RecordFile, kept_out: Mapping[int, Fault], parked: Mapping[int, Fault], unclear: int) -> FileDecision:
    """The file's own line first, then what was kept out; a warning in words for what is odd about the whole."""
    warnings = [fault.advice for fault in file.warnings]
    if kept_out:
        warnings.append(f"{len(kept_out)} Zeilen nicht übernommen.")
    if parked:
        warnings.append(f"{len(parked)} Impulse warten: Ihrem Code ist kein Anlass zugeordnet.")
    if unclear:
        warnings.append(f"{unclear} Haushalte ohne eindeutige Ansprechperson: Die kleinste Personennummer gilt.")
    code = file.warnings[0].code if file.warnings else ""
    status = Status.OK_MIT_WARNUNG if warnings else Status.OK
    lines = [Line(status, code, " ".join(warnings))]
    for line, fault in sorted({**kept_out, **parked}.items())[:1000]:
        told = Status.GEPARKT if line in parked else Status.ABGELEHNT
        lines.append(Line(told, fault.code, fault.advice, fault.field, line))
    return FileDecision(FileVerdict.PROCESSED, code, " ".join(warnings), tuple(lines), keep=False)
