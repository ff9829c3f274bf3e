"""Facts that used to be written down in several places stand in one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PACKAGE = PROJECT / "include" / "reku"
HOMES = {
    "names of a bank's folders": (
        r"^(\S*/)?(eingang|in_arbeit|geparkt|archiv|fehler|ausgang)(/\S*)?$",
        "foundation/bank_folders.py",
    ),
    "names of receipts": (r"^\S*quittung_\S*$", "foundation/bank_folders.py"),
    "the marker of a complete file": (r"\.ok$", "foundation/bank_folders.py"),
    "that a delivery is unknown": (r"There is no delivery", "store/delivery.py"),
    "how gzip is unpacked": (r"\x1f\x8b", "foundation/unpacking.py"),
}
OF_ANOTHER_SENSE = {"catalogue/import_rules.py", "process/matrix.py", "views/state_words.py"}
"""A bank's file says `eingang` where pseudonyms are made on entry; cells of the matrix and deliveries may be parked."""


def _texts(file: Path) -> list[str]:
    """The texts of a module, those within f-strings too, but for its docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            value = node.value
            found.append(
                value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
            )
    return found


def homes(pattern: str, package: Path = PACKAGE) -> set[str]:
    """The modules with a text that matches."""
    return {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if any(re.search(pattern, text) for text in _texts(file))
    }


@pytest.mark.parametrize(("pattern", "home"), HOMES.values(), ids=HOMES)
def test_a_fact_has_one_home(pattern: str, home: str) -> None:
    assert homes(pattern) - OF_ANOTHER_SENSE == {home}


def test_a_second_home_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""eingang"""\nX = "eingang"\nY = f"{X}/eingang"\n', encoding="utf-8")
    (tmp_path / "b.py").write_text('"""eingang"""\nX = "other"\n', encoding="utf-8")
    assert homes("eingang", tmp_path) == {"a.py"}
