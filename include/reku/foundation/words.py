"""What people read, in both of their languages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One sentence in both languages."""

    german: str
    english: str

    def __str__(self) -> str:
        return f"{self.german} / {self.english}"
