"""Commands join the set-up that runs in the checkout, and share the demo's clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.runtime.home import Home
from reku.runtime.postgres import Postgres
from reku.store.migrate import migrate
from reku_testing import world
from reku_testing.throwaway import delete

REKU = Path(sys.executable).with_name("reku")


@pytest.fixture
def set_up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    """The running database of a set-up, with one order that ends in 2030."""
    here = Home(tmp_path / request.param)
    here.make()
    server = Postgres(here.database, durable=False)
    try:
        server.start()
        server.create_database("reku")
        engine = sa.create_engine(server.url("reku"))
        migrate(engine)
        world.order(engine, valid_until=date(2030, 1, 1))
        engine.dispose()
        yield here
    finally:
        delete(server)


@pytest.mark.processes
@pytest.mark.parametrize(
    ("set_up", "home", "state"),
    [("var", "var", "active"), ("var/demo", "var", "ended")],
    indirect=["set_up"],
    ids=["reku up", "make demo"],
)
def test_the_running_set_up_is_joined(set_up: Home, tmp_path: Path, home: str, state: str) -> None:
    clock.move(set_up.path / "clock.json", datetime(2031, 1, 1, tzinfo=UTC))  # only the demo lives by it
    done = subprocess.run(
        [REKU, "orders", "--json"],
        env=os.environ | {"REKU_HOME": str(tmp_path / home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["order"], row["state"]) for row in json.loads(done.stdout)] == [(world.ORDER, state)]
