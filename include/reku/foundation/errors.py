"""What can go wrong in a way a person can mend: each error says what, where, what would be right, what to do.

RekuError
├── ConfigError      a fault in our YAML, template or settings files (file, line, wrong value, valid values, suggestion)
├── FileRefused      an exchanged file that is refused as a whole (see records.faults)
├── StageError       a stage of a delivery cannot go on; nothing is lost, the message says what to do
│   └── PassingError it may pass by itself: Airflow tries the task again
│       └── AwayError another system is not there at all: the dispatch comes back to it for hours
└── SetupError       the machine or the environment is not as needed (port taken, no write permission …)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class RekuError(Exception):
    """Base of all errors of this project; its text is one or more plain sentences for a person."""


class StageError(RekuError):
    """A stage of one delivery cannot go on. The delivery keeps its state; the text names the cause and the cure."""


class PassingError(StageError):
    """A StageError that may pass by itself (relay away, lock lost, greylisting): worth trying again."""


class AwayError(PassingError):
    """Another system is not there, and nothing was begun with it: that may last for hours, and waiting harms nobody."""


class SetupError(RekuError):
    """The machine or the environment is not as needed; the text says what to change."""


class ConfigError(RekuError):
    """A fault in a configuration file.

    Attributes: `file`, `line` (1-based, or None where the whole file is meant), `problem` (one sentence),
    `valid` (the valid values, if there is a closed set), `suggestion` (the nearest of them, or None).
    """

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str,
        line: int | None = None,
        value: str | None = None,
        valid: Iterable[str] = (),
    ) -> None:
        self.file, self.line, self.problem, self.value = Path(file), line, problem, value
        self.valid = tuple(valid)
        self.suggestion = suggest(value, self.valid) if value is not None else None
        super().__init__(self._text())

    def _text(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        parts = [f"{place}: {self.problem}"]
        if self.suggestion:
            parts.append(f"Did you mean {self.suggestion!r}?")
        if self.valid:
            shown = ", ".join(self.valid[:12]) + (" …" if len(self.valid) > 12 else "")
            parts.append(f"Valid: {shown}.")
        return " ".join(parts)


def suggest(value: str, valid: Iterable[str]) -> str | None:
    """The valid value nearest to a mistyped one, upper and lower case ignored, or None."""
    by_folded = {choice.casefold(): choice for choice in valid}
    near = difflib.get_close_matches(value.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[near[0]] if near else None
