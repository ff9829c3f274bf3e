"""Occasions, media and institutes from the configuration folder.

Airflow parses with it every 30 seconds, so nothing heavy is imported, and a file that has not changed is read once per
process. One broken file never takes the others down: it raises when it is asked for, and only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium, folder_of
from reku.catalogue.occasion import Occasion
from reku.foundation import yaml_source
from reku.foundation.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)
_Stamp = tuple[int, int]


class Entries(Mapping[str, ModelT]):
    """Models by key. The keys are those of all files; asking for a broken one raises its first ConfigError."""

    def __init__(self, whole: dict[str, ModelT], faults: dict[str, list[ConfigError]]) -> None:
        self.whole, self._faults = whole, faults

    @property
    def faults(self) -> list[ConfigError]:
        """All faults, file by file."""
        return [fault for key in sorted(self._faults) for fault in self._faults[key]]

    def __getitem__(self, key: str) -> ModelT:
        if key in self._faults:
            raise self._faults[key][0]
        return self.whole[key]

    def __contains__(self, key: object) -> bool:
        return key in self.whole or key in self._faults

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self.whole, *self._faults}))

    def __len__(self) -> int:
        return len(self.whole) + len(self._faults)


@dataclass(frozen=True)
class _FileKind(Generic[ModelT]):
    """Where the files of one kind lie, and which key a file's place demands."""

    model: type[ModelT]
    folder: str
    pattern: str
    key: str
    key_of_place: Callable[[Path], str]


def _medium_key(file: Path) -> str:
    return f"{file.parent.parent.name}_{file.parent.name}".upper()


def _stem(file: Path) -> str:
    return file.stem


_OCCASIONS = _FileKind(Occasion, "occasions", "*.yaml", "code", _stem)
_MEDIA = _FileKind(Medium, "templates", "*/*/medium.yaml", "key", _medium_key)
_INSTITUTES = _FileKind(Institute, "institutes", "*.yaml", "blz", _stem)

_known: dict[Path, tuple[_Stamp, Any, list[ConfigError]]] = {}
"""What each file held when it was last read: its time and size then, the model, the faults."""


def occasions(config_dir: Path | None = None) -> Entries[Occasion]:
    """All occasions by code, from `occasions/<CODE>.yaml`. Raises ConfigError if there is no such folder."""
    return _entries(_OCCASIONS, config_dir)


def media(config_dir: Path | None = None) -> Entries[Medium]:
    """All media by key, from `templates/<provider>/<title>/medium.yaml`. Raises ConfigError without that folder."""
    return _entries(_MEDIA, config_dir)


def institutes(config_dir: Path | None = None) -> Entries[Institute]:
    """All institutes by BLZ, from `institutes/<BLZ>.yaml`. Raises ConfigError if there is no such folder."""
    return _entries(_INSTITUTES, config_dir)


def scan_occasions(config_dir: Path | None = None) -> tuple[dict[str, Occasion], list[ConfigError]]:
    """The occasions that can be read, by code, and the faults of all others. Never raises ConfigError."""
    try:
        entries = occasions(config_dir)
    except ConfigError as error:
        return {}, [error]
    return entries.whole, entries.faults


def load_occasion(file: Path) -> Occasion:
    """The occasion in one file, whatever the file's name. Raises its first ConfigError."""
    return yaml_source.load(file, Occasion)


def medium_folder(key: str, config_dir: Path | None = None) -> Path:
    """The folder of a medium with its medium.yaml, mail.mjml and mail.txt."""
    return _root(config_dir) / "templates" / folder_of(key)


def _root(config_dir: Path | None) -> Path:
    if config_dir is None:
        from reku.foundation.settings import settings  # 0.1 s to import, for callers that do not name a folder

        return settings().config_dir
    return config_dir


def _entries(kind: _FileKind[ModelT], config_dir: Path | None) -> Entries[ModelT]:
    folder = _root(config_dir) / kind.folder
    if not folder.is_dir():
        raise ConfigError("The folder does not exist. REKU_CONFIG_DIR must name the folder above it.", file=folder)
    files = {kind.key_of_place(file): file for file in sorted(folder.glob(kind.pattern))}
    whole: dict[str, ModelT] = {}
    faults: dict[str, list[ConfigError]] = {}
    holders: dict[str, list[str]] = {}
    for place, file in files.items():
        model, found = _read_once(file, kind.model)
        if model is None:
            faults[place] = found
        else:
            whole[place] = model
            holders.setdefault(getattr(model, kind.key), []).append(place)
    for key, places in holders.items():
        for place in places:
            if place != key:
                del whole[place]
                faults[place] = [_misplaced(kind, files, place, key, places)]
    return Entries(whole, faults)


def _misplaced(
    kind: _FileKind[ModelT], files: dict[str, Path], place: str, key: str, holders: list[str]
) -> ConfigError:
    """The fault of a file whose key is not that of its place; names the other file with the same key, if any."""
    other = next((files[holder] for holder in ([key] if key in files else holders) if holder != place), None)
    problem = (
        f"The {kind.key} {key!r} stands in {other} as well, and each belongs in one file. Here it should be {place!r}."
        if other
        else f"The {kind.key} {key!r} does not fit the file's name, which stands for {place!r}."
    )
    return ConfigError(problem, file=files[place], line=yaml_source.line_of(files[place], (kind.key,)))


def _read_once(file: Path, model: type[ModelT]) -> tuple[ModelT | None, list[ConfigError]]:
    """The file's model and faults, read again only when its time or size has changed."""
    try:
        status = file.stat()
    except OSError:  # gone since the folder was listed: read says so in plain words
        return yaml_source.load_all(file, model)
    stamp = (status.st_mtime_ns, status.st_size)
    known = _known.get(file)
    if known is None or known[0] != stamp:
        known = _known[file] = (stamp, *yaml_source.load_all(file, model))
    return known[1], known[2]
