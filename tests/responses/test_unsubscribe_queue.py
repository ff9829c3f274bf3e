"""Unsubscribes that come together share a transaction, and each is answered only after its commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from reku.foundation.settings import settings
from reku.responses import unsubscribe_queue
from reku.responses.unsubscribe import UnsubscribeWay, Wish, unsubscribe
from reku.responses.unsubscribe_queue import UnsubscribeQueue
from reku.store.tables import messages, past_messages, responses, suppressions
from reku_testing import world

pytestmark = pytest.mark.usefixtures("bank")


@pytest.fixture
def thread(bank: Any) -> Iterator[UnsubscribeQueue]:
    thread = UnsubscribeQueue()
    yield thread
    thread.close()


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_what_gathers_while_one_commits_shares_the_next_transaction(
    sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    first_is_at_work, go_on = threading.Event(), threading.Event()

    def watched(engine: sa.Engine, wishes: list[Wish]) -> list[str | None]:
        sizes.append(len(wishes))
        first_is_at_work.set()
        assert go_on.wait(30)
        return unsubscribe(engine, wishes)

    monkeypatch.setattr(unsubscribe_queue, "unsubscribe", watched)
    messages = [sent(number) for number in range(1, 11)]
    thread = UnsubscribeQueue()
    asked = [thread.ask(Wish(messages[0], UnsubscribeWay.LINK))]
    assert first_is_at_work.wait(30)
    asked += [thread.ask(Wish(message, UnsubscribeWay.ONE_CLICK)) for message in (*messages[1:], messages[1], 4711)]
    assert not any(future.done() for future in asked), "nobody is answered before the commit"
    go_on.set()
    wait(asked, 30)
    thread.close()
    assert sizes == [1, 11]
    assert [future.result() for future in asked] == [world.BLZ] * 11 + [None]
    assert count(database, suppressions) == count(database, responses) == 10


def test_each_is_committed_when_it_is_answered(thread: UnsubscribeQueue, sent: Any, database: sa.Engine) -> None:
    for number in range(1, 6):
        assert thread.ask(Wish(sent(number), UnsubscribeWay.LINK)).result(30) == world.BLZ
        assert count(database, suppressions) == number


def test_who_asks_while_the_database_is_away_is_told_and_the_next_is_served(
    thread: UnsubscribeQueue, sent: Any, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = sent()
    with monkeypatch.context() as away:
        away.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
        settings.cache_clear()
        with pytest.raises(DBAPIError):
            thread.ask(Wish(message, UnsubscribeWay.LINK)).result(30)
    settings.cache_clear()
    assert thread.ask(Wish(message, UnsubscribeWay.LINK)).result(30) == world.BLZ
    assert count(database, suppressions) == 1


def test_closing_finishes_what_was_asked(sent: Any, database: sa.Engine) -> None:
    messages = [sent(number) for number in range(1, 31)]
    thread = UnsubscribeQueue()
    asked = [thread.ask(Wish(message, UnsubscribeWay.LINK)) for message in messages]
    thread.close()
    assert all(future.done() for future in asked)
    assert count(database, suppressions) == 30


def test_two_trackers_that_bar_the_same_people_at_once(sent: Any, database: sa.Engine) -> None:
    """In opposite orders: without one order of their own they would wait for one another for ever."""
    messages = [sent(number) for number in range(1, 101)]
    threads = [UnsubscribeQueue() for _ in range(4)]
    asked = []
    for turn in range(5):
        for thread, order in zip(threads, (messages, messages[::-1]) * 2, strict=True):
            asked += [thread.ask(Wish(message, UnsubscribeWay.LINK)) for message in order[turn::5]]
    wait(asked, 60)
    for thread in threads:
        thread.close()
    assert {future.result() for future in asked} == {world.BLZ}
    assert count(database, suppressions) == count(database, responses) == 100


def test_one_that_cannot_be_done_spoils_no_other(sent: Any, database: sa.Engine) -> None:
    """Somebody is being erased, which takes its time: the others are not kept waiting for that."""
    mails = [sent(number) for number in range(1, 6)]
    thread = UnsubscribeQueue()
    with database.begin() as erasing:
        erasing.execute(sa.select(messages.c.id).where(messages.c.id == mails[2]).with_for_update())
        asked = [thread.ask(Wish(mail, UnsubscribeWay.LINK)) for mail in mails]
        wait(asked, 60)
    thread.close()
    assert [future.exception() is None for future in asked] == [True, True, False, True, True]
    assert count(database, suppressions) == 4
    assert unsubscribe(database, [Wish(mails[2], UnsubscribeWay.LINK)]) == [world.BLZ]


def test_a_message_that_leaves_meanwhile_by_retention_is_found_where_it_has_gone(
    thread: UnsubscribeQueue, sent: Any, database: sa.Engine
) -> None:
    message = sent()
    its = messages.c.id == message
    kept = [messages.c[column.name] for column in past_messages.columns]
    with database.begin() as retention:
        retention.execute(sa.select(messages.c.id).where(its).with_for_update())
        asked = thread.ask(Wish(message, UnsubscribeWay.LINK))
        retention.execute(sa.insert(past_messages).from_select(kept, sa.select(*kept).where(its)))
        retention.execute(sa.delete(messages).where(its))
    assert asked.result(30) == world.BLZ
    assert (count(database, suppressions), count(database, responses)) == (1, 0)
