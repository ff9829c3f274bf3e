"""The page on commands says what the commands say, and every one of them says something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reku.cli.handbook import commands, document

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
