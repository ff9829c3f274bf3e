"""Occasions, media and institutes from the configuration folder.

Airflow parses with it every 30 seconds, so nothing heavy is imported. It is asked for each bank, each delivery and each
click, so a file is read again only when it has changed, and the folders are looked into at most once a second. One
broken file never takes the others down: it raises when it is asked for, and only then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium, folder_of
from reku.catalogue.occasion import Occasion
from reku.foundation import yaml_source
from reku.foundation.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)
_Stamp = tuple[int, int, int]
"""Time of change, size and inode of a file: what tells that it is another one now."""

LOOK_EVERY = 1.0
"""Seconds in which a folder is looked into at most once; an edit is noticed by then."""


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
    key: str
    look: Callable[[Path], dict[str, _File]]
    """The files of a folder by the key that their place demands."""


class _File(NamedTuple):
    """A file as a look into its folder saw it; without a stamp it was gone a moment later."""

    path: str
    stamp: _Stamp | None


@dataclass
class _Snapshot(Generic[ModelT]):
    """What a folder held when it was last looked into, and what each of its files held then."""

    files: dict[str, _File]
    read: dict[str, tuple[ModelT | None, list[ConfigError]]]
    entries: Entries[ModelT]
    looked_at: float


def _yaml_files(folder: Path) -> dict[str, _File]:
    with os.scandir(folder) as entries:
        named = {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}
        return {place: _seen(named[place]) for place in sorted(named)}


def _medium_files(folder: Path) -> dict[str, _File]:
    files = {}
    for provider in _folders(folder):
        for title in _folders(provider):
            if (file := title / "medium.yaml").is_file():
                files[f"{provider.name}_{title.name}".upper()] = _seen(file)
    return files


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.is_dir())


def _seen(file: Path | os.DirEntry[str]) -> _File:
    try:
        status = file.stat()
    except OSError:  # gone since the folder was listed: reading says so in plain words
        return _File(os.fspath(file), None)
    return _File(os.fspath(file), (status.st_mtime_ns, status.st_size, status.st_ino))


_OCCASIONS = _FileKind(Occasion, "occasions", "code", _yaml_files)
_MEDIA = _FileKind(Medium, "templates", "key", _medium_files)
_INSTITUTES = _FileKind(Institute, "institutes", "blz", _yaml_files)

_snapshots: dict[Path, _Snapshot[Any]] = {}
"""By folder."""


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
    known: _Snapshot[ModelT] | None = _snapshots.get(folder)
    now = time.monotonic()
    if known is not None and now - known.looked_at < LOOK_EVERY:
        return known.entries
    try:
        files = kind.look(folder)
    except OSError:
        _snapshots.pop(folder, None)
        raise ConfigError(
            "The folder does not exist. REKU_CONFIG_DIR must name the folder above it.", file=folder
        ) from None
    if known is None or files != known.files:
        known = _snapshots[folder] = _read(kind, files, known, now)
    known.looked_at = now
    return known.entries


def _read(
    kind: _FileKind[ModelT], files: dict[str, _File], before: _Snapshot[ModelT] | None, now: float
) -> _Snapshot[ModelT]:
    """What the files hold; those that have not changed since `before` are not read again."""
    read = {}
    for place, file in files.items():
        unchanged = before is not None and file.stamp is not None and before.files.get(place) == file
        read[place] = before.read[place] if before and unchanged else yaml_source.load_all(Path(file.path), kind.model)
    return _Snapshot(files, read, _judged(kind, files, read), now)


def _judged(
    kind: _FileKind[ModelT], files: dict[str, _File], read: dict[str, tuple[ModelT | None, list[ConfigError]]]
) -> Entries[ModelT]:
    """The models by key; a file whose key is not the one of its place is a faulty one."""
    whole: dict[str, ModelT] = {}
    faults: dict[str, list[ConfigError]] = {}
    holders: dict[str, list[str]] = {}
    for place, (model, own_faults) in read.items():
        if model is None:
            faults[place] = own_faults
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
    kind: _FileKind[ModelT], files: dict[str, _File], place: str, key: str, holders: list[str]
) -> ConfigError:
    """The fault of a file whose key is not that of its place; names the other file with the same key, if any."""
    file = Path(files[place].path)
    other = next((files[holder].path for holder in ([key] if key in files else holders) if holder != place), None)
    problem = (
        f"The {kind.key} {key!r} stands in {other} as well, and each belongs in one file. Here it should be {place!r}."
        if other
        else f"The {kind.key} {key!r} does not fit the file's name, which stands for {place!r}."
    )
    return ConfigError(problem, file=file, line=yaml_source.line_of(file, (kind.key,)))
