"""The demo outlives what people do to its files while they look around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from reku.demo import story as story_module
from reku.demo.run import SEED, DemoPlaces
from reku.demo.state import DemoState
from reku.demo.story import Story
from reku.foundation.settings import INCLUDE
from reku.runtime.home import Home
from reku.simulator.build import build
from reku_testing import banks
from reku_testing.bank_files import BANK


class Acting:
    """Stands in for the customers, and counts their rounds."""

    rounds = 0

    def act(self) -> None:
        self.rounds += 1


def test_a_typo_in_a_banks_file_is_told_once_and_ends_nothing(
    reku_settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = banks.configure(monkeypatch, tmp_path / "config")
    file = folder / "institutes" / f"{BANK}.yaml"
    shipped = (INCLUDE / "institutes" / f"{BANK}.yaml").read_text(encoding="utf-8")
    file.write_text(shipped, encoding="utf-8")
    monkeypatch.setattr("reku.catalogue.loader.LOOK_EVERY", 0.0)
    slept: list[float] = []
    monkeypatch.setattr(story_module.time, "sleep", slept.append)
    console = Console(record=True, width=300)
    kept = DemoState("2026-11-23", "2026-11-23T03:00:00+00:00")
    places = DemoPlaces(Home(tmp_path / "home"))
    told = Story(places, build(SEED, kept.first_day), kept, "http://127.0.0.1:1", console, lambda: None)
    customers: Any = Acting()
    monkeypatch.setattr(told, "_customers", customers)
    told.rest()
    file.write_text(shipped.replace("colours:", "kolours:"), encoding="utf-8")
    for _ in range(3):
        told.rest()
    assert customers.rounds == 1
    file.write_text(shipped, encoding="utf-8")
    told.rest()
    assert customers.rounds == 2
    said = console.export_text()
    assert said.count("the demo waits until this is mended") == said.count("kolours") == 1
    assert f"{BANK}.yaml" in said
    assert said.count("mended: the demo goes on") == 1
    assert len(slept) == 5
