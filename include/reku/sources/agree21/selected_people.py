"""Who is selected for an order on a day, and what keeps the others out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.catalogue.window import message_window
from reku.contact.candidates import Candidate
from reku.contact.decide import Against, reasons_of_candidates
from reku.contact.policy import Policy
from reku.contact.reasons import Reason, reasons_against
from reku.foundation import clock
from reku.foundation.addresses import key_of_person
from reku.sources.agree21.channel_choice import choose_channels
from reku.sources.agree21.matches import Match, matches
from reku.sources.agree21.selecting import candidates
from reku.store.tables import (
    persons,
)

_SELECTED, _HOUSEHOLD, _LATER_DATE = "selected", "household", "later_date"
_ANOTHER_IMPULSE, _NO_ADDRESS, _HAS_MESSAGE = "another_impulse", "without_address", "have_a_message"
_NO_CHANNEL = "on_no_channel"
_REASONS = tuple(reason.value for reason in Reason)
_OUTCOMES = (_SELECTED, _HOUSEHOLD, _LATER_DATE, _ANOTHER_IMPULSE, *_REASONS, _NO_ADDRESS, _NO_CHANNEL, _HAS_MESSAGE)
"""What becomes of a pair of person and Anlass_Datum: the first in this order that holds for one of its addresses."""
_ALWAYS_SHOWN = (_SELECTED, _HOUSEHOLD, _LATER_DATE, _ANOTHER_IMPULSE, _NO_ADDRESS, _HAS_MESSAGE)


class Judged(NamedTuple):
    """A pair that a rule matches with one of the person's mail addresses, and what a selection makes of it.

    `outcome`: one of `_OUTCOMES`. `reasons`: all that contact has against it; what cannot have a message is not asked.
    `channel`: the one that is taken.
    """

    row: Match
    outcome: str
    reasons: tuple[Reason, ...]
    channel: ChannelName | None = None

    @property
    def is_selected(self) -> bool:
        """Whether a row of the delivery is made of it."""
        return self.outcome == _SELECTED


@dataclass(frozen=True)
class Selected:
    """`rows`: one for each mail address of each selected pair of person and Anlass_Datum, or one for the person.

    `channels`: of the rows, in their order.

    `funnel`: pairs; `matched` is the sum of all others, which are those of `_OUTCOMES`.
    `impulses`: those that people were selected for, with Anlass_Datum.
    """

    rows: Sequence[Match]
    channels: Sequence[ChannelName]
    funnel: dict[str, int]
    impulses: dict[str, date]


def selected_people(
    connection: sa.Connection, bank: Institute, order: sa.Row[Any], rule: Selection, window: Window, day: date
) -> Selected:
    """Whose window is open on the day, who has no message yet for (order, person, Anlass_Datum) and may be contacted.

    Nor must the pair wait in a delivery of the order that is not loaded yet. A message that a passing reason has ended
    is none. Of several dates of one person the first is taken; of the members of a household who share an address one.
    Whoever is kept out stays a candidate.
    """
    judged = judged_people(connection, bank, order, rule, window, day)
    by_pair: dict[tuple[str, date], list[str]] = {}
    for one in judged:
        by_pair.setdefault((one.row.person_number, one.row.occasion_date), []).append(one.outcome)
    counted = Counter(min(of_pair, key=_OUTCOMES.index) for of_pair in by_pair.values())
    funnel = {name: counted[name] for name in _OUTCOMES if counted[name] or name in _ALWAYS_SHOWN}
    selected = [one.row for one in judged if one.is_selected]
    taken = {row.impulse: row.occasion_date for row in selected if row.impulse is not None}
    channels = [one.channel for one in judged if one.is_selected and one.channel is not None]
    return Selected(selected, channels, {"matched": len(by_pair), **funnel}, taken)


def judged_people(
    connection: sa.Connection,
    bank: Institute,
    order: sa.Row[Any],
    rule: Selection,
    window: Window,
    day: date,
    *,
    with_household_of: str | None = None,
) -> list[Judged]:
    """What a selection of that day makes of each mail address of the pairs that a rule matches.

    `with_household_of`: of this person (as the tables name it) and of those who share its household only.
    """
    campaign = bank.campaign(order.order_number)
    found = candidates(rule, window, bank.blz, day, campaign.impulses if campaign else ())
    if with_household_of is not None:
        person = persons.alias("person")
        household = sa.select(person.c.household).where(
            person.c.institute == bank.blz, person.c.person_number == with_household_of
        )
        found = found.where(persons.c.household == household.scalar_subquery())
    channels = campaign.channels if campaign else (ChannelName.EMAIL,)
    rows = matches(connection, bank.blz, order.id, found, everybody=_reach_everybody(channels))
    against = _reasons(connection, bank, order, window, rows, day)
    chosen = choose_channels(connection, channels, rows, against, [p for p in range(len(rows)) if _is_asked(rows[p])])
    outcomes = _outcomes(rows, against, chosen, channels)
    return [Judged(row, outcomes[place], against.get(place, ()), chosen.get(place)) for place, row in enumerate(rows)]


def _reach_everybody(channels: Sequence[ChannelName]) -> bool:
    """Whether one of the channels needs no mail address."""
    return not all(channel.goes_to_an_address for channel in channels)


def _is_asked(row: Match) -> bool:
    """Whether it has to be seen what speaks against the row."""
    return not _has_one(row) and row.recipient_key is not None


def _reasons(
    connection: sa.Connection,
    bank: Institute,
    order: sa.Row[Any],
    window: Window,
    rows: Sequence[Match],
    day: date,
) -> Against:
    """What speaks against a message to each of the rows, by place; those that cannot have one are not asked."""
    due = message_window(window, bank.campaign(order.order_number), clock.at(day))
    places = [place for place, row in enumerate(rows) if _is_asked(row)]
    people = []
    for row in (rows[place] for place in places):
        would_be = due(row.occasion_date, row.valid_until)
        people.append(
            Candidate(
                row.person_number,
                row.recipient_key or key_of_person(bank.blz, row.person_number),
                row.domain or "",
                row.occasion_date,
                would_be.due_at,
                would_be.last_day,
                row.priority,
            )
        )
    against = reasons_of_candidates(connection, Policy.of(bank), order.id, people, day)
    return {places[place]: reasons for place, reasons in against.items()}


def _outcomes(
    rows: Sequence[Match],
    against: Against,
    chosen: Mapping[int, ChannelName],
    channels: Sequence[ChannelName],
) -> list[str]:
    """What becomes of each row: one of `_OUTCOMES`."""
    outcomes = [
        _SELECTED if place in chosen else _outcome(row, against.get(place, ()), channels)
        for place, row in enumerate(rows)
    ]
    free = [(place, row, _turn(row)) for place, row in enumerate(rows) if outcomes[place] == _SELECTED]
    first: dict[str, tuple[Any, ...]] = {}
    for _, row, turn in free:
        if turn < first.setdefault(row.person_number, turn):
            first[row.person_number] = turn
    mails: dict[tuple[str, str, date], tuple[int, str]] = {
        _mail(row): (0, row.person_number) for row in rows if row.waits
    }
    competing = []
    for place, row, turn in free:
        if turn == first[row.person_number]:
            mail, own = _mail(row), (row.household_rank, row.person_number)
            competing.append((place, row, mail))
            if own < mails.setdefault(mail, own):
                mails[mail] = own
        else:
            outcomes[place] = _LATER_DATE if row.impulse is None else _ANOTHER_IMPULSE
    for place, row, mail in competing:
        if mails[mail][1] != row.person_number:
            outcomes[place] = _HOUSEHOLD
    return outcomes


def _turn(row: Match) -> tuple[Any, ...]:
    """What of several of one person comes first: by priority and age of the impulse, or by Anlass_Datum."""
    return (row.occasion_date,) if row.impulse is None else (row.priority, row.made_at, row.impulse)


def _outcome(row: Match, against: Sequence[Reason], channels: Sequence[ChannelName]) -> str:
    """Why a row is not taken: what bars the channel that was tried first, else what it lacks."""
    if _has_one(row):
        return _HAS_MESSAGE
    barring = [reason for reason in against if reason in reasons_against(channels[0])]
    if barring:
        return barring[0].value
    return _NO_CHANNEL if row.recipient_key else _NO_ADDRESS


def _has_one(row: Match) -> bool:
    return bool(row.known or row.waits)


def _mail(row: Match) -> tuple[str, str, date]:
    """What one mail is for: an address in a household, on one Anlass_Datum."""
    return row.household, row.recipient_key or row.person_number, row.occasion_date
