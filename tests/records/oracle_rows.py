"""An older checker of rows, written apart from the one in use: what both find must be the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from reku.foundation.addresses import is_valid
from reku.records.contract import Column, Conditions, Contract
from reku.records.faults import Fault, FaultCode
from reku.records.record_file import Head, RecordFile
from reku.records.times import parse_date, parse_moment

Problem = tuple[FaultCode, str]
"""A code and its German advice. The advice never repeats a value: it may be personal."""


def row_faults(contract: Contract, file: RecordFile) -> list[Fault]:
    """All faults of all rows, in the order of lines and within a line of the contract's columns; empty if all are good.

    Codes: PFLICHTFELD, LAENGE, FORMAT, WERT, ADRESSE, WIDERSPRUCH (differs from the leading record), DUBLETTE (a
    unique value that an earlier row has; the first one is good), and what a column names as its `fault`.
    """
    place = {name: index for index, name in enumerate(file.columns)}
    found: list[tuple[int, int, Fault]] = []
    for order, column in enumerate(contract.columns):
        for index, (code, advice) in _column_problems(contract, column, file, place):
            found.append((index, order, Fault(code, file.lines[index], column.name, advice)))
    found.sort(key=lambda one: one[:2])
    reference = place.get("Referenz")
    if reference is None:
        return [fault for _, _, fault in found]
    # A receipt has room for 40 characters of a Referenz; a longer one is a fault of its own.
    return [replace(fault, reference=file.rows[index][reference][:40]) for index, _, fault in found]


def _column_problems(
    contract: Contract, column: Column, file: RecordFile, place: dict[str, int]
) -> Iterator[tuple[int, Problem]]:
    """Index of the row and problem, for one column."""
    at = place.get(column.name)
    values = [row[at] for row in file.rows] if at is not None else [""] * len(file.rows)
    yield from _value_problems(column, values, file.head)
    if column.obligation == "M":
        for index, value in enumerate(values):
            if not value.strip():
                yield index, (FaultCode.PFLICHTFELD, f"{column.name} ist ein Pflichtfeld und darf nicht leer sein.")
    if column.mandatory_when:
        for index, row in enumerate(file.rows):
            if not values[index].strip() and _holds(column.mandatory_when, row, place):
                yield index, (FaultCode.PFLICHTFELD, f"{column.name} ist Pflicht bei {_words(column.mandatory_when)}.")
    if column.allowed_when:
        for index, row in enumerate(file.rows):
            if values[index] and not _holds(column.allowed_when, row, place):
                yield index, (FaultCode.WERT, f"{column.name} ist nur erlaubt bei {_words(column.allowed_when)}.")
    if column.not_before in place:
        earlier = place[column.not_before]
        for index, row in enumerate(file.rows):
            if _precedes(values[index], row[earlier]):
                yield index, (FaultCode.WERT, f"{column.name} darf nicht vor {column.not_before} liegen.")
    if column.name in contract.unique:
        yield from _duplicates(column, values, file.lines)


def _value_problems(column: Column, values: Sequence[str], head: Head) -> Iterator[tuple[int, Problem]]:
    """What a value shows by itself; each different value is judged once."""
    judge = _judge(column, head)
    judged: dict[str, Problem | None] = {"": None}
    for index, value in enumerate(values):
        if value not in judged:
            judged[value] = judge(value)
        problem = judged[value]
        if problem is not None:
            yield index, problem


def _judge(column: Column, head: Head) -> Callable[[str], Problem | None]:
    form = _FORMS[column.base]
    pattern = re.compile(column.pattern, re.ASCII) if column.pattern else None
    foreign = re.compile(f"[^{column.characters}]") if column.characters else None
    expected = getattr(head, column.equals_head) if column.equals_head else None

    def judge(value: str) -> Problem | None:
        if not value.strip():
            return None  # empty for people; whether it may be is judged elsewhere
        if (problem := form(column, value)) is not None:
            return problem
        if foreign and (wrong := foreign.findall(value)):
            return column.fault, f"{column.advice or 'Zeichen nicht erlaubt'}; nicht erlaubt: {_characters(wrong)}."[
                :200
            ]
        if pattern and not pattern.fullmatch(value):
            return (
                column.fault,
                column.advice or f"{column.name} hat nicht die vereinbarte Form, z. B. {column.example}.",
            )
        if expected is not None and value != expected:
            return FaultCode.WIDERSPRUCH, f"{column.name} muss den Wert des Kopfsatzes V haben."
        if column.address and not is_valid(value):
            return FaultCode.ADRESSE, f"{column.name} muss genau eine gültige E-Mail-Adresse sein."
        return None

    return judge


def _text(column: Column, value: str) -> Problem | None:
    if column.length is not None and len(value) > column.length:
        return FaultCode.LAENGE, f"{column.name} darf höchstens {column.length} Zeichen haben."
    return None


def _digits(column: Column, value: str) -> Problem | None:
    if not re.fullmatch("[0-9]+", value) or len(value) != column.length:
        return FaultCode.FORMAT, f"{column.name} muss aus genau {column.length} Ziffern bestehen."
    return None


def _whole(column: Column, value: str) -> Problem | None:
    if not re.fullmatch("-?[0-9]{1,18}", value):
        return FaultCode.FORMAT, f"{column.name} muss eine ganze Zahl sein."
    least, greatest = column.minimum, column.maximum
    if (least is not None and int(value) < least) or (greatest is not None and int(value) > greatest):
        limits = " und ".join(
            f"{word} {limit}" for word, limit in (("mindestens", least), ("höchstens", greatest)) if limit is not None
        )
        return FaultCode.WERT, f"{column.name} muss {limits} sein."
    return None


def _date(column: Column, value: str) -> Problem | None:
    try:
        parse_date(value)
    except ValueError:
        return FaultCode.FORMAT, f"{column.name} muss ein Datum TT.MM.JJJJ sein."
    return None


def _moment(column: Column, value: str) -> Problem | None:
    try:
        parse_moment(value)
    except ValueError:
        return FaultCode.FORMAT, f"{column.name} muss ein Zeitpunkt TT.MM.JJJJ HH:MM:SS sein."
    return None


def _flag(column: Column, value: str) -> Problem | None:
    return None if value in ("J", "N") else (FaultCode.WERT, f"{column.name} muss J oder N sein.")


def _choice(column: Column, value: str) -> Problem | None:
    if value in column.values:
        return None
    return FaultCode.WERT, f"{column.name} muss einer dieser Werte sein: {', '.join(column.values)}."[:200]


_FORMS: dict[str, Callable[[Column, str], Problem | None]] = {
    "AN": _text,
    "N": _digits,
    "Z": _whole,
    "D": _date,
    "DT": _moment,
    "J/N": _flag,
    "ENUM": _choice,
}


def _holds(conditions: Conditions, row: Sequence[str], place: dict[str, int]) -> bool:
    return all(name in place and row[place[name]] in values for name, values in conditions.items())


def _words(conditions: Conditions) -> str:
    return " und ".join(f"{name} {'/'.join(values)}" for name, values in conditions.items())


def _precedes(value: str, earlier: str) -> bool:
    """Whether a day lies before another; days that cannot be read are judged as such elsewhere."""
    try:
        return parse_date(value) < parse_date(earlier)
    except ValueError:
        return False


def _duplicates(column: Column, values: Sequence[str], lines: Sequence[int]) -> Iterator[tuple[int, Problem]]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value and first.setdefault(value, lines[index]) != lines[index]:
            advice = f"{column.name} steht schon in Zeile {first[value]}. Jeden Wert nur einmal verwenden."
            yield index, (FaultCode.DUBLETTE, advice)


def _characters(wrong: Sequence[str]) -> str:
    return ", ".join("Leerzeichen" if one == " " else one for one in dict.fromkeys(wrong))
