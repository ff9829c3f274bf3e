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
from reku.channels.letter.index import KIND, IndexRow, index_faults, index_file
from reku.channels.letter.medium import CompiledLetter, FilledLetter, compile_letter, has_letter
from reku.channels.letter.typesetting import set_letters
from reku.contact.reasons import reasons_against
from reku.dispatch.channel import MessageFault
from reku.dispatch.plan import SendPlan
from reku.foundation import clock
from reku.foundation.clock import berlin
from reku.foundation.errors import ConfigError
from reku.pickup.file_channel import FileChannel
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.records.contract import contracts
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind


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

    def faults(self, bank: Institute, people: Iterable[PreparedPerson]) -> Mapping[int, str]:
        """Those whose letter cannot be set, and those whom the index cannot name."""
        letters, day = _Letters(bank), clock.today()
        found, rows = dict[int, str](), dict[int, IndexRow]()
        for one in people:
            try:
                letters.fill(one, day)
            except MessageFault as fault:
                found[one.position] = str(fault)
            else:
                rows[one.position] = _row(one)
        named = index_faults(rows.values())
        return found | {position: named[at] for at, position in enumerate(rows) if at in named}

    def files(
        self, bank: Institute, stamp: FileStamp, name: str, people: Iterable[PreparedPerson]
    ) -> Iterator[OutgoingFile]:
        """The PDF and the index. Raises MessageFault for a letter that cannot be set; `faults` finds it before."""
        compiled, day = _Letters(bank), berlin(stamp.stamped_at).date()
        letters, rows = list[FilledLetter](), list[IndexRow]()
        for one in people:
            letters.append(compiled.fill(one, day))
            rows.append(_row(one))
        run = set_letters(letters, stamp.stamped_at)
        yield OutgoingFile(name, [run.pdf])
        rows = [
            replace(row, first_page=first, last_page=last) for row, (first, last) in zip(rows, run.pages, strict=True)
        ]
        head = stamp.head(contracts()[KIND], number=stamp.delivery_number, receiver="AGREE21")
        yield OutgoingFile(f"{name.removesuffix('.pdf')}.csv", [index_file(head, rows)])


class _Letters:
    """The letters of one bank; each medium is compiled once."""

    def __init__(self, bank: Institute) -> None:
        self._bank = bank
        self._compiled: dict[str, CompiledLetter] = {}

    def fill(self, one: PreparedPerson, day: date) -> FilledLetter:
        """Raises MessageFault."""
        if one.medium not in self._compiled:
            self._compiled[one.medium] = _compiled(media()[one.medium], self._bank)
        person = {**one.fields, "Referenz": one.reference, "Personennummer": one.person_number, "EMail": one.address}
        return self._compiled[one.medium].fill(person, address_lines(one.fields), day)


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


def _row(one: PreparedPerson) -> IndexRow:
    street, postcode, place = (one.fields.get(field, "") for field in ("Strasse", "PLZ", "Ort"))
    return IndexRow(0, 0, one.reference, one.person_number, full_name(one.fields), street, postcode, place)
