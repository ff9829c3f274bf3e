"""A day's work from control file to response file, stage by stage in this process."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.process.answers import Done, Ending, WaitFor, WaitUntil
from reku.process.ownership import OwningRun
from reku.process.run_day import Wait, give_up, run_day
from reku.process.stages import STAGES, stage
from reku.release.report import find_report
from reku.store.tables import deliveries, dispatches, lists, messages
from reku_testing import smtp, world
from reku_testing.bank_files import BANK, OCCASION, ORDER, OTHER, deliver, order, people, reported
from reku_testing.by_blz import take_in_all
from reku_testing.days import jumping
from reku_testing.ports import free_port
from reku_testing.steps import allow_any_step
from tests.process.conftest import NOON, Move, Work

DAWN = datetime(2026, 11, 24, 2, 10, tzinfo=UTC)
"""Shortly after 03:00 in Berlin, when the runs of a day begin."""
TODAY = date(2026, 11, 24)
CHAIN = ["await_delivery", *STAGES]


def test_from_control_file_to_response_file(database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    order()
    deliver(1, [*people(3), world.reku_fields(4, 1, ORDER, Einwilligung_EMail="N")])
    take_in_all(database)
    day = work()
    assert day.is_green
    assert [one.stage for one in day.outcomes] == ["await_control_file", "due_work", *CHAIN, "report"]
    assert sorted(relay.recipients) == [f"person{n}@kunde.example" for n in (1, 2, 3)]
    assert reported() == {("VERS", ""): 3, ("NVER", "KEINE_EINWILLIGUNG"): 1}
    # done once more it sends nothing and reports nothing twice (docs/domain.md, rules 10 and 26)
    assert work().is_green
    assert len(relay.recipients) == 3
    assert sum(reported().values()) == 4


def test_every_stage_passes_at_once_where_its_work_is_done(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    """Clearing any task, at any time, is safe."""
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    assert work().is_green
    for name in STAGES:
        assert isinstance(stage(name)(database, 1, TODAY), Done), name
    assert len(relay.recipients) == 2
    assert sum(reported().values()) == 2


def test_nothing_ordered_is_green(database: sa.Engine, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    day = work()
    assert day.is_green
    assert day.ending("await_control_file") is Ending.SKIPPED
    assert day.ending("due_work") is None


def test_each_waits_for_its_own_time_and_holds_up_no_other(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    """What came in the night is loaded at once and waits for its play-out time; the other bank's is waited for."""
    clock_at(DAWN)
    for bank in (BANK, OTHER):
        order(bank)
    deliver(1, people(2))
    take_in_all(database)
    seen: list[list[type]] = []

    def pause(waits: Sequence[Wait]) -> bool:
        seen.append([type(wait) for wait in waits])
        if len(seen) > 1:
            return jumping(clock_at)(waits)
        with database.connect() as connection:
            assert connection.scalars(sa.select(deliveries.c.state)).all() == ["LOADED"]
        deliver(1, people(1), OTHER)
        take_in_all(database)
        return True

    day = run_day(database, OCCASION, TODAY, owner=OwningRun("tests", "one"), is_alive=lambda _: False, pause=pause)
    assert day.is_green
    assert seen[:2] == [[WaitUntil, WaitFor], [WaitUntil, WaitUntil]]
    assert len(relay.recipients) == 3


def test_what_is_left_waiting_is_told(database: sa.Engine, relay: smtp.Sink, clock_at: Move) -> None:
    clock_at(DAWN)
    order()
    deliver(1, people(2))
    take_in_all(database)
    day = run_day(database, OCCASION, TODAY, owner=OwningRun("tests", "one"), is_alive=lambda _: False, pause=give_up)
    (left,) = day.waiting
    assert (left.stage, left.item) == ("dispatch", 0)
    assert "waiting until 24.11.2026 09:00 Berlin time: play-out time" in left.why
    assert day.ending("report") is None
    assert relay.recipients == []


def test_parked_without_control_file_fails_with_the_advice(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    """Parked, list untouched, one alarm; once the control file is there, everything loads in number order."""
    clock_at(NOON)
    deliver(2, people(2, 2))
    deliver(1, people(2, 1, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    day = work()
    assert day.ending("await_control_file") is Ending.FAILED
    assert "change the order's name once" in day.outcomes[0].why
    assert not day.is_green
    assert relay.recipients == []
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(lists)) == 0
    order()
    take_in_all(database)
    assert work().is_green
    assert len(relay.recipients) == 2  # birthdays of the 25th are not due yet
    clock_at(NOON + timedelta(days=1))
    deliver(3, [])
    take_in_all(database)
    assert work().is_green
    assert len(relay.recipients) == 4
    with database.connect() as connection:
        loaded = connection.scalars(sa.select(deliveries.c.delivery_number).order_by(deliveries.c.loaded_at)).all()
    assert loaded == [1, 2, 3]


def test_a_control_file_that_comes_in_time_lets_the_day_begin(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move
) -> None:
    clock_at(DAWN)
    deliver(1, people(2))
    take_in_all(database)

    def pause(waits: Sequence[Wait]) -> bool:
        if isinstance(waits[0], WaitUntil):
            return jumping(clock_at)(waits)
        order()
        take_in_all(database)
        return True

    day = run_day(database, OCCASION, TODAY, owner=OwningRun("tests", "one"), is_alive=lambda _: False, pause=pause)
    assert day.is_green
    assert len(relay.recipients) == 2


def test_birthdays_delivered_ahead_go_out_on_the_day(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    clock_at(NOON)
    order(rhythm="WOECHENTLICH")
    deliver(1, [world.reku_fields(n, 1, ORDER, Anlass_Datum=f"{23 + n}.11.2026") for n in (1, 2, 3)])
    take_in_all(database)
    for day in (24, 25, 26):
        clock_at(datetime(2026, 11, day, 11, tzinfo=UTC))
        assert work().is_green
        assert len(relay.recipients) == day - 23


def test_one_banks_failure_leaves_the_other_untouched_and_the_next_run_repairs_it(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    clock_at(NOON)
    for bank in (BANK, OTHER):
        order(bank)
        deliver(1, people(2), bank)
    take_in_all(database)
    stop = stop_switches.throw(database, institute=OTHER, order=None, actor="anna", note="wrong subject")
    day = work()
    assert not day.is_green
    assert [day.ending("dispatch", item) for item in (0, 1)] == [Ending.DONE, Ending.FAILED]
    assert [day.ending("export_feedback", item) for item in (0, 1)] == [Ending.DONE, None]
    (told,) = (one.why for one in day.outcomes if one.stage == "report")
    assert "Testbank" not in told
    assert f"{day.items[1].label}: task dispatch failed" in told
    stop_switches.lift(database, stop, actor="anna", note="mended")
    assert work().is_green
    assert Counter(relay.recipients) == {"person1@kunde.example": 2, "person2@kunde.example": 2}  # once for each bank


def test_what_the_server_put_off_is_sent_by_the_same_stage(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits: a wait of any length counts as too long for the dispatcher itself here."""
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    monkeypatch.setattr("reku.dispatch.dispatch.SHORT_WAIT", timedelta())
    refused = iter(["451 4.7.1 greylisted"])
    relay.say = smtp.only("rcpt", lambda address: next(refused, None) if address.startswith("person1@") else None)
    assert work().is_green
    assert sorted(relay.recipients) == ["person1@kunde.example", "person2@kunde.example"]


def test_a_relay_that_is_away_for_an_hour_makes_nobody_s_day_red(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(3))
    take_in_all(database)
    away = smtp.Sink(port=free_port())
    monkeypatch.setenv("REKU_SMTP_PORT", str(away.port))
    settings.cache_clear()
    minutes: list[int] = []
    whys: list[str] = []
    with ExitStack() as running:

        def pause(waits: Sequence[Wait]) -> bool:
            (wait,) = waits
            assert isinstance(wait, WaitUntil)
            minutes.append(round((wait.moment - clock.now()).total_seconds() / 60))
            whys.append(wait.why)
            if len(minutes) == 5:
                running.enter_context(smtp.running(away))
            clock_at(wait.moment)
            return True

        assert work(pause=pause).is_green
    assert minutes == [1, 5, 15, 15, 15]
    assert sorted(away.recipients) == [f"person{n}@kunde.example" for n in (1, 2, 3)]
    for why in whys:
        assert "3 messages have to wait: No session with the relay 127.0.0.1:" in why
        assert "Connection refused" in why
        assert "It is tried again by itself until the send window ends at 20:00" in why
    with database.connect() as connection:
        assert connection.scalars(sa.select(dispatches.c.tries_in_vain)).all() == [0], "the next outage begins anew"


def test_a_relay_that_stays_away_is_red_when_the_window_ends(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_at(datetime(2026, 11, 24, 18, 50, tzinfo=UTC))
    order()
    deliver(1, people(3))
    take_in_all(database)
    monkeypatch.setenv("REKU_SMTP_PORT", str(free_port()))
    settings.cache_clear()
    day = work()
    (why,) = [one.why for one in day.outcomes if one.stage == "dispatch"]
    assert "Everything not handed over is still open" in why
    assert timedelta(minutes=56) < clock.now() - datetime(2026, 11, 24, 18, 0, tzinfo=UTC) < timedelta(minutes=58)
    with database.connect() as connection:
        assert connection.scalars(sa.select(messages.c.state)).all() == ["OPEN"] * 3


def test_expected_delivery_that_does_not_come(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    """It is waited for through the night; the late delivery is taken by the next run."""
    clock_at(NOON)
    order()
    take_in_all(database)
    day = work()
    assert clock.now() == pytest.approx(clock.at(TODAY + timedelta(days=1), 6), abs=timedelta(minutes=5))
    assert day.ending("await_delivery", 0) is Ending.FAILED
    assert not day.is_green
    deliver(1, people(1, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    assert work().is_green
    assert len(relay.recipients) == 1


def test_a_report_that_cannot_be_made_holds_nothing_up(
    database: sa.Engine,
    relay: smtp.Sink,
    clock_at: Move,
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    monkeypatch.setenv("REKU_REPORTS_DIR", str(tmp_path / "taken"))
    settings.cache_clear()
    clock_at(NOON)
    order()
    deliver(1, people(3))
    take_in_all(database)
    assert work().is_green
    assert len(relay.recipients) == 3
    assert find_report(1) is None
    assert "cannot be written to" in caplog.text


def test_empty_delivery_is_green(database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    order()
    deliver(1, [])
    take_in_all(database)
    assert work().is_green
    assert relay.recipients == []


def test_too_many_bad_rows_are_red_and_a_corrected_file_takes_the_place(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    clock_at(NOON)
    order()
    deliver(1, [*people(2), world.reku_fields(3, 1, ORDER, Nachname="")])
    take_in_all(database)
    day = work()
    assert day.ending("validate", 0) is Ending.FAILED
    assert day.ending("release", 0) is None
    assert relay.recipients == []
    clock_at(NOON + timedelta(minutes=1))
    deliver(1, people(3))
    take_in_all(database)
    assert work().is_green
    assert len(relay.recipients) == 3


def test_a_past_days_run_does_that_days_work_and_nothing_else(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work
) -> None:
    """A backfill: what was registered and due on other days stays for their runs."""
    clock_at(NOON)
    order(rhythm="WOECHENTLICH")
    deliver(1, people(2, Anlass_Datum="24.11.2026"))
    take_in_all(database)
    clock_at(NOON + timedelta(days=1))
    deliver(2, people(1, 2, Anlass_Datum="25.11.2026"))
    take_in_all(database)
    assert work(day=TODAY).is_green
    assert len(relay.recipients) == 2
    with database.connect() as connection:
        assert dict(map(tuple, connection.execute(sa.select(deliveries.c.delivery_number, deliveries.c.state)))) == {
            1: "LOADED",
            2: "REGISTERED",
        }
    assert work().is_green
    assert len(relay.recipients) == 3


def test_a_day_that_has_not_come_is_refused(database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(1))
    take_in_all(database)
    with pytest.raises(StageError, match=r"30\.11\.2026 has not come yet"):
        work(day=date(2026, 11, 30))
    assert relay.recipients == []


def test_message_in_doubt_keeps_the_day_red(database: sa.Engine, relay: smtp.Sink, clock_at: Move, work: Work) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    work()
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).where(messages.c.id == 1).values(state="IN_DOUBT", ended_at=None))
    assert not work().is_green
    assert len(relay.recipients) == 2


def test_another_run_that_lives_keeps_its_deliveries(
    database: sa.Engine, relay: smtp.Sink, clock_at: Move, caplog: pytest.LogCaptureFixture
) -> None:
    """They fall free when it has ended; its own tasks, cleared or tried again, go on at any time."""
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    first, second = OwningRun("reku_mcag002", "first"), OwningRun("reku_mcag002", "second")
    left = run_day(database, OCCASION, TODAY, owner=first, is_alive=lambda _: True, stages=STAGES[:2])
    assert left.ending("release", 0) is Ending.DONE
    with caplog.at_level(logging.INFO):
        other = run_day(database, OCCASION, TODAY, owner=second, is_alive=first.__eq__)
    assert other.is_green
    assert other.ending("await_delivery", 0) is Ending.SKIPPED
    assert "in the hands of run first" in caplog.text
    assert relay.recipients == []
    assert run_day(database, OCCASION, TODAY, owner=first, is_alive=lambda _: True).is_green
    assert len(relay.recipients) == 2


def test_a_delivery_falls_free_when_its_run_has_ended(database: sa.Engine, relay: smtp.Sink, clock_at: Move) -> None:
    clock_at(NOON)
    order()
    deliver(1, people(2))
    take_in_all(database)
    for run in (OwningRun("reku_mcag002", "first"), OwningRun("reku_mcag002", "second")):
        run_day(database, OCCASION, TODAY, owner=run, is_alive=lambda _: False, stages=STAGES[:2])
    with database.connect() as connection:
        assert connection.scalar(sa.select(deliveries.c.owner_run)) == "second"
