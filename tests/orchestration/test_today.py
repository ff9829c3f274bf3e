"""What needs a person, as a page: in the browser's language, for who may see it, without any script."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.foundation.settings import settings
from reku.orchestration.pages.frame import language_of
from reku.orchestration.pages.rights import OF_THE_SYSTEM
from reku.orchestration.pages.today import AT_ONCE, render_today
from reku.process.alarming.looking_after import AlarmState
from reku.process.need_words import broken_configuration
from reku.process.needs import Need, NeedKind
from reku.store import tables
from reku.store.states import DeliveryState
from reku_testing import smtp, world
from reku_testing.bank_files import deliver, order, people
from reku_testing.by_blz import take_in_all
from tests.conftest import PROJECT

Token = Callable[..., str]
BANK, OTHER = "99990001", "99990002"
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def stuck(database: sa.Engine, clock_at: Callable[[datetime], None]) -> int:
    """A delivery that is parked, one that is refused, and one that waits for a person."""
    clock_at(NOON)
    seldom = {"rhythm": "JAEHRLICH", "valid_from": date(2026, 6, 1)}
    first = world.order(database, institute=BANK, occasion="MCAJ604", **seldom)
    world.delivery(database, first, state=DeliveryState.PARKED, rows=20, advice="Keine Steuerungsdatei")
    second = world.order(database, "R0000102", institute=OTHER, occasion="MCAG008", **seldom)
    world.delivery(database, second, state=DeliveryState.REFUSED, rows=7, code="ZEICHENSATZ", day=NOON.date())
    asked = world.delivery(database, second, 18, state=DeliveryState.VALIDATED, rows=9, accepted=9, rejected=0)
    with database.begin() as connection:
        row = {"delivery_id": asked, "institute": OTHER, "asked_at": NOON}
        connection.execute(sa.insert(tables.releases).values(row))
    return asked


def get(server: Any, path: str, cookie: str | None = None, **headers: str) -> Any:
    server.cookies.clear()
    if cookie:
        server.cookies.set("_token", cookie)
    return server.get(path, headers=headers)


def test_it_speaks_the_browsers_language(airflow_server: Any, token_of: Token, stuck: int) -> None:
    german = get(airflow_server, "/reku/today", token_of("viewer"), **{"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"})
    assert german.status_code == 200
    assert '<html lang="de">' in german.text
    assert "Sparkasse Musterstadt" in german.text
    assert "Lieferung 000017 ist geparkt: Keine Steuerungsdatei" in german.text
    assert f'href="/reku/reports/{stuck}"' in german.text
    assert "Delivery" not in german.text
    english = get(airflow_server, "/reku/today", token_of("viewer"), **{"Accept-Language": "en-GB,en;q=0.9,de;q=0.1"})
    assert '<html lang="en">' in english.text
    assert "Delivery 000017 is parked" in english.text
    for answer in (german, english):
        assert "script" not in answer.headers["content-security-policy"]
        assert "<script" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


def test_a_bank_alone(airflow_server: Any, token_of: Token) -> None:
    page = get(airflow_server, f"/reku/today?bank={BANK}", token_of("viewer"))
    assert "Sparkasse Musterstadt" in page.text
    assert "Sparkasse Beispielland" not in page.text
    assert get(airflow_server, "/reku/today?bank=<script>", token_of("viewer")).status_code == 404


def test_a_dag_and_a_run_have_their_own(airflow_server: Any, token_of: Token, database: sa.Engine, stuck: int) -> None:
    owned = sa.update(tables.deliveries).where(tables.deliveries.c.id == stuck)
    with database.begin() as connection:
        connection.execute(owned.values(owner_dag="reku_mcag008", owner_run="manual__2026-11-24"))
    cookie, english = token_of("viewer"), {"Accept-Language": "en"}
    of_dag = get(airflow_server, "/reku/dags/reku_mcag008", cookie, **english).text
    assert (f"/reku/reports/{stuck}" in of_dag, "Keine Steuerungsdatei" in of_dag) == (True, False)
    of_run = get(airflow_server, "/reku/dags/reku_mcag008?run=manual__2026-11-24", cookie, **english).text
    assert ("Deliveries of this run" in of_run, f"/reku/reports/{stuck}" in of_run) == (True, True)
    assert "validated" in of_run
    of_other = get(airflow_server, "/reku/dags/reku_mcag008?run=<script>", cookie, **english).text
    assert ("Deliveries of this run" in of_other, "<script" in of_other) == (False, False)
    assert get(airflow_server, "/reku/dags/elsewhere", cookie).status_code == 404


def test_nobody_sees_it_without_a_login(airflow_server: Any, token_of: Token) -> None:
    stranger = get(airflow_server, "/reku/today")
    assert stranger.status_code == 401
    assert "/auth/login?next=%2Freku%2Ftoday" in stranger.text
    assert "Musterstadt" not in stranger.text
    assert get(airflow_server, "/reku/today", token_of(None)).status_code == 403


def test_only_what_concerns_a_dag_that_one_may_see(
    airflow_server: Any, token_of: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    def may(**asked: Any) -> bool:
        return bool(asked["details"].id == "reku_mcaj604")

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", may)
    page = get(airflow_server, "/reku/today", token_of("viewer"))
    assert "Sparkasse Musterstadt" in page.text
    assert "Sparkasse Beispielland" not in page.text


def test_a_failed_task_is_named_with_its_log_until_a_later_run_makes_it_good(
    airflow_server: Any,
    token_of: Token,
    database: sa.Engine,
    relay: smtp.Sink,
    run_dag: Callable[..., Any],
) -> None:
    assert relay
    order(BANK)
    deliver(1, people(2), BANK)
    take_in_all(database)
    stop = stop_switches.throw(database, institute=None, order=None, actor="anna", note="wrong subject")
    run = run_dag("reku_mcag002", day="2026-11-24")
    page = get(airflow_server, "/reku/today", token_of("viewer"), **{"Accept-Language": "en"}).text
    log = f"/dags/reku_mcag002/runs/{quote(run.run_id, safe='')}/tasks/delivery.dispatch/mapped/"
    assert log in page
    assert "Sparkasse Musterstadt · " in page
    assert "/tasks/report" not in page, "what only repeats another failure is not named"
    stop_switches.lift(database, stop, actor="anna", note="mended")
    assert run_dag("reku_mcag002", day="2026-11-24").state == "success"
    assert log not in get(airflow_server, "/reku/today", token_of("viewer")).text


def test_the_dags_of_the_system_are_all_known() -> None:
    written = {
        name
        for file in (PROJECT / "dags").glob("*.py")
        for name in re.findall(r'"(reku_[a-z0-9_]+)"', file.read_text(encoding="utf-8"))
    }
    assert written <= set(OF_THE_SYSTEM)
    assert written


def test_without_the_database_it_says_so(airflow_server: Any, token_of: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    settings.cache_clear()
    answer = get(airflow_server, "/reku/today", token_of("viewer"))
    assert (answer.status_code, "Datenbank antwortet nicht" in answer.text) == (503, True)


def test_what_comes_from_outside_is_text_and_nothing_else() -> None:
    said = broken_configuration("<script>alert(1)</script>")
    page = render_today([Need(NeedKind.BROKEN_CONFIGURATION, said, BANK, "<b>Bank</b>")], [], "", "de", lambda _: True)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page


def test_ten_thousand_lines_come_in_parts() -> None:
    said = broken_configuration("fault")
    many = [Need(NeedKind.BROKEN_CONFIGURATION, said, BANK, f"Bank {number:05d}.") for number in range(10_000)]
    seen: list[str] = []
    for number in range(1, 10_000 // AT_ONCE + 1):
        page = render_today(many, [], "", "en", lambda _: False, number)
        assert f"part {number} of {10_000 // AT_ONCE}" in page
        seen += re.findall(r"Bank \d{5}\.", page)
    assert seen == [need.bank for need in many]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "de"),
        ("fr", "de"),
        ("en", "en"),
        ("de;q=0.5, en;q=0.9", "en"),
        ("en-US,en;q=0.5", "en"),
        ("de-AT", "de"),
        ("en;q=viel", "de"),
        ("*", "de"),
    ],
)
def test_the_language_that_a_browser_likes_better(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_it_says_who_looks_after_what() -> None:
    need = Need(NeedKind.PARKED, broken_configuration("x"), BANK, "Bank", subject="deliveries:17")
    free = render_today([need], [], "", "en", lambda _: True)
    assert "acts/take?of=PARKED%20deliveries%3A17" in free
    assert "acts/silence?of=" in free
    assert "acts/take" not in render_today([need], [], "", "en", lambda _: False)
    state = AlarmState(
        *(1, need.cause, "about", BANK, "platform", NOON, NOON, None, NOON, "Alma Ruf", NOON, "Ole <b>Muster</b>"),
        note="the bank knows",
    )
    taken = render_today([need], [], "", "en", lambda _: True, 1, {need.cause: state})
    assert "Taken by Alma Ruf" in taken
    assert "Ole &lt;b&gt;Muster&lt;/b&gt;: the bank knows" in taken
    assert "acts/take" not in taken
    assert "acts/silence" not in taken
