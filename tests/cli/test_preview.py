"""`reku preview`."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from reku.catalogue import institutes
from reku.channels.email.media.live_preview import LivePreview
from reku.channels.email.media.people import sample_person
from reku.foundation.settings import INCLUDE, settings
from reku_testing import banks, browser, smtp, world
from tests.cli.conftest import Reku


@pytest.fixture(autouse=True)
def _bank(reku_settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    banks.configure(monkeypatch, tmp_path / "include")


def test_text_on_the_screen_and_html_in_a_file(reku: Reku, tmp_path: Path) -> None:
    out = tmp_path / "mail.html"
    done = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--out", out)
    assert done.exit_code == 0
    assert done.stdout.startswith("Subject: ")
    assert "Sparkasse Beispielstadt" in done.stdout
    assert "<html" in out.read_text(encoding="utf-8")
    found = json.loads(reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--json").stdout)
    assert found["html"] == out.read_text(encoding="utf-8")
    assert f"Subject: {found['subject']}\n\n{found['text']}" == done.stdout


@pytest.mark.parametrize(
    ("medium", "institute", "said"),
    [
        ("SCOM_GEBURSTAG", world.BLZ, "Did you mean 'SCOM_GEBURTSTAG'?"),
        ("SCOM_GEBURTSTAG", "99950002", "There is no institute '99950002'. Did you mean '99950001'?"),
    ],
)
def test_what_is_not_there_is_named(reku: Reku, medium: str, institute: str, said: str) -> None:
    done = reku("preview", medium, "--institute", institute)
    assert (done.exit_code, done.stdout, said in done.stderr) == (1, "", True)


def test_a_place_that_cannot_be_written_to(reku: Reku) -> None:
    done = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--out", "/nowhere/mail.html")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("/nowhere/mail.html: No such file")


def test_the_letter_goes_into_a_file(reku: Reku, tmp_path: Path) -> None:
    out = tmp_path / "brief.pdf"
    done = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--letter", out)
    assert (done.exit_code, f"The letter is in {out}" in done.stderr) == (0, True)
    assert out.read_bytes().startswith(b"%PDF")
    none = reku("preview", "SKP_UMZUG", "--institute", world.BLZ, "--letter", tmp_path / "none.pdf")
    assert (none.exit_code, "SKP_UMZUG has no letter" in none.stderr) == (1, True)


def test_people_and_fields(reku: Reku) -> None:
    def salutation(*arguments: str) -> str:
        done = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, *arguments)
        assert done.exit_code == 0
        return done.stdout.split("\n\n")[1]

    assert salutation() == "Sehr geehrte Frau Dr. Beispiel-Müßig,"
    assert salutation("--person", "neutral") == "Guten Tag Prof. Dr. Kim Muster-Beispiel,"
    assert salutation("--person", "nothing") == "Sehr geehrte Damen und Herren,"
    assert salutation("--set", "Anrede=1", "--set", "Titel=") == "Sehr geehrter Herr Beispiel-Müßig,"
    wrong = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--person", "neutrall")
    assert (wrong.exit_code, "Did you mean neutral?" in wrong.stderr) == (2, True)
    wrong = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--set", "Alter=18")
    assert (wrong.exit_code, "'Alter=18' is no answer" in wrong.stderr) == (2, True)


def test_a_page_shows_both_widths_in_both_modes_and_a_picture_of_it(reku: Reku, tmp_path: Path) -> None:
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    shoot = ("--picture", picture) if browser.program() else ()
    done = reku("preview", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--page", page, *shoot)
    assert done.exit_code == 0
    shown = page.read_text(encoding="utf-8")
    for title in ("phone, light", "phone, dark", "desktop, light", "desktop, dark"):
        assert f'title="{title}"' in shown
    assert (shown.count("@media all"), shown.count("@media not all")) == (4, 4)  # head and look, in two frames each
    if shoot:
        with Image.open(picture) as shot:
            for left in (60, 500, 1150, 1600):  # within each of the four frames: a mail in it, no empty ground
                assert len(shot.convert("RGB").crop((left, 150, left + 250, 900)).getcolors(1 << 20) or ()) > 100


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LivePreview]:
    folder = tmp_path / "include"
    (folder / "templates").unlink()
    for name in ("shared", "scom/geburtstag"):
        shutil.copytree(INCLUDE / "templates" / name, folder / "templates" / name)
    shutil.copy(INCLUDE / "templates/scom/look.mjml", folder / "templates/scom")
    server = LivePreview("SCOM_GEBURTSTAG", world.BLZ, sample_person(institutes()[world.BLZ]))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_of_watch_follows_what_is_written(live: LivePreview, tmp_path: Path) -> None:
    mail = tmp_path / "include/templates/scom/geburtstag/mail.mjml"
    whole, before = mail.read_text(encoding="utf-8"), httpx.get(f"{live.url}state").text
    assert "location.reload()" in httpx.get(live.url).text
    mail.write_text(whole.replace("ganz herzlich", "von Herzen"), encoding="utf-8")
    after = httpx.get(f"{live.url}state").text
    assert after != before
    page = httpx.get(live.url).text
    assert "von Herzen" in page
    assert "Only the HTML part says" in page  # what the check says stands on it
    mail.write_text(whole.replace("</mj-body>", ""), encoding="utf-8")
    assert ": Broken MJML: mismatched tag." in httpx.get(live.url).text
    assert httpx.get(f"{live.url}etc/passwd").status_code == 404


def test_a_test_mail_goes_to_colleagues_only(reku: Reku, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    banks.configure(monkeypatch, tmp_path / "include", test_addresses=["Mia@werkstatt.example"])
    with smtp.running(smtp.Sink()) as sink:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings.cache_clear()
        send = ("test-send", "SCOM_GEBURTSTAG", "--institute", world.BLZ, "--to")
        refused = reku(*send, "kunde@post.example")
        assert (refused.exit_code, "Add it to `test_addresses`" in refused.stderr, sink.taken) == (1, True, [])
        done = reku(*send, "mia@werkstatt.example", "--set", "Anlass_Wert=18")
        assert (done.exit_code, done.stdout) == (0, "sent: 1\n")
        (mail,) = sink.mails()
        assert mail["Subject"] == "[Test] Herzlichen Glückwunsch zum 18. Geburtstag!"
        assert "mia@werkstatt.example" in mail["To"]
        html = mail.get_body(("html",)).get_content()
        assert 'href="https://www.sparkasse.example/geburtstag"' in html
        assert "/o/" not in html
        sink.say = lambda point, _recipient: "550 5.7.1 no" if point == "dot" else None
        refused = reku(*send, "mia@werkstatt.example", "--json")
        assert (refused.exit_code, json.loads(refused.stdout)["sent"]) == (1, 0)
