"""The page on all commands, made from their own help: `python -m reku.cli.handbook docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from reku.cli.main import SETTINGS, app

_HEAD = """# Commands

`.venv/bin/reku` is the command line of the project; `make demo` and `make up` call it. This page is made from the help
of the commands: after a change run `python -m reku.cli.handbook docs/commands.md`.

Common to all of them:

- `--json` prints for programs: one line of JSON, moments in UTC. Without it there are tables, moments as in Berlin.
  (`reku demo` alone has none: it tells a story.)
- Exit codes: 0 fine, 1 a fault was found or something refused, 2 wrong usage, 130 stopped by Ctrl-C. What is wrong is
  said in one sentence on stderr.
- Ids, codes and counts only: no address, name or person number is shown.
- Commands that ask the database take it from `REKU_DATABASE_URL`; without it they join the set-up that runs in this
  checkout (`reku up`, else `make demo`, whose clock they then share).
- `reku --install-completion` lets your shell (bash, zsh, fish) complete commands, options, BLZ and occasions.
"""


def document() -> str:
    """The whole page in Markdown."""
    return _HEAD + "".join(_section(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Every command as people type it (`reku deliveries show`), with its definition; groups themselves are left out."""
    return _below("reku", typer.main.get_command(app))


def _below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _below(f"{path} {name}", child)
        else:
            yield f"{path} {name}", child


def _section(path: str, command: Any) -> str:
    context = typer.Context(
        command, info_name=path, terminal_width=100, help_option_names=SETTINGS["help_option_names"]
    )
    return f"\n## {path}\n\n```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
