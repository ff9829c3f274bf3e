"""A closed delivery sends nothing any more, the core system is told, and what was sent stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.lock import delivery_lock
from reku.foundation.errors import StageError
from reku.process.cancel import cancel
from reku.store.states import MessageState
from reku.store.tables import audit, messages
from reku_testing import dispatching
from reku_testing.dispatching import events, loaded, people, states
from reku_testing.steps import allow_any_step


@pytest.fixture
def delivery(
    database: sa.Engine, clock_at: Callable[[datetime], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> int:
    """A loaded delivery of five, one of them sent already."""
    clock_at(dispatching.NINE)
    dispatching.configure(tmp_path, monkeypatch)
    new = loaded(database, people(5))
    with database.begin() as connection:
        first = connection.scalar(sa.select(sa.func.min(messages.c.id)))
        allow_any_step(connection)
        connection.execute(sa.update(messages).where(messages.c.id == first).values(state=MessageState.SENT))
    return new


def test_what_has_not_gone_out_never_will(database: sa.Engine, delivery: int) -> None:
    assert cancel(database, delivery, actor="anna", note="wrong prices") == 4
    assert states(database) == {"SENT": 1, "WITHHELD": 4}
    assert events(database) == {("NOT_SENT", "GESTOPPT"): 4}
    with database.connect() as connection:
        entry = connection.execute(sa.select(audit)).one()
        kept = connection.scalars(sa.select(messages.c.reasons).where(messages.c.state == MessageState.WITHHELD)).all()
    assert (entry.action, entry.subject, entry.actor) == ("close", f"deliveries:{delivery}", "anna")
    assert kept == [["GESTOPPT"]] * 4
    assert cancel(database, delivery, actor="anna", note="again") == 0


def test_a_running_dispatch_has_to_be_stopped_first(database: sa.Engine, delivery: int) -> None:
    with delivery_lock(database, delivery), pytest.raises(StageError, match="reku stop order"):
        cancel(database, delivery, actor="anna", note="wrong prices")
    assert states(database) == {"SENT": 1, "OPEN": 4}


def test_an_unknown_delivery(database: sa.Engine) -> None:
    with pytest.raises(StageError, match="no delivery 7"):
        cancel(database, 7, actor="anna", note="?")
