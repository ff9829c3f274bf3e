"""All orders at a glance, the next days, one order and one row, for whoever may see their DAGs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from reku.dispatch import stop_switches
from reku.store.kinds import EventKind
from reku.store.states import DeliveryState
from reku.store.tables import responses
from reku_testing import world
from tests.orchestration.test_acting import Visitor

Token = Callable[..., str]
BANK, OTHER = "99990001", "99990002"
NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def loaded(database: sa.Engine, clock_at: Callable[[datetime], None]) -> str:
    """A loaded delivery of three people at one bank, one of them opened; a parked one at another. A Referenz of it."""
    clock_at(NOON)
    order = world.order(database, "R0000101", institute=BANK, name="Geburtstag <script>", valid_from=date(2026, 11, 20))
    world.subscriber_list(database, order)
    delivery = world.delivery(database, order, state=DeliveryState.LOADED)
    fields = [world.reku_fields(number, order="R0000101") for number in (1, 2, 3)]
    for row, state in zip(world.rows(database, delivery, fields), ("SENT", "WITHHELD", "OPEN"), strict=True):
        reason = {"reason": "KEINE_EINWILLIGUNG"} if state == "WITHHELD" else {}
        message = world.message(database, row, state=state, **reason)
        if state == "SENT":
            opened = {
                "institute": BANK,
                "order_id": order,
                "message_id": message,
                "kind": EventKind.OPENED,
                "at": NOON,
                "recorded_at": NOON,
            }
            with database.begin() as connection:
                connection.execute(sa.insert(responses).values(**opened))
    other = world.order(database, "R0000102", institute=OTHER, occasion="MCAJ604", valid_from=date(2026, 11, 24))
    world.delivery(database, other, state=DeliveryState.PARKED, rows=20, advice="Keine Steuerungsdatei")
    return fields[0]["Referenz"]


@pytest.fixture
def viewer(airflow_server: Any, token_of: Token) -> Visitor:
    return Visitor(airflow_server, token_of("viewer"))


@pytest.fixture
def user(airflow_server: Any, token_of: Token) -> Visitor:
    return Visitor(airflow_server, token_of("user"))


def test_the_matrix_shows_how_each_order_stands_and_is_searched(viewer: Visitor) -> None:
    page = viewer.get("/reku/matrix").text
    assert f'href="/reku/orders/{BANK}/R0000101"' in page
    assert ">parked</a>" in page
    assert "Geburtstag &lt;script&gt;" in page
    assert "<script" not in page
    found = viewer.get("/reku/matrix?q=musterstadt").text
    assert (f"/reku/orders/{BANK}/" in found, f"/reku/orders/{OTHER}/" in found) == (True, False)
    found = viewer.get("/reku/matrix?state=PARKED&occasion=mcaj").text
    assert (f"/reku/orders/{BANK}/" in found, f"/reku/orders/{OTHER}/" in found) == (False, True)
    assert "No order fits that" in viewer.get("/reku/matrix?q=%3Cscript%3E").text


def test_the_agenda_warns_before_the_night(viewer: Visitor, database: sa.Engine) -> None:
    page = viewer.get("/reku/agenda").text
    assert page.count(f'href="/reku/orders/{BANK}/R0000101"') == 7, "daily"
    assert "last time 3 people" in page
    stop_switches.throw(database, institute=BANK, order="R0000101", actor="anna", note="wrong subject")
    warned = viewer.get("/reku/agenda?warned=1").text
    assert warned.count("Its dispatch is stopped.") == 7


def test_an_order_with_its_dates_figures_and_runs(viewer: Visitor, user: Visitor) -> None:
    page = viewer.get(f"/reku/orders/{BANK}/R0000101").text
    assert "24.11.2026, 25.11.2026" in page
    assert '<svg class="funnel" role="img"' in page
    assert "KEINE_EINWILLIGUNG 1" in page
    assert "<script" not in page
    assert "/reku/acts/" not in page
    assert f"/reku/acts/stop?of={BANK}-R0000101" in user.get(f"/reku/orders/{BANK}/R0000101").text
    assert user.press(f"/reku/acts/stop?of={BANK}-R0000101").status_code == 200
    stopped = user.get(f"/reku/orders/{BANK}/R0000101").text
    assert "Its dispatch is stopped." in stopped
    assert "/reku/acts/lift?of=" in stopped
    assert "wrong" not in viewer.get("/reku/dispatch").text
    assert "because" in viewer.get("/reku/dispatch").text
    for path in (f"orders/{BANK}/R9", "orders/x/R1", "orders/99999999/R0000101"):
        assert viewer.get(f"/reku/{path}").status_code == 404


def test_one_row_s_life(viewer: Visitor, loaded: str) -> None:
    page = viewer.get(f"/reku/why?reference={loaded}&bank={BANK}").text
    assert "accepted at the gate" in page
    assert "opened" in page
    german = viewer.get_in(f"/reku/why?reference={loaded}&bank={BANK}", "de").text
    assert ("Zeile 3" in german, "nicht gemeldet" in german, "not reported" in german) == (True, True, False)
    assert viewer.get("/reku/why").status_code == 200
    assert viewer.get(f"/reku/why?reference=R1-2-3&bank={BANK}").status_code == 404


def test_only_orders_of_dags_that_one_may_see(viewer: Visitor, loaded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", lambda **about: about["details"].id == "reku_mcaj604")
    for path in ("matrix", "agenda"):
        page = viewer.get(f"/reku/{path}").text
        assert (f"/reku/orders/{BANK}/" in page, f"/reku/orders/{OTHER}/" in page) == (False, True)
    assert viewer.get(f"/reku/orders/{BANK}/R0000101").status_code == 404
    assert viewer.get(f"/reku/why?reference={loaded}&bank={BANK}").status_code == 404
    assert viewer.get("/reku/dispatch").status_code == 403


@pytest.mark.parametrize(
    "path", ["today", "matrix", "agenda", f"orders/{BANK}/R0000101", "why?reference=x", "dispatch"]
)
def test_nobody_sees_anything_without_a_login(airflow_server: Any, path: str) -> None:
    answer = Visitor(airflow_server, None).get(f"/reku/{path}")
    assert answer.status_code == 401
    assert "Geburtstag" not in answer.text
