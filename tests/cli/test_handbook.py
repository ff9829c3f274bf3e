"""The page on commands says what the commands say, and every one of them says something."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from reku.cli import options
from reku.cli.handbook import commands, document
from tests.cli.conftest import Reku

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
COMMANDS = dict(commands())


def test_the_page_is_the_one_made_from_the_commands() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run: python -m reku.cli.handbook docs/commands.md"


def test_all_commands_are_found() -> None:
    assert set(COMMANDS) >= {
        *("reku up", "reku demo", "reku check", "reku occasions", "reku orders", "reku lists", "reku files list"),
        *("reku deliveries list", "reku deliveries show", "reku deliveries retry"),
        *("reku deliveries watch", "reku deliveries go-on"),
        *("reku stop order", "reku stop institute", "reku stop everything", "reku stop list", "reku stop lift"),
        *("reku messages list", "reku messages in-doubt", "reku messages resolve"),
        *("reku why", "reku funnel", "reku preview", "reku bench"),
        *("reku feedback list", "reku feedback show", "reku feedback rebuild"),
    }


@pytest.mark.parametrize(("path", "command"), COMMANDS.items(), ids=COMMANDS)
def test_every_command_is_explained(path: str, command: Any) -> None:
    assert f"\n## {path}\n" in PAGE.read_text(encoding="utf-8")
    assert command.help
    first = command.help.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 60, "the list of commands would cut it off"
    for parameter in command.params:
        assert parameter.help, f"{path} {parameter.name} says nothing of itself"


@pytest.mark.parametrize(("path", "command"), COMMANDS.items(), ids=COMMANDS)
def test_every_command_but_the_demo_speaks_to_programs(path: str, command: Any) -> None:
    has_json = any("--json" in parameter.opts for parameter in command.params)
    assert has_json is (path != "reku demo")


@pytest.mark.parametrize(("path", "command"), COMMANDS.items(), ids=COMMANDS)
def test_every_command_has_an_example_that_it_takes(
    path: str, command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typed as it stands there, with all arguments and options that are demanded."""
    examples = re.findall(r"Example: `(reku [^`]+)`", " ".join(inspect.getdoc(command.callback).split()))
    assert len(examples) == 1
    words = shlex.split(examples[0])
    name = path.split()
    assert words[: len(name)] == name
    monkeypatch.chdir(tmp_path)
    for name_of_file in (word for word in words if word.endswith(".csv")):
        Path(name_of_file).touch()
    command.make_context(path, words[len(name) :])


def test_an_example_that_the_command_does_not_take_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        COMMANDS["reku today"].make_context("reku today", ["--bank", "99990001"])


def test_a_shell_completes_banks_and_occasions() -> None:
    assert [blz for blz, _ in options.banks_beginning("9999000")][:2] == ["99990001", "99990002"]
    assert "MCAG002" in options.occasions_beginning("mcag")
    assert options.occasions_beginning("x") == []


@pytest.mark.parametrize(
    "words", [("deliveries", "show"), ("stop", "lift", "--note", "x"), ("files", "drop", "--note", "x")]
)
@pytest.mark.parametrize("typed", ["abc", "0", "1.5", "٣", str(2**70)])
def test_what_is_no_number_is_said_in_words(reku: Reku, words: tuple[str, ...], typed: str) -> None:
    done = reku(*words, typed)
    assert done.exit_code == 2
    assert f"{typed!r} is no number" in done.output
