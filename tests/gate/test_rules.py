"""Rules that follow from a contract."""

from __future__ import annotations

from reku.gate.rules import contract_rules
from reku.records import contracts


def test_every_column_with_a_demand_has_a_rule() -> None:
    for kind in ("REKU", "IAMW"):
        fields = {rule.field for rule in contract_rules(contracts()[kind])}
        assert fields == {column.name for column in contracts()[kind].columns}
