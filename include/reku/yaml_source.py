"""Our YAML files as frozen models; every fault with file, line, wrong value and valid values (`ConfigError`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from reku.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Path_ = tuple[str | int, ...]


def load(path: Path, model: type[Model]) -> Model:
    """The YAML file as `model`. Raises ConfigError for the first of its faults, see `load_all`."""
    loaded, faults = load_all(path, model)
    if loaded is None:
        raise faults[0]
    return loaded


def load_all(path: Path, model: type[Model]) -> tuple[Model | None, list[ConfigError]]:
    """The YAML file as `model`, or None and all its faults: unreadable, not YAML, doubled key, wrong value."""
    try:
        data, lines = parse(path)
    except ConfigError as fault:
        return None, [fault]
    if not isinstance(data, dict):
        return None, [ConfigError("The file must hold `key: value` lines.", file=path, line=1)]
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, list(_faults(error, path, lines, model))


def parse(path: Path) -> tuple[object, dict[Path_, int]]:
    """Plain data of a YAML file and the line (1-based) of every value by its path, e.g. ('columns', 0, 'name').

    Raises ConfigError if the file cannot be read, is not UTF-8 or not YAML, or holds a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The file cannot be read: {error.strerror}.", file=path) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("The file is not UTF-8. Save it as UTF-8.", file=path, line=line) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Path_, int] = {}
        if node is None:
            return None, lines
        _walk(node, (), lines, path)
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(
            f"Not valid YAML: {error.problem or error.context}.", file=path, line=mark.line + 1 if mark else None
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"Not valid YAML: {error}.", file=path) from None


def _walk(node: yaml.Node, at: Path_, lines: dict[Path_, int], file: Path) -> None:
    lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise ConfigError(f"{name!r} stands twice, first in line {seen[name]}.", file=file, line=line)
            seen[name] = line
            _walk(value, (*at, name), lines, file)
            lines[(*at, name)] = line
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*at, index), lines, file)


def _faults(
    error: ValidationError, file: Path, lines: dict[Path_, int], model: type[BaseModel]
) -> Iterator[ConfigError]:
    for fault in error.errors(include_url=False):
        at = fault["loc"]
        place = ".".join(str(part) for part in at) or "file"
        known = next((at[:n] for n in range(len(at), -1, -1) if at[:n] in lines), ())
        value: object = fault["input"]
        valid: tuple[str, ...] = ()
        if fault["type"] == "extra_forbidden":
            value, valid = str(at[-1]), tuple(_fields(model, at[:-1]))
            problem = f"Unknown key {place!r}."
        elif fault["type"] == "missing":
            value, problem = None, f"{place!r} is missing."
        else:
            valid = _choices(fault.get("ctx", {}).get("expected"))
            shown = f" (it is {value!r})" if isinstance(value, str | int | float | bool) else ""
            problem = f"{place}: {fault['msg'].removeprefix('Value error, ')}{shown}."
        text = value if isinstance(value, str) else None
        yield ConfigError(problem, file=file, line=lines.get(known), value=text, valid=valid)


def _choices(expected: object) -> tuple[str, ...]:
    """pydantic names the choices of a Literal or an enum as "'M', 'O' or 'C'"."""
    return tuple(str(expected).replace(" or ", ", ").replace("'", "").split(", ")) if expected else ()


def _fields(model: type[BaseModel], at: Path_) -> Iterator[str]:
    """Names of the keys that the model at path `at` knows."""
    here: Any = model
    for part in at:
        if isinstance(here, type) and issubclass(here, BaseModel) and isinstance(part, str):
            field = here.model_fields.get(part)
            here = field.annotation if field else None
        inner = _model_in(here)
        here = inner if inner is not None else here
    if isinstance(here, type) and issubclass(here, BaseModel):
        yield from (field.alias or name for name, field in here.model_fields.items())


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model inside `tuple[Model, ...]`, `Model | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
