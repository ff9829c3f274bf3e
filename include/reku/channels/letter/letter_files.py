"""The letters of a delivery as a prepared file: one PDF, and its index beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from reku.catalogue import media, medium_folder
from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.catalogue.medium import LETTER, Medium
from reku.channels.letter.address import address_lines, full_name
from reku.channels.letter.index import KIND, IndexRow, index_file
from reku.channels.letter.markup import as_typst
from reku.channels.letter.medium import CompiledLetter, FilledLetter, compile_letter, has_letter
from reku.channels.letter.typesetting import set_letters
from reku.contact.reasons import reasons_against
from reku.dispatch.channel import MessageFault
from reku.dispatch.plan import SendPlan
from reku.foundation.clock import berlin
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.pickup.file_channel import FileChannel
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.records.contract import contracts
from reku.records.record_file import Head
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind

_NOT_SET = as_typst(
    "*Dieses Blatt bitte nicht versenden.* Der Brief an die Person mit dieser Referenz war nicht zu setzen. Bitte die "
    "Anschrift und den Namen im Kernbanksystem berichtigen und die Person von Hand anschreiben."
)
"""What is printed in place of a letter that cannot be: the other letters shall not wait for it, and nobody miss it."""


@dataclass(frozen=True)
class LetterFiles:
    """`brief_<BLZ>_<Auftrag>_<Lieferungs_Nr>_<zeit>.pdf`, and the index of the same name as `.csv`."""

    kind: PreparedKind = PreparedKind.LETTER

    def check_media(self, plan: SendPlan) -> None:
        """Each medium must have a letter that can be read. Raises ConfigError."""
        for medium in plan.media.values():
            _compiled(medium, plan.institute)

    def file_name(self, stamp: FileStamp) -> str:
        """The PDF's; its time is Berlin's."""
        order = f"{stamp.institute}_{stamp.order_number}_{stamp.delivery_number:06d}"
        return f"brief_{order}_{berlin(stamp.stamped_at):%Y%m%d%H%M%S}.pdf"

    def files(
        self, bank: Institute, stamp: FileStamp, name: str, people: Iterable[PreparedPerson]
    ) -> Iterator[OutgoingFile]:
        """The PDF and the index. In place of a letter that cannot be set stands a sheet that says so, by Referenz."""
        day, compiled = berlin(stamp.stamped_at).date(), dict[str, CompiledLetter]()
        letters, rows = list[FilledLetter](), list[IndexRow]()
        for one in people:
            if one.medium not in compiled:
                compiled[one.medium] = _compiled(media()[one.medium], bank)
            letters.append(_letter(compiled[one.medium], one, day))
            rows.append(_row(one))
        run = set_letters(letters, stamp.stamped_at)
        yield OutgoingFile(name, [run.pdf])
        rows = [
            replace(row, first_page=first, last_page=last) for row, (first, last) in zip(rows, run.pages, strict=True)
        ]
        yield OutgoingFile(f"{name.removesuffix('.pdf')}.csv", [index_file(_head(stamp), rows)])


LETTER_CHANNEL = FileChannel(ChannelName.LETTER, LetterFiles(), reasons_against(ChannelName.LETTER))
"""Letters to the contact person of a household, fetched by the bank."""


def _compiled(medium: Medium, bank: Institute) -> CompiledLetter:
    if not has_letter(medium):
        raise ConfigError(
            f"{medium.key} has no {LETTER}, and a campaign of institute {bank.blz} posts it. Write one, or name a "
            "medium that has one.",
            file=medium_folder(medium.key),
        )
    return compile_letter(medium, bank)


def _letter(compiled: CompiledLetter, one: PreparedPerson, day: date) -> FilledLetter:
    person = {**one.fields, "Referenz": one.reference, "Personennummer": one.person_number, "EMail": one.address}
    try:
        return compiled.fill(person, address_lines(one.fields), day)
    except MessageFault:
        sheet = replace(compiled, body=_NOT_SET)
        return FilledLetter(sheet, one.reference, _sheet_data(one.reference, day))


def _sheet_data(reference: str, day: date) -> Mapping[str, object]:
    return {
        "reference": reference,
        "address": ("Bitte nicht versenden", "Brief nicht gesetzt", reference),
        "contact": [("Datum", f"{day:%d.%m.%Y}")],
        "subject": f"Brief {reference} war nicht zu setzen",
        "values": [],
    }


def _row(one: PreparedPerson) -> IndexRow:
    street, postcode, place = (one.fields.get(field, "") for field in ("Strasse", "PLZ", "Ort"))
    return IndexRow(0, 0, one.reference, one.person_number, full_name(one.fields), street, postcode, place)


def _head(stamp: FileStamp) -> Head:
    return Head(
        kind=KIND,
        version=contracts()[KIND].version,
        institute=stamp.institute,
        order_number=stamp.order_number,
        delivery_number=f"{stamp.delivery_number:06d}",
        created_at=stamp.stamped_at,
        sender="MF",
        receiver="AGREE21",
        environment=settings().environment,
    )
