"""Acts on a delivery that is being sent: its doubts are resolved, its canary is passed, what is open is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from reku.dispatch import canary, doubt
from reku.foundation.words import Words
from reku.process import cancel
from reku.process.acts.act import Act, Concern, number_of
from reku.process.acts.on_deliveries import concern_of_delivery
from reku.store.states import MessageState, in_states
from reku.store.tables import messages

_Counted = Callable[[sa.Connection, int], int]


def _in(state: MessageState) -> _Counted:
    def count(connection: sa.Connection, delivery: int) -> int:
        wanted = sa.select(sa.func.count()).where(messages.c.delivery_id == delivery, in_states(messages, (state,)))
        return connection.scalar(wanted) or 0

    return count


def _look(count: _Counted, over: Words, engine: sa.Engine, subject: str) -> Concern:
    """Concerns those whom `count` finds; `over` where there are none."""
    delivery = number_of(subject)
    concern = concern_of_delivery(engine, delivery)
    with engine.connect() as connection:
        people = count(connection, delivery)
    return replace(concern, people=people, over=None if people else over)


def _look_at_canary(engine: sa.Engine, subject: str) -> Concern:
    delivery = number_of(subject)
    concern = concern_of_delivery(engine, delivery)
    if canary.judged_from(engine, delivery) is not None:
        return concern
    return replace(concern, over=Words("Kein Vorlauf hält sie auf.", "No canary holds it back."))


def _resolve(sent: bool, engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    delivery = number_of(subject)
    institute = concern_of_delivery(engine, delivery).institute
    closed = doubt.resolve_all(engine, institute, delivery, sent=sent, actor=actor, note=note)
    if sent:
        return Words(f"{closed} Mails gelten als versandt.", f"{closed} mails count as sent.")
    return Words(f"{closed} Mails gelten als nicht versandt.", f"{closed} mails count as not sent.")


def _go_on(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    canary.go_on(engine, number_of(subject), actor=actor, note=note)
    return Words(
        "Die übrigen dürfen folgen. Den Task `dispatch` jetzt noch einmal versuchen.",
        "The others may follow. Now try the `dispatch` task again.",
    )


def _close(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    closed = cancel.cancel(engine, number_of(subject), actor=actor, note=note)
    return Words(
        f"Geschlossen: {closed} Mails gehen nicht mehr hinaus (GESTOPPT).",
        f"Closed: {closed} mails will never go out (GESTOPPT).",
    )


_NO_DOUBT = Words("Nichts davon ist ungeklärt.", "Nothing of it is in doubt.")
_NOTHING_OPEN = Words("Nichts davon steht noch aus.", "Nothing of it is still to be sent.")
_look_at_doubts: Any = partial(_look, _in(MessageState.IN_DOUBT), _NO_DOUBT)

SENDING_ACTS: Mapping[str, Act] = {
    "resolve-sent": Act(
        Words("Waren angekommen: als versandt schließen", "They went out: close as sent"),
        Words(
            "Richtig, wenn das Protokoll des Mailservers die Message-IDs hat (`reku messages in-doubt` nennt sie). Das"
            " lässt sich nicht zurücknehmen.",
            "Right where the relay's log has their Message-IDs (`reku messages in-doubt` names them). That cannot be"
            " undone.",
        ),
        _look_at_doubts,
        partial(_resolve, True),
        is_final=True,
    ),
    "resolve-unsent": Act(
        Words("Waren nie draußen: als nicht versandt schließen", "They never went out: close as not sent"),
        Words(
            "Sie werden nie mehr versandt und gehen als UNGEKLAERT zurück. Das lässt sich nicht zurücknehmen.",
            "They are never sent again, and go back as UNGEKLAERT. It cannot be undone.",
        ),
        _look_at_doubts,
        partial(_resolve, False),
        is_final=True,
    ),
    "go-on": Act(
        Words("Trotz Vorlauf weitersenden", "Go on past the canary"),
        Words(
            "Was aus den ersten Mails geworden ist, hält die übrigen nicht mehr auf.",
            "Whatever became of the first mails, the others are no longer held back.",
        ),
        _look_at_canary,
        _go_on,
    ),
    "close": Act(
        Words("Schließen: nichts mehr versenden", "Close: send no more"),
        Words(
            "Was noch nicht versandt ist, geht nie mehr hinaus und wird als GESTOPPT gemeldet. Läuft der Versand, erst"
            " den Auftrag anhalten.",
            "What has not been sent never goes out, and is reported as GESTOPPT. While it is being sent, stop the order"
            " first.",
        ),
        partial(_look, _in(MessageState.OPEN), _NOTHING_OPEN),
        _close,
        is_final=True,
    ),
}
