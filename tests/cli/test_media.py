"""`reku media`: the workshop as a person types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reku.foundation.settings import INCLUDE
from reku_testing import banks, world
from tests.cli.conftest import Reku


@pytest.fixture
def config(reku_settings: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """One bank, and few media, which a test may change."""
    folder = banks.configure(monkeypatch, tmp_path / "include")
    (folder / "templates").unlink()
    for name in ("shared", "eigen", "scom/geburtstag"):
        shutil.copytree(INCLUDE / "templates" / name, folder / "templates" / name)
    shutil.copy(INCLUDE / "templates/scom/look.mjml", folder / "templates/scom")
    return folder


ANSWERS = (
    "Unser Sommerfest\nSie sind eingeladen\n\nFeiern Sie mit!\nPlatz reservieren\nftp://x\nhttps://www.{domain}/fest\n"
)


def test_from_nothing_to_a_checked_medium(reku: Reku, config: Path) -> None:
    done = reku("media", "new", "EIGEN_SOMMERFEST", typed=ANSWERS)
    folder = config / "templates" / "eigen" / "sommerfest"
    assert (done.exit_code, f"{folder} is written" in done.stdout) == (0, True)
    assert "Wohin er führt" in done.stdout
    assert "should match pattern" in done.stderr
    listed = json.loads(reku("media", "list", "--json").stdout)
    assert [(one["medium"], one["campaigns"]) for one in listed] == [("EIGEN_SOMMERFEST", []), ("SCOM_GEBURTSTAG", [])]
    assert reku("media", "check", "EIGEN_SOMMERFEST").stdout == "all fine: 1 medium\n"

    mail = folder / "mail.mjml"
    mail.write_text(mail.read_text("utf-8").replace(">Platz reservieren<", ">hier<"), encoding="utf-8")
    done = reku("media", "check", "EIGEN_SOMMERFEST", "--institute", world.BLZ)
    assert (done.exit_code, done.stderr) == (1, "1 fault\n")
    assert f"{mail}:18: A link reads 'hier'" in done.stdout
    assert '\n    18 | <mj-button href="{{ link_angebot }}">hier</mj-button>\n' in done.stdout
    (fault,) = json.loads(reku("media", "check", "EIGEN_SOMMERFEST", "--json").stdout)["faults"]
    assert (fault["line"], fault["excerpt"][:10]) == (18, "<mj-button")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "SCOM_GEBURSTAG"), "Did you mean 'SCOM_GEBURTSTAG'?"),
        (("new", "sommerfest", "--json"), "is no key of a medium"),
        (("new", "EIGEN_X", "--like", "SCOM_GEBURSTAG", "--json"), "Did you mean 'SCOM_GEBURTSTAG'?"),
        (("new", "EIGEN_X", "--json", "--set", "title=x"), "subject: Das wird gebraucht"),
    ],
)
def test_what_cannot_be_is_told(reku: Reku, config: Path, arguments: tuple[str, ...], said: str) -> None:
    done = reku("media", *arguments)
    assert (done.exit_code, said in done.stderr) == (1, True)
