"""Impulses: used once, the most important first, parked without a campaign, open again after a passing reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.contact.reasons import PASSING, Reason
from reku.foundation import clock
from reku.process.systems import system_of
from reku.sources.agree21 import announcing
from reku.sources.agree21.selection_rows import read_rows
from reku.store import tables
from reku.views.import_overview import newest_imports
from reku_testing import banks
from reku_testing.world import BLZ
from tests.sources.agree21.conftest import CoopBank, impulse, person
from tests.sources.agree21.imported import add_message, add_person, end, note_import

DAY = date(2026, 11, 23)
MOVE, OVERDRAFT = "MCAU030", "MCAK007"
MEDIUM = "SCOM_GEBURTSTAG"
Impulse = dict[str, Any]


def campaign(order: str, occasion: str, *codes: str) -> dict[str, Any]:
    announces = {"occasion": occasion, "rhythm": "TAEGLICH", "valid_from": "2026-11-01", "placeholder": "MF_1"}
    blocks = [
        {"block": "start", "list": order},
        {"block": "wait", "until": "09:00"},
        {"block": "send", "media": [MEDIUM]},
    ]
    named = {"order": order, "name": occasion, "active": True, "announces": announces, "blocks": blocks}
    return named | {"impulses": list(codes)}


class World:
    """A bank with two campaigns that answer impulses, and four people."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.bank = engine, institutes()[BLZ]
        self.source = system_of(self.bank).source
        for occasion in (MOVE, OVERDRAFT):
            announcing.announce(engine, self.bank, occasion)
        with engine.begin() as connection:
            found = connection.execute(sa.select(tables.orders.c.occasion, tables.orders.c.id))
            self.orders: dict[str, int] = {row.occasion: row.id for row in found}
            for name in ("p0", "p1", "p2", "p3"):
                add_person(connection, name)
        note_import(engine)

    def told(self, *impulses: Impulse) -> None:
        """Impulses of the table: by default a move of p0 that was told three days ago."""
        plain = {"institute": BLZ, "person_number": "p0", "code": "UMZUG", "priority": 5}
        with self.engine.begin() as connection:
            for number, one in enumerate(impulses):
                days = one.get("days", 3)
                values = {name: value for name, value in one.items() if name != "days"}
                named = {"impulse": f"i{number}", "made_at": clock.at(DAY - timedelta(days=days), 18)}
                connection.execute(sa.insert(tables.impulses).values(plain | named | values))

    def select(self, occasion: str = MOVE, day: date = DAY) -> tuple[int, list[str], dict[str, int]]:
        """The delivery of a day, the impulses that it was selected by, and its funnel."""
        delivery = self.source.obtain(self.engine, self.orders[occasion], day)
        assert delivery is not None
        of = tables.impulses.c
        with self.engine.connect() as connection:
            taken = connection.scalars(sa.select(of.impulse).where(of.delivery_id == delivery).order_by(of.impulse))
            funnel = connection.scalar(
                sa.select(tables.selections.c.funnel).where(tables.selections.c.delivery_id == delivery)
            )
            return delivery, list(taken), funnel

    def end(self, delivery: int, state: str, reason: str = "") -> None:
        with self.engine.begin() as connection:
            end(connection, delivery, state, reason)


@pytest.fixture
def configure(reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def write(
        moves: Sequence[str] = ("UMZUG", "ADRESSE"), overdrafts: Sequence[str] = ("DISPO",), **contact: Any
    ) -> None:
        campaigns = [campaign("K2026-020", MOVE, *moves), campaign("K2026-021", OVERDRAFT, *overdrafts)]
        folder = tmp_path / "config"
        banks.configure(monkeypatch, folder, core_system="agree21", campaigns=campaigns, contact=contact)

    return write


@pytest.fixture
def world_(database: sa.Engine, configure: Callable[..., None], clock_at: Callable[[datetime], None]) -> World:
    configure()
    clock_at(clock.at(DAY, 6))
    return World(database)


YESTERDAY = DAY - timedelta(days=1)
CASES: list[tuple[str, list[Impulse], list[str], int]] = [
    ("told and valid", [{}], ["i0"], 0),
    ("of each code of the campaign", [{}, {"code": "ADRESSE", "person_number": "p1"}], ["i0", "i1"], 0),
    ("valid on its last day", [{"valid_until": DAY}], ["i0"], 0),
    ("expired", [{"valid_until": YESTERDAY}], [], 0),
    ("out of the window", [{"days": 31}], [], 0),
    ("of another campaign", [{"code": "DISPO"}], [], 0),
    ("parked", [{"code": "UMZUG2"}], [], 0),
    ("of nobody", [{"person_number": "p9"}], [], 0),
    ("the most important", [{"priority": 4}, {"priority": 2, "days": 1}], ["i1"], 1),
    ("of the same importance the oldest", [{"days": 1}, {"days": 2}], ["i1"], 1),
    ("of the same moment the first name", [{"impulse": "b"}, {"impulse": "a"}], ["a"], 0),
    ("an expired one is no rival", [{"priority": 1, "valid_until": YESTERDAY}, {"days": 1}], ["i1"], 0),
    ("each person one", [{"days": 1}, {"days": 2}, {"person_number": "p1"}], ["i1", "i2"], 1),
]


def test_which_impulses_are_taken(world_: World) -> None:
    for what, impulses, taken, others in CASES:
        world_.told(*impulses)
        _, found, funnel = world_.select()
        assert (what, found, funnel["another_impulse"]) == (what, taken, others)
        assert funnel["matched"] == sum(count for name, count in funnel.items() if name not in ("matched", "rows")), (
            what
        )
        with world_.engine.begin() as connection:
            for table in (tables.impulses, tables.selected_rows, tables.selections):
                connection.execute(sa.delete(table))
            connection.execute(sa.delete(tables.deliveries))


def test_who_is_without_consent_keeps_no_other_impulse_back(world_: World) -> None:
    """First who is not kept out, then priority: two impulses about one person share her fate, others go on."""
    with world_.engine.begin() as connection:
        connection.execute(sa.update(tables.persons).values(consent=tables.persons.c.person_number != "p0"))
    world_.told({"priority": 1}, {"person_number": "p1", "priority": 9})
    _, taken, funnel = world_.select()
    assert (taken, funnel["KEINE_EINWILLIGUNG"]) == (["i1"], 1)


@pytest.mark.parametrize(("priority", "goes"), [(1, True), (2, True), (3, False), (9, False)])
def test_the_impulse_s_priority_decides_among_rival_campaigns(
    world_: World, configure: Callable[..., None], priority: int, goes: bool
) -> None:
    """The occasion of its order (5) stands behind that of the other (3), whose open message is due on the same day."""
    configure(blocking_days={MEDIUM: 14})
    world_.told({"code": "DISPO", "days": 1}, {"priority": priority, "days": 1})
    overdraft, _, _ = world_.select(OVERDRAFT)
    with world_.engine.begin() as connection:
        of = connection.execute(sa.select(tables.deliveries).where(tables.deliveries.c.id == overdraft)).one()
        due = {"due_at": clock.at(DAY, 9), "last_day": DAY, "state": "OPEN"}
        add_message(connection, of, "p0", DAY - timedelta(days=1), **due)
    _, taken, funnel = world_.select(MOVE)
    assert (taken, funnel.get("ANDERE_KAMPAGNE", 0)) == ((["i1"], 0) if goes else ([], 1))


@pytest.mark.parametrize(
    ("state", "reason", "again"),
    [
        ("SENT", "", False),
        ("WITHHELD", Reason.KEINE_EINWILLIGUNG, False),
        ("WITHHELD", Reason.FREIGABE_VERWEIGERT, False),
        ("REJECTED", "", False),
        *(("WITHHELD", reason, True) for reason in sorted(PASSING)),
    ],
)
def test_an_impulse_is_used_once_unless_its_mail_was_kept_back_by_what_passes(
    world_: World, clock_at: Callable[[datetime], None], state: str, reason: str, again: bool
) -> None:
    world_.told({})
    first, taken, _ = world_.select()
    assert taken == ["i0"]
    assert world_.select()[0] == first
    world_.end(first, state, reason)
    clock_at(clock.at(DAY + timedelta(days=1), 6))
    note_import(world_.engine)
    second, taken, _ = world_.select(day=DAY + timedelta(days=1))
    assert (second != first, taken) == (True, ["i0"] if again else [])


def test_a_code_that_moves_to_another_campaign_brings_no_second_mail(
    world_: World, configure: Callable[..., None], clock_at: Callable[[datetime], None]
) -> None:
    world_.told({}, {"person_number": "p1"}, {"person_number": "p2"})
    first, taken, _ = world_.select()
    configure(moves=["ADRESSE"], overdrafts=["DISPO", "UMZUG"])
    world_.bank = institutes()[BLZ]
    assert len(taken) == 3
    assert world_.select(OVERDRAFT)[1] == [], "the first delivery still waits"
    with world_.engine.begin() as connection:
        of = connection.execute(sa.select(tables.deliveries).where(tables.deliveries.c.id == first)).one()
        made = DAY - timedelta(days=3)
        add_message(connection, of, "p0", made, state="SENT")
        add_message(connection, of, "p1", made, reason=Reason.SPERRZEIT)  # p2: rejected by the gate
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.delete(tables.selected_rows).where(tables.selected_rows.c.delivery_id == first))
        connection.execute(sa.update(tables.deliveries).where(tables.deliveries.c.id == first).values(state="LOADED"))
    clock_at(clock.at(DAY + timedelta(days=1), 6))
    note_import(world_.engine)
    assert world_.select(OVERDRAFT, DAY + timedelta(days=1))[1] == ["i1", "i2"]


def test_a_refused_selection_is_selected_anew_with_its_impulses(world_: World) -> None:
    world_.told({})
    delivery, _, _ = world_.select()
    with world_.engine.begin() as connection:
        connection.execute(sa.update(tables.deliveries).values(state="REFUSED", code="FEHLERQUOTE"))
    world_.source.retry(world_.engine, delivery, "probe")
    assert world_.select()[:2] == (delivery, ["i0"])


def test_the_row_says_what_the_impulse_says(world_: World) -> None:
    told = {"priority": 2, "valid_until": date(2026, 12, 5), "value": "01.12.2026", "advisor": "B7"}
    world_.told(told | {"wished_channel": "BRIEF"})
    rows = read_rows(world_.engine, world_.select()[0], "AUSWAHL")
    (row,) = rows.as_dicts()
    names = ("Impuls_ID", "Prioritaet", "Gueltig_bis", "Anlass_Wert", "Anlass_Datum", "Berater_Nr")
    assert [row[name] for name in names] == ["i0", "2", "05.12.2026", "01.12.2026", "20.11.2026", "B7"]
    assert (row["Kanal_Wunsch"], row["Kanal"]) == ("BRIEF", "EMAIL")


def test_a_code_that_nobody_answers_is_parked_and_named_until_somebody_does(
    bank: CoopBank, configure: Callable[..., None]
) -> None:
    configure()
    bank.put("IDA_KUNDEN", [person(1), person(2)])
    impulses = [
        impulse("IMP-1", 1, Impuls_Code="UMZUG"),
        impulse("IMP-2", 1, Impuls_Code="HEIRAT"),
        impulse("IMP-3", 2, Impuls_Code="HEIRAT"),
        impulse("IMP-4", 2, Impuls_Code="UMZUG", Gueltig_bis="21.11.2026"),
    ]
    name = bank.put("IMPULSE", impulses)
    bank.take_in()
    receipt = bank.receipt(name)
    assert [receipt.count(word) for word in ("GEPARKT", "IMPULS_GEPARKT", "ABGELAUFEN", "HEIRAT")] == [4, 2, 1, 2]
    newest = bank.newest()
    assert (newest["taken"], newest["rejected"], newest["known_after"]) == (3, 1, 3)
    assert [line.parked for line in newest_imports(bank.engine)] == ["", "HEIRAT: 2"]
    configure(moves=["UMZUG", "HEIRAT"])
    assert [line.parked for line in newest_imports(bank.engine)] == ["", ""]


def test_what_expires_while_it_lies_leaves_and_is_counted(bank: CoopBank, clock_at: Callable[[datetime], None]) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    told = [impulse("IMP-1", 1, Wert="X"), impulse("IMP-2", 1, Wert="", Gueltig_bis="")]
    bank.put("IMPULSE", [*told, impulse("IMP-3", 1, Wert="01.12.2026")])
    bank.take_in()
    assert [row["value_date"] for row in bank.rows(tables.impulses)].count(date(2026, 12, 1)) == 1
    clock_at(clock.at(date(2026, 12, 6), 5))
    report = bank.take_in()
    assert (report.counts["impulses_expired"], report.expired, bank.count(tables.impulses)) == (2, 2, 1)
