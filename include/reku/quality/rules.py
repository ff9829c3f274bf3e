"""Rules of the gate as data: what a field must be, how bad a breach is, and what the sender is told (domain.md 9.15).

Most rules follow from a contract (`contract_rules`). What no contract can express stands in
`include/expectations/*.yaml`; `rules_for` joins both.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import Field

from reku.errors import ConfigError
from reku.quality.checks import (
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
from reku.records.contract import Column, Conditions, Contract, load_contracts
from reku.records.faults import FaultCode
from reku.settings import settings
from reku.yaml_source import line_of, load_all


class Severity(StrEnum):
    """What one row that breaks a rule brings about."""

    REFUSE = "refuse"  # the whole delivery is refused
    REJECT = "reject"  # the row is kept out
    WARN = "warn"  # the row goes on, the breach is counted


class Rule(Strict):
    """One rule. An empty or blank value can break only `required` and `medium_choice`; the rest look at filled ones."""

    name: str = Field(min_length=1, description="key of the rule, unique within its kind of file")
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


class RuleFile(Strict):
    """One file of `expectations/`: rules that the contract of one kind of file cannot express."""

    kind: str = Field(description="Dateiart of the contract")
    rules: tuple[Rule, ...] = Field(description="in the order of their checks")


def rules_for(contract: Contract) -> tuple[Rule, ...]:
    """All rules for rows of this kind: the contract's own, then those of `expectations/`.

    Raises ConfigError, see `load_rule_files`.
    """
    config = settings().config_dir
    extra = load_rule_files(config / "expectations", config / "contracts").get(contract.kind, ())
    return (*contract_rules(contract), *extra)


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
    own = column.advice[:120] or "Schreibweise laut Dateibeschreibung verwenden"
    if column.characters is not None:
        checks.append((Pattern(regex=f"[{column.characters}]*"), column.fault, own))
    if column.pattern is not None:
        checks.append((Pattern(regex=column.pattern), column.fault, own))
    if column.address:
        checks.append((Address(), FaultCode.ADRESSE, "gültige Mailadresse angeben"))
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


@cache
def load_rule_files(folder: Path, contracts: Path) -> Mapping[str, tuple[Rule, ...]]:
    """The rules of `expectations/` by Dateiart, read once. Raises the first ConfigError of `check_rule_files`."""
    found, faults = _scan(folder, contracts)
    if faults:
        raise faults[0]
    return found


def check_rule_files(folder: Path, contracts: Path) -> list[ConfigError]:
    """All faults of the rule files: not YAML, unknown keys, unknown Dateiart or field, a name used twice."""
    return _scan(folder, contracts)[1]


def _scan(folder: Path, contracts: Path) -> tuple[dict[str, tuple[Rule, ...]], list[ConfigError]]:
    known = load_contracts(contracts)
    found: dict[str, tuple[Rule, ...]] = {}
    faults: list[ConfigError] = []
    for path in sorted(folder.glob("*.yaml")):
        file, own = load_all(path, RuleFile)
        if file is not None:
            own = _faults_of(path, file, known)
        faults += own
        if file is not None and not own:
            found[file.kind] = (*found.get(file.kind, ()), *file.rules)
    return found, faults


def _faults_of(path: Path, file: RuleFile, known: Mapping[str, Contract]) -> list[ConfigError]:
    contract = known.get(file.kind)
    if contract is None:
        problem = f"No contract has the kind {file.kind!r}."
        return [ConfigError(problem, file=path, line=line_of(path, ("kind",)), value=file.kind, valid=known)]
    columns = [column.name for column in contract.columns]
    taken = {rule.name for rule in contract_rules(contract)}
    faults = []
    for number, rule in enumerate(file.rules):
        for field in rule.fields:
            if field not in columns:
                problem = f"Rule {rule.name!r} looks at {field!r}, which {file.kind} does not have."
                line = line_of(path, ("rules", number, "field"))
                faults.append(ConfigError(problem, file=path, line=line, value=field, valid=columns))
        if rule.name in taken:
            line = line_of(path, ("rules", number, "name"))
            faults.append(ConfigError(f"The rule name {rule.name!r} stands there twice.", file=path, line=line))
        taken.add(rule.name)
    return faults
