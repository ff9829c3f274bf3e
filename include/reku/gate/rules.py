"""Rules of the gate as data: what a field must be, how bad a breach is, and what the sender is told.

Most rules follow from a contract (`records.column_rules`). What no contract can express stands in
`include/expectations/` (`rule_files`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reku.gate.checks import Check
from reku.records.checks import Encodable, fields_of
from reku.records.column_rules import LONGEST_RULE_ADVICE, column_rules
from reku.records.contract import Contract, Role, Strict
from reku.records.faults import FaultCode
from reku.store.kinds import Severity


class Rule(Strict):
    """One rule. An empty or blank value can break only `required` and `medium_choice`; the rest look at filled ones."""

    name: str = Field(min_length=1, description="key of the rule, unique among the rules of a delivery")
    field: str = Field(description="German field name")
    check: Check = Field(description="what is demanded")
    severity: Severity = Field(Severity.REJECT, description="refuse, reject or warn")
    code: FaultCode = Field(description="Fehler_Code of the receipt")
    advice: str = Field(
        min_length=1, max_length=LONGEST_RULE_ADVICE, description="German advice to the sender, no personal data"
    )

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields it looks at, its own first."""
        return fields_of(self.field, self.check)


def way_out_rules(contract: Contract, encoding: Literal["utf-8", "iso-8859-15"]) -> tuple[Rule, ...]:
    """Rules for what goes back to the bank in its response files: what their encoding lacks, is kept out here."""
    roles: tuple[Role, ...] = ("reference", "person_number")
    return tuple(
        Rule(
            name=f"{contract.roles[role]}.encodable",
            field=contract.roles[role],
            check=Encodable(encoding=encoding),
            code=FaultCode.ZEICHENSATZ,
            advice=f"nur Zeichen von {encoding} verwenden, dem Zeichensatz der Rückmeldedatei",
        )
        for role in roles
    )


def contract_rules(contract: Contract) -> tuple[Rule, ...]:
    """The rules that follow from a contract: each breach keeps its row out."""
    return tuple(
        Rule(name=rule.name, field=rule.field, check=rule.check, code=rule.code, advice=rule.advice)
        for rule in column_rules(contract)
    )
