"""What the demo remembers, so that a killed one goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path

from reku.foundation import clock


@dataclass
class DemoState:
    """`done`: names of the steps that are over. `shown`: the demo's clock when it was last kept (ISO, UTC)."""

    day_1: str
    shown: str
    done: list[str] = field(default_factory=list)
    closed_as_not_sent: list[list[str | int]] = field(default_factory=list)
    finished: bool = False

    @property
    def first_day(self) -> date:
        """The first demo day."""
        return date.fromisoformat(self.day_1)

    def keep(self, file: Path) -> None:
        """Write it down, with the demo's clock as it stands now."""
        self.shown = clock.now().isoformat()
        draft = file.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        draft.replace(file)


def load(file: Path) -> DemoState | None:
    """The state of an earlier start, or None if there was none."""
    try:
        return DemoState(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def set_clock(file: Path, moment: datetime) -> None:
    """Let the demo's clock show this moment, but never an earlier one than it shows."""
    if not file.exists() or clock.now() < moment:
        clock.move(file, moment)
