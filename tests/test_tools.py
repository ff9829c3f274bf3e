"""The tools that look at the code are the same wherever they are started from."""

from __future__ import annotations

import configparser
import re

import yaml

from tests.conftest import PROJECT


def _lint() -> list[str]:
    """The commands of `make lint`."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    return re.findall(r"^\t@\$\(BIN\)/(.+)$", recipe, re.MULTILINE)


def test_pre_commit_runs_what_make_lint_runs() -> None:
    """In the same order, from the same environment, and nothing from the network."""
    (repository,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in repository["hooks"]]
    assert len(entries) >= 4
    assert entries == _lint()


def test_editors_are_told_the_line_length_that_ruff_keeps() -> None:
    editors = configparser.ConfigParser()
    editors.read_string("[top]\n" + (PROJECT / ".editorconfig").read_text(encoding="utf-8"))
    ruff = re.search(r"^line-length = (\d+)$", (PROJECT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert ruff
    assert editors["*"]["max_line_length"] == ruff[1]
