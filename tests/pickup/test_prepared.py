"""Prepared files: fixed in one transaction, made the same each time, and what becomes of their messages."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.dispatch.dispatch import dispatch
from reku.dispatch.pending import waits_for
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.pickup.file_channel import FileChannel
from reku.pickup.file_format import PreparedPerson
from reku.pickup.take import TakenFile, acknowledge, fetch
from reku.privacy import prepared_files as housekeeping
from reku.privacy.retention import apply
from reku.store.tables import audit, delivery_rows, messages, prepared_rows
from reku.views.funnel import funnel
from reku.views.history import history
from reku.views.prepared_overview import PreparedFileLine, prepared_files_of
from reku.views.trace import traces
from reku_testing import dispatching
from reku_testing.dispatching import BANK, DAY, NINE, events, loaded, people, states
from reku_testing.steps import allow_any_step
from tests.pickup.slips import CHANNEL, FORMATS, Slips

Move = Callable[[datetime], None]
NAME = re.compile(r"slips_99990001_R0000101_2026112408\d{4}\.txt")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(database: sa.Engine, clock_at: Move) -> None:
    clock_at(NINE)


def prepared(engine: sa.Engine, count: int = 3, first: int = 1, **values: Any) -> int:
    """A delivery of so many people whose slips are prepared."""
    delivery = loaded(engine, people(count, first=first), channel="slips", **values)
    dispatching.set_of(engine, delivery, rows=count, accepted=count, rejected=0)
    assert dispatch(engine, delivery, CHANNEL, day=DAY).prepared == count
    return delivery


def take(engine: sa.Engine, file: int = 1, actor: str = "Erika Beispiel") -> TakenFile:
    return fetch(engine, institutes()[BANK], FORMATS, file, actor=actor)


def line(engine: sa.Engine) -> PreparedFileLine:
    (only,) = prepared_files_of(engine, BANK)
    return only


def name(engine: sa.Engine) -> str:
    """Of the only file."""
    assert NAME.fullmatch(line(engine).name)
    return line(engine).name


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def adds_up(engine: sa.Engine) -> bool:
    return all(row.adds_up for row in funnel(engine))


def test_it_waits_until_somebody_takes_it(database: sa.Engine) -> None:
    delivery = prepared(database)
    assert states(database) == {"PREPARED": 3}
    assert events(database) == {}
    told = line(database)
    assert (told.kind, told.number, told.order, told.delivery_number) == ("LETTER", 1, "R0000101", 17)
    assert (told.state, told.rows, told.last_day, told.fetchable) == ("prepared", 3, date(2026, 12, 31), True)
    assert (told.fetched_at, told.acknowledged_at, told.left_out) == (None, None, 0)
    assert funnel(database)[0].as_dict()["prepared"] == 3
    assert waits_for(database, 1) == f"{name(database)} (file 1) to be fetched or acknowledged, until 31.12.2026"
    (trace,) = traces(database, "R0000101-000017-00001-17")
    assert [(step.what, step.detail) for step in history(trace)][-1] == ("prepared", name(database))
    # And nothing is prepared a second time.
    assert dispatch(database, delivery, CHANNEL, day=DAY).as_counts().items() >= {("prepared", 0), ("sent", 0)}
    assert len(prepared_files_of(database)) == 1


def test_whoever_fetches_it_sends_it_and_it_comes_out_the_same(database: sa.Engine, clock_at: Move) -> None:
    prepared(database)
    first = take(database)
    assert (first.first, list(first.files)) == (True, [name(database), f"{name(database)}.ok"])
    text = first.files[name(database)].decode().splitlines()
    assert text[0] == "slips 1 17 24.11.2026"
    assert text[1].split() == [
        "1", "0000000001", "R0000101-000017-00001-17", "Beispiel-Müßig", "person1@kunde.example", "SCOM_GEBURTSTAG"
    ]  # fmt: skip
    assert first.files[f"{name(database)}.ok"] == b"3"
    assert states(database) == {"SENT": 3}
    assert events(database) == {("SENT", ""): 3}
    clock_at(NINE + 35 * HOUR)
    apply(database, NINE + 35 * HOUR)
    again = take(database, actor="Max Muster")
    assert (again.first, again.files) == (False, first.files)
    assert events(database) == {("SENT", ""): 3}
    assert line(database).state == "fetched"
    fetched_at = line(database).fetched_at
    assert fetched_at
    assert fetched_at - NINE < HOUR
    with database.connect() as connection:
        kept = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.subject, audit.c.note)).all()
    assert [tuple(row) for row in kept] == [
        (actor, "fetch file", "prepared_files:1", name(database)) for actor in ("Erika Beispiel", "Max Muster")
    ]


def test_36_hours_after_the_first_fetch_it_is_gone(database: sa.Engine, clock_at: Move) -> None:
    prepared(database)
    take(database)
    clock_at(NINE + 37 * HOUR)
    apply(database, NINE + 37 * HOUR)
    assert (count(database, prepared_rows), count(database, delivery_rows)) == (0, 0)
    assert states(database) == {"SENT": 3}
    with pytest.raises(StageError, match=r"was fetched on 24\.11\.2026 09:3., and what it was made of is erased"):
        take(database)
    assert not line(database).fetchable


def test_what_nobody_took_until_its_last_day_was_not_delivered(database: sa.Engine, clock_at: Move) -> None:
    prepared(database, last_day=DAY)
    for moment, expected in ((NINE + 14 * HOUR, "PREPARED"), (NINE + 24 * HOUR, "UNDELIVERED")):
        clock_at(moment)
        housekeeping.expired(database, moment, settings())
        assert states(database) == {expected: 3}
    assert events(database) == {("NOT_SENT", "NICHT_ABGEHOLT"): 3}
    assert adds_up(database)
    assert line(database).state == "expired"
    assert count(database, prepared_rows) == 0
    with pytest.raises(StageError, match=r"was to be fetched until 24\.11\.2026; now it would come too late"):
        take(database)
    with pytest.raises(StageError, match="has expired"):
        acknowledge(database, BANK, name(database))
    assert states(database) == {"UNDELIVERED": 3}


def test_its_last_day_is_the_earliest_of_its_people(database: sa.Engine) -> None:
    delivery = loaded(database, people(3), channel="slips")
    with database.begin() as connection:
        connection.execute(sa.update(messages).where(messages.c.id == 2).values(last_day=DAY + timedelta(days=2)))
    dispatch(database, delivery, CHANNEL, day=DAY)
    assert line(database).last_day == DAY + timedelta(days=2)


def test_an_acknowledgement_sends_it_once(database: sa.Engine) -> None:
    prepared(database)
    assert acknowledge(database, BANK, name(database))
    assert not acknowledge(database, BANK, name(database))
    assert (states(database), events(database)) == ({"SENT": 3}, {("SENT", ""): 3})
    assert line(database).state == "acknowledged"
    assert count(database, prepared_rows) == 0
    with pytest.raises(StageError, match=r"was acknowledged on 24\.11\.2026 09:3."):
        take(database)


@pytest.mark.parametrize(
    "act", [lambda engine: take(engine, 99), lambda engine: acknowledge(engine, BANK, "slips_never.txt")]
)
def test_a_file_that_never_was(database: sa.Engine, act: Callable[[sa.Engine], Any]) -> None:
    prepared(database)
    with pytest.raises(StageError, match="has no prepared file"):
        act(database)
    with pytest.raises(StageError, match="has no prepared file"):
        fetch(database, institutes()["99990002"], FORMATS, 1, actor="Max Muster")  # another bank's
    assert states(database) == {"PREPARED": 3}


def test_it_blocks_and_is_unique_like_one_that_was_sent(database: sa.Engine) -> None:
    prepared(database)
    second = loaded(database, people(3), channel="slips", number=18)
    dispatch(database, second, CHANNEL, day=DAY)
    assert states(database, second) == {"WITHHELD": 3}
    assert events(database) == {("NOT_SENT", "DUBLETTE"): 3}
    with database.connect() as connection:
        allow_any_step(connection)
        again = sa.update(messages).where(messages.c.id == 4).values(state="PREPARED")
        with pytest.raises(sa.exc.IntegrityError, match="uq_messages_one_per"):
            connection.execute(again)


def test_with_nobody_to_put_into_it_there_is_none(database: sa.Engine) -> None:
    delivery = loaded(database, people(3), channel="slips", consent=False)
    assert dispatch(database, delivery, CHANNEL, day=DAY).withheld == 3
    assert prepared_files_of(database) == []


def test_whom_the_tables_have_lost_is_left_out_and_accounted_for(database: sa.Engine) -> None:
    prepared(database)
    with database.begin() as connection:
        connection.execute(sa.delete(delivery_rows).where(delivery_rows.c.id == 2))
    first = take(database)
    assert first.files[f"{name(database)}.ok"] == b"2"
    assert states(database) == {"SENT": 2, "WITHHELD": 1}
    assert events(database) == {("SENT", ""): 2, ("NOT_SENT", "BESTAND"): 1}
    assert line(database).left_out == 1
    assert take(database).files == first.files
    with database.begin() as connection:
        connection.execute(sa.delete(prepared_rows).where(prepared_rows.c.position == 1))
    with pytest.raises(StageError, match="would not come out as it was made first"):
        take(database)


@dataclass(frozen=True)
class Picky(Slips):
    """Slips that do not reach those of `unreachable`, by their positions."""

    unreachable: tuple[int, ...] = ()

    def faults(self, bank: Any, people: Iterable[PreparedPerson]) -> dict[int, str]:  # noqa: ARG002 - see FileFormat
        return {one.position: "No slip fits." for one in people if one.position in self.unreachable}


def picky(*unreachable: int) -> FileChannel:
    return FileChannel("slips", Picky(unreachable=unreachable), CHANNEL.barred_by)


def test_whom_the_file_cannot_reach_never_stands_in_it_and_never_counts_as_sent(database: sa.Engine) -> None:
    delivery = loaded(database, people(3), channel="slips")
    dispatching.set_of(database, delivery, rows=3, accepted=3, rejected=0)
    done = dispatch(database, delivery, picky(2), day=DAY)
    assert (done.prepared, done.withheld) == (2, 1)
    assert (line(database).rows, line(database).left_out) == (2, 0)
    assert events(database) == {("NOT_SENT", "ADRESSE_UNGUELTIG"): 1}
    (trace,) = traces(database, "R0000101-000017-00002-17")
    last = history(trace)[-2:]
    assert [(step.what, step.detail) for step in last if step.what == "withheld"] == [
        ("withheld", "ADRESSE_UNGUELTIG: No slip fits.")
    ]
    # What is found out only when it is made, such as by a changed medium, is told as well.
    formats = {Slips().kind: Picky(unreachable=(3,))}
    taken = fetch(database, institutes()[BANK], formats, 1, actor="Max Muster")
    assert taken.files[f"{name(database)}.ok"] == b"1"
    assert states(database) == {"SENT": 1, "WITHHELD": 2}
    assert events(database) == {("SENT", ""): 1, ("NOT_SENT", "ADRESSE_UNGUELTIG"): 2}
    assert line(database).left_out == 1
    assert adds_up(database)


def test_a_file_that_reaches_nobody_is_none(database: sa.Engine) -> None:
    delivery = loaded(database, people(2), channel="slips")
    dispatching.set_of(database, delivery, rows=2, accepted=2, rejected=0)
    assert dispatch(database, delivery, picky(1, 2), day=DAY).withheld == 2
    assert (prepared_files_of(database), count(database, prepared_rows)) == ([], 0)
    # And one in which nobody is left when it is made is over, and says so.
    prepared(database, count=2, number=18, first=10)
    formats = {Slips().kind: Picky(unreachable=(1, 2))}
    for _ in range(2):
        with pytest.raises(StageError, match="nobody is left in it"):
            fetch(database, institutes()[BANK], formats, line(database).id, actor="Max Muster")
    assert (line(database).state, line(database).left_out) == ("expired", 2)
    assert states(database) == {"WITHHELD": 4}
    assert (count(database, prepared_rows), count(database, audit)) == (0, 0)
    assert adds_up(database)


def test_a_medium_that_was_changed_is_told(database: sa.Engine) -> None:
    prepared(database)
    take(database)
    changed = {Slips().kind: Slips(heading="other slips")}
    with pytest.raises(StageError, match="a medium, the bank's file or a contract was changed since"):
        fetch(database, institutes()[BANK], changed, 1, actor="Max Muster")


def test_one_that_cannot_be_made_changes_nothing(database: sa.Engine) -> None:
    class Broken(Slips):
        def file_name(self, stamp: Any) -> str:
            return Slips.file_name(self, stamp)

        def files(self, *_: Any) -> Any:
            raise StageError("no paper")

    prepared(database)
    with pytest.raises(StageError, match="no paper"):
        fetch(database, institutes()[BANK], {Slips().kind: Broken()}, 1, actor="Max Muster")
    assert states(database) == {"PREPARED": 3}
    assert (line(database).state, count(database, audit)) == ("prepared", 0)


def test_two_who_fetch_at_once_get_the_same_and_it_is_sent_once(database: sa.Engine) -> None:
    prepared(database)
    got: list[TakenFile] = []
    both = [threading.Thread(target=lambda: got.append(take(database))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(one.first for one in got) == [False, True]
    assert got[0].files == got[1].files
    assert events(database) == {("SENT", ""): 3}


def test_two_files_of_one_second_differ_in_their_names(database: sa.Engine) -> None:
    prepared(database)
    second = loaded(database, people(2, first=10), channel="slips", number=18)
    dispatch(database, second, CHANNEL, day=DAY)
    assert len({one.name for one in prepared_files_of(database)}) == 2
    assert [one.number for one in prepared_files_of(database)] == [2, 1]


def test_the_media_are_checked_before_anybody_is_put_into_a_file(database: sa.Engine) -> None:
    class Faulty(Slips):
        def check_media(self, plan: Any) -> None:  # noqa: ARG002 - faulty for all
            raise StageError("no letter.typ")

    delivery = loaded(database, people(1), channel="slips")
    with pytest.raises(StageError, match="no letter"):
        dispatch(database, delivery, type(CHANNEL)("slips", Faulty(), CHANNEL.barred_by), day=DAY)
    assert states(database) == {"OPEN": 1}


def test_it_stays_when_its_maker_dies_before_the_commit(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: either all of it, or nothing."""
    delivery = loaded(database, people(3), channel="slips")

    def dies(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reku.pickup.prepare.copy_rows", dies)
        with pytest.raises(KeyboardInterrupt):
            dispatch(database, delivery, CHANNEL, day=DAY)
    assert (states(database), prepared_files_of(database)) == ({"OPEN": 3}, [])
    assert dispatch(database, delivery, CHANNEL, day=DAY).prepared == 3
    assert dispatching.claimed(database) == 0
