"""Which tests belong to what differs from the branch `main`: tests mirror the tree (docs/testing.md)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

BRANCH = "main"
_CODE = Path("include/reku")
_TESTS = Path("tests")
_ROOMS_OF_FOLDERS = {  # what is no module of a room
    "dags": ("dags", "orchestration"),
    "plugins": ("orchestration",),
    "include/templates": ("channels",),
    "include/contracts": ("records", "sources", "reporting"),
    "include/expectations": ("gate",),
    "include/institutes": ("catalogue",),
    "include/occasions": ("catalogue", "gate"),
    "include/reku_testing": ("reku_testing",),
}


@dataclass(frozen=True)
class Touched:
    """Paths below the checkout: test files that are meant themselves, and folders of rooms."""

    files: frozenset[Path]
    folders: frozenset[Path]

    def is_meant(self, test: Path) -> bool:
        """Whether the test file itself was changed, or is that of a changed module."""
        return test in self.files

    def is_in_room(self, test: Path) -> bool:
        """Whether something in the room of the test file was changed."""
        return any(folder in test.parents for folder in self.folders)


def touched(checkout: Path) -> Touched:
    """What belongs to the files that differ from `main`, committed or not; nothing where there is no such branch."""
    return _tests_of(_changed(checkout))


def _changed(checkout: Path) -> list[Path]:
    def git(*arguments: str) -> list[str]:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.splitlines()

    since = git("merge-base", BRANCH, "HEAD")
    changed = git("diff", "--name-only", "--no-renames", *since) if since else []
    return [Path(name) for name in [*changed, *git("ls-files", "--others", "--exclude-standard")]]


def _tests_of(changed: list[Path]) -> Touched:
    files: set[Path] = set()
    folders: set[Path] = set()
    for file in changed:
        if file.is_relative_to(_CODE):
            room = _TESTS / file.relative_to(_CODE).parent
            files.add(room / f"test_{file.stem}.py")
            folders.add(room)
        elif file.is_relative_to(_TESTS):
            (files.add(file) if file.name.startswith("test_") else folders.add(file.parent))
        for folder, rooms in _ROOMS_OF_FOLDERS.items():
            if file.is_relative_to(folder):
                folders |= {_TESTS / room for room in rooms}
    return Touched(frozenset(files), frozenset(folders - {_TESTS}))
