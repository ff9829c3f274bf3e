"""What one team is told in one message, in the language `REKU_ALARM_LANGUAGE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reku.foundation.settings import settings
from reku.foundation.words import Words
from reku.process.alarming.decision import AlarmDecision, Telling
from reku.process.needs import Need

MOST_NAMED = 30
"""So many causes one part of a message names; of the others it says how many there are."""

_HEADINGS: Mapping[Telling, Words] = {
    Telling.NEW: Words("Neu", "New"),
    Telling.WORSE: Words("Schlimmer geworden", "Worse"),
    Telling.NOT_TAKEN: Words("Niemand hat es übernommen", "Nobody has taken it"),
    Telling.OVER: Words("Erledigt", "Over"),
}


def message_of(told: Sequence[AlarmDecision], all_in_all: int, page: str) -> tuple[str, str]:
    """Title and body of what one team is told; `all_in_all`: causes that are open, `page`: where they are listed."""
    by = {telling: [one for one in told if one.telling is telling] for telling in Telling}
    new, worse, untaken, over = (len(of) for of in by.values())
    not_taken = Words(f", {untaken} nicht übernommen", f", {untaken} not taken") if untaken else Words("", "")
    title = Words(
        f"reku: {new} neu, {worse} schlimmer{not_taken.german}, {over} erledigt",
        f"reku: {new} new, {worse} worse{not_taken.english}, {over} over",
    )
    parts = [line for telling, of in by.items() for line in _part(_HEADINGS[telling], [_lines(one) for one in of])]
    parts.append(_in(Words(f"Offen insgesamt: {all_in_all}. {page}", f"Open in all: {all_in_all}. {page}")))
    return _in(title), "\n\n".join(parts)


def about(need: Need) -> str:
    """Who is concerned: bank, occasion, order, people."""
    people = None if need.people is None else _in(Words(f"{need.people} Personen", f"{need.people} people"))
    concerned = (_in(need.kind.words), need.bank, need.occasion, need.order, people)
    return " · ".join(part for part in concerned if part)


def _part(heading: Words, causes: Sequence[str]) -> list[str]:
    if not causes:
        return []
    named = list(causes[:MOST_NAMED])
    if len(causes) > MOST_NAMED:
        more = len(causes) - MOST_NAMED
        named.append(_in(Words(f"… und {more} weitere", f"… and {more} more")))
    return [f"{_in(heading)}:", *named]


def _lines(told: AlarmDecision) -> str:
    need, known = told.need, told.known
    if need is None:
        return known.about if known else told.cause
    taken = ""
    if known and known.taken_by:
        taken = "\n  " + _in(Words(f"Übernommen von {known.taken_by}.", f"{known.taken_by} has taken it."))
    return f"{about(need)}\n  {_in(need.said.what)}\n  > {_in(need.said.cure)}{taken}"


def _in(words: Words) -> str:
    return words.german if settings().alarm_language == "de" else words.english
