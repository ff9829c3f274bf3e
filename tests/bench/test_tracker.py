"""The tracker's benchmark measures what it says: every answer is on record, and a missing tool is named."""

from __future__ import annotations

import shutil

import pytest

from reku.bench import tracker
from reku.foundation.errors import SetupError


@pytest.mark.processes
@pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk here; on Debian and Ubuntu: apt-get install wrk")
def test_every_answer_is_on_record() -> None:
    pixel, recorded, one_click = tracker.measure(rounds=1, seconds=1, people=500)
    assert pixel["ratio"] > 0
    assert recorded["ratio"] == recorded["at_least"] == 1.0
    assert pixel["rows"] <= recorded["rows"] <= pixel["rows"] + tracker.CLIENTS
    assert one_click["ratio"] > 0
    assert one_click["rows"] > 0


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SetupError, match="apt-get install wrk"):
        tracker.measure(1)
