"""The page "Dateien": a bank's own people upload and fetch, and nobody else."""

from __future__ import annotations

import io
import secrets
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.foundation.settings import INCLUDE, settings
from reku.process import by_hand
from reku.process.systems import FILE_FORMATS
from reku.store.tables import audit
from reku.views.prepared_overview import prepared_files_of
from reku_testing import browser
from reku_testing.dispatching import BANK, NINE, states
from tests.orchestration.test_acting import Visitor, token_in
from tests.orchestration.test_pages_in_a_browser import DESK, ENTER, be, faults, press_until
from tests.pickup.slips import FORMATS, SLIPS, Slips
from tests.pickup.test_prepared import prepared

pytestmark = pytest.mark.airflow

DATA_BANK = "99990003"
NAME = f"ida_kunden_{DATA_BANK}_20261124041000.csv"
CONTENT = "V;IDA_KUNDEN;1;ä\r\n".encode("cp1252")
UPLOAD = f"/reku/files?bank={DATA_BANK}"


@pytest.fixture(autouse=True)
def staffed(database: sa.Engine, clock_at: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shipped configuration; `operator` is staff of two banks, and slips stand for letters."""
    clock_at(NINE)
    folder = tmp_path / "include"
    folder.mkdir()
    for shipped in INCLUDE.iterdir():
        if shipped.name not in ("reku", "institutes"):
            (folder / shipped.name).symlink_to(shipped)
    shutil.copytree(INCLUDE / "institutes", folder / "institutes")
    for blz in (BANK, DATA_BANK):
        with (folder / "institutes" / f"{blz}.yaml").open("a", encoding="utf-8") as file:
            file.write("\nstaff: [operator]\n")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(folder))
    monkeypatch.setenv("REKU_FILES_URL", str(tmp_path / "files"))
    settings.cache_clear()
    monkeypatch.setitem(FILE_FORMATS, *next(iter(FORMATS.items())))


@pytest.fixture
def staff(airflow_server: Any, token_of: Callable[..., str]) -> Visitor:
    return Visitor(airflow_server, token_of("viewer"))


def send(staff: Visitor, name: str, content: bytes, path: str = UPLOAD, **headers: str) -> Any:
    token = token_in(staff.get(path).text)
    return staff._server.post(
        path, data={"token": token}, files={"file": (name, content)}, headers={"Accept-Language": "en"} | headers
    )


def on_record(engine: sa.Engine) -> list[tuple[str, str, str]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(audit.c.actor, audit.c.action, audit.c.subject).order_by(audit.c.id))
        return [tuple(row) for row in rows]


def test_only_the_banks_own_people_and_nobody_who_runs_the_platform(
    airflow_server: Any, token_of: Callable[..., str], staff: Visitor, database: sa.Engine
) -> None:
    prepared(database)
    token = token_in(staff.get(f"/reku/files?bank={BANK}").text)
    nobody = Visitor(airflow_server, None)
    for visitor, status in ((nobody, 401), (Visitor(airflow_server, token_of("admin")), 403)):
        for answer in (
            visitor.get("/reku/files"),
            visitor.post(f"/reku/files/1?bank={BANK}", {"token": token}),
            visitor.post(UPLOAD, {"token": token}),
        ):
            assert answer.status_code == status
            assert "Musterhausen" not in answer.text
    assert staff.get("/reku/files?bank=99990002").status_code == 403, "staff of this one they are not"
    assert staff.post("/reku/files/1?bank=99990002", {"token": token}).status_code == 403
    other = staff.post(f"/reku/files/1?bank={DATA_BANK}", {"token": token_in(staff.get(UPLOAD).text)})
    assert (other.status_code, "has no prepared file 1" in other.text) == (409, True)
    assert staff.post(f"/reku/files/1?bank={BANK}", {"token": "1.x"}).status_code == 409
    assert (
        staff.post(f"/reku/files/1?bank={BANK}", {"token": token}, **{"Sec-Fetch-Site": "cross-site"}).status_code
        == 403
    )
    assert on_record(database) == []
    assert set(states(database, 1)) == {"PREPARED"}


def test_a_file_is_made_while_it_is_fetched_by_two_at_once_the_same(staff: Visitor, database: sa.Engine) -> None:
    delivery = prepared(database)
    path = f"/reku/files?bank={BANK}"
    page = staff.get(path)
    (line,) = prepared_files_of(database, BANK)
    assert line.name in page.text
    assert "<td>waits</td>" in page.text
    token = token_in(page.text)
    answers: list[Any] = []

    def fetch() -> None:
        answers.append(staff._server.post(f"/reku/files/1?bank={BANK}", data={"token": token}))

    both = [threading.Thread(target=fetch) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["content-disposition"].endswith(line.name.replace(".txt", ".zip"))
    assert answers[0].headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answers[0].content)) as archive:
        slips, companion = archive.namelist()
        assert (len(archive.read(slips).splitlines()), archive.read(companion)) == (4, b"3")
    assert set(states(database, delivery)) == {"SENT"}
    assert on_record(database) == [("operator", "fetch file", "prepared_files:1")] * 2
    assert "fetched 24.11.2026" in staff.get(path).text


def test_a_fetch_that_breaks_off_is_not_counted_and_a_lost_key_is_one_sentence(
    staff: Visitor, airflow_address: str, database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = prepared(database)
    path = f"/reku/files/1?bank={BANK}"
    form = urlencode({"token": token_in(staff.get(f"/reku/files?bank={BANK}").text)})
    monkeypatch.setitem(FILE_FORMATS, SLIPS.kind, Slips(heading=secrets.token_hex(8 << 20)))
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        address = urlsplit(airflow_address)
        line.connect((address.hostname, address.port))
        line.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nCookie: _token={staff.token}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(form)}\r\n\r\n{form}".encode()
        )
        assert line.recv(1 << 10).startswith(b"HTTP/1.1 200")
    assert set(states(database, delivery)) == {"PREPARED"}
    monkeypatch.setitem(FILE_FORMATS, SLIPS.kind, SLIPS)

    def lost(*_: Any) -> Any:
        raise SetupError("REKU_VAULT_KEYS lacks the key 0f3a.")

    with monkeypatch.context() as patch:
        patch.setattr(Slips, "files", lost)
        answer = staff.post(path, {"token": parse_qs(form)["token"][0]}, **{"Accept-Language": "de"})
    assert answer.status_code == 503
    assert "Die Datei lässt sich gerade nicht herstellen; sie wartet weiter" in answer.text
    assert "lacks the key 0f3a" in answer.text
    assert (set(states(database, delivery)), on_record(database)) == ({"PREPARED"}, [])
    # Repeated, it is whole, and it is on record once: also that it would come out otherwise by now is no matter.
    assert staff.post(path, {"token": parse_qs(form)["token"][0]}).status_code == 200
    assert set(states(database, delivery)) == {"SENT"}
    assert on_record(database) == [("operator", "fetch file", "prepared_files:1")]


@pytest.mark.skipif(browser.program() is None, reason=browser.INSTALL)
def test_in_a_browser(airflow_address: str, token_of: Callable[..., str], database: sa.Engine, tmp_path: Path) -> None:
    """Staff upload and fetch by keyboard and without script; who runs the platform, and who is nobody, is refused."""
    delivery = prepared(database)
    export, downloads = tmp_path / NAME, tmp_path / "downloads"
    export.write_bytes(CONTENT)
    with browser.browser(tmp_path) as tab:
        tab.ask("Network.enable")
        be(tab, "de", "light", DESK)
        tab.go(f"{airflow_address}/reku/files?bank={BANK}")
        assert tab.value("document.querySelector('form') === null"), "nobody sees nothing"
        for role, allowed in (("admin", False), ("viewer", True)):
            tab.ask("Network.setCookie", name="_token", value=token_of(role), url=airflow_address)
            tab.go(f"{airflow_address}/reku/files?bank={DATA_BANK}")
            assert tab.value("document.querySelector('input[type=file]') !== null") is allowed, role
        assert faults(tab) == []
        tab.ask("Emulation.setScriptExecutionDisabled", value=True)
        tab.go(f"{airflow_address}/reku/files?bank={DATA_BANK}")
        field = tab.ask("DOM.querySelector", nodeId=tab.ask("DOM.getDocument")["root"]["nodeId"], selector="#file")
        tab.ask("DOM.setFileInputFiles", files=[str(export)], nodeId=field["nodeId"])
        press_until(tab, "document.activeElement.textContent === 'Hochladen'")
        tab.press(*ENTER)
        tab.wait_for("document.querySelector('[role=status]')?.textContent.includes('liegt im Eingang') === true")
        tab.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        tab.go(f"{airflow_address}/reku/files?bank={BANK}")
        press_until(tab, "document.activeElement.getAttribute('aria-label')?.startsWith('Abholen slips_') === true")
        tab.press(*ENTER)
        deadline = time.monotonic() + 30
        while not list(downloads.glob("*.zip")) or set(states(database, delivery)) != {"SENT"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert (tmp_path / "files" / DATA_BANK / "eingang" / NAME).read_bytes() == CONTENT
    assert [action for _, action, _ in on_record(database)] == ["upload file", "fetch file"]


def test_an_export_lies_whole_in_the_inbox_and_what_is_none_is_refused_in_words(
    staff: Visitor, database: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "files" / DATA_BANK / "eingang"
    for name, content, said in (
        ("bericht.csv", CONTENT, "The name is none of a file that is taken here"),
        ("../../x.csv", CONTENT, "The name is none"),
        (NAME.replace(DATA_BANK, "99990001"), CONTENT, "names BLZ 99990001, and you are here for 99990003"),
        (NAME, b"%PDF-1.7 x", "That is a PDF and no CSV file"),
        (NAME, b"PK\x03\x04", "an Excel or ZIP file"),
        (NAME, b"", "The file is empty"),
        (NAME, b"\x00\x01\x02", "That is no text file"),
        (f"vtm_akte_{DATA_BANK}_20261124041000.csv", CONTENT, "The name is none"),
    ):
        answer = send(staff, name, content)
        assert (answer.status_code, said in answer.text) == (422, True), said
    german = send(staff, NAME, b"%PDF-1.7", **{"Accept-Language": "de"})
    assert "Das ist ein PDF, keine CSV-Datei" in german.text
    assert not inbox.exists() or not list(inbox.iterdir())
    assert on_record(database) == []

    taken = send(staff, NAME, CONTENT * 100_000)
    assert (taken.status_code, "is in the inbox" in taken.text) == (200, True)
    assert (inbox / NAME).read_bytes() == CONTENT * 100_000
    assert (inbox / f"{NAME}.ok").exists()
    again = send(staff, NAME, CONTENT)
    assert (again.status_code, "is in the inbox already" in again.text) == (422, True)
    assert on_record(database) == [("operator", "upload file", f"file:{NAME}")]

    two_gigabytes = {"Content-Length": str(2 << 30), "Content-Type": "multipart/form-data; boundary=x"}
    large = staff._server.post(UPLOAD, headers=two_gigabytes, content=b"")
    assert (large.status_code, "2.0 GB" in large.text) == (413, True), "refused before any of it is read"

    monkeypatch.setattr(by_hand, "LARGEST", 1000)
    large = send(staff, NAME, CONTENT * 100)
    assert (large.status_code, "Please deliver by SFTP" in large.text) == (413, True)
    token = token_in(staff.get(UPLOAD).text)
    assert staff.post(UPLOAD, {"token": token}).status_code == 422


def test_what_lies_in_the_outbox_is_handed_out(staff: Visitor, database: sa.Engine, tmp_path: Path) -> None:
    token = token_in(staff.get(UPLOAD).text)
    name = f"vtm_akte_{DATA_BANK}_20261123221000.csv"
    outbox = tmp_path / "files" / DATA_BANK / "ausgang"
    (outbox / name).write_bytes(CONTENT)
    assert name in staff.get(UPLOAD).text
    answer = staff.post(f"/reku/files/outbox/{name}?bank={DATA_BANK}", {"token": token})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    gone = staff.post(f"/reku/files/outbox/..%2F{name}?bank={DATA_BANK}", {"token": token})
    assert gone.status_code in (404, 409)
    assert on_record(database) == [("operator", "fetch file", f"file:{name}")]
