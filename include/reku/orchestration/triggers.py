"""Triggers: a task that waits holds no worker. Both live by our clock and end with an event, never with a time-out.

Neither ends before its task's first part is surely over. The process that watches over a task may notice its end one
`[workers] min_heartbeat_interval` late (apache/airflow 72716, 71580). A task that has gone on by then is taken for one
that died: it is marked for a retry while it works.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from airflow.configuration import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

from reku.foundation import clock
from reku.foundation.settings import settings

SHORTEST_WAIT = timedelta(seconds=conf.getint("workers", "min_heartbeat_interval", fallback=5) + 10)
"""No deferral is shorter: the interval, and time for a busy scheduler to hear of the end."""


class _Trigger(BaseTrigger):
    """Fires what `event` brings, but not before `SHORTEST_WAIT` of real time is over."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        begun = time.monotonic()
        event = await self.event()
        await asyncio.sleep(SHORTEST_WAIT.total_seconds() - (time.monotonic() - begun))
        yield TriggerEvent(event)

    @abstractmethod
    async def event(self) -> dict[str, Any]:
        """Wait for what the task waits for."""


class UntilTrigger(_Trigger):
    """Fires `{"reached": <moment>}` when our clock has reached `until` (ISO, with zone), with what it was to keep."""

    def __init__(self, until: str, keep: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.until, self.keep = until, keep or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "reku.orchestration.triggers.UntilTrigger", {"until": self.until, "keep": self.keep}

    async def event(self) -> dict[str, Any]:
        moment = datetime.fromisoformat(self.until)
        while (left := (moment - clock.now()).total_seconds()) > 0:
            # a moved clock may jump, so never sleep to the end in one go
            await asyncio.sleep(min(left, settings().poke_seconds))
        return self.keep | {"reached": self.until}


class PollTrigger(_Trigger):
    """Looks again and again; fires `{"holds": True}`, or `{"deadline": <moment>, "in_vain": <sentence>}` when our clock
    has passed `deadline`.

    `condition` names one of `process.conditions`, asked with `arguments` in a thread. `in_vain` travels with the event,
    since `dag.test` resumes a task with nothing else.
    """

    def __init__(self, condition: str, arguments: dict[str, Any], deadline: str, in_vain: str = "") -> None:
        super().__init__()
        self.condition, self.arguments, self.deadline, self.in_vain = condition, arguments, deadline, in_vain

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "reku.orchestration.triggers.PollTrigger",
            {
                "condition": self.condition,
                "arguments": self.arguments,
                "deadline": self.deadline,
                "in_vain": self.in_vain,
            },
        )

    async def event(self) -> dict[str, Any]:
        moment = datetime.fromisoformat(self.deadline)
        while True:
            if await asyncio.to_thread(self._holds):
                return {"holds": True}
            if clock.now() >= moment:
                return {"deadline": self.deadline, "in_vain": self.in_vain}
            await asyncio.sleep(settings().poke_seconds)

    def _holds(self) -> bool:
        from sqlalchemy.exc import OperationalError

        from reku.process.conditions import CONDITIONS
        from reku.store.engine import engine

        try:
            return CONDITIONS[self.condition](engine(), **self.arguments)
        except OperationalError:
            self.log.warning("The database does not answer; looking again in %s s.", settings().poke_seconds)
            return False
