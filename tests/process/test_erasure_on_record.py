"""However the mails of people whom we selected end: their rows leave with them, and the audit counts it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from reku.dispatch import doubt
from reku.dispatch.ledger import withhold_ended
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.privacy.old_rows import unused_keys
from reku.process.cancel import cancel
from reku.process.decline import decline
from reku.process.refuse import refuse
from reku.process.stages import STAGES
from reku.store import tables
from reku.store.kinds import SealedKind
from reku.store.states import MessageState
from reku_testing.steps import allow_any_step
from tests.process.test_contact_of_selected import LOADED, Move
from tests.process.test_selection_chain import BORN, TODAY, Work, bank, deliver, failed, rows, work
from tests.sources.agree21.conftest import CoopBank, person

__all__ = ["bank", "work"]  # fixtures

SELECTED, VALIDATED = STAGES[: STAGES.index("validate")], STAGES[: STAGES.index("release")]
End = Callable[[sa.Engine], object]


def is_over(engine: sa.Engine) -> None:
    """The order has ended, and its campaign cannot send any more: `dispatch` withholds what is open."""
    with engine.begin() as connection:
        connection.execute(sa.update(tables.orders).values(ended=True))
    withhold_ended(engine, 1)


def in_doubt(engine: sa.Engine, hours: int = 0) -> None:
    begun = {"state": MessageState.IN_DOUBT, "begun_at": clock.now() - timedelta(hours=hours), "fence": 1}
    with engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(tables.messages).values(begun))


def is_resolved(engine: sa.Engine) -> None:
    in_doubt(engine)
    doubt.resolve_all(engine, "99950001", 1, sent=True, actor="anna", note="asked them")


def is_in_doubt_for_too_long(engine: sa.Engine) -> None:
    in_doubt(engine, hours=37)
    doubt.close_old(engine)


def by_hand(act: Callable[..., object]) -> End:
    return lambda engine: act(engine, 1, actor="anna", note="no")


WAYS: list[tuple[str, tuple[str, ...], End, str, str]] = [
    ("a person closes it", LOADED, by_hand(cancel), "anna", "2 of 2 rows"),
    ("a person declines it", VALIDATED, by_hand(decline), "anna", "2 of 2 rows"),
    ("a person refuses it", VALIDATED, by_hand(refuse), "anna", "2 of 2 rows"),
    ("a person refuses it early", SELECTED, by_hand(refuse), "reku", "2 selected rows"),
    ("its order has ended", LOADED, is_over, "reku", "2 of 2 rows"),
    ("a person resolves its doubts", LOADED, is_resolved, "anna", "2 of 2 rows"),
    ("its doubts are too old", LOADED, is_in_doubt_for_too_long, "reku", "2 of 2 rows"),
]


@pytest.mark.parametrize(("stages", "end", "actor", "told"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
def test_rows_that_leave_are_counted_and_their_key_is_destroyed(
    database: sa.Engine,
    bank: CoopBank,
    work: Work,
    clock_at: Move,
    stages: tuple[str, ...],
    end: End,
    actor: str,
    told: str,
) -> None:
    deliver(bank, person(1, Geburtsdatum=BORN), person(2, Geburtsdatum=BORN))
    assert failed(work(stages=stages)) == []
    clock_at(clock.at(TODAY, 12, 5))
    assert bank.take_in().forgotten == 2
    end(database)
    assert rows(database, tables.delivery_rows) == rows(database, tables.selected_rows) == []
    (live,) = [row["wrapped"] for row in rows(database, tables.data_keys) if row["kind"] == SealedKind.ADDRESS]
    assert live is None, "at once"
    noon, entry = [row for row in rows(database, tables.audit) if row["action"] == "erase rows"]
    assert (noon["subject"], noon["actor"]) == ("person_addresses", "reku")
    assert noon["note"] == "2 rows erased, their time being over; 0 data keys destroyed"
    assert (entry["subject"], entry["actor"]) == ("deliveries:1", actor)
    assert entry["note"].startswith(told)
    assert entry["note"].endswith("erased; 1 data keys destroyed")
    assert unused_keys(database, clock.now(), settings())[0]["data_keys"] == 0, "nothing is left to be found later"
