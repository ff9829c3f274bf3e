"""Our YAML files as frozen models; every fault with file, line, wrong value and valid values (`ConfigError`).

Every scalar is read as text, and the model says what it must become. So a BLZ keeps its leading zeros, `NO` stays a
text and `10:30` a time of day, quoted or not. Only an unquoted `null`, `~` or nothing at all is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from reku.foundation.errors import ConfigError

try:
    from yaml import CBaseLoader as _Loader  # ten times faster; part of every wheel of PyYAML
except ImportError:  # PyYAML built from source without libyaml
    from yaml import BaseLoader as _Loader  # type: ignore[assignment]  # same methods, another class

ModelT = TypeVar("ModelT", bound=BaseModel)
Place = tuple[int | str, ...]

_NOTHING = {"", "~", "null", "Null", "NULL"}
_TAGS = {"tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}
_MESSAGES = {
    "too_short": "must not be empty",
    "tuple_type": "must be a list, such as [A, B]; write [] for none",
    "dict_type": "must be `key: value` lines",
    "model_type": "must be `key: value` lines",
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "time_type": "give hour and minute, such as 09:30",
    "time_delta_type": "give a whole number and a unit, such as 90s, 30m, 4h or 2d",
}
"""Pydantic's findings in the words of somebody who writes YAML."""


def load(file: Path, model: type[ModelT]) -> ModelT:
    """The model in `file`. Raises ConfigError for the first of its faults."""
    loaded, faults = load_all(file, model)
    if loaded is None:
        raise faults[0]
    return loaded


def load_all(file: Path, model: type[ModelT]) -> tuple[ModelT | None, list[ConfigError]]:
    """The model in `file` and no faults, or None and all faults of the file in order of lines."""
    try:
        node = _compose(file)
        data = _plain(node, file)
    except ConfigError as error:
        return None, [error]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        by_place = {details["loc"]: _fault(file, node, model, details) for details in error.errors(include_url=False)}
        # A mistyped key shows as an unknown and as a missing one: the suggestion says it already.
        told: set[Place] = {
            (*place[:-1], fault.suggestion) for place, fault in by_place.items() if place and fault.suggestion
        }
        faults = [fault for place, fault in by_place.items() if place not in told]
        return None, sorted(faults, key=lambda fault: fault.line or 0)


def read_plain(file: Path) -> Any:
    """The file's mapping as dicts, lists and texts. Raises ConfigError if it cannot be read or is no mapping."""
    return _plain(_compose(file), file)


def line_of(file: Path, place: Sequence[int | str]) -> int:
    """The line of a key or list item of a readable file, for faults that only show beside other files."""
    return _line(_compose(file), tuple(place))


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError("The file does not exist.", file=file) from None
    except OSError as error:
        raise ConfigError(f"The file cannot be read: {error.strerror}.", file=file) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"Byte {error.start} (0x{content[error.start]:02x}) is not UTF-8. Save the file as UTF-8.",
            file=file,
            line=line,
        ) from None


def _compose(file: Path) -> yaml.MappingNode:
    try:
        node = _Loader(_text(file)).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"Not valid YAML: {what}.", file=file, line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"Not valid YAML: {' '.join(str(error).split())}.", file=file) from None
    if node is None:
        raise ConfigError("The file is empty.", file=file)
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            "The file must hold `key: value` lines at its top level.", file=file, line=node.start_mark.line + 1
        )
    return node


def _plain(node: yaml.Node, file: Path, around: tuple[int, ...] = ()) -> Any:
    """The node as dicts, lists and texts. Raises ConfigError for what YAML allows and we do not."""
    line = node.start_mark.line + 1
    if node.tag not in _TAGS:
        raise ConfigError(f"The tag {node.tag!r} is not wanted here; leave it out.", file=file, line=line)
    if isinstance(node, yaml.ScalarNode):
        return None if not node.style and node.value in _NOTHING else node.value
    if id(node) in around:
        raise ConfigError("An alias contains itself.", file=file, line=line)
    around = (*around, id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, file, around) for item in node.value]
    lines: dict[str, int] = {}
    plain: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError("A key must be a single word.", file=file, line=line)
        if key.value in lines:
            raise ConfigError(
                f"The key {key.value!r} stands there twice, first in line {lines[key.value]}.", file=file, line=line
            )
        lines[key.value] = line
        plain[key.value] = _plain(value, file, around)
    return plain


def _line(node: yaml.Node, place: Place) -> int:
    """The line of the innermost part of `place` that the file has; parts it lacks (pydantic's own) are passed over."""
    line = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    line, node = key.start_mark.line + 1, value
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _fault(file: Path, node: yaml.Node, model: type[BaseModel], details: Any) -> ConfigError:
    """One finding of pydantic as an error for the person who wrote the file."""
    place: Place = details["loc"]
    kind, value = details["type"], details["input"]
    line = _line(node, place)
    if kind == "extra_forbidden":
        around = _model_in(_at(model, place[:-1]))
        fields = around.model_fields if around else ()
        where = f" in {_name(place[:-1])}" if place[:-1] else ""
        return ConfigError(
            f"The key {place[-1]!r} is not known{where}.", file=file, line=line, value=str(place[-1]), valid=fields
        )
    if kind == "missing":
        where = f" in {_name(place[:-1])}" if place[:-1] else ""
        around = _model_in(_at(model, place[:-1]))
        field = around.model_fields.get(str(place[-1])) if around else None
        meaning = f": {field.description}" if field and field.description else ""
        return ConfigError(f"The key {place[-1]!r} is missing{where}{meaning}.", file=file, line=line)
    name = _name(place)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = details["ctx"].get("tag")
        valid = _tags(_at(model, place), details["ctx"]["discriminator"].strip("'"))
        key = details["ctx"]["discriminator"].strip("'")
        problem = f"{name}: the key {key!r} is missing." if tag is None else f"{name}: {key} {tag!r} is not valid."
        return ConfigError(problem, file=file, line=line, value=tag, valid=valid)
    if kind in ("enum", "literal_error"):
        valid = re.findall(r"'([^']*)'", details["ctx"]["expected"])
        return ConfigError(f"{name}: {value!r} is not valid.", file=file, line=line, value=str(value), valid=valid)
    if kind in _MESSAGES:
        message = _MESSAGES[kind]
    elif kind == "string_pattern_mismatch":
        message = f"must look like {details['ctx']['pattern']}"
    elif kind == "value_error":
        message = str(details["ctx"]["error"])
    else:
        message = details["msg"][0].lower() + details["msg"][1:]
    shown = f" {value!r}" if isinstance(value, str) or value is None else ""
    return ConfigError(f"{name}{shown}: {message}.".lstrip(": "), file=file, line=line)


def _name(place: Place) -> str:
    """A place as people write it: campaigns[2].blocks[1].until, counted from 1."""
    text = ""
    for part in place:
        if part != "[key]":  # pydantic's mark for a dict's key; the key itself stands before it
            text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _at(model: type[BaseModel], place: Place) -> Any:
    """The type that the model has at a place, or None."""
    kind: Any = model
    for part in place:
        kind = _step(kind, part)
    return kind


def _step(kind: Any, part: int | str) -> Any:
    """The type one step further down: a field, a list item, a dict's value, the member of a union with this tag."""
    kind = _bare(kind)
    arguments, origin = get_args(kind), get_origin(kind)
    if origin in (Union, UnionType):
        tagged = next((member for member in arguments if _has_tag(member, part)), None)
        return tagged or _step(_model_in(kind), part)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return arguments[1]
    if origin in (tuple, list):
        return arguments[0]
    inner = _model_in(kind)
    field = inner.model_fields.get(str(part)) if inner else None
    return field.annotation if field else None


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model that a type is, or is beside None."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return kind if issubclass(kind, BaseModel) else None
    if get_origin(kind) in (Union, UnionType):
        return next((model for member in get_args(kind) if (model := _model_in(member))), None)
    return None


def _has_tag(member: Any, tag: int | str) -> bool:
    inner = _model_in(member)
    return inner is not None and any(tag in get_args(field.annotation) for field in inner.model_fields.values())


def _bare(kind: Any) -> Any:
    """The type without what is annotated to it, and without None beside it."""
    if hasattr(kind, "__metadata__"):  # Annotated[X, …]
        return _bare(get_args(kind)[0])
    others = [member for member in get_args(kind) if member is not type(None)]
    if get_origin(kind) in (Union, UnionType) and len(others) == 1:
        return _bare(others[0])
    return kind


def _tags(kind: Any, discriminator: str) -> list[str]:
    """The tags of a union's members: the values that their discriminator may have."""
    members = get_args(_bare(kind))
    return [tag for member in members for tag in get_args(member.model_fields[discriminator].annotation)]
