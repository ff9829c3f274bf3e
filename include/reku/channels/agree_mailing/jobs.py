"""Jobs for agreeMailing: layout AGREEMAILING, one row for each mail (docs/agree21.md, "agreeMailing, jobs")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.channels.email.media.placeholders import salutation
from reku.contact.reasons import reasons_against
from reku.dispatch.plan import SendPlan
from reku.foundation.clock import berlin
from reku.pickup.file_channel import FileChannel
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.records.contract import contracts
from reku.records.times import format_moment
from reku.records.writer import write
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind

KIND = "AGREEMAILING"
SENDER = "BANK_STANDARD"
"""Key of the sender that every bank sets up in agreeMailing."""
_OF_SALUTATION = ("Briefanrede", "Anrede", "Titel", "Vorname", "Nachname")


@dataclass(frozen=True)
class AgreeMailingJobs:
    """One file for each delivery."""

    kind: PreparedKind = PreparedKind.AGREE_MAILING

    def check_media(self, plan: SendPlan) -> None:
        """Nothing to be checked: the templates lie with agreeMailing."""

    def file_name(self, stamp: FileStamp) -> str:
        """`agreemailing_<BLZ>_<order>_<Berlin time>.csv`."""
        return f"agreemailing_{stamp.institute}_{stamp.order_number}_{berlin(stamp.stamped_at):%Y%m%d%H%M%S}.csv"

    def files(
        self, bank: Institute, stamp: FileStamp, name: str, people: Iterable[PreparedPerson]
    ) -> Iterator[OutgoingFile]:
        """The one file. Raises FileRefused for what the contract does not allow."""
        contract = contracts()[KIND]
        head = stamp.head(contract, number=stamp.number, receiver="AGREEMAILING")
        rows = [_job(bank, stamp, one) for one in people]
        yield OutgoingFile(name, [write(contract, head, [column.name for column in contract.columns], rows)])


def _job(bank: Institute, stamp: FileStamp, one: PreparedPerson) -> list[str]:
    fields = one.fields
    until = datetime.combine(one.last_day, bank.send_until) if one.last_day else None
    return [
        one.reference,
        one.person_number,
        one.medium,
        one.address,
        salutation({name: fields.get(name, "") for name in _OF_SALUTATION}),
        format_moment(stamp.stamped_at),
        f"{until:%d.%m.%Y %H:%M:%S}" if until else "",
        SENDER,
        "J" if one.tracking else "N",
        fields.get("Anlass_Datum", ""),
        fields.get("Anlass_Wert", ""),
        fields.get("Produkt_Text", ""),
    ]


AGREE_MAILING_JOBS = AgreeMailingJobs()
AGREE_MAILING = FileChannel(
    ChannelName.AGREE_MAILING, AGREE_MAILING_JOBS, reasons_against(ChannelName.AGREE_MAILING), is_pushed=True
)
