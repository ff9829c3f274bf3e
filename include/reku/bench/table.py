"""The table of all benchmarks in docs/benchmarks.md; measuring a stage writes its rows anew and leaves the others."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reku.foundation import clock
from reku.foundation.settings import INCLUDE

PAGE = INCLUDE.parent / "docs" / "benchmarks.md"
_COLUMNS = ("stage", "what", "against", "ratio", "at_least", "rounds", "rows")
_HEAD = """# Benchmarks

Each stage against its limit and a peer in the same run, alternated, medians. Ratio: 1 is as fast as what it is held
against, higher is faster. Written by `reku bench [STAGE]` (`make bench`), a stage at a time; figures of other machines
differ, their ratios much less. What stands in the last column is when and where the row was measured.

"""


def write(figures: Iterable[Mapping[str, Any]], page: Path = PAGE) -> None:
    """Put these figures into the page in place of the older ones of the same stages."""
    fresh = [dict(figure) for figure in figures]
    stages = {figure["stage"] for figure in fresh}
    kept = [row for row in _rows(page) if row.split("|")[1].strip() not in stages]
    where = f"{clock.today():%d.%m.%Y}, Python {platform.python_version()}, {len(os.sched_getaffinity(0))} cores"
    rows = kept + [_row(figure, where) for figure in fresh]
    head = "| " + " | ".join((*(name.replace("_", " ") for name in _COLUMNS), "measured")) + " |"
    rule = "| " + " | ".join("---" for _ in range(len(_COLUMNS) + 1)) + " |"
    page.write_text(_HEAD + "\n".join((head, rule, *sorted(rows))) + "\n", encoding="utf-8")


def _rows(page: Path) -> list[str]:
    if not page.exists():
        return []
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("| ") and not line.startswith(("| stage", "| ---"))]


def _row(figure: Mapping[str, Any], where: str) -> str:
    return "| " + " | ".join((*(_shown(figure[name]) for name in _COLUMNS), where)) + " |"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value)
