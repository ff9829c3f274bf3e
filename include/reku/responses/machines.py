"""Machines told from people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Hit:
    """An open (OEFF) or a click (KLIC, with the link's number) of one message."""

    kind: str
    at: datetime
    link: int | None
    agent: str


def judge(hits: Sequence[Hit], sent_at: datetime | None) -> list[str]:  # noqa: ARG001 - no rule yet
    """For each hit of one message, in order of time: the rule that marks it as a machine's, "" for a person's."""
    return ["" for _ in hits]
