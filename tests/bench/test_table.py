from __future__ import annotations

from pathlib import Path
from typing import Any

from reku.bench import table


def _figure(stage: str, ratio: float) -> dict[str, Any]:
    return {"stage": stage, "what": "x", "against": "y", "ratio": ratio, "at_least": 0.5, "rounds": 5, "rows": 10}


def test_measuring_a_stage_again_replaces_its_rows_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    table.write([_figure("parse", 0.6)], page)
    table.write([_figure("dispatch", 0.4), _figure("dispatch", 12)], page)
    table.write([_figure("dispatch", 0.7)], page)
    rows = [line.split(" | ")[:4] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert rows[2:] == [["| dispatch", "x", "y", "0.7"], ["| parse", "x", "y", "0.6"]]


def test_a_figure_without_a_limit_shows_none(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    table.write([_figure("upsert", 0.6) | {"at_least": None}], page)
    assert "| upsert | x | y | 0.6 | – | 5 | 10 |" in page.read_text(encoding="utf-8")


def test_the_page_in_docs_is_written_by_this_table() -> None:
    head, *_ = table.PAGE.read_text(encoding="utf-8").partition("| stage")
    assert head == table._HEAD
