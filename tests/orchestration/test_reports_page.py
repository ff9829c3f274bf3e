"""The pages on Airflow's own server: only for people who are logged in, only reports, and nothing runs in them."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.release.report import END_OF_NOW, NOW, find_report, write_report
from reku.runtime.airflow import ADMINISTRATOR
from reku.store.states import DeliveryState
from reku_testing import world

Token = Callable[..., str]

pytestmark = pytest.mark.airflow


@pytest.fixture
def written(database: sa.Engine) -> int:
    delivery = world.delivery(database, world.order(database), state=DeliveryState.VALIDATED, rows=1)
    write_report(database, delivery)
    return delivery


def get(server: Any, path: str, cookie: str | None = None, **headers: str) -> Any:
    server.cookies.clear()
    if cookie:
        server.cookies.set("_token", cookie)
    return server.get(path, headers=headers)


def test_a_logged_in_person_sees_the_report_by_cookie_or_token(
    airflow_server: Any, token_of: Token, written: int
) -> None:
    page = find_report(written)
    assert page is not None
    for answer in (
        get(airflow_server, f"/reku/reports/{written}", token_of("viewer")),
        get(airflow_server, f"/reku/reports/{written}", Authorization=f"Bearer {token_of('viewer')}"),
    ):
        assert answer.status_code == 200
        before, _, rest = page.read_text(encoding="utf-8").partition(NOW)
        assert answer.text.startswith(before)
        assert answer.text.endswith(rest.partition(END_OF_NOW)[2])
        assert f'href="/reku/orders/{world.BLZ}/{world.ORDER}"' in answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert "http" not in policy


def test_nobody_else_sees_it(airflow_server: Any, token_of: Token, written: int) -> None:
    path = f"/reku/reports/{written}"
    stranger = get(airflow_server, path)
    assert stranger.status_code == 401
    assert f"/auth/login?next=%2Freku%2Freports%2F{written}" in stranger.text
    assert "Geburtstag_rund_2026" not in stranger.text
    for answer, status in (
        (get(airflow_server, path, "eyJhbGciOiJIUzUxMiJ9.e30.AAAA"), 403),
        (get(airflow_server, path, token_of("viewer")[:-4]), 403),
        (get(airflow_server, path, token_of(None)), 403),
        (get(airflow_server, path, Authorization="Basic YWRtaW46YWRtaW4="), 401),
    ):
        assert answer.status_code == status
        assert "Geburtstag_rund_2026" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
    # whether there is a report is told to nobody either
    assert get(airflow_server, "/reku/reports/4711").status_code == 401


@pytest.mark.parametrize(
    ("permitted", "query", "status"),
    [
        ("reku_mcag002", "", 200),
        ("reku_mcag002", "?dag_id=reku_mcal610", 200),
        ("reku_mcal610", "", 403),
        ("reku_mcal610", "?dag_id=reku_mcal610", 403),
        ("reku_mcal610", "?dag_id=~", 403),
        ("", "?dag_id=", 403),
    ],
)
def test_only_the_rights_for_the_delivery_s_own_dag_count(
    airflow_server: Any,
    token_of: Token,
    written: int,
    monkeypatch: pytest.MonkeyPatch,
    permitted: str,
    query: str,
    status: int,
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    def may(**asked: Any) -> bool:
        return bool(asked["details"].id == permitted and asked["method"] == "GET")

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", may)
    answer = get(airflow_server, f"/reku/reports/{written}{query}", token_of("viewer"))
    assert answer.status_code == status
    assert ("Geburtstag_rund_2026" in answer.text) == (status == 200)
    assert get(airflow_server, f"/reku/reports/4711{query}", token_of("viewer")).status_code == 403


def test_without_the_database_nothing_is_shown(
    airflow_server: Any, token_of: Token, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    settings.cache_clear()
    answer = get(airflow_server, f"/reku/reports/{written}", token_of("viewer"))
    assert (answer.status_code, "Datenbank antwortet nicht" in answer.text) == (503, True)


TOKEN = "a token of tests, as long as one has to be"


@pytest.mark.parametrize(
    ("configured", "given", "status"),
    [
        ("", "", 404),
        ("", TOKEN, 404),
        (TOKEN, TOKEN, 303),
        (TOKEN, "", 403),
        (TOKEN, TOKEN[:-1], 403),
        (TOKEN, "é", 403),
    ],
)
def test_the_token_that_was_printed_logs_in(
    airflow_server: Any,
    reku_settings: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    configured: str,
    given: str,
    status: int,
) -> None:
    from airflow.configuration import conf

    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({ADMINISTRATOR: configured}))
    monkeypatch.setenv("REKU_UI_TOKEN", configured)
    settings.cache_clear()
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", f"{ADMINISTRATOR}:admin")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
    assert not conf.getboolean("core", "simple_auth_manager_all_admins")
    answer = get(airflow_server, f"/reku/login?token={given}")
    assert answer.status_code == status
    assert (answer.headers.get("location"), TOKEN in answer.text) == ("/" if status == 303 else None, False)
    cookie = answer.cookies.get("_token")
    assert (cookie is not None) == (status == 303)
    if cookie:
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert get(airflow_server, "/api/v2/connections", cookie).status_code == 200
    assert get(airflow_server, "/api/v2/connections").status_code == 401


@pytest.mark.parametrize(
    ("hosts", "asked", "status"),
    [
        ("", "evil.example", 200),
        ("127.0.0.1,localhost", "127.0.0.1:8080", 200),
        ("127.0.0.1, localhost", "localhost:8080", 200),
        ("127.0.0.1,localhost", "evil.example", 400),
        ("127.0.0.1,localhost", "127.0.0.1.evil.example", 400),
        ("127.0.0.1,localhost", "", 400),
    ],
)
def test_only_this_server_s_own_names_are_answered(
    reku_settings: Path, monkeypatch: pytest.MonkeyPatch, hosts: str, asked: str, status: int
) -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from tests.conftest import PROJECT

    monkeypatch.setenv("REKU_UI_HOSTS", hosts)
    settings.cache_clear()
    plugin = runpy.run_path(str(PROJECT / "plugins/reku_pages.py"))
    (middleware,) = plugin["RekuPages"].fastapi_root_middlewares
    page = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])
    client = TestClient(middleware["middleware"](page, *middleware["args"], **middleware["kwargs"]))
    assert client.get("/", headers={"Host": asked}).status_code == status


@pytest.mark.parametrize("path", ["4711", "0", "-1", "x", "1.5", str(2**63), "1/index.html", "", "%20", "٣x"])
def test_what_is_no_report_is_not_found(airflow_server: Any, token_of: Token, written: int, path: str) -> None:
    answer = get(airflow_server, f"/reku/reports/{path}", token_of("viewer"))
    assert answer.status_code == 404
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fsecret",
        "%2e%2e/%2e%2e/secret",
        "..%5c..%5csecret",
        "1%2f..%2f..%2f..%2fsecret",
        "%2fetc%2fpasswd",
        "1%00",
        "*",
        "..",
    ],
)
def test_no_other_file_can_be_read(airflow_server: Any, token_of: Token, written: int, path: str) -> None:
    for place in (settings().reports().parent / "secret", settings().reports() / "secret"):
        place.write_text("of-nobodys-business")
    answer = get(airflow_server, f"/reku/reports/{path}", token_of("viewer"))
    assert "of-nobodys-business" not in answer.text
    assert "root:" not in answer.text
    assert "Geburtstag_rund_2026" not in answer.text


def test_a_missing_report_says_how_to_make_it(airflow_server: Any, token_of: Token, written: int) -> None:
    answer = get(airflow_server, "/reku/reports/4711", token_of("viewer"))
    assert "<code>reku deliveries report 4711</code>" in answer.text


def test_the_server_writes_nothing(airflow_server: Any, token_of: Token, written: int) -> None:
    assert airflow_server.post(f"/reku/reports/{written}").status_code == 405
    assert get(airflow_server, "/reku/docs", token_of("viewer")).status_code == 404
    assert get(airflow_server, "/reku/openapi.json", token_of("viewer")).status_code == 404


def test_plugin_costs_other_processes_nothing() -> None:
    """Every process of Airflow loads it; only the server needs FastAPI and what stands behind the login."""
    import subprocess
    import sys

    from tests.conftest import PROJECT

    program = (
        "import runpy, sys; import airflow.plugins_manager; before = set(sys.modules)\n"
        "found = runpy.run_path('plugins/reku_pages.py')\n"
        "assert found['RekuPages'].fastapi_apps\n"
        "print(' '.join(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "reku.orchestration.reports" in loaded
    assert not [name for name in loaded if name.startswith(("airflow.api_fastapi", "great_expectations", "reku.store"))]


def test_every_plugin_file_is_accounted_for() -> None:
    from tests.conftest import PROJECT

    assert [file.name for file in Path(PROJECT / "plugins").glob("*.py")] == ["reku_pages.py"]
