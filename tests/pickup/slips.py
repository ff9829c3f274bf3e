"""A toy kind of prepared file: one line for each person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reku.catalogue.institute import Institute
from reku.contact.reasons import Reason
from reku.dispatch.plan import SendPlan
from reku.pickup.file_channel import FileChannel
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind


@dataclass(frozen=True)
class Slips:
    """Writes number, name and place of each person, and a companion with their count."""

    kind: PreparedKind = PreparedKind.LETTER
    checked: list[SendPlan] = field(default_factory=list)
    heading: str = "slips"

    def check_media(self, plan: SendPlan) -> None:
        self.checked.append(plan)

    def file_name(self, stamp: FileStamp) -> str:
        return f"slips_{stamp.institute}_{stamp.order_number}_{stamp.stamped_at:%Y%m%d%H%M%S}.txt"

    def files(
        self,
        bank: Institute,  # noqa: ARG002 - see FileFormat
        stamp: FileStamp,
        name: str,
        people: Iterable[PreparedPerson],
    ) -> Iterator[OutgoingFile]:
        count = 0

        def lines() -> Iterator[bytes]:
            nonlocal count
            yield f"{self.heading} {stamp.number} {stamp.delivery_number} {stamp.stamped_at:%d.%m.%Y}\n".encode()
            for one in people:
                count += 1
                told = one.position, one.person_number, one.reference, one.fields["Nachname"], one.address, one.medium
                yield f"{' '.join(map(str, told))}\n".encode()

        yield OutgoingFile(name, lines())
        yield OutgoingFile(f"{name}.ok", [str(count).encode()])


SLIPS = Slips()
FORMATS = {SLIPS.kind: SLIPS}
CHANNEL = FileChannel("slips", SLIPS, frozenset(Reason))
