"""The benchmark of the pages measures what it says: each of them with a full ledger, asked and painted."""

from __future__ import annotations

import pytest

from reku.bench import cockpit
from reku.bench.banks import Sizes


@pytest.mark.processes
def test_each_page_has_two_figures_of_a_full_ledger() -> None:
    figures = cockpit.measure(1, Sizes(banks=3, orders=4, earlier=1), most=60)
    assert len(figures) == 8
    assert {figure["rows"] for figure in figures} == {60}
    assert {figure["against"] for figure in figures} == {"300 ms", "1000 ms"}
    assert all(figure["ratio"] > 0 for figure in figures)
