"""The feedback benchmark measures what it says: a file of all events, against a copy of the same rows."""

from __future__ import annotations

import os

import pytest
import sqlalchemy as sa

from reku.bench import feedback
from reku.bench.world import World
from reku.foundation.errors import SetupError


def test_both_sides_write_all_events(bench_world: World) -> None:
    before = dict(os.environ)
    feedback.build(bench_world, 400)
    whole, *parts = feedback.figures(bench_world, 400, rounds=1)
    *_, written = sorted((bench_world.folder / "files" / feedback.BLZ / "ausgang").iterdir())
    lines = written.read_bytes().splitlines()
    peer = (bench_world.folder / "peer.csv").read_bytes().splitlines()
    assert (len(lines), len(peer)) == (403, 400)
    assert {line.split(b";")[1] for line in lines[2:-1]} == {line.split(b";")[1] for line in peer}
    with bench_world.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM reku.feedback_rows"))
    with pytest.raises(SetupError, match="nothing to be held against"):
        feedback.copied(bench_world, 400)
    with bench_world.engine.begin() as connection:
        connection.execute(sa.text("UPDATE reku.orders SET wanted_events = '{OPENED}'"))
    with pytest.raises(SetupError, match="nothing was measured"):
        feedback.figures(bench_world, 400, rounds=1)
    assert whole.pop("ratio") > 0
    assert whole == {
        "stage": "feedback",
        "what": "response file: assigned, written, recorded",
        "against": "psql \\copy of the same rows",
        "at_least": 0.3,
        "rounds": 1,
        "rows": 400,
    }
    assert [part["at_least"] for part in parts] == [None, None, None]
    assert dict(os.environ) == before
