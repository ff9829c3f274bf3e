"""States of files, deliveries and messages: what each means, what may follow it, and what is asked about it.

A question about states is a set of those that answer yes, named by what is asked; `docs/architecture.md` has the same
answers as tables. No other module lists states: it asks one of these, in SQL by `with_states`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

import sqlalchemy as sa


class FileVerdict(StrEnum):
    """What intake made of a file that arrived."""

    PROCESSED = "PROCESSED"  # control file carried out, or data imported
    REGISTERED = "REGISTERED"  # delivery taken
    PARKED = "PARKED"  # delivery without a processed control file
    DUPLICATE = "DUPLICATE"  # same content as one known already, or an older control file
    REFUSED = "REFUSED"  # refused as a whole, the original is kept in fehler/
    UNKNOWN = "UNKNOWN"  # no contract knows the name
    SET_ASIDE = "SET_ASIDE"  # tried three times in vain; a person has it tried again, or drops it


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    PARKED = "PARKED"  # waits for a processed control file
    REGISTERED = "REGISTERED"  # known, not yet through the gate
    VALIDATED = "VALIDATED"  # through the gate: delivery_rows and rejects are written
    RELEASED = "RELEASED"  # may be mailed
    LOADED = "LOADED"  # list filled, one message per accepted row
    DECLINED = "DECLINED"  # a person said no
    REFUSED = "REFUSED"  # refused as a whole, by intake, by the gate, or since its order has ended


class MessageState(StrEnum):
    """What became of a message: the ledger."""

    OPEN = "OPEN"  # not taken up, or put off by the server; may be due later
    CLAIMED = "CLAIMED"  # in the batch with this fence; its journal says whether hand-over has begun
    PREPARED = "PREPARED"  # stands in a file that waits to be fetched or acknowledged
    SENT = "SENT"  # the server took it, or its file was fetched or acknowledged
    WITHHELD = "WITHHELD"  # not sent, with one reason
    REJECTED = "REJECTED"  # the server refused this person's RCPT or DATA for good
    UNDELIVERED = "UNDELIVERED"  # not in time: put off until the window's end, or its file was not fetched
    IN_DOUBT = "IN_DOUBT"  # begun by a dispatcher that died; its answer was never recorded


class Decision(StrEnum):
    """What was decided about the release of a delivery."""

    NORMAL = "NORMAL"  # nothing unusual about it: nobody was asked
    APPROVED = "APPROVED"  # a person let it through
    DECLINED = "DECLINED"  # a person said no


_F, _D, _M = FileVerdict, DeliveryState, MessageState

# ---------------------------------------------------------------------------------------------------- what may follow
# A state that is no key is an end. The first state of a row, and writing the same state again, are no step.

AFTER_FILE_VERDICT: Mapping[FileVerdict, frozenset[FileVerdict]] = {
    _F.PARKED: frozenset({_F.REGISTERED, _F.REFUSED}),  # set free, or its order had ended by then
    _F.REGISTERED: frozenset({_F.REFUSED}),  # by the gate
    _F.REFUSED: frozenset({_F.REGISTERED, _F.PARKED, _F.PROCESSED}),  # read again, or accepted by a person
    _F.SET_ASIDE: frozenset({_F.REFUSED}),  # dropped by a person
}
AFTER_DELIVERY_STATE: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    _D.PARKED: frozenset({_D.REGISTERED, _D.REFUSED}),  # set free, or its order had ended by then
    _D.REGISTERED: frozenset({_D.VALIDATED, _D.REFUSED}),  # through the gate, or not
    _D.VALIDATED: frozenset({_D.RELEASED, _D.DECLINED, _D.REFUSED}),  # refused: by a person, as those before
    _D.RELEASED: frozenset({_D.LOADED, _D.REFUSED}),  # refused: its order has ended meanwhile
    _D.REFUSED: frozenset({_D.REGISTERED, _D.PARKED}),  # read again
}
AFTER_MESSAGE_STATE: Mapping[MessageState, frozenset[MessageState]] = {
    _M.OPEN: frozenset({_M.CLAIMED, _M.PREPARED, _M.WITHHELD, _M.UNDELIVERED}),
    _M.CLAIMED: frozenset(MessageState) - {_M.CLAIMED, _M.PREPARED},  # its answer, a doubt, a reason, or open again
    # fetched or acknowledged, or never; nobody knows whether it was taken; its person was erased
    _M.PREPARED: frozenset({_M.SENT, _M.UNDELIVERED, _M.IN_DOUBT, _M.WITHHELD}),
    _M.IN_DOUBT: frozenset({_M.SENT, _M.REJECTED, _M.WITHHELD, _M.OPEN}),  # its late answer, a person, or sent again
}

# ---------------------------------------------------------------------------------------------- what is asked of a file

FILE_WAS_REFUSED = (_F.REFUSED, _F.UNKNOWN)
"""Whether nothing of it was taken in, and its sender has to mend it; what is set aside is not the sender's to mend."""

# ------------------------------------------------------------------------------------------- what is asked of a message

MAY_STILL_GO_OUT = (_M.OPEN, _M.CLAIMED)
"""Whether it waits for its end: nobody has begun to hand it over, or nobody knows of it yet."""

MAY_BE_WITH_THE_PERSON = (_M.CLAIMED, _M.PREPARED, _M.SENT, _M.IN_DOUBT)
"""Whether it has left the house, may have, or is about to: no second one may be claimed beside it."""

HAND_OVER_WAS_TRIED = (_M.SENT, _M.REJECTED, _M.IN_DOUBT)
"""Whether a server was offered it: what the canary counts."""

MAY_BE_STOPPED = (_M.OPEN, _M.PREPARED)
"""Whether it can be kept from going out by itself: nobody has it in hand, and nobody has taken its file."""

IS_SENT_WITH_ITS_FILE = (_M.PREPARED, _M.IN_DOUBT)
"""Whether it is sent once somebody has taken the prepared file that it stands in."""

TAKES_A_LATE_ANSWER = (_M.CLAIMED, _M.IN_DOUBT)
"""Whether the dispatcher that carries its fence may still record how it ended."""

MESSAGE_HAS_ENDED = (_M.SENT, _M.WITHHELD, _M.REJECTED, _M.UNDELIVERED)
"""Whether it has come to its end: `ended_at` is set, and its row leaves by retention."""

# ------------------------------------------------------------------------------------------ what is asked of a delivery

WAITS_FOR_THE_GATE = (_D.PARKED, _D.REGISTERED)
"""Whether the gate has not judged it yet."""

WENT_THROUGH_THE_GATE = (_D.VALIDATED, _D.RELEASED, _D.LOADED, _D.DECLINED)
"""Whether the gate let it through: its accepted rows and its rejects were written."""

WAS_RELEASED = (_D.RELEASED, _D.LOADED)
"""Whether it was let through, unasked or by a person."""

COUNTS_AS_PREVIOUS = (_D.VALIDATED, _D.RELEASED, _D.LOADED)
"""Whether the people of the next delivery are held against its own; what comes for a declined one brings the same."""

STILL_TO_BE_LOADED = (_D.REGISTERED, _D.VALIDATED, _D.RELEASED)
"""Whether a run takes it up to load it, before those of higher numbers."""

WILL_NEVER_BE_LOADED = (_D.DECLINED, _D.REFUSED)
"""Whether no list and no message will come of it as it stands."""

STANDS_IN_THE_LEDGER = (_D.LOADED, _D.DECLINED)
"""Whether each accepted row has a message; those of a declined one are withheld."""

DELIVERY_IS_ON_ITS_WAY = (_D.PARKED, _D.REGISTERED, _D.VALIDATED, _D.RELEASED)
"""Whether it is still to be judged, released or loaded: its original is needed."""

DELIVERY_HAS_ENDED = (_D.LOADED, _D.DECLINED, _D.REFUSED)
"""Whether it is through with all stages before dispatch: it leaves by retention."""

WAS_TAKEN_IN = (_D.REGISTERED, _D.VALIDATED, _D.RELEASED, _D.LOADED, _D.DECLINED)
"""Whether its number counts when one looks for gaps in a series."""

HOLDS_ITS_NUMBER = (_D.PARKED, _D.REGISTERED, _D.VALIDATED, _D.RELEASED, _D.LOADED, _D.DECLINED)
"""Whether no other delivery may have its number."""


def sql_list(values: Iterable[StrEnum]) -> str:
    """Values of a vocabulary as SQL lists them: `('OPEN', 'CLAIMED')`."""
    return "({})".format(", ".join(f"'{value}'" for value in values))


def in_states(table: sa.FromClause, states: Iterable[StrEnum]) -> sa.ColumnElement[bool]:
    """Whether a row's `state` is one of these, written out as in `with_states`, for the sake of partial indexes."""
    return table.c.state.in_([sa.literal_column(f"'{state}'") for state in states])


def with_states(statement: str) -> sa.TextClause:
    """The statement in which `{MAY_STILL_GO_OUT}` stands for the states of that question, written out.

    Written out, since the planner uses a partial index only for a statement that shows its states. Raises KeyError for
    a question that nobody knows.
    """
    return sa.text(re.sub(r"\{([A-Z_]+)\}", lambda found: sql_list(globals()[found[1]]), statement))
