"""The benchmarks of reading and judging measure what they say: every kind of bad row, found alike by both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.bench import gate, read, sample_delivery
from reku.foundation.errors import SetupError
from reku.gate.rules import Severity

pytestmark = pytest.mark.gx

ROWS = 23 * sample_delivery.ONE_IN


@pytest.fixture
def delivery(tmp_path: Path) -> Path:
    file = tmp_path / "delivery.csv"
    sample_delivery.write(file, ROWS)
    return file


def test_the_delivery_has_bad_rows_of_every_kind_and_both_sides_find_them(delivery: Path) -> None:
    file = read.by_us(delivery)
    found = gate.by_gate(file)
    assert found == gate.by_pandas(gate.as_frame(file))
    broken = [rule for rule in sample_delivery.rules() if found[rule.name]]
    assert {rule.check.kind for rule in broken} == {rule.check.kind for rule in sample_delivery.rules()}
    bad = {line for rule in broken if rule.severity != Severity.WARN for line in found[rule.name]}
    assert 0.005 < len(bad) / ROWS < 0.007


def test_both_sides_read_the_same_rows() -> None:
    figure = read.measure(1, rows=2_000)
    assert figure.pop("ratio") > 0
    assert figure == {
        "stage": "read",
        "what": "frame, check sum, 22 columns, cp1252",
        "against": "pyarrow.csv without a frame",
        "at_least": 0.5,
        "rounds": 1,
        "rows": 2_000,
    }


@pytest.mark.processes
def test_the_gate_is_measured_against_pandas_and_in_processes_of_its_own() -> None:
    verdict, growth, memory = gate.measure(1, rows=2_000, many=4_000)
    assert [figure.pop("ratio") > 0 for figure in (verdict, growth, memory)] == [True] * 3
    assert verdict.pop("what").endswith(" rules, row by row, Great Expectations")
    assert verdict == {
        "stage": "gate",
        "against": "the same rules in vectorised pandas",
        "at_least": 0.15,
        "rounds": 1,
        "rows": 2_000,
    }
    assert (growth["what"], growth["against"]) == ("read and gate, time for each row", "the same for 2000 rows")
    assert (memory["what"], memory["against"]) == ("read and gate, peak memory", "1.2 GB")
    assert {figure["rows"] for figure in (growth, memory)} == {4_000}


def test_sides_that_disagree_are_no_benchmark(delivery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "by_pandas", lambda frame: {"rule": [len(frame)]})
    with pytest.raises(SetupError, match="same bad rows"):
        gate._against_pandas(1, read.by_us(delivery))
