"""Rules of selection: every fault has its line, the valid values and, for a slip, what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.catalogue.occasion import Occasion
from reku.foundation.yaml_source import load_all

HEAD = """\
code: EIGEN_TREUE
title: Treue
family: Eigene Anlässe
priority: 5
media: []
window: {first_day: 0, last_day: 3}
response_window: 1h
"""
WHERE = "selection:\n  row: person\n  on: born\n  where: "
DEEP = "{kind: not, of: " * 6 + "{kind: known, field: born}" + "}" * 6


@pytest.mark.parametrize(
    ("written", "line", "says"),
    [
        ("selection: {row: person, on: born}", 0, ""),
        ("selection: {row: none, why: kein Datum}", 0, ""),
        ("selection: {row: none}", 8, "'why' is missing"),
        ("selection: {row: nobody}", 8, "row 'nobody' is not valid"),
        ("selection: {row: impulse, on: made, where: {kind: known, field: segment}}", 0, ""),
        ("selection: {row: impulse, on: value_date, where: {kind: day_near, field: made, first: -9, last: 0}}", 0, ""),
        ("selection: {row: impulse, on: born}", 8, "belong together"),
        ("selection: {row: person, on: made}", 8, "`on: made` or `on: value_date`"),
        ("selection: {row: impulse, on: made, anniversary: true}", 8, "no anniversary"),
        ("selection: {row: impulse, on: mad}", 8, "Did you mean 'made'"),
        ("selection: {row: impulse, on: made, where: {kind: known, field: due}}", 8, "has or has_no"),
        ("selection: {row: person, on: born, where: {kind: known, field: made}}", 8, "only an impulse has made"),
        ("selection: {row: persn, on: born}", 8, "Did you mean 'person'"),
        ("selection:\n  row: person\n  on: due", 8, "a person has no due"),
        ("selection:\n  row: person\n  on: bron", 10, "Did you mean 'born'"),
        ("selection:\n  row: person\n  on: born\n  were: {}", 11, "Did you mean 'where'"),
        (
            WHERE + "{kind: inn, field: segment, values: [A]}",
            11,
            "Did you mean 'in'",
        ),
        (
            WHERE + "{kind: in, field: segmnt, values: [A]}",
            11,
            "Did you mean 'segment'",
        ),
        (
            WHERE + "{kind: in, field: segment, values: []}",
            11,
            "must not be empty",
        ),
        (WHERE + "{kind: in, field: product, values: [A]}", 8, "has or has_no"),
        (
            "selection:\n  row: person\n  on: born\n  where:\n    kind: all\n    of:\n"
            "      - {kind: known, field: segment}\n      - {kind: years, field: born, minimum: x}",
            15,
            "must be a whole number",
        ),
        (
            WHERE + "{kind: years, field: born, minimum: 9, maximum: 8}",
            11,
            "greater",
        ),
        (
            WHERE + "{kind: has, where: {kind: known, field: born}}",
            8,
            "a holding has no born",
        ),
        (
            WHERE + "{kind: has, where: {kind: has, where: {kind: known, field: due}}}",
            8,
            "cannot lie in one another",
        ),
        (
            WHERE + DEEP,
            8,
            "deep",
        ),
    ],
)
def test_faults_of_a_rule(tmp_path: Path, written: str, line: int, says: str) -> None:
    file = tmp_path / "EIGEN_TREUE.yaml"
    file.write_text(f"{HEAD}{written}\n", encoding="utf-8")
    loaded, faults = load_all(file, Occasion)
    if not says:
        assert (faults, loaded is not None) == ([], True)
        return
    assert [fault.line for fault in faults] == [line]
    assert says in str(faults[0])
