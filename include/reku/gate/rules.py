"""Rules of the gate as data: what a field must be, how bad a breach is, and what the sender is told.

Most rules follow from a contract (`contract_rules`). What no contract can express stands in `include/expectations/`
(`rule_files`).
"""

from __future__ import annotations

from pydantic import Field

from reku.gate.checks import (
    Address,
    Among,
    AsExpected,
    Check,
    Day,
    EmptyUnless,
    MaxLength,
    Moment,
    NotBefore,
    NumberBetween,
    Pattern,
    Required,
    Strict,
    Unique,
    WholeNumber,
)
from reku.records.contract import Column, Conditions, Contract
from reku.records.faults import FaultCode
from reku.store.kinds import Severity


class Rule(Strict):
    """One rule. An empty or blank value can break only `required` and `medium_choice`; the rest look at filled ones."""

    name: str = Field(min_length=1, description="key of the rule, unique among the rules of a delivery")
    field: str = Field(description="German field name")
    check: Check = Field(description="what is demanded")
    severity: Severity = Field(Severity.REJECT, description="refuse, reject or warn")
    code: FaultCode = Field(description="Fehler_Code of the receipt")
    advice: str = Field(min_length=1, max_length=120, description="German advice to the sender, no personal data")

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields it looks at, its own first."""
        match self.check:
            case Required(when=when) | EmptyUnless(when=when):
                return (self.field, *when)
            case NotBefore(other=other):
                return (self.field, other)
            case _:
                return (self.field,)


def contract_rules(contract: Contract) -> tuple[Rule, ...]:
    """The rules that follow from a contract, column by column, each column's obligation first."""
    return tuple(
        Rule(name=f"{column.name}.{check.kind}.{number}", field=column.name, check=check, code=code, advice=advice)
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
    own = (column.advice or like)[:120]
    if column.characters is not None:
        checks.append((Pattern(regex=f"[{column.characters}]*"), column.fault, own))
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
            found: list[tuple[Check, FaultCode, str]] = [(WholeNumber(), FaultCode.FORMAT, "ganze Zahl angeben")]
            if column.minimum is not None or column.maximum is not None:
                bounds = NumberBetween(minimum=column.minimum, maximum=column.maximum)
                found.append((bounds, FaultCode.WERT, f"Zahl{_bounds(column)} angeben"))
            return found
        case "D":
            return [(Day(), FaultCode.FORMAT, "Datum als TT.MM.JJJJ angeben")]
        case "DT":
            return [(Moment(), FaultCode.FORMAT, "Zeitpunkt als TT.MM.JJJJ HH:MM:SS angeben")]
        case "J/N":
            return [(Among(values=("J", "N")), FaultCode.WERT, "J oder N angeben")]
        case _:
            advice = f"einen erlaubten Wert angeben: {', '.join(column.values)}"
            return [(Among(values=tuple(column.values)), FaultCode.WERT, advice[:120])]


def _condition(when: Conditions) -> str:
    return " und ".join(f"{field} = {' oder '.join(values)}" for field, values in when.items())[:80]


def _bounds(column: Column) -> str:
    lower = "" if column.minimum is None else f" ab {column.minimum}"
    return lower + ("" if column.maximum is None else f" bis {column.maximum}")
