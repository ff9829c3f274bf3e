"""The recipes of CONTRIBUTING.md, followed word by word in a copy of the configuration."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reku.cli import app
from reku.foundation.settings import settings
from tests.conftest import PROJECT

PAGE = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```\w+\n(?:# |<!-- )(\S+/\S+?)(?: -->)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
"""Files that the recipes write, by their place in the configuration folder: named in the first line of their block."""


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "configuration"
    shutil.copytree(PROJECT / "include", folder, ignore=shutil.ignore_patterns("reku", "reku_testing", "*.egg-info"))
    monkeypatch.setenv("REKU_CONFIG_DIR", str(folder))
    settings.cache_clear()
    return folder


def test_the_recipes_are_read() -> None:
    assert {name.partition("/")[0] for name in FILES} == {"templates", "occasions", "expectations", "institutes"}
    assert len(FILES) == 6


def test_the_recipes_make_a_sound_configuration(configuration: Path) -> None:
    run = CliRunner()
    for name, content in FILES.items():
        file = configuration / name
        assert not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    checked = run.invoke(app, ["check"])
    assert checked.exit_code == 0, checked.output
    mail = run.invoke(app, ["preview", "EIGEN_DEPOT_WILLKOMMEN", "--institute", "99990009"])
    assert "Ihr Depot ist eröffnet. Fragen beantworten wir gern" in mail.output
    assert "Sparkasse Neustadt" in mail.output


def test_a_recipe_that_does_not_work_is_seen(configuration: Path) -> None:
    name = "institutes/99990009.yaml"
    (configuration / name).write_text(FILES[name], encoding="utf-8")  # without the medium that it names
    assert CliRunner().invoke(app, ["check"]).exit_code == 1
