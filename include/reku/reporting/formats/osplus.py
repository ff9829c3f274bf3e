"""The OSPlus response file: layout RESPONSE of the contracts, codes and encoding by institute.

Told in docs/file-contracts.md, "Response files".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation.clock import berlin
from reku.records.contract import Contract, contracts
from reku.records.writer import write_csv
from reku.reporting.feedback_format import OutgoingFile, Stamp
from reku.store.kinds import MANY_OF_A_MESSAGE
from reku.store.tables import deliveries, messages, orders, responses
from reku.store.unreported import unreported

KIND = "RESPONSE"


class OsplusResponses:
    """One response file for each report."""

    def unreported(self, institute: str, order_id: int | None) -> sa.Select[int]:
        """What the order asks for, and what is told whatever it asks for."""
        return unreported(institute, order_id)

    def file_name(self, institute: str, number: int, stamped_at: datetime) -> str:
        """`response_<BLZ>_<number>_<Berlin time>.csv`."""
        return f"response_{institute}_{number:06d}_{berlin(stamped_at):%Y%m%d%H%M%S}.csv"

    def records(self, institute: Institute) -> sa.Select[Any]:
        """The D records; in order of UTC seconds, then Ereignis_ID.

        Seconds, since that is what the file shows: 02:59:59 comes before 02:00:00 in the hour that comes twice.
        """
        cells = _cells(institute)
        return sa.select(sa.literal_column("'D'"), *cells.values()).order_by(
            sa.func.date_trunc("second", responses.c.at), cells["Ereignis_ID"]
        )

    def delimiter(self) -> str:
        """The contract's."""
        return _contract().delimiter

    def told(self, institute: Institute, batches: Iterable[list[bytes]]) -> Iterable[list[bytes]]:  # noqa: ARG002 - see the protocol
        """They are what stands in the file."""
        return batches

    def files(self, institute: Institute, stamp: Stamp, batches: Iterable[list[bytes]]) -> Iterator[OutgoingFile]:
        """The one file. Raises FileRefused for what the contract does not allow."""
        contract = _contract()
        head = stamp.head(contract, sender="EMMA", receiver="FI")
        blocks = write_csv(contract, head, tuple(_cells(institute)), batches, encoding=institute.response.encoding)
        yield OutgoingFile(stamp.file_name, blocks)


def _contract() -> Contract:
    return contracts()[KIND]


def _codes() -> dict[str, str]:
    """Our kind of event → the contract's code."""
    return {word: code for code, word in _contract().words("Ereignis_Art").items()}


def _cells(institute: Institute) -> dict[str, sa.ColumnElement[Any]]:
    """The columns and what stands in them. Formatted by the database: in Python it takes ten times as long."""
    of_bank: Mapping[str, str] = dict(institute.response.codes.items())
    scopes = {word: code for code, word in _contract().words("Abmelde_Umfang").items()}
    return {
        "Ereignis_ID": event_id(),
        "Ereignis_Art": sa.case(
            {word: of_bank.get(code, code) for word, code in _codes().items()}, value=responses.c.kind
        ),
        "Ereignis_Zeit": sa.func.to_char(sa.func.timezone("Europe/Berlin", responses.c.at), "DD.MM.YYYY HH24:MI:SS"),
        "Referenz": messages.c.reference,
        "Personennummer": messages.c.person_number,
        "Auftrags_Nr": orders.c.order_number,
        "Lieferungs_Nr": _delivery_number(),
        "Anlass_Code": orders.c.occasion,
        "Grund_Code": responses.c.reason,
        "Abmelde_Umfang": sa.case(scopes, value=responses.c.scope, else_=""),
        "Link_Nr": _number(responses.c.link_number),
        "Link_Ziel": sa.func.left(responses.c.link_target, 200),
        "Bounce_Serie": _number(responses.c.bounce_series),
        "Werbemittel": messages.c.medium,
    }


def event_id() -> sa.ColumnElement[str]:
    """Ereignis_ID (docs/file-contracts.md, "Response files"), to be sorted byte by byte; over the tables of `records`.

    It is made of the contract's codes, whatever a bank calls them and whatever we call the events: an id that was
    reported once must stay what it was.
    """
    moment = sa.func.to_char(sa.func.timezone("UTC", responses.c.at), 'YYYY-MM-DD"T"HH24:MI:SS.US')
    parts = (
        deliveries.c.contract,
        messages.c.institute,
        orders.c.order_number,
        _delivery_number(),
        messages.c.reference,
        sa.case(_codes(), value=responses.c.kind),
        sa.case((responses.c.kind.in_(MANY_OF_A_MESSAGE), sa.func.replace(moment, ".000000", "") + "+00:00"), else_=""),
        _number(responses.c.link_number),
    )
    told = sa.func.convert_to(sa.func.concat_ws("|", *parts), "UTF8")
    return sa.func.left(sa.func.encode(sa.func.sha256(told), "hex"), 32).collate("C")


def _delivery_number() -> sa.ColumnElement[str]:
    return sa.func.lpad(sa.cast(messages.c.delivery_number, sa.Text), 6, "0")  # none is longer


def _number(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(sa.cast(column, sa.Text), "")
