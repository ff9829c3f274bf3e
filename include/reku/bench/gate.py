"""Stage "gate": every row of a delivery held against every rule, by the gate and by plain vectorised pandas.

Both have the rows in memory already, and must find the same lines for every rule. How time and memory grow with the
delivery is measured with reading it, in a process of its own for each time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from reku.bench import sample_delivery
from reku.bench.plain_pandas import breaches
from reku.bench.read import by_us
from reku.foundation.errors import SetupError
from reku.gate.suite import find_breaches
from reku.records import RecordFile
from reku.records.columns import Columns

AT_LEAST = 0.15
ROWS, MANY = 100_000, 1_000_000
MEMORY = 1_200_000_000
"""Bytes that reading and judging `MANY` rows may take, Python and all libraries included."""

Lines = dict[str, list[int]]


def measure(rounds: int, rows: int = ROWS, many: int = MANY) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if both sides do not find the same bad rows."""
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as folder:
        few, large = Path(folder, "few.csv"), Path(folder, "large.csv")
        sample_delivery.write(few, rows)
        sample_delivery.write(large, many)
        verdict = {
            "what": f"{len(sample_delivery.rules())} rules, row by row, Great Expectations",
            "against": "the same rules in vectorised pandas",
            "ratio": _against_pandas(rounds, by_us(few)),
            "at_least": AT_LEAST,
            "rows": rows,
        }
        figures = [verdict, *_growth(rounds, (few, rows), (large, many))]
    return [{"stage": "gate", "rounds": rounds} | figure for figure in figures]


def by_gate(file: RecordFile) -> Lines:
    """For each rule's name the lines that break it."""
    findings = find_breaches(file.columns, file.rows, file.lines, sample_delivery.rules(), sample_delivery.expected())
    return {finding.rule.name: list(finding.lines) for finding in findings}


def by_pandas(frame: pd.DataFrame) -> Lines:
    """The same by the peer."""
    return breaches(frame, sample_delivery.rules(), sample_delivery.expected())


def as_frame(file: RecordFile) -> pd.DataFrame:
    """The rows as pandas likes them."""
    kept = Columns.of(file.rows, len(file.columns))
    return pd.DataFrame({name: kept.column(place).to_pandas() for place, name in enumerate(file.columns)}).set_index(
        pd.Index(file.lines)
    )


def _against_pandas(rounds: int, file: RecordFile) -> float:
    frame = as_frame(file)
    if by_gate(file) != by_pandas(frame):
        raise SetupError("The two sides of the benchmark do not find the same bad rows.")
    sides: dict[str, Callable[[], object]] = {"gate": lambda: by_gate(file), "pandas": lambda: by_pandas(frame)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 else reversed(sides):
            begun = time.perf_counter()
            sides[name]()
            times[name].append(time.perf_counter() - begun)
    return round(statistics.median(times["pandas"]) / statistics.median(times["gate"]), 2)


def _growth(rounds: int, few: tuple[Path, int], large: tuple[Path, int]) -> list[dict[str, Any]]:
    seconds: dict[Path, list[float]] = {few[0]: [], large[0]: []}
    peaks = []
    for number in range(rounds):
        for file in seconds if number % 2 else reversed(seconds):
            once = _once(file)
            seconds[file].append(once["seconds"])
            if file == large[0]:
                peaks.append(once["peak"])
    per_row = [statistics.median(seconds[file]) / rows for file, rows in (few, large)]
    return [
        {
            "what": "read and gate, time for each row",
            "against": f"the same for {few[1]} rows",
            "ratio": round(per_row[0] / per_row[1], 2),
            "at_least": 0.8,
            "rows": large[1],
        },
        {
            "what": "read and gate, peak memory",
            "against": f"{MEMORY / 1e9} GB",
            "ratio": round(MEMORY / max(peaks), 2),
            "at_least": 1.0,
            "rows": large[1],
        },
    ]


def _once(file: Path) -> dict[str, Any]:
    """Seconds and peak memory of reading and judging a delivery in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-P", "-m", "reku.bench.gate_once", str(file)), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SetupError(f"The delivery could not be judged: {said[-1] if said else 'no reason given'}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured
