"""Stage "read": a delivery read by us against pyarrow.csv on the same rows without a frame.

We find the head and the closing record, hold count and check sum against the rows, and look for everything a file may
not hold; pyarrow.csv only decodes and splits. Both give all values as text.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from reku.bench import sample_delivery
from reku.foundation.errors import SetupError
from reku.records import RecordFile, read
from reku.records.columns import Columns

AT_LEAST = 0.5
ROWS = 100_000


def measure(rounds: int, rows: int = ROWS) -> dict[str, Any]:
    """The figure of this stage. Raises SetupError if both sides do not read the same values."""
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as folder:
        whole, bare = Path(folder, "delivery.csv"), Path(folder, "bare.csv")
        sample_delivery.write(whole, rows)
        bare.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[1:-1]))
        if not _are_equal(by_us(whole), by_pyarrow(bare)):
            raise SetupError("The two sides of the benchmark do not read the same values.")
        sides: tuple[tuple[Callable[[Path], object], Path], ...] = ((by_us, whole), (by_pyarrow, bare))
        times: dict[Path, list[float]] = {whole: [], bare: []}
        for number in range(rounds):
            for side, file in sides if number % 2 else sides[::-1]:
                begun = time.perf_counter()
                side(file)
                times[file].append(time.perf_counter() - begun)
    return {
        "stage": "read",
        "what": "frame, check sum, 22 columns, cp1252",
        "against": "pyarrow.csv without a frame",
        "ratio": round(statistics.median(times[bare]) / statistics.median(times[whole]), 2),
        "at_least": AT_LEAST,
        "rounds": rounds,
        "rows": rows,
    }


def by_us(file: Path) -> RecordFile:
    """The delivery as the gate reads it."""
    return read(
        sample_delivery.contract(),
        file.read_bytes(),
        environment=sample_delivery.ENVIRONMENT,
        encoding=sample_delivery.ENCODING,
    )


def by_pyarrow(file: Path) -> pa.Table:
    """The file's first line (the K record) as names, every other one as a row of text."""
    names = ("K", *(column.name for column in sample_delivery.contract().columns))
    return csv.read_csv(
        file,
        read_options=csv.ReadOptions(encoding=sample_delivery.ENCODING),
        parse_options=csv.ParseOptions(delimiter=";"),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )


def _are_equal(ours: RecordFile, theirs: pa.Table) -> bool:
    kept = Columns.of(ours.rows, len(ours.columns))
    return tuple(theirs.column_names) == ("K", *ours.columns) and all(
        kept.column(place).equals(theirs.column(name)) for place, name in enumerate(ours.columns)
    )
