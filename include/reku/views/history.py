"""One row's life in the order of time, as far as it has come: what `reku why` tells of a `Trace`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reku.store.kinds import UnsubscribedFrom
from reku.store.states import Decision, MessageState
from reku.views.trace import Trace


@dataclass(frozen=True)
class Step:
    """Something that happened, or is to happen, to a row. `at` is None where no moment was kept."""

    at: datetime | None
    what: str
    detail: str = ""


GERMAN = {
    "received": "eingegangen",
    "rejected at the gate": "bei der Prüfung abgewiesen",
    "accepted at the gate": "bei der Prüfung angenommen",
    "released: nothing unusual": "freigegeben: nichts Auffälliges",
    "released by a person": "von einem Menschen freigegeben",
    "declined by a person": "von einem Menschen abgelehnt",
    "loaded into the subscriber list": "in die Aboliste geladen",
    "due": "fällig",
    "claimed by a dispatcher": "vom Versand übernommen",
    "handed over": "übergeben",
    "taken by the server": "vom Server angenommen",
    "refused by the server": "vom Server abgelehnt",
    "not delivered in time": "nicht rechtzeitig zugestellt",
    "withheld": "zurückgehalten",
    "in doubt": "ungeklärt",
    "prepared": "vorbereitet",
    "taken with its file": "mit ihrer Datei abgeholt",
    "to be tried again": "wird noch einmal versucht",
    "response file written": "Rückmeldedatei geschrieben",
    "response file fixed, not written yet": "Rückmeldedatei festgelegt, noch nicht geschrieben",
    "sent": "versandt",
    "delivered": "zugestellt",
    "opened": "geöffnet",
    "clicked": "angeklickt",
    "opened by a machine": "von einem Programm geöffnet",
    "clicked by a machine": "von einem Programm angeklickt",
    "unsubscribed": "abgemeldet",
    "complained": "beschwert",
    "bounced hard": "endgültig unzustellbar",
    "bounced soft": "vorübergehend unzustellbar",
    "bounced unknown": "unzustellbar, Grund unbekannt",
    "retained": "zurückgehalten: gesperrte Adresse",
    "not sent": "nicht versandt",
}
"""The steps in German."""

_ENDS = {
    MessageState.SENT: "taken by the server",
    MessageState.REJECTED: "refused by the server",
    MessageState.UNDELIVERED: "not delivered in time",
    MessageState.WITHHELD: "withheld",
}
_DECIDED = {
    Decision.NORMAL: "released: nothing unusual",
    Decision.APPROVED: "released by a person",
    Decision.DECLINED: "declined by a person",
}


Say = Callable[[str, str], str]
"""Which of a German and an English text is meant."""


def english(_german: str, english: str) -> str:
    """The English one."""
    return english


def history(fate: Trace, say: Say = english) -> list[Step]:
    """The steps of a row in order of time; one without a moment stays behind the one that led to it.

    `say`: the language of details; what happened is called in English (`GERMAN` has the other words).
    """
    steps = list(_steps(fate, say))
    known: list[tuple[datetime, Step]] = []
    for step in steps:
        before = known[-1][0] if known else fate.received_at
        known.append((step.at or before, step))
    return [step for _, step in sorted(known, key=lambda pair: pair[0])]


def _steps(fate: Trace, say: Say) -> Iterator[Step]:
    """The steps in the order in which one leads to the next."""
    line = f", {say('Zeile', 'line')} {fate.line}" if fate.line is not None else ""
    yield Step(fate.received_at, "received", f"{fate.file_name}{line}")
    if fate.gate == "rejected":
        named = fate.advice.startswith(f"{fate.field}: ")
        told = fate.advice if named else ": ".join(filter(None, (fate.field, fate.advice)))
        yield Step(None, "rejected at the gate", " – ".join(filter(None, (fate.code, told))))
        return
    yield Step(None, "accepted at the gate")
    if fate.decision:
        yield Step(fate.decided_at, _DECIDED[Decision(fate.decision)])
    if fate.loaded_at:
        yield Step(fate.loaded_at, "loaded into the subscriber list")
    if fate.message is not None:
        yield from _message(fate, say)
        by_hand = say("von Hand", "by hand")
        yield from (Step(done["at"], f"{by_hand}: {done['action']}", done["note"]) for done in fate.by_hand)
        yield from _reported(fate.events, say)
        yield from _by_machines(fate.by_machines, say)


def _message(fate: Trace, say: Say) -> Iterator[Step]:
    yield Step(fate.due_at, "due")
    if fate.claimed_at and fate.prepared_file:
        yield Step(fate.claimed_at, "prepared", fate.prepared_file)
    elif fate.claimed_at:
        yield Step(fate.claimed_at, "claimed by a dispatcher")
    tries = f"{say('Versuch', 'try')} {fate.attempts}" if fate.attempts else ""
    state = MessageState(fate.state)
    if fate.prepared_file and state is MessageState.SENT:
        yield Step(fate.ended_at, "taken with its file", fate.medium)
        return
    if fate.begun_at:
        yield Step(fate.begun_at, "handed over", ", ".join(filter(None, (fate.medium, tries, fate.message_id))))
    if state is MessageState.WITHHELD and fate.answer and not fate.attempts:
        yield Step(fate.ended_at, _ENDS[state], f"{', '.join(fate.reasons)}: {fate.answer}")
    elif state in _ENDS:
        yield Step(fate.ended_at, _ENDS[state], ", ".join(fate.reasons) or fate.reason or fate.answer)
    elif state is MessageState.IN_DOUBT:
        unanswered = say("die Antwort des Servers wurde nie festgehalten", "the server's answer was never recorded")
        yield Step(fate.begun_at, "in doubt", unanswered)
    elif fate.retry_at:
        yield Step(fate.retry_at, "to be tried again", fate.answer)


def _reported(events: list[dict[str, Any]], say: Say) -> Iterator[Step]:
    """Each event, and each response file that tells of some of them, once."""
    files: dict[int, Step] = {}
    for event in events:
        number = event["response_file"]
        parts = (
            event["reason"],
            _from_what(event["scope"], say),
            f"link {event['link_number']}" if event["link_number"] else "",
            event["link_target"],
            f"{say('in Folge unzustellbar', 'hard bounces in a row')}: {event['bounce_series']}"
            if event["bounce_series"]
            else "",
            f"{say('in Rückmeldedatei', 'in response file')} {number:06d}"
            if number
            else say("nicht gemeldet", "not reported"),
        )
        yield Step(event["at"], _told(event["kind"]), ", ".join(filter(None, parts)))
        if number:
            written = event["written_at"]
            what = "response file written" if written else "response file fixed, not written yet"
            files[number] = Step(written or event["stamped_at"], what, event["file_name"])
    yield from files.values()


def _from_what(scope: str | None, say: Say) -> str:
    if not scope:
        return ""
    return say("vom Auftrag" if scope == UnsubscribedFrom.ORDER else "von allem", f"of the {scope.lower()}")


def _told(kind: str) -> str:
    """A kind of event as people say it: `bounced hard`."""
    return kind.lower().replace("_", " ")


def _by_machines(hits: list[dict[str, Any]], say: Say) -> Iterator[Step]:
    for hit in hits:
        link = f"link {hit['link_number']}, " if hit["link_number"] else ""
        yield Step(hit["at"], f"{_told(hit['kind'])} by a machine", f"{link}{say('Regel', 'rule')} {hit['rule']}")
