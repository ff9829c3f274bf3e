"""The file for VTM: what became of each person, as activities of a sales file (Vertriebsakte): layout VTM_AKTE.

Told in docs/agree21.md, "Feedback". Clear person numbers are opened line by line while the file is written, and stand
nowhere else.
"""

from __future__ import annotations

import csv
import hmac
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.contact.reasons import PASSING
from reku.foundation.clock import berlin
from reku.foundation.settings import required
from reku.records.contract import Contract, contracts
from reku.records.writer import write_csv
from reku.reporting.feedback_format import OutgoingFile, Stamp
from reku.store.kinds import HITS, EventKind
from reku.store.tables import messages, orders, responses
from reku.store.unreported import unreported
from reku.vault.numbers import NumberOpener, number_as_delivered, sealed_number

KIND = "VTM_AKTE"
_BY_CHANNEL, _REACTION = "", "REAKTION"
_CHANNELS = {
    ChannelName.EMAIL: "EMAIL",
    ChannelName.EMMA: "EMAIL",
    ChannelName.LETTER: "BRIEF",
    ChannelName.AGREE_MAILING: "AGREEMAILING",
    ChannelName.ONLINE_BANKING: "ANZEIGE",
    ChannelName.TERMINAL: "ANZEIGE",
    ChannelName.ADVISOR: "ANZEIGE",
}
"""Channel → kind of activity of what went out on it."""
_ACTIVITIES: dict[str, tuple[str, str]] = {
    EventKind.SENT: (_BY_CHANNEL, "VERSENDET"),
    EventKind.NOT_SENT: (_BY_CHANNEL, "NICHT_VERSENDET"),
    EventKind.RETAINED: (_BY_CHANNEL, "ADRESSE_PRUEFEN"),
    EventKind.OPENED: (_REACTION, "GEOEFFNET"),
    EventKind.CLICKED: (_REACTION, "INTERESSE"),
    EventKind.UNSUBSCRIBED: (_REACTION, "WIDERSPRUCH"),
    EventKind.COMPLAINED: (_REACTION, "WIDERSPRUCH"),
    EventKind.BOUNCED_HARD: (_REACTION, "ADRESSE_PRUEFEN"),
}
"""Kind of event → kind of activity (empty: the channel's) and its result. The others do not concern an advisor."""
_TITLE = 60
_ID_DIGITS = 32


class VtmActivities:
    """One file for each report, with one activity for each event."""

    def unreported(self, institute: str, order_id: int | None) -> sa.Select[int]:
        """What VTM has a result for, without what may be different tomorrow; opens and clicks with consent only."""
        is_passing = (responses.c.kind == EventKind.NOT_SENT) & responses.c.reason.in_(PASSING)
        return unreported(institute, order_id).where(
            responses.c.kind.in_(_ACTIVITIES), ~is_passing, messages.c.tracking | responses.c.kind.not_in(HITS)
        )

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:  # noqa: ARG002 - not in the name
        """`vtm_akte_<BLZ>_<Berlin time>.csv`."""
        return f"vtm_akte_{institute}_{berlin(stamped_at):%Y%m%d%H%M%S}.csv"

    def records(self, institute: Institute) -> sa.Select[Any]:  # noqa: ARG002 - the same for all
        """What `told` makes a D record of, in order of UTC seconds, then of the events' ids."""
        moment = sa.func.timezone("Europe/Berlin", responses.c.at)
        return sa.select(
            messages.c.person_number,
            sa.func.coalesce(sealed_number(messages.c.institute, messages.c.person_number), ""),
            orders.c.order_number,
            orders.c.name,
            orders.c.placeholder,
            responses.c.id,
            responses.c.kind,
            messages.c.channel,
            sa.func.to_char(moment, "DD.MM.YYYY HH24:MI:SS"),
            responses.c.reason,
        ).order_by(sa.func.date_trunc("second", responses.c.at), responses.c.id)

    def delimiter(self) -> str:
        """The contract's."""
        return _contract().delimiter

    def told(self, institute: Institute, batches: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
        """The D records with clear person numbers.

        People whose number is kept no more are left out: they have left the bank's data or were erased.
        """
        opener, key = NumberOpener(institute.blz), required("secret_key").encode()
        delimiter = self.delimiter()
        for lines in batches:
            text = io.StringIO(newline="")
            records = csv.writer(text, delimiter=delimiter, lineterminator="\n")
            for person, sealed, order, name, placeholder, event, kind, channel, moment, reason in csv.reader(
                io.StringIO(b"".join(lines).decode(), newline=""), delimiter=delimiter, strict=True
            ):
                number = opener.open(person, sealed) if sealed else number_as_delivered(institute, person)
                if number is None:
                    continue
                activity, result = _ACTIVITIES[kind]
                activity = activity or _CHANNELS[ChannelName(channel)]
                about = number, f"{order}-{number}", _title(name), placeholder
                what = _activity_id(key, institute.blz, event), activity, moment, result, "", "", reason
                records.writerow(("D", *about, *what))
            if data := text.getvalue().encode():
                yield data.splitlines(keepends=True)

    def files(self, institute: Institute, stamp: Stamp, batches: Iterable[list[bytes]]) -> Iterator[OutgoingFile]:  # noqa: ARG002 - the same for all
        """The one file. Raises FileRefused for what the contract does not allow."""
        contract = _contract()
        head = stamp.head(contract, sender="MF", receiver="AGREE21")
        blocks = write_csv(contract, head, [column.name for column in contract.columns], batches)
        yield OutgoingFile(stamp.file_name, blocks)


def _contract() -> Contract:
    return contracts()[KIND]


def _title(name: str) -> str:
    """A campaign's name on one line, as long as a title may be."""
    printable = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(printable.split())[:_TITLE].rstrip()


def _activity_id(key: bytes, institute: str, event: str) -> str:
    """Always the same for an event, and tells nothing of how many there are."""
    return hmac.digest(key, f"{institute}|activity|{event}".encode(), "sha256").hex()[:_ID_DIGITS]
