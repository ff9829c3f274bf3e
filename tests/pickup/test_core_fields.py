"""FE 3053: what has changed since the core system was told, in parts, in fields that the bank allows, and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.pickup.fe3053.changes import prepare_changes
from reku.pickup.fe3053.core_file import CORE_FIELDS, CoreFields
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.pickup.take import TakenFile, fetch
from reku.privacy.retention import apply
from reku.records.contract import contracts
from reku.records.faults import FileRefused
from reku.store import tables
from reku.store.kinds import EventKind, PreparedKind
from reku.views.prepared_overview import prepared_files_of
from reku_testing import banks, coop_ledger
from reku_testing.reported import World
from reku_testing.world import BLZ

DAY = date(2026, 11, 24)
FIELDS = {
    "0017": "last_contact",
    "0018": "email_undeliverable",
    "0019": "last_campaign",
    "0020": "blocked_until",
}
STAMP = FileStamp(BLZ, "", 0, 1, datetime(2026, 11, 24, 5, tzinfo=UTC))
Move = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def bank(database: sa.Engine, clock_at: Move, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    def configure(**changes: Any) -> None:
        told = {"core_system": "agree21", "core_fields": FIELDS} | changes
        banks.configure(monkeypatch, tmp_path / "config", **told)

    configure()
    clock_at(clock.at(DAY, 6))
    return configure


def prepare(engine: sa.Engine) -> int | None:
    return prepare_changes(engine, institutes()[BLZ], clock.today())


def take(engine: sa.Engine, file: int, formats: CoreFields = CORE_FIELDS) -> TakenFile:
    return fetch(engine, institutes()[BLZ], {PreparedKind.FE3053: formats}, file, actor="Erika Beispiel")


def lines(taken: TakenFile) -> list[str]:
    """The rows of all parts, each of which its companion knows."""
    found: list[str] = []
    for name, data in taken.files.items():
        if name.endswith(".csv"):
            rows = data.decode("ascii").split("\r\n")
            assert rows.pop() == ""
            assert taken.files[f"{name}.ok"].decode() == f"{len(rows)};{hashlib.sha256(data).hexdigest()}\r\n"
            assert contracts()["FE3053"].match(name)
            found += rows
    return sorted(found)


def told_now(engine: sa.Engine) -> list[str]:
    """What a file prepared and fetched now tells; nothing if there is none."""
    file = prepare(engine)
    return [] if file is None else lines(take(engine, file))


def sent(engine: sa.Engine, person: str, days_ago: int, order: World, **values: Any) -> int:
    ended = clock.at(DAY - timedelta(days=days_ago), 9)
    state = {"state": "SENT", "begun_at": ended, "ended_at": ended, "medium": "SCOM_GEBURTSTAG"}
    (made,) = coop_ledger.messages(
        engine, order.delivery, [{"person_number": person, "channel": "email"} | state | values]
    )
    return made


def test_only_what_has_changed_is_told(database: sa.Engine, clock_at: Move) -> None:
    first, second, third = coop_ledger.import_people(database, 3)
    campaign, other = World(database, "K2026-014"), World(database, "K2026-015")
    assert prepare(database) is None  # an empty day has no file
    letter = sent(database, first, 1, campaign, channel="letter")
    mail = sent(database, second, 2, campaign)
    sent(database, third, 3, campaign, state="WITHHELD", reason="ZURUECKGEHALTEN", reasons=["ZURUECKGEHALTEN"])
    campaign.event(mail, EventKind.BOUNCED_HARD, clock.now())
    blocks = {"institute": BLZ, "medium": "SCOM_GEBURTSTAG", "day": DAY, "mandatory": False}
    with database.begin() as connection:
        until = {"blocked_until": DAY + timedelta(days=30)}
        connection.execute(
            sa.insert(tables.contacts).values(blocks | until | {"person_number": first, "message_id": letter})
        )
        connection.execute(
            sa.insert(tables.contacts).values(blocks | until | {"person_number": third, "message_id": None})
        )
    expected = [
        "99950001;0000000001;0017;S;23.11.2026;24.11.2026",
        "99950001;0000000001;0019;S;K2026-014;24.11.2026",
        "99950001;0000000001;0020;S;24.12.2026;24.11.2026",
        "99950001;0000000002;0017;S;22.11.2026;24.11.2026",
        "99950001;0000000002;0018;S;J;24.11.2026",
        "99950001;0000000002;0019;S;K2026-014;24.11.2026",
        "99950001;0000000003;0017;S;24.11.2026;24.11.2026",
        "99950001;0000000003;0018;S;J;24.11.2026",
        "99950001;0000000003;0020;S;24.12.2026;24.11.2026",
    ]
    lost = prepare(database)
    assert lost
    clock_at(clock.at(DAY, 7))
    # Nobody fetched it, so the next file tells the same; then it is told.
    again = prepare(database)
    assert again
    taken = take(database, again)
    assert lines(taken) == expected
    assert take(database, again).files == taken.files
    assert told_now(database) == []
    # A mail that gets there again takes the flag away; what left by retention changes nothing.
    sent(database, second, 0, other)
    with database.begin() as connection:
        connection.execute(sa.delete(tables.contacts))
        connection.execute(sa.delete(tables.messages).where(tables.messages.c.id == letter))
    assert told_now(database) == [
        "99950001;0000000002;0017;S;24.11.2026;24.11.2026",
        "99950001;0000000002;0018;L;;",
        "99950001;0000000002;0019;S;K2026-015;24.11.2026",
    ]
    assert told_now(database) == []
    # 36 hours after the first fetch nobody stands in a file any more, and still nothing is told twice.
    later = clock.now() + timedelta(hours=37)
    clock_at(later)
    apply(database, later)
    with database.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.prepared_rows)) == 0
    assert told_now(database) == []


def test_only_what_the_bank_allows(database: sa.Engine, bank: Callable[..., None]) -> None:
    (person,) = coop_ledger.import_people(database, 1)
    sent(database, person, 1, World(database, "K2026-014"))
    bank(core_fields={"0099": "last_contact"})
    assert told_now(database) == ["99950001;0000000001;0099;S;23.11.2026;24.11.2026"]
    bank(core_fields={})
    assert prepare(database) is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"17": "last_contact"}, "17"),
        ({"0017": "last_contct"}, "last_contact"),
        ({"0017": "last_contact", "0018": "last_contact"}, "more than once"),
    ],
)
def test_faults_of_the_list(bank: Callable[..., None], given: dict[str, str], told: str) -> None:
    bank(core_fields=given)
    with pytest.raises(ConfigError, match=told):
        institutes()[BLZ]


def test_a_bank_on_another_core_system_has_none(bank: Callable[..., None]) -> None:
    bank(core_system="osplus")
    with pytest.raises(ConfigError, match="FE 3053 is a function of agree21"):
        institutes()[BLZ]


def parts(people: Iterable[PreparedPerson], size: int = 2) -> dict[str, bytes]:
    made = CoreFields(rows_of_a_part=size).files(institutes()[BLZ], STAMP, CORE_FIELDS.file_name(STAMP), people)
    return {one.name: b"".join(one.blocks) for one in made}


def test_parts_with_companions() -> None:
    people = [PreparedPerson(n, f"{n:010d}", values=("0017", "S", "23.11.2026", "24.11.2026")) for n in range(1, 6)]
    made = parts(people)
    names = [f"fe3053_{BLZ}_20261124060000_0{part}.csv" for part in (1, 2, 3)]
    assert list(made) == [one for name in names for one in (name, f"{name}.ok")]
    assert [made[f"{name}.ok"].split(b";")[0] for name in names] == [b"2", b"2", b"1"]
    assert made[names[2]] == b"99950001;0000000005;0017;S;23.11.2026;24.11.2026\r\n"
    assert made == parts(people)
    assert CORE_FIELDS.rows_of_a_part == 10_000


@pytest.mark.parametrize(
    ("number", "values"),
    [
        ("00;1", ("0017", "S", "J", "24.11.2026")),
        ('00"1', ("0017", "S", "J", "24.11.2026")),
        ("00\n1", ("0017", "S", "J", "24.11.2026")),
        ("", ("0017", "S", "J", "24.11.2026")),
        ("0000000001", ("0017", "S", "Müßig", "24.11.2026")),
        ("0000000001", ("0017", "S", "a;b", "24.11.2026")),
        ("0000000001", ("0017", "S", "J" * 31, "24.11.2026")),
        ("0000000001", ("00017", "S", "J", "24.11.2026")),
        ("0000000001", ("0017", "S", "J", "24.11.2026 09:00")),
    ],
)
def test_what_would_need_quotes_is_refused_without_saying_it(number: str, values: tuple[str, ...]) -> None:
    with pytest.raises(FileRefused) as refused:
        parts([PreparedPerson(1, number, values=values)])
    assert "Müßig" not in str(refused.value)
    assert "line 1" in str(refused.value)


def test_who_was_erased_is_told_of_no_more(database: sa.Engine) -> None:
    from reku.privacy.erase import erase

    (person,) = coop_ledger.import_people(database, 1)
    sent(database, person, 1, World(database, "K2026-014"))
    assert len(told_now(database)) == 2
    erase(database, BLZ, "0000000001", actor="Anna", note="asked for it")
    with database.connect() as connection:
        assert connection.execute(sa.select(tables.told_core_fields)).all() == []
    assert prepare(database) is None


def test_killed_before_the_commit_nothing_is_told(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    (person,) = coop_ledger.import_people(database, 1)
    sent(database, person, 1, World(database, "K2026-014"))
    file = prepare(database)
    assert file

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for where in ("reku.pickup.take.note_told", "reku.pickup.take.put_on_record"):
        with monkeypatch.context() as patch:
            patch.setattr(where, dies)
            with pytest.raises(KeyboardInterrupt):
                take(database, file)
        with database.connect() as connection:
            assert connection.execute(sa.select(tables.told_core_fields)).all() == []
    assert len(lines(take(database, file))) == 2
    assert [one.state for one in prepared_files_of(database)] == ["fetched"]


def test_more_than_the_parts_hold_is_told_the_next_time(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = World(database, "K2026-014")
    for person in coop_ledger.import_people(database, 3):
        sent(database, person, 1, campaign)
    monkeypatch.setattr("reku.pickup.fe3053.changes.MOST_ROWS", 4)
    assert [len(told_now(database)) for _ in range(3)] == [4, 2, 0]
