"""The rule files of `expectations/`: rules that no contract can express, for a kind of delivery and for an occasion.

`expectations/<kind>.yaml` holds for all deliveries of a kind, `expectations/deliveries/` for all deliveries,
`expectations/occasions/<CODE>.yaml` for those of one occasion. `rules_for` joins them with the contract's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import Field

from reku.catalogue import occasions
from reku.catalogue.occasion import Occasion
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of, load_all
from reku.gate.checks import Check
from reku.gate.rules import Rule, contract_rules
from reku.records.column_rules import LONGEST_RULE_ADVICE
from reku.records.contract import Contract, Strict, load_contracts
from reku.records.faults import FaultCode
from reku.store.kinds import Severity

DELIVERIES = ("REKU", "IAMW")
"""Dateiarten of deliveries: an occasion's rule is for both, unless it says otherwise."""

_KINDS_OF_ROWS = (*DELIVERIES, "AUSWAHL")
"""What rows that become mails may be of: of a file, or selected by us."""


class RuleFile(Strict):
    """One file `expectations/<kind>.yaml`."""

    kind: str = Field(description="Dateiart of the contract")
    rules: tuple[Rule, ...] = Field(description="in the order of their checks")


class SharedRule(Strict):
    """A rule for several fields; each that a kind of delivery has gets a rule of its own, `<name>_<field>`."""

    name: str = Field(min_length=1, description="key of the rule; the field's name is put behind it")
    fields: tuple[str, ...] = Field(min_length=1, description="German field names")
    check: Check = Field(description="what is demanded")
    severity: Severity = Field(Severity.REJECT, description="refuse, reject or warn")
    code: FaultCode = Field(description="Fehler_Code of the receipt")
    advice: str = Field(min_length=1, max_length=LONGEST_RULE_ADVICE, description="German advice to the sender")

    def of(self, field: str) -> Rule:
        """The rule for one of its fields."""
        told = self.model_dump(include={"severity", "code", "advice"})
        return Rule(name=f"{self.name}_{field}", field=field, check=self.check, **told)


class SharedRuleFile(Strict):
    """One file of `expectations/deliveries/`."""

    rules: tuple[SharedRule, ...] = Field(description="in the order of their checks")


class OccasionRule(Rule):
    """A rule of one occasion."""

    kinds: tuple[str, ...] = Field(DELIVERIES, min_length=1, description="Dateiarten whose rows it looks at")


class OccasionRuleFile(Strict):
    """One file `expectations/occasions/<CODE>.yaml`: rules, or the reason why there are none."""

    rules: tuple[OccasionRule, ...] = Field((), description="in the order of their checks")
    none: str | None = Field(None, description="why no rule is needed, in one sentence")


def rules_for(contract: Contract, occasion: str) -> tuple[Rule, ...]:
    """All rules for rows of this kind and occasion: the contract's, those of its rule file, the occasion's own.

    Raises ConfigError if the rule file of a kind or of this occasion is broken.
    """
    folder = settings().config_dir
    of_kind = load_rule_files(folder / "expectations", folder / "contracts").get(contract.kind, ())
    own = load_occasion_rules(folder, occasion)
    of_occasion = own.rules if own else ()
    return (*contract_rules(contract), *of_kind, *(rule for rule in of_occasion if contract.kind in rule.kinds))


@cache
def load_rule_files(folder: Path, contracts: Path) -> Mapping[str, tuple[Rule, ...]]:
    """The rules of `expectations/` by Dateiart, read once. Raises the first ConfigError of `check_rule_files`."""
    by_kind, faults = _scan(folder, contracts)
    if faults:
        raise faults[0]
    return by_kind


def check_rule_files(folder: Path, contracts: Path) -> list[ConfigError]:
    """All faults of the rule files of kinds: not YAML, unknown keys, unknown Dateiart or field, a name used twice."""
    return _scan(folder, contracts)[1]


@cache
def load_occasion_rules(config_dir: Path, occasion: str) -> OccasionRuleFile | None:
    """The rule file of an occasion, read once, or None if it has none.

    Raises its first ConfigError. That another occasion's file is broken does not matter here.
    """
    path = occasion_rule_file(config_dir, occasion)
    if not path.exists():
        return None
    file, faults = _occasion_file(path, config_dir)
    if file is None or faults:
        raise faults[0]
    return file


def check_occasion_rules(config_dir: Path) -> list[ConfigError]:
    """All faults of `expectations/occasions/`, file by file.

    Each standard occasion needs a file, a bank's own one may have one. Raises ConfigError if the contracts, the rule
    files of kinds or the folder of occasions cannot be read.
    """
    known = occasions(config_dir)
    paths = sorted(occasion_rule_file(config_dir, "").parent.glob("*.yaml"))
    faults: list[ConfigError] = []
    for path in paths:
        if path.stem not in known:
            problem = f"There is no occasion {path.stem!r}."
            faults.append(ConfigError(problem, file=path, value=path.stem, valid=known))
        faults += _occasion_file(path, config_dir)[1]
    with_file = {path.stem for path in paths}
    faults += [_missing(config_dir, of) for of in known.whole.values() if of.is_standard and of.code not in with_file]
    return faults


def occasion_rule_file(config_dir: Path, occasion: str) -> Path:
    """Where the rules of an occasion stand."""
    return config_dir / "expectations" / "occasions" / f"{occasion}.yaml"


def _missing(config_dir: Path, occasion: Occasion) -> ConfigError:
    return ConfigError(
        f"The standard occasion {occasion.code} {occasion.title} has no rules of its own. Add this file with `rules:`,"
        " or with `none:` and the reason in one sentence.",
        file=occasion_rule_file(config_dir, occasion.code),
    )


def _scan(folder: Path, contracts: Path) -> tuple[dict[str, tuple[Rule, ...]], list[ConfigError]]:
    known = load_contracts(contracts)
    by_kind: dict[str, tuple[Rule, ...]] = {}
    faults: list[ConfigError] = []
    for path in sorted(folder.glob("*.yaml")):
        file, own = load_all(path, RuleFile)
        if file is not None:
            own = _faults_of(path, file, known)
        faults += own
        if file is not None and not own:
            by_kind[file.kind] = (*by_kind.get(file.kind, ()), *file.rules)
    for path in sorted((folder / "deliveries").glob("*.yaml")):
        shared, own = load_all(path, SharedRuleFile)
        faults += own
        if shared is not None:
            faults += _add_shared(
                path, shared, {kind: known[kind] for kind in _KINDS_OF_ROWS if kind in known}, by_kind
            )
    return by_kind, faults


def _add_shared(
    path: Path, file: SharedRuleFile, contracts: Mapping[str, Contract], by_kind: dict[str, tuple[Rule, ...]]
) -> Iterator[ConfigError]:
    """Add the rules to each kind that has their fields. Yields a fault for a field that none has, or a name again."""
    for number, shared in enumerate(file.rules):
        for field in shared.fields:
            having = [contract for contract in contracts.values() if field in _columns(contract)]
            if not having:
                yield from (
                    _unknown_field(path, number, shared.of(field), field, contract)
                    for contract in list(contracts.values())[:1]
                )
            for contract in having:
                rule, own = shared.of(field), by_kind.get(contract.kind, ())
                if any(rule.name == other.name for other in (*contract_rules(contract), *own)):
                    yield _twice(path, number, rule)
                by_kind[contract.kind] = (*own, rule)


def _faults_of(path: Path, file: RuleFile, known: Mapping[str, Contract]) -> list[ConfigError]:
    contract = known.get(file.kind)
    if contract is None:
        problem = f"No contract has the kind {file.kind!r}."
        return [ConfigError(problem, file=path, line=line_of(path, ("kind",)), value=file.kind, valid=known)]
    taken = {rule.name for rule in contract_rules(contract)}
    faults = []
    for number, rule in enumerate(file.rules):
        unknown = [field for field in rule.fields if field not in _columns(contract)]
        faults += [_unknown_field(path, number, rule, field, contract) for field in unknown]
        if rule.name in taken:
            faults.append(_twice(path, number, rule))
        taken.add(rule.name)
    return faults


def _occasion_file(path: Path, config_dir: Path) -> tuple[OccasionRuleFile | None, list[ConfigError]]:
    file, faults = load_all(path, OccasionRuleFile)
    if file is None:
        return None, faults
    return file, [*_rules_or_none(path, file), *_occasion_faults(path, file.rules, config_dir)]


def _rules_or_none(path: Path, file: OccasionRuleFile) -> Iterator[ConfigError]:
    if "none" in file.model_fields_set and file.rules:
        problem = "There are rules as well as `none`. Keep one of them."
        yield ConfigError(problem, file=path, line=line_of(path, ("none",)))
    elif "none" in file.model_fields_set and not (file.none or "").strip():
        problem = "none: give the reason why this occasion needs no rules, in one sentence."
        yield ConfigError(problem, file=path, line=line_of(path, ("none",)))
    elif "none" not in file.model_fields_set and not file.rules:
        problem = "The file has no rules. Give some, or `none:` and the reason in one sentence."
        yield ConfigError(problem, file=path, line=line_of(path, ("rules",)))


def _occasion_faults(path: Path, rules: Sequence[OccasionRule], config_dir: Path) -> Iterator[ConfigError]:
    known = load_contracts(config_dir / "contracts")
    of_kinds = load_rule_files(config_dir / "expectations", config_dir / "contracts")
    contracts = {kind: known[kind] for kind in _KINDS_OF_ROWS if kind in known}
    taken: set[str] = set()
    for number, rule in enumerate(rules):
        for kind in rule.kinds:
            if kind in contracts:
                taken |= {other.name for other in (*contract_rules(contracts[kind]), *of_kinds.get(kind, ()))}
            else:
                problem = f"Rule {rule.name!r} is for {kind!r}, and there are no deliveries of that kind."
                line = line_of(path, ("rules", number, "kinds"))
                yield ConfigError(problem, file=path, line=line, value=kind, valid=contracts)
        yield from _misfits(path, number, rule, [contracts[kind] for kind in rule.kinds if kind in contracts])
        if rule.name in taken:
            yield _twice(path, number, rule)
        taken.add(rule.name)


def _misfits(path: Path, number: int, rule: OccasionRule, contracts: Sequence[Contract]) -> Iterator[ConfigError]:
    """Fields that not all kinds of the rule have; one that none has is told once."""
    for field in rule.fields:
        having = [contract.kind for contract in contracts if field in _columns(contract)]
        if not having:
            yield from (_unknown_field(path, number, rule, field, contract) for contract in contracts[:1])
        elif len(having) < len(contracts):
            lacking = next(contract.kind for contract in contracts if contract.kind not in having)
            problem = (
                f"Rule {rule.name!r} looks at {field!r}, which {lacking} does not have."
                f" Limit it: `kinds: [{', '.join(having)}]`."
            )
            yield ConfigError(problem, file=path, line=line_of(path, ("rules", number, "field")))


def _columns(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns]


def _unknown_field(path: Path, number: int, rule: Rule, field: str, contract: Contract) -> ConfigError:
    problem = f"Rule {rule.name!r} looks at {field!r}, which {contract.kind} does not have."
    line = line_of(path, ("rules", number, "field"))
    return ConfigError(problem, file=path, line=line, value=field, valid=_columns(contract))


def _twice(path: Path, number: int, rule: Rule) -> ConfigError:
    line = line_of(path, ("rules", number, "name"))
    return ConfigError(f"The rule name {rule.name!r} stands there twice.", file=path, line=line)
