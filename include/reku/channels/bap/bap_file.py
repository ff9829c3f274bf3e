"""The file for agree21BAP: one line for each person, order and channel (layout BAP_STEUERUNG)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.dispatch.plan import SendPlan
from reku.foundation.clock import berlin
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.records.contract import contracts
from reku.records.writer import write_csv
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind

KIND = "BAP_STEUERUNG"
KINDS = {
    ChannelName.EMAIL.value: "EMAIL",
    ChannelName.EMMA.value: "EMAIL",
    ChannelName.AGREE_MAILING.value: "AGREEMAILING",
    ChannelName.LETTER.value: "BRIEF",
    ChannelName.ONLINE_BANKING.value: "ONLINEBANKING",
    ChannelName.TERMINAL.value: "SB_TERMINAL",
    ChannelName.ADVISOR.value: "BERATER",
}
"""What agree21BAP calls each channel."""
_BATCH = 4096


@dataclass(frozen=True)
class BapState:
    """`bap_steuerung_<BLZ>_<Berlin time>.csv`, one a day, of all deliveries."""

    kind: PreparedKind = PreparedKind.BAP

    def check_media(self, plan: SendPlan) -> None:
        """Nothing to be checked: what is shown stands in the bank's own system."""

    def file_name(self, stamp: FileStamp) -> str:
        """See above."""
        return f"bap_steuerung_{stamp.institute}_{berlin(stamp.stamped_at):%Y%m%d%H%M%S}.csv"

    def files(
        self,
        bank: Institute,  # noqa: ARG002 - see FileFormat
        stamp: FileStamp,
        name: str,
        people: Iterable[PreparedPerson],
    ) -> Iterator[OutgoingFile]:
        """The one file. Raises FileRefused for what the contract does not allow."""
        contract = contracts()[KIND]
        head = stamp.head(contract, number=stamp.number, receiver="AGREE21")
        columns = [column.name for column in contract.columns]
        yield OutgoingFile(name, write_csv(contract, head, columns, _records(people, contract.delimiter)))


BAP_STATE = BapState()


def _records(people: Iterable[PreparedPerson], delimiter: str) -> Iterator[list[bytes]]:
    """The D records; a place without values stands in the line of another message."""
    lines = (("D", one.person_number, *one.values) for one in people if one.values)
    while batch := list(islice(lines, _BATCH)):
        records = _text(batch, delimiter).splitlines(keepends=True)
        # a value with a line break is for the writer to refuse, with its line
        yield records if len(records) == len(batch) else [_text([one], delimiter) for one in batch]


def _text(records: Iterable[tuple[str, ...]], delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(records)
    return text.getvalue().encode()
