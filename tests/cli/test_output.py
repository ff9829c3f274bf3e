"""Tables at a terminal: whatever stands in them can be read and copied, however narrow it is."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from reku.cli import output
from reku.cli.deliveries import list_deliveries
from reku.cli.files import list_files
from reku.cli.orders import orders
from reku.foundation.settings import INCLUDE
from reku_testing.bank_files import BANK, ORDER, deliver, order, people, put
from reku_testing.by_blz import take_in_all

WORDS = st.text(st.sampled_from("aZ09-_./äß"), min_size=1, max_size=60)
VALUES = st.one_of(WORDS, st.lists(WORDS, max_size=12).map(" ".join), st.integers(-(10**9), 10**9), st.none())


def _at(width: int, do: Callable[[], None]) -> list[str]:
    """The lines that appear at a terminal of that many columns."""
    terminal = Console(force_terminal=True, color_system=None, width=width, highlight=False, markup=False)
    with pytest.MonkeyPatch.context() as patch, terminal.capture() as captured:
        patch.setattr(output, "console", lambda: terminal)
        patch.setattr("reku.cli.output.typer.echo", lambda text: terminal.print(text, soft_wrap=True))
        do()
    return captured.get().splitlines()


@settings(max_examples=30)
@given(st.data(), st.integers(40, 140))
def test_no_value_is_broken_and_no_line_is_too_long_but_for_one_word(data: Any, width: int) -> None:
    names = data.draw(st.lists(WORDS, min_size=1, max_size=9, unique=True))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, VALUES)), min_size=1, max_size=4))
    for lines in (
        _at(width, lambda: output.show(rows, as_json=False, nothing="")),
        _at(width, lambda: output.show_one(rows[0] | {"its parts": rows}, as_json=False)),
    ):
        said = {word for line in lines for word in line.split()}
        for value in (value for row in rows for value in row.values() if value is not None):
            assert set(str(value).split()) <= said
        for line in lines:
            # a name, a word and the blanks before them are never parted
            assert len(line.rstrip()) <= width or len(line.split()) <= 2


def test_a_key_that_is_longer_than_the_terminal_stays_whole() -> None:
    key = "<1.R0000101-000017-00001.0123456789abcdef@post.example>"
    row = {"id": 1, "message_id": key, "advice": f"look for {key} there"}
    for lines in (
        _at(40, lambda: output.show([row], as_json=False, nothing="")),
        _at(40, lambda: output.show_one(row, as_json=False)),
    ):
        assert [word for line in lines for word in line.split()].count(key) == 2


@pytest.mark.parametrize("width", [80, 100, 120])
def test_keys_are_whole_at_any_terminal(database: Any, width: int) -> None:
    order()
    deliver(1, people(2))
    put(BANK, "Kundenliste.xlsx", b"PK")
    take_in_all(database)
    for listing, keys in ((list_deliveries, {BANK, ORDER}), (list_files, {BANK}), (orders, {BANK, ORDER})):
        lines = _at(width, listing)
        assert keys <= {word for line in lines for word in line.split()}
        assert max(map(len, lines)) <= width


def test_there_is_one_way_to_print_a_table() -> None:
    """Another one would have to be tried at narrow terminals, too: the funnel and the progress bars were."""
    drawn = set()
    for file in (INCLUDE / "reku").rglob("*.py"):
        for node in ast.walk(ast.parse(Path(file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.table":
                drawn.add(file.relative_to(INCLUDE / "reku").as_posix())
    assert drawn == {"views/funnel_table.py", "cli/watch.py"}
