"""Which rows of a file are kept out: by its contract, by how the bank writes numbers, and people nobody knows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import replace
from decimal import Decimal

from reku.catalogue.import_rules import ImportRules
from reku.records import Fault, FaultCode, RecordFile, row_faults
from reku.sources.agree21.excel import rounded_number_advice, short_number_advice, turned_date_advice
from reku.sources.agree21.number_names import NUMBER_COLUMNS, column_of, number_advice, number_check
from reku.sources.inbox.receipts import shorten

_SEVERAL = "mehrere Adressen als mehrere Zeilen liefern"


def rejected_rows(rules: ImportRules, file: RecordFile) -> dict[int, Fault]:
    """The first fault of each row that is kept out, by its line."""
    faults: dict[int, Fault] = {}
    place = {name: index for index, name in enumerate(file.columns)}
    listed = [*row_faults(file.contract, file), *_number_faults(rules, file)]
    for fault in listed:
        if fault.line is not None and fault.line not in faults:
            row = file.rows[bisect_left(file.lines, fault.line)] if fault.field in place else []
            value = row[place[fault.field]] if row else ""
            faults[fault.line] = _with_cause(fault, file, value)
    return faults


def orphans(file: RecordFile, known: Container[str], kept_out: Container[int]) -> dict[int, Fault]:
    """Rows of people (by their numbers as delivered) who are not `known`, by line, without those kept out already."""
    advice = "Personennummer: Die Person fehlt im neuesten Kundenbestand; Kunden und Bestand vom selben Tag liefern"
    return {
        line: Fault(FaultCode.PERSON_UNBEKANNT, line, "Personennummer", advice)
        for line, number in zip(file.lines, column_of(file, "Personennummer"), strict=True)
        if line not in kept_out and number not in known
    }


def too_many(limit: float, rows: int, faults: dict[int, Fault], code: FaultCode) -> Fault | None:
    """The fault of the whole file if more of its rows are kept out than the limit (a share) allows."""
    most = int(Decimal(str(limit)) * rows)
    if len(faults) <= most:
        return None
    (_, first), _ = Counter((fault.field, fault.advice) for fault in faults.values()).most_common(1)[0]
    advice = f"{len(faults)} von {rows} Zeilen fehlerhaft, erlaubt sind {most}. Häufigster Fehler: {first}"
    return Fault(code, advice=shorten(advice))


def _number_faults(rules: ImportRules, file: RecordFile) -> Iterator[Fault]:
    for column in NUMBER_COLUMNS:
        is_as_agreed = number_check(rules, column)
        for line, value in zip(file.lines, column_of(file, column), strict=False):
            if is_as_agreed(value) or not value.strip():  # a missing one is the contract's
                continue
            told = number_advice(rules, column)
            hint = rounded_number_advice(value) or short_number_advice(value, rules.person_number_digits)
            advice = f"{told}; {hint}" if hint else told
            yield Fault(FaultCode.FORMAT, line, column, shorten(advice))


def _with_cause(fault: Fault, file: RecordFile, value: str) -> Fault:
    """The fault with what has probably caused it, where that can be seen."""
    column = file.contract.column(fault.field)
    if fault.code == FaultCode.ADRESSE and value.count("@") > 1:
        return replace(fault, advice=shorten(f"{fault.advice}; {_SEVERAL}"))
    if fault.code != FaultCode.FORMAT or column is None:
        return fault
    hint = ""
    if column.base in ("D", "DT"):
        hint = turned_date_advice(value)
    elif column.base == "N":
        hint = short_number_advice(value, column.length or 0)
    return replace(fault, advice=shorten(f"{fault.advice}; {hint}")) if hint else fault
