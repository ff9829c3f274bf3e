"""Everything that needs a person is on one list, with what happened and what to do; what is mended leaves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.process.needs import KEPT_DAYS, NeedKind, needs
from reku.store import tables
from reku_testing import banks, world
from reku_testing.world import BLZ

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
TODAY = date(2026, 11, 24)
Make = Callable[[sa.Engine], Any]


@pytest.fixture(autouse=True)
def noon(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    clock_at(NOON)
    return banks.configure(monkeypatch, tmp_path / "config")


def _ordered(engine: sa.Engine, **values: Any) -> int:
    """An order of which nothing is expected on these days."""
    return world.order(engine, **{"rhythm": "JAEHRLICH", "valid_from": date(2026, 6, 1)} | values)


def _delivered(engine: sa.Engine, **values: Any) -> int:
    return world.delivery(engine, _ordered(engine), **{"rows": 20, "day": TODAY} | values)


def _in_doubt(engine: sa.Engine) -> None:
    delivery = _delivered(engine, state="LOADED")
    for row in world.rows(engine, delivery, [world.reku_fields(1), world.reku_fields(2)]):
        world.message(engine, row, state="IN_DOUBT", begun_at=NOON)


def _relay_away(engine: sa.Engine) -> None:
    """Of two deliveries one still has somebody to write to now, and somebody for later."""
    for number, due in ((17, {"OPEN": NOON, "CLAIMED": NOON + timedelta(days=1)}), (18, {"SENT": NOON})):
        delivery = world.delivery(engine, _ordered(engine, number=f"R00047{number}"), number, state="LOADED")
        fields = [world.reku_fields(row, number) for row, _ in enumerate(due, start=1)]
        for row, (state, due_at) in zip(world.rows(engine, delivery, fields), due.items(), strict=True):
            world.message(engine, row, state=state, due_at=due_at)
        with engine.begin() as connection:
            values = {"delivery_id": delivery, "institute": BLZ, "tries_in_vain": 2}
            connection.execute(sa.insert(tables.dispatches).values(**values))


def _refused_though_expected(engine: sa.Engine) -> None:
    """Nobody is told to ask the sender for what came."""
    order = world.order(engine, valid_from=date(2026, 11, 23))
    yesterday = {"day": date(2026, 11, 23), "period_start": date(2026, 11, 23), "rows": 20}
    world.delivery(engine, order, **yesterday, state="REFUSED", code="ZEICHENSATZ", advice="UTF-8")


def _asked(engine: sa.Engine) -> None:
    delivery = _delivered(engine, state="VALIDATED", accepted=18, rejected=2)
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.releases).values(delivery_id=delivery, institute=BLZ, asked_at=NOON))


def _missing(engine: sa.Engine) -> None:
    """Daily, due by 06:00 of the next day: yesterday's is missing, today's may still come; before, all came."""
    order = world.order(engine, valid_from=date(2026, 11, 23))
    assert order


@pytest.mark.parametrize(
    ("make", "kind", "people", "german", "cure"),
    [
        (_in_doubt, "IN_DOUBT", 2, "2 Mails", "reku messages resolve"),
        (
            lambda engine: _delivered(engine, state="REFUSED", code="FEHLERQUOTE", advice="2 von 20 Zeilen fehlerhaft"),
            "REFUSED",
            20,
            "Lieferung 000017 ist abgewiesen (FEHLERQUOTE): 2 von 20 Zeilen fehlerhaft",
            "reku deliveries retry",
        ),
        (
            lambda engine: _delivered(engine, state="PARKED", code="STEUERUNG_FEHLT", advice="Keine Steuerungsdatei"),
            "PARKED",
            20,
            "geparkt: Keine Steuerungsdatei",
            "control file",
        ),
        (_relay_away, "RELAY_AWAY", 1, "1 Lieferungen warten", "REKU_SMTP_HOST"),
        (_refused_though_expected, "REFUSED", 20, "Lieferung 000017 ist abgewiesen (ZEICHENSATZ)", "same number"),
        (_asked, "WAITING_FOR_RELEASE", 18, "wartet auf eine Freigabe", "approve"),
        (_missing, "MISSING", None, "Für den 23.11.2026 ist keine Lieferung da", "R0004711"),
        (lambda engine: _ordered(engine, faulty=True), "FAULTY_ORDER", None, "Steuerungsdatei", "receipt"),
        (
            lambda engine: world.file(engine, verdict="UNKNOWN", kind="", received_at=NOON),
            "FILE",
            None,
            "kennt kein Vertrag",
            "reku files list",
        ),
        (
            lambda engine: world.file(engine, verdict="SET_ASIDE", received_at=NOON - timedelta(days=30)),
            "SET_ASIDE",
            None,
            "(REKU): SET_ASIDE",
            "reku files retry",
        ),
        (
            lambda engine: stop_switches.throw(engine, institute=None, order=None, actor="root", note="x"),
            "STOPPED",
            None,
            "Versand angehalten von root am 24.11.2026 um 12:00: alles.",
            "reku stop lift",
        ),
    ],
)
def test_what_needs_a_person_says_what_happened_and_what_to_do(
    database: sa.Engine, make: Make, kind: str, people: int | None, german: str, cure: str
) -> None:
    assert needs(database) == []
    make(database)
    (need,) = needs(database)
    assert (need.kind, need.people) == (kind, people)
    assert german in need.said.what.german
    assert need.said.what.english
    assert cure in need.said.cure.english
    assert need.bank in ("", "Sparkasse Beispielstadt")


def test_nothing_is_missing_from_before_an_order_was_known(database: sa.Engine) -> None:
    order = world.order(database, valid_from=date(2026, 11, 1))
    assert len(needs(database)) == 3
    world.subscriber_list(database, order, reserved_at=NOON - timedelta(hours=26))
    (need,) = needs(database)
    assert "23.11.2026" in need.said.what.german


@pytest.mark.parametrize(
    "mend",
    [
        lambda engine, order: world.delivery(engine, order, state="REGISTERED"),
        lambda engine, order: world.delivery(engine, order, number=18, state="LOADED"),
    ],
    ids=["the same number", "a later one"],
)
def test_a_refused_delivery_leaves_when_another_one_has_come(
    database: sa.Engine, mend: Callable[[sa.Engine, int], int]
) -> None:
    order = _ordered(database)
    world.delivery(database, order, state="REFUSED", day=TODAY)
    assert [need.kind for need in needs(database)] == [NeedKind.REFUSED]
    mend(database, order)
    assert needs(database) == []


def test_a_refused_file_leaves_when_a_good_one_has_come(database: sa.Engine) -> None:
    world.file(database, verdict="REFUSED", kind="VREKU", received_at=NOON)
    assert [need.kind for need in needs(database)] == [NeedKind.FILE]
    world.file(database, verdict="PROCESSED", kind="VREKU", received_at=NOON)
    assert needs(database) == []


def test_what_is_long_past_is_not_named_for_ever(database: sa.Engine) -> None:
    long_ago = TODAY - timedelta(days=KEPT_DAYS + 1)
    _delivered(database, state="REFUSED", day=long_ago)
    world.file(database, verdict="UNKNOWN", kind="", received_at=NOON - timedelta(days=KEPT_DAYS, hours=1))
    assert needs(database) == []


def test_the_most_urgent_comes_first_and_a_bank_sees_its_own(database: sa.Engine) -> None:
    world.file(database, verdict="UNKNOWN", kind="", received_at=NOON, institute="99950002")
    _in_doubt(database)
    stop_switches.throw(database, institute=None, order=None, actor="root", note="x")
    assert [need.kind for need in needs(database)] == [NeedKind.STOPPED, NeedKind.IN_DOUBT, NeedKind.FILE]
    assert [need.kind for need in needs(database, BLZ)] == [NeedKind.STOPPED, NeedKind.IN_DOUBT]


def test_a_broken_bank_is_named_by_file_and_line_and_hides_no_other(database: sa.Engine, noon: Path) -> None:
    (noon / "institutes" / "99950002.yaml").write_text("blz: 99950002\nkolours: {}\n", encoding="utf-8")
    _in_doubt(database)
    first, second = needs(database)
    assert (first.kind, first.institute) == (NeedKind.BROKEN_CONFIGURATION, "99950002")
    assert "99950002.yaml" in first.said.what.english
    assert second.kind is NeedKind.IN_DOUBT


def test_every_kind_is_called_something_in_both_languages() -> None:
    assert all(kind.words.german and kind.words.english for kind in NeedKind)


def test_a_later_selection_makes_up_for_those_before(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> None:
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21")
    order = world.order(database, "K2026-014", valid_from=date(2026, 11, 1))
    (need,) = needs(database)
    assert "Für den 23.11.2026 wurde bis 23.11.2026 20:00 niemand ausgewählt" in need.said.what.german
    delivery = world.delivery(database, order, state="LOADED", period_start=TODAY)
    assert needs(database) == []
    _gone(database, delivery)
    clock_at(NOON + timedelta(hours=9))
    (need,) = needs(database)
    assert "24.11.2026" in need.said.what.german


def _gone(engine: sa.Engine, delivery: int) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.deliveries).where(tables.deliveries.c.id == delivery))
