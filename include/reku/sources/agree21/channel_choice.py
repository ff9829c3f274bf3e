"""By which channel a person is reached: the one that the impulse wishes for, else the first that reaches him."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.contact.decide import Against
from reku.contact.reasons import reasons_against
from reku.records import contracts
from reku.sources.agree21.matches import Match, opener

KIND, CHANNEL = "AUSWAHL", "Kanal"
_POSTAL = ("Strasse", "PLZ", "Ort")


def choose_channels(
    connection: sa.Connection,
    channels: Sequence[ChannelName],
    rows: Sequence[Match],
    against: Against,
    places: Sequence[int],
) -> dict[int, ChannelName]:
    """The channel of each row that is taken, by its place in `rows`; of those at `places` only.

    `rows`: one for each mail address of a pair of person and Anlass_Datum. A channel that goes to mail addresses takes
    all addresses of the pair that it may, any other takes one row for the person, a letter only the contact person of a
    household with a whole postal address. `against`: what speaks against each row, as far as it bars the channel.
    """
    wishes = channels_by_code()
    postal = _with_postal_address(connection, rows, places) if ChannelName.LETTER in channels else frozenset()
    pairs: dict[tuple[Any, ...], list[int]] = {}
    for place in places:
        pairs.setdefault((rows[place].person_number, rows[place].occasion_date, rows[place].impulse), []).append(place)
    chosen: dict[int, ChannelName] = {}
    for of_pair in pairs.values():
        for channel in _in_turn(channels, wishes, rows[of_pair[0]].wished_channel):
            if taken := _reached(channel, rows, against, of_pair, postal):
                chosen |= dict.fromkeys(taken, channel)
                break
    return chosen


def channels_by_code() -> dict[str, ChannelName]:
    """The channels by what the contract of selected rows calls them."""
    return {code: ChannelName(name) for code, name in contracts()[KIND].words(CHANNEL).items()}


def _in_turn(
    channels: Sequence[ChannelName], wishes: Mapping[str, ChannelName], wish: str | None
) -> Sequence[ChannelName]:
    """The wished one first, if the campaign has it, then the others in their order."""
    wished = wishes.get(wish or "")
    if wished is None or wished not in channels:
        return channels
    return (wished, *(one for one in channels if one is not wished))


def _reached(
    channel: ChannelName,
    rows: Sequence[Match],
    against: Against,
    places: Sequence[int],
    postal: frozenset[int],
) -> list[int]:
    """Those of a pair's rows that the channel may take."""
    barring = reasons_against(channel)
    free = [place for place in places if place not in against or barring.isdisjoint(against[place])]
    if channel.goes_to_an_address:
        return [place for place in free if rows[place].recipient_key]
    if channel is ChannelName.LETTER:
        free = [place for place in free if place in postal and rows[place].household_rank == 1]
    return free[:1]


def _with_postal_address(connection: sa.Connection, rows: Sequence[Match], places: Sequence[int]) -> frozenset[int]:
    """The places of those who have street, postcode and town. Raises SetupError if no key opens their addresses."""
    opened = opener(connection, [rows[place] for place in places])

    def has_all(row: Match) -> bool:
        address = opened(row) or {}
        return all(address.get(field) for field in _POSTAL)

    return frozenset(place for place in places if has_all(rows[place]))
