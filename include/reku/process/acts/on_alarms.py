"""Acts on what needs a person, whatever it is: to take it, and to be told nothing of it for a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.words import Words
from reku.process.acts.act import Act, Concern
from reku.process.alarming import looking_after
from reku.process.alarming.raising import note_seen

_OVER = Words("Das ist inzwischen erledigt.", "This is over by now.")
_FOR_A_DAY = timedelta(days=1)


def _look(done: Callable[[sa.Engine, str], Words | None], engine: sa.Engine, cause: str) -> Concern:
    """`done`: says who has done it already."""
    need = note_seen(engine).get(cause)
    if need is None:
        return Concern(over=_OVER)
    what = need.kind.words.german
    return Concern(need.institute, need.bank, need.occasion, need.order, what, need.people, done(engine, cause))


def _silenced(engine: sa.Engine, cause: str) -> Words | None:
    with engine.connect() as connection:
        state = looking_after.alarm_states(connection).get(cause)
    if state is None or state.silent_until is None:
        return None
    until = f"{clock.berlin(state.silent_until):%d.%m.%Y %H:%M}"
    return Words(
        f"{state.silenced_by} hat das bis {until} stumm geschaltet.",
        f"{state.silenced_by} silenced this until {until}.",
    )


def _take(engine: sa.Engine, cause: str, actor: str, note: str) -> Words:
    looking_after.take(engine, cause, actor=actor, note=note)
    return Words(f"{actor} kümmert sich darum.", f"{actor} looks after it.")


def _silence(engine: sa.Engine, cause: str, actor: str, note: str) -> Words:
    looking_after.silence(engine, cause, clock.now() + _FOR_A_DAY, actor=actor, note=note)
    return Words("Bis morgen um diese Zeit meldet sich das nicht.", "Nobody is told of it until this time tomorrow.")


ALARM_ACTS: Mapping[str, Act] = {
    "take": Act(
        Words("Ich übernehme", "I take this"),
        Words(
            "Ihr Name steht daran, und es wird nicht weiter eskaliert. Sonst ändert sich nichts.",
            "Your name stands beside it, and no further team is told. Nothing else changes.",
        ),
        partial(_look, looking_after.taken),
        _take,
        needs_reason=False,
    ),
    "silence": Act(
        Words("Für einen Tag stumm", "Silent for a day"),
        Words(
            "Einen Tag lang wird es niemandem gemeldet; was dann noch besteht, wird neu gemeldet. Es bleibt in der"
            " Liste.",
            "For a day nobody is told of it; what is still there then is told anew. It stays on the list.",
        ),
        partial(_look, _silenced),
        _silence,
    ),
}
