"""The OSPlus response file (domain.md 9.6): layout RESPONSE of the contracts, codes and encoding by institute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reku.catalogue.institute import Institute
from reku.clock import berlin
from reku.feedback.strategy import Stamp, Told
from reku.records.contract import contracts
from reku.records.record_file import Head
from reku.records.times import format_moment
from reku.records.writer import write
from reku.settings import settings

KIND = "RESPONSE"


class Osplus:
    """Strategy of the savings banks."""

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:
        """`response_<BLZ>_<number>_<Berlin time>.csv`."""
        return f"response_{institute}_{number:06d}_{berlin(stamped_at):%Y%m%d%H%M%S}.csv"

    def content(self, institute: Institute, stamp: Stamp, told: Sequence[Told]) -> bytes:
        """The file's bytes; rows in order of UTC seconds, then Ereignis_ID.

        Seconds, since that is what the file shows: 02:59:59 comes before 02:00:00 in the
        hour that comes twice.
        """
        contract = contracts()[KIND]
        head = Head(
            kind=KIND,
            version=contract.version,
            institute=stamp.institute,
            order_number=stamp.order_number,
            delivery_number=f"{stamp.number:06d}",
            created_at=stamp.stamped_at,
            sender="EMMA",
            receiver="FI",
            environment=settings().environment,
        )
        codes = institute.response.codes
        rows = [
            _row(event, codes.get(event.kind, event.kind))  # type: ignore[call-overload]  # kinds are the enum's values
            for event in sorted(told, key=lambda event: (event.at.replace(microsecond=0), event.event_id))
        ]
        return write(contract, head, COLUMNS, rows, encoding=institute.response.encoding)


COLUMNS = (
    "Ereignis_ID",
    "Ereignis_Art",
    "Ereignis_Zeit",
    "Referenz",
    "Personennummer",
    "Auftrags_Nr",
    "Lieferungs_Nr",
    "Anlass_Code",
    "Grund_Code",
    "Abmelde_Umfang",
    "Link_Nr",
    "Link_Ziel",
    "Bounce_Serie",
    "Werbemittel",
)


def _row(event: Told, code: str) -> list[str]:
    return [
        event.event_id,
        code,
        format_moment(event.at),
        event.reference,
        event.person_number,
        event.order_number,
        f"{event.delivery_number:06d}",
        event.occasion,
        event.reason,
        event.scope,
        _number(event.link_number),
        event.link_target[:200],
        _number(event.bounce_series),
        event.medium,
    ]


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
