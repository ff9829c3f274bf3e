"""Read and judge one delivery and print how long it took and the peak memory: `python -m reku.bench.gate_once FILE`.

What a process does but once (imports, caches of GX) is done before the clock starts; its memory counts.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from reku.bench import sample_delivery
from reku.bench.read import by_us
from reku.gate.suite import find_breaches


def main(file: Path) -> None:
    """Measure and print one JSON object."""
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as folder:
        first = Path(folder, "first.csv")
        sample_delivery.write(first, 1_000)
        _read_and_judge(first)
    begun = time.perf_counter()
    _read_and_judge(file)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))  # noqa: T201 - read by `gate`


def _read_and_judge(file: Path) -> None:
    read = by_us(file)
    find_breaches(read.columns, read.rows, read.lines, sample_delivery.rules(), sample_delivery.expected())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
