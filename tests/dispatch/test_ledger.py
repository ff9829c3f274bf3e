"""Claims and records: no two dispatchers ever hold the same row, and what was answered counts, however late."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.channels.email.channel import EMAIL
from reku.contact.decide import barred_among
from reku.contact.policy import policy_of
from reku.dispatch import claim as claim_module
from reku.dispatch import ledger
from reku.dispatch.claim import Batch, claim
from reku.dispatch.doubt import resolve
from reku.dispatch.journal import Ended
from reku.dispatch.ledger import Due
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.store.states import MessageState
from reku.store.tables import claims, delivery_rows, messages, suppressions
from reku_testing.dispatching import BANK, DAY, NINE, claimed, events, loaded, people, plan, states

LEASE = timedelta(minutes=5)
pytestmark = pytest.mark.usefixtures("sink")


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    return tmp_path / "journals"


def _claim(engine: sa.Engine, delivery: int, journals: Path, limit: int = 5, day: date = DAY) -> Batch | None:
    return claim(engine, plan(engine, delivery), EMAIL, Due(delivery, day), limit=limit, journals=journals, lease=LEASE)


def _taken(engine: sa.Engine, delivery: int, journals: Path, limit: int = 5) -> Batch:
    batch = _claim(engine, delivery, journals, limit)
    assert batch is not None
    batch.journal.close()
    return batch


def _ids(batch: Batch) -> list[int]:
    return [message.id for _, message in batch.messages]


def _ended(id_: int, state: str, **more: object) -> Ended:
    return Ended(id_, state, NINE, NINE)._replace(**more)


def _doubt(engine: sa.Engine, batch: Batch) -> None:
    """What recovery does without a journal."""
    with engine.begin() as connection:
        connection.execute(sa.update(messages).where(messages.c.fence == batch.fence).values(state="IN_DOUBT"))
        ledger.close_batches(connection, 1, [batch.fence])


def test_a_mail_is_filled_from_all_fields_of_its_row(database: sa.Engine, journals: Path) -> None:
    (fields,) = people(1)
    batch = _taken(database, loaded(database, [fields]), journals)
    ((_, message),) = batch.messages
    assert message.fields == {name: value for name, value in fields.items() if name != "Referenz"}


def test_several_at_once_never_claim_the_same(database: sa.Engine, journals: Path) -> None:
    delivery = loaded(database, people(100))

    def all_there_are(_: int) -> list[Batch]:
        batches = []
        while (batch := _claim(database, delivery, journals, 7)) is not None:
            batch.journal.close()
            batches.append(batch)
        return batches

    with ThreadPoolExecutor(4) as pool:
        batches = [batch for several in pool.map(all_there_are, range(4)) for batch in several]
    assert Counter(id_ for batch in batches for id_ in _ids(batch)).most_common(1)[0][1] == 1
    assert sum(len(batch.messages) for batch in batches) == 100
    assert len({batch.fence for batch in batches}) == len(batches)
    assert states(database) == {"CLAIMED": 100}
    assert claimed(database) == len(batches)


def test_a_person_in_two_deliveries_is_claimed_once_though_both_are_at_it(database: sa.Engine, journals: Path) -> None:
    both = [loaded(database, people(40), number=17), loaded(database, people(40)[::-1], number=18)]

    def all_there_are(delivery: int) -> None:
        while (batch := _claim(database, delivery, journals, 3)) is not None:
            batch.journal.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(all_there_are, both))
    assert states(database) == {"CLAIMED": 40, "WITHHELD": 40}
    assert events(database) == {("NOT_SENT", "DUBLETTE"): 40}
    with database.connect() as connection:
        mine = sa.select(messages.c.person_number).where(messages.c.state == MessageState.CLAIMED)
        assert len(set(connection.scalars(mine))) == 40


def test_a_dispatcher_that_freezes_in_its_claim_holds_up_its_order_for_a_lease_only(
    database: sa.Engine, journals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = loaded(database, people(2), number=17), loaded(database, people(2, first=10), number=18)
    frozen, awake = threading.Event(), threading.Event()
    decide = claim_module.reasons

    def freeze(*given: Any) -> Any:
        if not frozen.is_set():
            frozen.set()
            awake.wait()
        return decide(*given)

    def take(delivery: int) -> Batch | None:
        due, lease = Due(delivery, DAY), timedelta(seconds=1)
        return claim(database, plan(database, delivery), EMAIL, due, limit=5, journals=journals, lease=lease)

    monkeypatch.setattr(claim_module, "reasons", freeze)
    with ThreadPoolExecutor(2) as pool:
        stuck = pool.submit(take, first)
        try:
            assert frozen.wait(60)
            batch = pool.submit(take, second).result(timeout=60)
        finally:
            awake.set()
        with pytest.raises(sa.exc.DBAPIError):
            stuck.result(timeout=60)
    assert batch is not None
    batch.journal.close()
    assert states(database) == {"OPEN": 2, "CLAIMED": 2}


def test_a_claim_takes_what_is_due_and_was_not_put_off(
    database: sa.Engine, journals: Path, clock_at: Callable[[datetime], None]
) -> None:
    delivery = loaded(database, people(6))
    first, second, third, *rest = _all(database)
    with database.begin() as connection:
        for id_, values in (
            (first, {"due_at": datetime(2026, 11, 25, 8, tzinfo=UTC)}),
            (second, {"retry_at": clock.now() + timedelta(minutes=1)}),
            (third, {"consent": False}),
        ):
            connection.execute(sa.update(messages).where(messages.c.id == id_).values(**values))
    batch = _taken(database, delivery, journals, 10)
    assert (_ids(batch), batch.withheld) == (rest, 1)
    assert _claim(database, delivery, journals) is None
    assert ledger.count_due(database, Due(delivery, DAY)) == 1
    assert ledger.next_try(database, Due(delivery, DAY)) == pytest.approx(
        timedelta(minutes=1), abs=timedelta(seconds=9)
    )
    clock_at(clock.now() + timedelta(minutes=2))
    assert ledger.next_try(database, Due(delivery, DAY)) < timedelta(seconds=1)
    assert _ids(_taken(database, delivery, journals)) == [second]
    assert ledger.next_try(database, Due(delivery, DAY)) is None
    tomorrow = DAY + timedelta(days=1)
    assert ledger.count_due(database, Due(delivery, tomorrow)) == 1
    assert ledger.count_due(database, Due(delivery, tomorrow, only=tomorrow)) == 1
    assert ledger.count_due(database, Due(delivery, tomorrow, only=DAY)) == 0


def test_a_claim_whose_rows_have_lost_their_data_says_so_and_holds_nothing(database: sa.Engine, journals: Path) -> None:
    delivery = loaded(database, people(3))
    with database.begin() as connection:
        connection.execute(sa.update(messages).values(row_id=None))
        connection.execute(sa.delete(delivery_rows))
    with pytest.raises(StageError, match="retention"):
        _claim(database, delivery, journals)
    assert (states(database), claimed(database)) == ({"OPEN": 3}, 0)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"state": "SENT", "event": "SENT"}, "SENT"),
        ({"state": "REJECTED", "event": "BOUNCED_HARD", "reason": "5.1.1"}, "REJECTED"),
        ({"state": "OPEN", "retry_at": NINE}, "OPEN"),
        ({"state": "IN_DOUBT"}, "IN_DOUBT"),
    ],
)
def test_the_claimers_late_answer_beats_a_doubt(
    database: sa.Engine, journals: Path, answer: dict[str, Any], state: str
) -> None:
    delivery = loaded(database, people(1))
    batch = _taken(database, delivery, journals)
    _doubt(database, batch)
    (id_,) = _ids(batch)
    ended = [(batch.fence, _ended(id_, **answer))]
    for _ in range(2):  # recorded twice, it counts once
        ledger.record_batches(database, delivery, ended, finished={batch.fence: []})
    assert states(database) == {state: 1}
    assert sum(events(database).values()) == ("event" in answer)


def test_who_has_lost_a_batch_changes_nothing_of_it_any_more(database: sa.Engine, journals: Path) -> None:
    """It was thought lost, its message in doubt was opened again by the policy, and another one has it in hand."""
    delivery = loaded(database, people(2))
    lost = _taken(database, delivery, journals)
    first, second = _ids(lost)
    _doubt(database, lost)
    with database.begin() as connection:
        connection.execute(sa.update(messages).values(state="OPEN", fence=None))
    now = _taken(database, delivery, journals)
    assert _ids(now) == [first, second]
    _bar(database, second)
    answers = [(lost.fence, _ended(first, "REJECTED", event="BOUNCED_HARD"))]
    ledger.record_batches(
        database, delivery, answers, barred=[(lost.fence, second)], finished={lost.fence: [first, second]}
    )
    assert states(database) == {"CLAIMED": 2}
    assert events(database) == {}
    assert claimed(database) == 1


def test_what_a_person_has_closed_stays_closed(database: sa.Engine, journals: Path) -> None:
    delivery = loaded(database, people(1))
    batch = _taken(database, delivery, journals)
    _doubt(database, batch)
    with database.begin() as connection:
        reference = connection.scalar(sa.update(messages).values(begun_at=NINE).returning(messages.c.reference))
    resolve(database, BANK, reference or "", sent=False, actor="anna", note="")
    ledger.record_batches(database, delivery, [(batch.fence, _ended(_ids(batch)[0], "SENT", event="SENT"))])
    assert states(database) == {"WITHHELD": 1}
    assert events(database) == {("NOT_SENT", "UNGEKLAERT"): 1}


@pytest.mark.parametrize("lifted", [False, True])
def test_who_is_barred_in_a_claim_is_withheld_and_nobody_stays_claimed(
    database: sa.Engine, journals: Path, lifted: bool
) -> None:
    delivery = loaded(database, people(3))
    batch = _taken(database, delivery, journals)
    first, second, third = _ids(batch)
    _bar(database, first)
    with database.begin() as connection:
        assert barred_among(connection, policy_of(BANK), [first, second]) == {first}
        if lifted:
            connection.execute(sa.delete(suppressions))
    answers = [(batch.fence, _ended(second, "SENT", event="SENT"))]
    ledger.record_batches(database, delivery, answers, barred=[(batch.fence, first)], finished={batch.fence: [third]})
    assert states(database) == Counter(SENT=1, OPEN=1) + Counter(["OPEN" if lifted else "WITHHELD"])
    assert claimed(database) == 0


def test_a_lease_is_renewed_until_somebody_has_taken_over(database: sa.Engine, journals: Path) -> None:
    delivery = loaded(database, people(2))
    batches = [_taken(database, delivery, journals, 1) for _ in range(2)]
    fences = [batch.fence for batch in batches]
    with database.begin() as connection:
        connection.execute(sa.update(claims).values(lease_until=sa.func.clock_timestamp()))
        assert ledger.renew_leases(connection, delivery, fences, LEASE)
        left = connection.scalar(sa.select(sa.func.min(claims.c.lease_until) - sa.func.clock_timestamp()))
        assert left == pytest.approx(LEASE, abs=timedelta(minutes=1))
        ledger.close_batches(connection, delivery, fences[:1])
        assert not ledger.renew_leases(connection, delivery, fences, LEASE)


def test_what_was_put_off_ends_with_its_send_window(database: sa.Engine, journals: Path) -> None:
    delivery = loaded(database, people(4))
    batch = _taken(database, delivery, journals)
    tried, rested, sent, untried = _ids(batch)
    later = NINE + timedelta(minutes=1)
    ended = [
        (batch.fence, _ended(tried, "OPEN", retry_at=later)),
        (batch.fence, _ended(rested, "OPEN", begun_at=None, retry_at=later)),
        (batch.fence, _ended(sent, "SENT", event="SENT")),
    ]
    ledger.record_batches(database, delivery, ended, finished={batch.fence: [untried]})
    due = Due(delivery, DAY)
    assert ledger.end_put_off(database, due, NINE) == 0
    assert ledger.end_put_off(database, due, NINE + timedelta(hours=12)) == 1
    assert states(database) == {"OPEN": 2, "SENT": 1, "UNDELIVERED": 1}
    assert events(database) == {("SENT", ""): 1, ("BOUNCED_SOFT", "4.4.7"): 1}


def _all(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(messages.c.id).order_by(messages.c.id)))


def _bar(engine: sa.Engine, id_: int) -> None:
    with engine.begin() as connection:
        row = connection.execute(sa.select(messages).where(messages.c.id == id_)).one()
        connection.execute(
            sa.insert(suppressions).values(
                institute=BANK,
                kind="UNSUBSCRIBED",
                recipient_key=row.recipient_key,
                person_number=row.person_number,
                order_id=row.order_id,
                source="EINKLICK",
                since=NINE,
            )
        )
