from __future__ import annotations

import pytest

from reku.bench.kill import run


@pytest.mark.processes
def test_kill_9_at_random_moments_loses_no_mail_and_doubles_none() -> None:
    """Nobody gets two mails. The seed stands in the figures; `run(20, seed)` draws the moments alike."""
    figures = run(20)
    print(figures)  # noqa: T201 - for whoever has to look into a failure
    assert figures["kills"] >= 20
    assert figures["of_workers"] + figures["of_parents"] > 0
    assert figures["twice"] == 0
    assert figures["missing"] == figures["untold"] == 0
    assert figures["received"] == figures["sent"] + figures["in_doubt_received"]
    ended = ("sent", "withheld", "rejected", "in_doubt")
    assert sum(figures[name] for name in ended) == figures["accepted"]
    assert figures["events"] == figures["sent"]
    assert figures["most_in_doubt_per_connection"] <= 1
    assert figures["outlived"] == 0
