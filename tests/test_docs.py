"""What the written pages say is so: links, commands, make targets, rooms, tables, states, settings, occasions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml

from reku.catalogue import occasions
from reku.catalogue.contact import ContactRules
from reku.cli import app
from reku.contact.reasons import Reason
from reku.foundation.settings import Settings
from reku.gate.checks import Check
from reku.orchestration import handbook
from reku.store.states import DeliveryState, FileVerdict, MessageState
from reku.store.tables import metadata
from tests.conftest import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md"), *(PROJECT / "plugins").glob("*.md")])
TEXTS = {str(page.relative_to(PROJECT)): page.read_text(encoding="utf-8") for page in PAGES}
README, ARCHITECTURE, OPERATIONS, CONTACT = (
    TEXTS[name] for name in ("README.md", "docs/architecture.md", "docs/operations.md", "docs/contact.md")
)
SOURCES = sorted((PROJECT / "include" / "reku").rglob("*.py"))

_LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")
_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _slug(heading: str) -> str:
    """The anchor that git hosts make of a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading.replace("`", "").strip().lower())
    return kept.replace(" ", "-")


def _anchors(page: str) -> set[str]:
    return {_slug(heading) for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)}


def _broken_links(page: Path, text: str) -> Iterator[str]:
    for target in _LINK.findall(_BLOCK.sub("", text)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.is_file() or (anchor and anchor not in _anchors(file.read_text(encoding="utf-8"))):
            yield target


def _typed(text: str) -> Iterator[list[str]]:
    """What a page tells people to type: inline code and lines of code blocks that begin with `reku`, split in words."""
    code = [
        *_INLINE.findall(_BLOCK.sub("", text)),
        *(line for block in _BLOCK.findall(text) for line in block.split("\n")),
    ]
    for line in code:
        found = re.match(r"\s*(?:\.venv/bin/)?reku ([a-z].*)", line.partition("#")[0])
        if found:
            yield found[1].split()


@cache
def _command_line() -> Any:
    return typer.main.get_command(app)


def _unknown_command(words: list[str]) -> str | None:
    """The first word that is neither a command nor an option of the one before it, or None."""
    command = _command_line()
    for word in words:
        if hasattr(command, "commands"):
            if word not in command.commands:
                return word
            command = command.commands[word]
        elif word.startswith("--"):
            options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            if word.partition("=")[0].rstrip(".,`") not in options | {"--help"}:
                return word
    return None


def _rows(page: str, heading: str) -> dict[str, list[str]]:
    """First code word of each table row below a heading → the code words of the row's other cells."""
    section = page.partition(f"\n{heading}\n")[2].split("\n## ")[0]
    assert section, heading
    rows = {}
    for line in section.split("\n"):
        cells = line.strip("| ").split(" | ")
        if line.startswith("| `"):
            rows[_INLINE.findall(cells[0])[0]] = [word for cell in cells[1:] for word in _INLINE.findall(cell)]
    return rows


def _told(page: str, heading: str) -> dict[str, str]:
    """First code word of each table row below a heading → the text of the second cell."""
    section = page.partition(f"\n{heading}\n")[2].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(_broken_links(page, page.read_text(encoding="utf-8"))) == []


def test_a_broken_link_is_found() -> None:
    page = PROJECT / "README.md"
    text = "[a](docs/none.md) [b](docs/media.md) [c](docs/media.md#no-such) [d](docs/media.md#placeholders) [e](#none)"
    assert list(_broken_links(page, text)) == ["docs/none.md", "docs/media.md#no-such", "#none"]


@pytest.mark.parametrize("name", TEXTS)
def test_commands_exist(name: str) -> None:
    unknown = {" ".join(words): word for words in _typed(TEXTS[name]) if (word := _unknown_command(words))}
    assert unknown == {}


def test_commands_in_our_own_messages_exist() -> None:
    """Errors and Airflow's pages tell people what to type as well."""
    found = 0
    for file in SOURCES:
        for words in _typed(file.read_text(encoding="utf-8").replace("```", "")):
            found += 1
            assert _unknown_command(words) is None, f"{file.name}: reku {' '.join(words)}"
    assert found > 20


def test_a_wrong_command_is_found() -> None:
    text = (
        "`reku nothing` `reku messages in-doubt` `.venv/bin/reku orders --inst X`\n```sh\nreku orders --json # x\n```"
    )
    assert [_unknown_command(words) for words in _typed(text)] == ["nothing", None, "--inst", None]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for text in TEXTS.values() for name in re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE)}
    assert {"demo", "test"} <= named <= targets


def test_readme_shows_every_folder_and_room() -> None:
    layout = _rows(README, "## How it is laid out")
    rooms = {path.parent.name for path in (PROJECT / "include" / "reku").glob("*/__init__.py")}
    assert rooms <= set(layout)
    folders = {f"{name}/" for name in ("dags", "plugins", "tests", "docs", "var")} | {
        f"include/{path.name}/" for path in (PROJECT / "include").iterdir() if path.is_dir() and "." not in path.name
    }
    assert folders - {"include/__pycache__/"} == {name for name in layout if name.endswith("/")}
    for file in (PROJECT / "dags").glob("*.py"):
        assert file.name in layout["dags/"], "the README's table names each file of dags/"


def test_the_house_is_drawn_as_the_linter_keeps_it() -> None:
    drawn = ARCHITECTURE.partition("\n## Rooms and arrows\n")[2].partition("```text\n")[2].partition("```")[0]
    linter = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    house = next(contract for contract in linter["contracts"] if contract["type"] == "layers")
    assert house["exhaustive"]
    assert drawn.splitlines() == house["layers"]


def test_architecture_names_every_table_and_state() -> None:
    assert set(_rows(ARCHITECTURE, "## Tables")) == {table.name for table in metadata.sorted_tables}
    vocabularies: list[tuple[str, type[StrEnum]]] = [
        ("## The life of a file", FileVerdict),
        ("## The life of a delivery", DeliveryState),
    ]
    for heading, words in vocabularies:
        assert set(_rows(ARCHITECTURE, heading)) == set(words), heading
    assert list(_rows(ARCHITECTURE, "## The life of a message")) == list(MessageState)


def test_contact_page_has_every_reason_and_every_rule_in_the_words_of_the_code() -> None:
    """Reasons in their order of precedence."""
    assert _told(CONTACT, "## Reasons") == {reason.value: reason.meaning for reason in Reason}
    assert list(_told(CONTACT, "## Reasons")) == list(Reason)
    fields = ContactRules.model_fields
    assert _told(CONTACT, "## A bank's rules") == {name: field.description for name, field in fields.items()}


def test_the_example_on_the_contact_page_is_valid_and_names_every_rule() -> None:
    (example,) = (block for block in _BLOCK.findall(CONTACT) if block.startswith("contact:"))
    rules = yaml.safe_load(example)["contact"]
    assert list(rules) == list(ContactRules.model_fields)
    ContactRules.model_validate(rules)


def test_every_task_that_may_be_red_is_explained() -> None:
    """Task ids as they stand in the DAG files and the factory."""
    files = [*(PROJECT / "dags").glob("*.py"), PROJECT / "include/reku/orchestration/factory.py"]
    ids = {name for file in files for name in re.findall(r'named\("(\w+)"\)', file.read_text(encoding="utf-8"))}
    assert len(ids) > 10
    section = OPERATIONS.partition("## Something is red")[2].partition("\n## ")[0]
    assert sorted(name for name in ids | {"configuration"} if f"`{name}`" not in section) == []


def test_occasions_page_is_the_one_made_from_the_files() -> None:
    assert TEXTS["docs/OCCASIONS.md"] == handbook.occasions_page(), "run: make docs"
    assert [code for code in occasions() if f"\n| {code} | " not in TEXTS["docs/OCCASIONS.md"]] == []
    rules = TEXTS["docs/OCCASIONS.md"].partition("\n## Rules of the gate\n")[2]
    assert [code for code in occasions() if f"\n| {code} {occasions()[code].title} | " not in rules] == []


def test_every_kind_of_check_is_named() -> None:
    members = get_args(get_args(Check)[0])
    kinds = {kind for member in members for kind in get_args(member.model_fields["kind"].annotation)}
    section = OPERATIONS.partition("\n## Rules of the gate\n")[2].partition("\n## ")[0]
    named = section.partition("Kinds of checks: ")[2].partition(". ")[0]
    assert set(_INLINE.findall(named)) == kinds


def test_settings_table_is_the_one_made_from_the_settings() -> None:
    assert handbook.with_settings(OPERATIONS) == OPERATIONS, "run: make docs"
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `REKU_{name.upper()}` |" in OPERATIONS


def test_variables_that_pages_name_exist() -> None:
    known = {f"REKU_{name.upper()}" for name in Settings.model_fields} | {"REKU_CLOCK_FILE"}
    named = {name for text in TEXTS.values() for name in re.findall(r"\bREKU_[A-Z_]*[A-Z]\b", text)}
    assert named - known == set()


def test_pages_name_no_place_of_a_machine() -> None:
    places = re.compile(r"(?<![\w.~])/(?:work|root|home|tmp|Users|mnt)/")
    assert {name: places.findall(text) for name, text in TEXTS.items() if places.search(text)} == {}


_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|yaml|md|html|css|csv|toml|sh)|\w+\.py")
_MODULE = re.compile(r"reku(?:\.[a-z_]+)+")
_FOLDERS = ("", "include", "include/reku", "docs")


def _missing_paths(text: str) -> Iterator[str]:
    """Files and modules that inline code names and that do not exist; a bare `x.py` may lie anywhere of ours."""
    ours = {
        path.name for folder in ("include", "dags", "plugins", "tests") for path in (PROJECT / folder).rglob("*.py")
    }
    for word in (word.strip(",:;()") for code in _INLINE.findall(_BLOCK.sub("", text)) for word in code.split()):
        if _MODULE.fullmatch(word):
            places = [PROJECT / "include" / name.replace(".", "/") for name in (word, word.rpartition(".")[0])]
            if not any(place.is_dir() or place.with_suffix(".py").is_file() for place in places):
                yield word
        elif _PATH.fullmatch(word) and not (
            word in ours or any((PROJECT / folder / word).is_file() for folder in _FOLDERS)
        ):
            yield word


@pytest.mark.parametrize("name", TEXTS)
def test_files_and_modules_exist(name: str) -> None:
    assert list(_missing_paths(TEXTS[name])) == []


def test_a_file_that_is_gone_is_found() -> None:
    text = "`include/bounces.yaml` `gate/nothing.py` `none.py` `reku.gate.gate` `reku.gate.validate` `reku.nothing.x`"
    assert list(_missing_paths(text)) == ["gate/nothing.py", "none.py", "reku.nothing.x"]


def test_every_page_is_reachable_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in _LINK.findall(README)}
    assert [name for name in TEXTS if name.startswith("docs/") and name not in linked] == []


@pytest.mark.parametrize("room", ["dispatch", "channels/email"])
def test_every_module_of_the_dispatch_has_its_job(room: str) -> None:
    """`smtp` and `media` are folders; what `media` holds is told in prose."""
    rows = re.findall(
        rf"^\| module of `reku\.{room.replace('/', '.')}` .*?\n\n", TEXTS["docs/dispatch.md"], re.M | re.S
    )
    told = {name for row in rows[0].split("\n")[2:] for name in _INLINE.findall(row.split(" | ")[0])}
    folder = PROJECT / "include" / "reku" / room
    files = {file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.py")}
    modules = {name for name in files if not name.endswith("__init__") and not name.startswith("media/")}
    assert told - {"media"} == modules
