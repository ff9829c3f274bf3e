"""`reku preview`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reku_testing import banks, world
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
    none = reku("preview", "SCOM_HEIRAT", "--institute", world.BLZ, "--letter", tmp_path / "none.pdf")
    assert (none.exit_code, "SCOM_HEIRAT has no letter" in none.stderr) == (1, True)
