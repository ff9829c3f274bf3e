"""Names of modules, classes and functions keep to the words of docs/architecture.md: one word for one thing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reku.store.tables import metadata
from tests.conftest import PROJECT

PACKAGE = PROJECT / "include" / "reku"
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")

NOT_MEANT = re.compile(r"closing_record|of_machine|agree_mailing")
"""Names in which a word stands for what it says: the closing record N of a file; an error of the machine's; the system
agreeMailing."""

BARE = {"judge", "check", "settle", "fix"}
"""What is judged, checked or settled belongs into a public name. A command of `cli` is named for what people type."""


UNDER_REBUILDING = (
    *(
        "bench",
        "contact",
        "gate",
        "privacy",
        "release",
        "responses",
    ),
    *("sources", "store", "views", "cli/deliveries.py", "cli/messages.py", "cli/preview.py"),
)
"""Rooms and modules that are being rebuilt: their names follow."""


class Name(NamedTuple):
    """A module, class or function (`kind`), and where it stands. `public`: others may call it."""

    kind: str
    name: str
    module: str
    public: bool = True

    def __str__(self) -> str:
        return f"{self.module}: {self.kind} {self.name}"


@cache
def _trees() -> dict[str, ast.Module]:
    files = (file for file in sorted(PACKAGE.rglob("*.py")) if "versions" not in file.parts)
    trees = {str(file.relative_to(PACKAGE)): ast.parse(file.read_text(encoding="utf-8")) for file in files}
    return {module: tree for module, tree in trees.items() if not module.startswith(UNDER_REBUILDING)}


def _names(module: str, tree: ast.Module) -> Iterator[Name]:
    path = Path(module)
    yield Name("module", path.parent.name if path.stem == "__init__" else path.stem, module)
    yield from _below(tree, module, public=True)


def _below(parent: ast.AST, module: str, *, public: bool) -> Iterator[Name]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield Name("class", node.name, module, public)
            yield from _below(node, module, public=public)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Name("function", node.name, module, public)
            yield from _below(node, module, public=False)  # what stands in a function is its own affair
        else:
            yield from _below(node, module, public=public)


def _words(name: str) -> set[str]:
    """`SendPlan`, `send_plan` → send, plan."""
    text = NOT_MEANT.sub("", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return set(text.split("_"))


def _banned() -> dict[str, str]:
    """Word that no name has → the table's word for it, from the last column of the tables of words."""
    section = ARCHITECTURE.partition("\n## Words\n")[2].partition("\n## ")[0]
    banned = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for word in re.findall(r"`([a-z_]+)`", line.rpartition(" | ")[2]):
            banned[word] = cells[0]
    return banned


def wrong_words(names: Iterator[Name]) -> list[str]:
    """Every name with a word for which the table has another."""
    banned = _banned()
    return [
        f"{name}: the word for {word!r} is {banned[word]!r}"
        for name in names
        for word in sorted(_words(name.name) & set(banned))
    ]


def bare(names: Iterator[Name]) -> list[str]:
    """Public functions that do not say what they judge, check, settle or fix."""
    return [
        str(name)
        for name in names
        if name.public and name.kind == "function" and name.name in BARE and not name.module.startswith("cli/")
    ]


def double(names: Iterator[Name]) -> dict[str, list[str]]:
    """Class names that stand for two things."""
    places = defaultdict(list)
    for name in names:
        if name.kind == "class":
            places[name.name.lstrip("_")].append(name.module)
    return {name: modules for name, modules in places.items() if len(modules) > 1}


def renamed_imports(module: str, tree: ast.Module) -> list[str]:
    """Imports of ours under another name: the name is taken where it is needed, so one of the two is wrong."""
    return [
        f"{module}: {alias.name} as {alias.asname}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reku")
        for alias in node.names
        if alias.asname not in (None, alias.name)
    ]


def _all() -> Iterator[Name]:
    for module, tree in _trees().items():
        yield from _names(module, tree)


def test_the_table_of_words_is_read() -> None:
    assert {"errand": "queue", "strategy": "feedback format"}.items() <= _banned().items()


def test_names_have_the_words_of_the_table() -> None:
    assert wrong_words(_all()) == []


def test_public_names_say_what_they_do() -> None:
    assert bare(_all()) == []


def test_a_class_name_stands_for_one_thing() -> None:
    assert double(_all()) == {}


def test_nothing_is_renamed_at_its_import() -> None:
    assert [line for module, tree in _trees().items() for line in renamed_imports(module, tree)] == []


def test_no_module_bears_a_tables_name() -> None:
    """Commands do: they are named for what people type, and import nothing at their top."""
    tables = {table.name for table in metadata.sorted_tables}
    modules = [name for name in _all() if name.kind == "module" and not name.module.endswith("__init__.py")]
    assert [str(name) for name in modules if name.name in tables and not name.module.startswith("cli/")] == []


def test_a_wrong_name_is_found() -> None:
    tree = ast.parse("class SendDesk: ...\ndef _look(): ...\ndef judge(): ...\nclass Queue: ...\nclass _Queue: ...\n")
    names = list(_names("dispatch/errand.py", tree))
    assert len(wrong_words(iter(names))) == 2
    assert bare(iter(names)) == ["dispatch/errand.py: function judge"]
    assert double(iter(names)) == {"Queue": ["dispatch/errand.py", "dispatch/errand.py"]}
    assert renamed_imports("x.py", ast.parse("from reku.store import tables as t\nimport sqlalchemy as sa"))
