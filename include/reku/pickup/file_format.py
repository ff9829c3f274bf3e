"""How one kind of prepared file looks: one small protocol, of which each channel that writes files has its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from reku.catalogue.institute import Institute
from reku.dispatch.plan import SendPlan
from reku.records.contract import Contract
from reku.records.record_file import Head
from reku.reporting.feedback_format import OutgoingFile, Stamp
from reku.store.kinds import PreparedKind


@dataclass(frozen=True)
class FileStamp:
    """What is fixed about a prepared file before it is made.

    `number`: of the bank's files of this kind, from 1; `stamped_at`: to the second. `order_number` is empty, and
    `delivery_number` 0, in one of all deliveries.
    """

    institute: str
    order_number: str
    delivery_number: int
    number: int
    stamped_at: datetime

    def head(self, contract: Contract, *, number: int, receiver: str) -> Head:
        """The head of the file as a record file of that contract; `number` stands in it as that of the delivery."""
        stamp = Stamp(self.institute, self.order_number, number, self.stamped_at, "")
        return stamp.head(contract, sender="MF", receiver=receiver)


@dataclass(frozen=True)
class PreparedPerson:
    """One place in a prepared file, opened while it is made: nothing of it may be kept, logged or put into an error.

    `position`: from 1, rising, with gaps where somebody has left; `person_number`: clear, as the bank knows it.
    `fields`: the delivered row by the contract's names (Anrede, Nachname, Strasse, …), `address` the mail address of
    it; empty in a file of all deliveries. `medium`: key of the message's medium. `last_day`: of the message.
    `values`: what was fixed for the place itself.
    """

    position: int
    person_number: str
    reference: str = ""
    address: str = ""
    medium: str = ""
    tracking: bool = False
    last_day: date | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    values: Sequence[str] = ()


class FileFormat(Protocol):
    """How one kind of prepared file looks."""

    @property
    def kind(self) -> PreparedKind: ...

    def check_media(self, plan: SendPlan) -> None:
        """Check the media of the plan's campaign before anybody is put into a file. Raises ConfigError."""

    def file_name(self, stamp: FileStamp) -> str:
        """The name it goes by: of its only file, or of its first. No name of a person or number of one is in it."""

    def files(
        self, bank: Institute, stamp: FileStamp, name: str, people: Iterable[PreparedPerson]
    ) -> Iterator[OutgoingFile]:
        """The files, such as a PDF and its index, or parts with companions; the first is called `name`.

        The blocks of a file are read before the next one is asked for. The same people give the same bytes, whatever
        the clock says: only `stamp.stamped_at` is a time. Raises FileRefused or StageError for what cannot be written,
        with no personal data in its words.
        """


@runtime_checkable
class FindsUnreachable(Protocol):
    """A format that can tell whom its file cannot reach, before it is made."""

    def faults(self, bank: Institute, people: Iterable[PreparedPerson]) -> Mapping[int, str]:
        """Whom such a file cannot reach: position → why, with no personal data in the words.

        Asked when the file is fixed, and again when it is made first: these people are withheld as ADRESSE_UNGUELTIG,
        and never stand in it. Raises ConfigError for a medium that is broken or gone.
        """
