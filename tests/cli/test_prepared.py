"""`reku agree21 files`: what waits to be fetched, and who has fetched it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.process.systems import FILE_FORMATS
from reku.store.tables import audit
from reku_testing.dispatching import BANK, NINE, states
from tests.cli.conftest import Reku
from tests.pickup.slips import SLIPS
from tests.pickup.test_prepared import prepared


def test_a_prepared_file_is_listed_and_fetched(
    database: sa.Engine,
    reku: Reku,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> None:
    monkeypatch.setitem(FILE_FORMATS, SLIPS.kind, SLIPS)
    clock_at(NINE)
    assert "No prepared files." in reku("agree21", "files", "list").output
    prepared(database)
    (told,) = json.loads(reku("agree21", "files", "list", "--institute", BANK, "--open", "--json").stdout)
    assert (told["id"], told["state"], told["rows"]) == (1, "prepared", 3)
    nobody = reku("agree21", "files", "fetch", BANK, "1", "--who", " ", "--into", tmp_path)
    assert nobody.exit_code == 2
    assert states(database) == {"PREPARED": 3}
    fetched = reku("agree21", "files", "fetch", BANK, "1", "--who", "Erika Beispiel", "--into", tmp_path)
    assert fetched.exit_code == 0, fetched.output
    assert (tmp_path / told["name"]).read_bytes().startswith(b"slips 1 17")
    assert states(database) == {"SENT": 3}
    taken = reku("agree21", "files", "fetch", BANK, "1", "--who", "Erika Beispiel", "--into", tmp_path)
    assert taken.exit_code == 1
    assert "is there already" in taken.output
    with database.connect() as connection:
        assert connection.scalar(sa.select(audit.c.actor)) == "Erika Beispiel"
