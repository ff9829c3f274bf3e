"""What a contract demands of its columns: one rule per demand, with its code and what the sender is told.

Everything that judges rows goes by these rules: control files row by row (`rows`), the gate all rows of a delivery at
once.
"""

from __future__ import annotations

from dataclasses import dataclass

from reku.records.checks import (
    Address,
    Among,
    AsExpected,
    Check,
    Day,
    DayBetween,
    EmptyUnless,
    MaxLength,
    Moment,
    NotBefore,
    NumberBetween,
    Pattern,
    Required,
    Unique,
    WholeNumber,
    Without,
    fields_of,
)
from reku.records.contract import Column, Conditions, Contract
from reku.records.faults import FaultCode

LONGEST_RULE_ADVICE = 160
"""Characters of a rule's advice; with the field's name before it, it fits into the `Hinweis` of a receipt."""


_KEYS = ("reference", "person_number")
"""Roles whose values come back to the bank as they are."""

_TURNED = "[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]"
"""Marks that turn the direction of writing (Unicode Bidi_Control): what is shown would not be what stands there."""


_CALENDAR = DayBetween(first="01.01.1900", last="31.12.2199")
"""Other days are slips of the pen, or stand for "never": no reckoning with days has to bear them."""


@dataclass(frozen=True)
class ColumnRule:
    """One demand. `name` is unique within the contract, `advice` German, for the sender, without personal data."""

    name: str
    field: str
    check: Check
    code: FaultCode
    advice: str

    @property
    def fields(self) -> tuple[str, ...]:
        """All columns it looks at, its own first."""
        return fields_of(self.field, self.check)


def column_rules(contract: Contract) -> tuple[ColumnRule, ...]:
    """The rules that follow from a contract, column by column, each column's obligation first."""
    return tuple(
        ColumnRule(f"{column.name}.{check.kind}.{number}", column.name, check, code, advice[:LONGEST_RULE_ADVICE])
        for column in contract.columns
        for number, (check, code, advice) in enumerate(_column_checks(column, contract), start=1)
    )


def _column_checks(column: Column, contract: Contract) -> list[tuple[Check, FaultCode, str]]:
    checks: list[tuple[Check, FaultCode, str]] = []
    if column.obligation == "M":
        checks.append((Required(), FaultCode.PFLICHTFELD, "Pflichtfeld füllen"))
    elif column.mandatory_when:
        advice = f"Pflichtfeld füllen, wenn {_condition(column.mandatory_when)}"
        checks.append((Required(when=column.mandatory_when), FaultCode.PFLICHTFELD, advice))
    if column.allowed_when:
        advice = f"nur füllen, wenn {_condition(column.allowed_when)}"
        checks.append((EmptyUnless(when=column.allowed_when), FaultCode.WERT, advice))
    checks.extend(_type_checks(column))
    like = f"wie {column.example} schreiben" if column.example else "Schreibweise laut Dateibeschreibung verwenden"
    own = column.advice or like
    if column.characters is not None:
        checks.append((Without(regex=f"[^{column.characters}]"), column.fault, own))
    if column.pattern is not None:
        checks.append((Pattern(regex=column.pattern), column.fault, own))
    if column.address:
        checks.append((Address(), FaultCode.ADRESSE, "genau eine gültige Mailadresse angeben"))
    if column.equals_head is not None:
        checks.append((AsExpected(of=column.equals_head), FaultCode.WIDERSPRUCH, "Wert des Kopfsatzes V verwenden"))
    if column.not_before is not None:
        checks.append((NotBefore(other=column.not_before), FaultCode.WERT, f"nicht vor {column.not_before} legen"))
    if column.name in contract.unique:
        checks.append((Unique(), FaultCode.DUBLETTE, "jeden Wert nur in einem Satz verwenden"))
    if column.base == "D":
        checks.append((_CALENDAR, FaultCode.WERT, "Datum von 1900 bis 2199 angeben"))
    is_free_text = column.characters is None and column.equals_head is None and not column.address
    if column.base == "AN" and is_free_text and (column.pattern is None or column.role in _KEYS):
        checks.append((Without(regex=_TURNED), FaultCode.STEUERZEICHEN, "Zeichen für die Schreibrichtung entfernen"))
    return checks


def _type_checks(column: Column) -> list[tuple[Check, FaultCode, str]]:
    match column.base:
        case "AN":
            length = column.length or 1
            return [(MaxLength(length=length), FaultCode.LAENGE, f"höchstens {length} Zeichen verwenden")]
        case "N":
            return [
                (Pattern(regex=f"[0-9]{{{column.length}}}"), FaultCode.FORMAT, f"genau {column.length} Ziffern angeben")
            ]
        case "Z":
            whole: list[tuple[Check, FaultCode, str]] = [(WholeNumber(), FaultCode.FORMAT, "ganze Zahl angeben")]
            if column.minimum is not None or column.maximum is not None:
                bounds = NumberBetween(minimum=column.minimum, maximum=column.maximum)
                whole.append((bounds, FaultCode.WERT, f"Zahl{_bounds(column)} angeben"))
            return whole
        case "D":
            return [(Day(), FaultCode.FORMAT, "Datum als TT.MM.JJJJ angeben")]
        case "DT":
            return [(Moment(), FaultCode.FORMAT, "Zeitpunkt als TT.MM.JJJJ HH:MM:SS angeben")]
        case "J/N":
            return [(Among(values=("J", "N")), FaultCode.WERT, "J oder N angeben")]
        case _:
            advice = f"einen erlaubten Wert angeben: {', '.join(column.values)}"
            return [(Among(values=tuple(column.values)), FaultCode.WERT, advice)]


def _condition(when: Conditions) -> str:
    return " und ".join(f"{field} = {' oder '.join(values)}" for field, values in when.items())[:80]


def _bounds(column: Column) -> str:
    lower = "" if column.minimum is None else f" ab {column.minimum}"
    return lower + ("" if column.maximum is None else f" bis {column.maximum}")
