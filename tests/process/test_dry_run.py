"""A day tried out: what it says comes true, and it leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.process.dry_run import dry_run
from reku.process.run_options import RunOptions
from reku.store.never_committed import never_committed
from reku.store.tables import audit, deliveries, messages, metadata
from reku_testing import smtp
from reku_testing.bank_files import BANK, OCCASION, deliver, order, people
from reku_testing.by_blz import take_in_all
from tests.process.conftest import NOON, Move, Work

TODAY = date(2026, 11, 24)


def _everything(engine: sa.Engine) -> dict[str, Any]:
    """All rows of all tables, and all files of the banks."""
    with engine.connect() as connection:
        rows = {table.name: sorted(map(repr, connection.execute(sa.select(table)))) for table in metadata.sorted_tables}
    folders = (settings().files_url, str(settings().reports_dir))
    return rows | {
        str(file): file.read_bytes() for folder in folders for file in sorted(Path(folder).rglob("*")) if file.is_file()
    }


@pytest.fixture
def delivered(database: sa.Engine, relay: smtp.Sink, clock_at: Move) -> sa.Engine:
    """People of one order: one row broken, one without consent, one whose birthday is over, one for later."""
    clock_at(NOON)
    order()
    rows = people(30)
    rows[0] |= {"EMail": "keine Adresse"}
    rows[1] |= {"Einwilligung_EMail": "N"}
    rows[2] |= {"Anlass_Datum": "10.11.2026"}
    rows[3] |= {"Anlass_Datum": "26.11.2026"}
    deliver(1, rows)
    take_in_all(database)
    return database


def test_what_it_says_comes_true_and_nothing_is_left_of_it(delivered: sa.Engine, relay: smtp.Sink, work: Work) -> None:
    before = _everything(delivered)
    (line,) = dry_run(delivered, OCCASION, TODAY)
    assert _everything(delivered) == before
    assert relay.recipients == []
    said = {"rows": line.rows, "rejected": line.rejected, "send": line.send, "later": line.later} | line.withheld
    assert work().is_green
    with delivered.connect() as connection:
        row = connection.execute(sa.select(deliveries)).one()
        states = Counter(connection.scalars(sa.select(messages.c.state)))
        reasons = Counter(connection.scalars(sa.select(messages.c.reason).where(messages.c.state == "WITHHELD")))
    assert said == {
        **{"rows": row.rows, "rejected": row.rejected, "send": states["SENT"], "later": states["OPEN"]},
        **reasons,
    }
    assert said["send"] == len(relay.recipients) > 20
    assert reasons == {"KEINE_EINWILLIGUNG": 1, "ABGELAUFEN": 1}


def test_done_once_more_it_says_what_is_left(delivered: sa.Engine, work: Work) -> None:
    assert work().is_green
    assert dry_run(delivered, OCCASION, TODAY) == [], "nothing of it is due today"


def test_it_says_what_would_stop_it(delivered: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stop_switches.throw(delivered, institute=BANK, order=None, actor="root", note="wrong price")
    (line,) = dry_run(delivered, OCCASION, TODAY, options=RunOptions(late=True))
    assert line.withheld == {"KEINE_EINWILLIGUNG": 1}
    assert "(stop 1)" in line.notes[0]
    assert str(line).startswith("Sparkasse Musterstadt · Geburtstag_rund · 000001: 30 rows, ")
    assert dry_run(delivered, OCCASION, TODAY, options=RunOptions(banks=("99990002",))) == []
    with pytest.raises(StageError, match="has not come yet"):
        dry_run(delivered, OCCASION, date(2026, 11, 25))


def test_nothing_is_ever_committed(database: sa.Engine) -> None:
    with never_committed(database) as trying:
        with trying.begin() as connection:
            world_made = connection.execute(sa.insert(audit).values(_ENTRY).returning(audit.c.id)).scalar_one()
        with pytest.raises(sa.exc.IntegrityError), trying.begin() as connection:
            connection.execute(sa.insert(audit).values(_ENTRY | {"actor": None}))
        with trying.connect() as connection:
            assert connection.scalars(sa.select(audit.c.id)).all() == [world_made], "seen by what comes after it"
    with database.connect() as connection:
        assert connection.scalars(sa.select(audit.c.id)).all() == []


_ENTRY = {"institute": BANK, "at": NOON, "actor": "a", "action": "b", "subject": "c", "note": "d"}
