"""The benchmark of bounces measures what it says: every mail of the corpus, both sides held against its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.bench import dsn
from reku.foundation.errors import SetupError


@pytest.mark.processes
def test_both_sides_read_the_whole_corpus() -> None:
    found = dsn.measure(1)
    assert [figure.pop("ratio") > 0 for figure in found] == [True, True]
    assert found[0] == {
        "stage": "dsn",
        "what": "63 mails understood, mixed corpus",
        "against": "flufl.bounce all_failures, same recipients",
        "at_least": 0.9,
        "rounds": 1,
        "rows": 63 * dsn.TIMES,
    }


def test_there_is_no_corpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dsn, "CORPUS", tmp_path)
    with pytest.raises(SetupError, match=r"table\.csv.*checkout"):
        dsn.corpus()
    monkeypatch.setattr(dsn.sys, "executable", "/bin/false")
    with pytest.raises(SetupError, match="could not be measured"):
        dsn.measure(1)
