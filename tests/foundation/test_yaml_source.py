"""YAML files as models: every fault has its line, whatever the model is made of, with libyaml and without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from reku.foundation import yaml_source
from reku.foundation.errors import ConfigError
from reku.foundation.yaml_source import line_of, load, load_all, read_plain


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Leaf(Strict):
    size: int
    colour: Literal["red", "green"] = "red"


class Pattern(Strict):
    kind: Literal["pattern"]
    regex: str


class Length(Strict):
    kind: Literal["length"]
    most: int


class Tree(Strict):
    name: str | None = None
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = {}
    rules: list[Annotated[Pattern | Length, Field(discriminator="kind")]] = []


@pytest.fixture(params=[yaml.CBaseLoader, yaml.BaseLoader], ids=["libyaml", "python"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to write to; each test runs with both of PyYAML's parsers."""
    monkeypatch.setattr(yaml_source, "_Loader", request.param)
    return tmp_path / "tree.yaml"


def test_what_is_whole_becomes_the_model(file: Path) -> None:
    file.write_text(
        "leaf: {size: 007}\nleaves:\n  - size: 1\n    colour: green\nby_name:\n  01: {size: '2'}\n"
        "rules:\n  - {kind: length, most: 3}\n",
        encoding="utf-8",
    )
    tree = load(file, Tree)
    assert tree == Tree(
        leaf=Leaf(size=7),
        leaves=(Leaf(size=1, colour="green"),),
        by_name={"01": Leaf(size=2)},
        rules=[Length(kind="length", most=3)],
    )


@pytest.mark.parametrize("nothing", ["", " ~", " null", " # a comment"])
def test_nothing_is_none_and_quotes_make_it_a_text(file: Path, nothing: str) -> None:
    file.write_text(f"name:{nothing}\n", encoding="utf-8")
    assert load(file, Tree).name is None
    file.write_text('name: "null"\n', encoding="utf-8")
    assert load(file, Tree).name == "null"


@pytest.mark.parametrize("text", ["NO", "yes", "1:30", "1e3", "0o17", "2026-01-01", "=", "0x1F", "1_000"])
def test_texts_stay_as_they_are_written(file: Path, text: str) -> None:
    file.write_text(f"name: {text}\n", encoding="utf-8")
    assert load(file, Tree).name == text
    assert read_plain(file) == {"name": text}


@pytest.mark.parametrize(
    ("text", "line", "pieces"),
    [
        ("name: x\nleaf: {sise: 1}", 2, ["'sise' is not known in leaf", "Did you mean 'size'", "Valid: size, colour"]),
        ("name: x\nleaf:\n  colour: red", 2, ["'size' is missing in leaf"]),
        ("leaves:\n- size: 1\n- size: 1\n  colour: grün", 4, ["leaves[2].colour: 'grün'", "mean 'green'"]),
        (
            "by_name:\n  a: {size: 1}\n  b: {size: 1, farbe: x}",
            3,
            ["'farbe' is not known in by_name.b", "size, colour"],
        ),
        ("rules:\n- kind: patern\n  regex: x", 2, ["kind 'patern' is not valid", "mean 'pattern'", "pattern, length"]),
        ("rules:\n- regex: x", 2, ["rules[1]: the key 'kind' is missing", "Valid: pattern, length"]),
        ("rules:\n- kind: pattern\n  regexp: x", 3, ["'regexp' is not known in rules[1].pattern", "mean 'regex'"]),
        ("leaf: 5", 1, ["leaf '5'", "`key: value` lines"]),
        ("by_name: []", 1, ["by_name", "`key: value` lines"]),
    ],
)
def test_every_fault_has_its_line_wherever_it_is(file: Path, text: str, line: int, pieces: list[str]) -> None:
    file.write_text(text, encoding="utf-8")
    tree, faults = load_all(file, Tree)
    assert tree is None
    assert [fault.line for fault in faults] == [line], [str(fault) for fault in faults]
    for piece in pieces:
        assert piece in str(faults[0])
    with pytest.raises(ConfigError):
        load(file, Tree)


def test_lines_of_places(file: Path) -> None:
    file.write_text("name: x\nleaves:\n  - size: 1\n  - size: 2\n", encoding="utf-8")
    assert line_of(file, ("name",)) == 1
    assert line_of(file, ("leaves", 1, "size")) == 4
    assert line_of(file, ("leaves", 1, "colour")) == 4  # not there: the place around it
    assert line_of(file, ("elsewhere",)) == 1
