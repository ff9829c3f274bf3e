"""Who is told when: teams, quiet hours, escalation, taking and silence, with a moved clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from reku.catalogue.alarm_teams import AlarmTeams
from reku.foundation import clock
from reku.foundation.errors import ConfigError, PassingError, SetupError, StageError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import load
from reku.process import need_words
from reku.process.acts import ACTS
from reku.process.acts.act import carry_out
from reku.process.alarming.decision import KnownAlarm, Telling, decide
from reku.process.alarming.looking_after import open_alarms, silence, take, unsilence
from reku.process.alarming.raising import raise_alarms
from reku.process.alarming.sending import sender
from reku.process.needs import Need, NeedKind
from reku.store import tables
from reku_testing import banks, world

NIGHT = clock.at(date(2026, 11, 24), 3)
DAY = clock.at(date(2026, 11, 24), 9)
AGO = timedelta(minutes=31)
TEAMS = {
    "teams": [
        {"name": "of_bank", "owns": {"institutes": ["99950002"]}},
        {"name": "autka", "owns": {"origins": ["AUTKA"]}},
        {"name": "on_call"},
        {
            "name": "platform",
            "quiet": {"begin": "22:00", "end": "06:00"},
            "escalate": {"after": "30m", "to": "on_call"},
        },
    ]
}
SAID = need_words.in_doubt(3)
HIGH, MID, LOW = NeedKind.IN_DOUBT, NeedKind.PARKED, NeedKind.FILE


@pytest.mark.parametrize(
    ("begin", "end", "at", "quiet"),
    [
        ("22:00", "06:00", (21, 59), False),
        ("22:00", "06:00", (22, 0), True),
        ("22:00", "06:00", (0, 0), True),
        ("22:00", "06:00", (5, 59), True),
        ("22:00", "06:00", (6, 0), False),
        ("12:00", "13:00", (12, 30), True),
        ("12:00", "13:00", (13, 0), False),
        ("12:00", "13:00", (3, 0), False),
    ],
)
def test_quiet_hours_by_berlin_time(begin: str, end: str, at: tuple[int, int], quiet: bool) -> None:
    teams = AlarmTeams.model_validate({"teams": [{"name": "platform", "quiet": {"begin": begin, "end": end}}]})
    for day in (date(2026, 7, 1), date(2026, 11, 24)):
        assert teams.named("platform").is_quiet(clock.at(day, *at)) is quiet


@pytest.mark.parametrize(
    ("institute", "origin", "team"),
    [
        ("99950002", "BANK", "of_bank"),
        ("99950002", "AUTKA", "of_bank"),  # the first team that owns it
        ("99950001", "AUTKA", "autka"),
        ("99950001", "BANK", "platform"),
        ("99950002", None, "of_bank"),
        ("", None, "platform"),
    ],
)
def test_the_team_of_an_order(institute: str, origin: str | None, team: str) -> None:
    assert AlarmTeams.model_validate(TEAMS).owner_of(institute, origin).name == team


def _known(kind: NeedKind, **values: object) -> KnownAlarm:
    return KnownAlarm(**({"cause": f"{kind} deliveries:1", "about": "about", "team": "platform", "people": 3} | values))  # type: ignore[arg-type] # a table


@pytest.mark.parametrize(
    ("kind", "known", "now", "silent", "telling"),
    [
        (HIGH, None, NIGHT, False, "platform new"),
        (MID, None, NIGHT, False, ""),
        (MID, None, DAY, False, "platform new"),
        (MID, {}, DAY, False, "platform new"),  # seen at night, told in the morning
        (MID, {"told_at": NIGHT}, DAY, False, ""),
        (MID, {"told_at": NIGHT, "people": 1}, DAY, False, "platform worse"),
        (MID, {"told_at": NIGHT, "people": None}, DAY, False, ""),
        (MID, {"told_at": NIGHT, "people": 1}, NIGHT, False, ""),
        (HIGH, {"told_at": NIGHT, "people": 1}, NIGHT, False, "platform worse"),
        (HIGH, None, DAY, True, ""),
        (HIGH, {"told_at": NIGHT, "people": 1}, DAY, True, ""),
        # nobody has taken it
        (HIGH, {"told_at": DAY - AGO, "told_first_at": DAY - AGO}, DAY, False, "on_call not taken"),
        (HIGH, {"told_at": DAY, "told_first_at": DAY - timedelta(minutes=29)}, DAY, False, ""),
        (HIGH, {"told_at": DAY, "told_first_at": DAY - AGO, "taken_at": DAY}, DAY, False, ""),
        (HIGH, {"told_at": DAY, "told_first_at": DAY - AGO, "escalated_at": DAY}, DAY, False, ""),
        (HIGH, {"told_at": DAY, "told_first_at": DAY - AGO}, DAY, True, ""),
        (MID, {"told_at": DAY, "told_first_at": DAY - AGO}, DAY, False, "on_call not taken"),
        (LOW, {"told_at": DAY, "told_first_at": DAY - AGO}, DAY, False, ""),
    ],
)
def test_what_is_told_to_whom(
    kind: NeedKind, known: dict[str, object] | None, now: datetime, silent: bool, telling: str
) -> None:
    need = Need(kind, SAID, "99950001", people=3, subject="deliveries:1")
    teams = AlarmTeams.model_validate(TEAMS)
    on_record = {} if known is None else {need.cause: _known(kind, **known)}
    told = decide(
        {need.cause: need},
        {need.cause: teams.named("platform")},
        on_record,
        {need.cause} if silent else (),
        teams,
        now,
    )
    assert [f"{one.team} {one.telling}" for one in told] == ([telling] if telling else [])


@pytest.mark.parametrize(
    ("kind", "told_at", "now", "is_told"),
    [
        (MID, NIGHT, DAY, True),
        (MID, DAY, NIGHT, False),  # good news wait for the morning, too
        (HIGH, DAY, NIGHT, True),
        (MID, None, DAY, False),  # what was never told is over without a word
    ],
)
def test_what_is_over(kind: NeedKind, told_at: datetime | None, now: datetime, is_told: bool) -> None:
    known = _known(kind, told_at=told_at)
    told = decide({}, {}, {known.cause: known}, (), AlarmTeams.model_validate(TEAMS), now)
    assert [one.telling for one in told] == ([Telling.OVER] if is_told else [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ([{"name": "autka"}], "a team platform is missing"),
        ([{"name": "platform"}, {"name": "platform"}], "more than once"),
        ([{"name": "platform", "escalate": {"after": "30m", "to": "chiefs"}}], "no other team of this file"),
        ([{"name": "platform", "escalate": {"after": "30m", "to": "platform"}}], "no other team of this file"),
        ([{"name": "platform", "quiet": {"begin": "22:00", "end": "22:00"}}], "are the same"),
        ([{"name": "platform", "owns": {"institutes": ["4711"]}}], "4711"),
        ([{"name": "Platform"}], "Platform"),
    ],
)
def test_a_wrong_file_of_teams_is_named(reku_settings: Path, tmp_path: Path, change: object, said: str) -> None:
    file = tmp_path / "teams.yaml"
    file.write_text(yaml.safe_dump({"teams": change}), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load(file, AlarmTeams)


@pytest.mark.parametrize(("url", "said"), [("nosuch=json://h/p", "nosuch"), ("json=//h", "none that messages")])
def test_an_address_of_an_unknown_team(monkeypatch: pytest.MonkeyPatch, url: str, said: str) -> None:
    monkeypatch.setenv("REKU_ALARM_URLS", f"json://127.0.0.1:1/hook {url}")
    settings.cache_clear()
    with pytest.raises(SetupError, match=f"Address 2 of REKU_ALARM_URLS.*{said}"):
        sender()


@pytest.fixture
def parked(
    database: sa.Engine,
    clock_at: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> str:
    """The cause of a parked delivery of an AutKA order, at nine in the morning."""
    folder = banks.configure(monkeypatch, tmp_path / "config")
    (folder / "teams.yaml").write_text(yaml.safe_dump(TEAMS), encoding="utf-8")
    clock_at(DAY)
    order = world.order(database, rhythm="JAEHRLICH", valid_from=date(2026, 6, 1))
    with database.begin() as connection:
        connection.execute(sa.update(tables.osplus_orders).values(origin="AUTKA"))
    delivery = world.delivery(database, order, state="PARKED", rows=20, advice="Keine Steuerungsdatei")
    return f"PARKED deliveries:{delivery}"


def test_an_alarm_is_taken_silenced_and_told_anew(
    database: sa.Engine, parked: str, clock_at: Callable[[datetime], None]
) -> None:
    told: list[tuple[str, str, str]] = []

    def look() -> list[tuple[str, str, str]]:
        told.clear()
        raise_alarms(database, "page", lambda *message: told.append(message))
        return list(told)

    ((team, title, _),) = look()
    assert (team, title) == ("autka", "reku: 1 neu, 0 schlimmer, 0 erledigt")
    assert look() == []

    taken = carry_out(database, ACTS["take"], parked, actor="Alma Ruf", note="")
    assert (taken.done, taken.said.german) == (True, "Alma Ruf kümmert sich darum.")
    again = carry_out(database, ACTS["take"], parked, actor="Ole Muster", note="")
    assert (again.done, again.said.english) == (False, "Alma Ruf took this on 24.11.2026 09:00.")
    (state,) = open_alarms(database)
    assert (state.cause, state.team, state.taken_by) == (parked, "autka", "Alma Ruf")

    assert carry_out(database, ACTS["silence"], parked, actor="Ole Muster", note="the bank knows").done
    assert not carry_out(database, ACTS["silence"], parked, actor="Alma Ruf", note="me too").done
    assert look() == []
    clock_at(DAY + timedelta(hours=23, minutes=59))
    assert look() == []
    clock_at(DAY + timedelta(hours=24, minutes=1))
    ((_, _, body),) = look()
    assert "Übernommen von Alma Ruf." in body
    (state,) = open_alarms(database)
    assert (state.silent_until, state.taken_by) == (None, "Alma Ruf")

    with database.begin() as connection:
        connection.execute(sa.update(tables.deliveries).values(state="REGISTERED"))
    ((_, title, _),) = look()
    assert title == "reku: 0 neu, 0 schlimmer, 1 erledigt"
    gone = carry_out(database, ACTS["take"], parked, actor="Alma Ruf", note="")
    assert (gone.done, gone.said.english) == (False, "This is over by now.")
    with database.connect() as connection:
        entries = connection.execute(sa.select(tables.audit).order_by(tables.audit.c.id)).all()
    assert [(entry.actor, entry.action, entry.note) for entry in entries] == [
        ("Alma Ruf", "take alarm", ""),
        ("Ole Muster", "silence alarm", "the bank knows"),
    ]


def test_a_silence_has_an_end_that_can_be_moved_and_taken_back(database: sa.Engine, parked: str) -> None:
    (state,) = open_alarms(database)
    for wrong in (DAY, DAY - timedelta(days=1), DAY + timedelta(days=32)):
        with pytest.raises(StageError, match="A silence ends"):
            silence(database, parked, wrong, actor="Alma Ruf", note="why")
    for days in (2, 3):
        silence(database, parked, DAY + timedelta(days=days), actor="Alma Ruf", note="why")
    (state,) = open_alarms(database)
    assert (state.silent_until, state.silenced_by, state.note) == (DAY + timedelta(days=3), "Alma Ruf", "why")
    unsilence(database, parked, actor="Ole Muster", note="not so")
    assert open_alarms(database)[0].silent_until is None
    with pytest.raises(StageError, match="not silenced"):
        unsilence(database, parked, actor="Ole Muster", note="not so")

    with pytest.raises(StageError, match="over"):
        take(database, "PARKED deliveries:99", actor="Ole Muster", note="")


def test_one_team_that_cannot_be_told_keeps_no_other_from_it(database: sa.Engine, parked: str) -> None:
    world.file(database, verdict="UNKNOWN", kind="", received_at=DAY.astimezone(UTC))
    told: list[str] = []

    def send(team: str, _title: str, _body: str) -> None:
        if team == "autka":
            raise PassingError("away")
        told.append(team)

    with pytest.raises(PassingError):
        raise_alarms(database, "page", send)
    assert told == ["platform"]
    raise_alarms(database, "page", lambda team, *_: told.append(team))
    assert told == ["platform", "autka"]
