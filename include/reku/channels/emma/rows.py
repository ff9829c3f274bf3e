"""What EMMA gets to know of a person, and the import of a delivery as a prepared file of a kind of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reku.catalogue.institute import Institute
from reku.channels.email.media.placeholders import salutation
from reku.dispatch.plan import SendPlan
from reku.foundation.clock import berlin
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.reporting.feedback_format import OutgoingFile
from reku.store.kinds import PreparedKind

ADDRESS, KEY = "E-Mail", "REKU_Schluessel"
"""EMMA's fields of a person's address, and of the key that tells one message from all others."""
FIELDS = ("Anrede", "Titel", "Vorname", "Nachname", "Anlass_Datum", "Anlass_Wert")
"""Fields that are handed on as delivered, under the same names."""
SALUTATION = "Briefanrede"
EVERY_FIELD = (ADDRESS, KEY, *FIELDS, SALUTATION)
"""The fields that the account needs; one that is missing stops the import with a word."""
_OF_SALUTATION = ("Briefanrede", "Anrede", "Titel", "Vorname", "Nachname")
ENDING = ".json"


def message_key(order_number: str, delivery_number: int, reference: str) -> str:
    """The key of a message: order, delivery and Referenz."""
    return f"{order_number}/{delivery_number}/{reference}"


def of_key(key: str) -> tuple[str, int, str] | None:
    """Order, delivery and Referenz of a key; None for a key that is none of ours."""
    order_number, _, rest = key.partition("/")
    number, _, reference = rest.partition("/")
    return (order_number, int(number), reference) if reference and number.isdecimal() and number.isascii() else None


def row_of(stamp: FileStamp, one: PreparedPerson) -> dict[str, str]:
    """What is handed over of a person: nothing that a mail does not need."""
    own = {name: one.fields.get(name, "") for name in FIELDS}
    greeting = salutation({name: one.fields.get(name, "") for name in _OF_SALUTATION})
    key = message_key(stamp.order_number, stamp.delivery_number, one.reference)
    return own | {ADDRESS: one.address, KEY: key, SALUTATION: greeting}


@dataclass(frozen=True)
class EmmaRows:
    """The rows of an import: one for each delivery."""

    kind: PreparedKind = PreparedKind.EMMA

    def check_media(self, plan: SendPlan) -> None:
        """Nothing to be checked here: the medium lies in EMMA."""

    def file_name(self, stamp: FileStamp) -> str:
        """`emma_<BLZ>_<order>_<delivery>_<Berlin time>.json`."""
        moment = f"{berlin(stamp.stamped_at):%Y%m%d%H%M%S}"
        return f"emma_{stamp.institute}_{stamp.order_number}_{stamp.delivery_number:06d}_{moment}{ENDING}"

    def files(
        self,
        bank: Institute,  # noqa: ARG002 - see FileFormat
        stamp: FileStamp,
        name: str,
        people: Iterable[PreparedPerson],
    ) -> Iterator[OutgoingFile]:
        """The rows as JSON."""
        yield OutgoingFile(name, [as_json([row_of(stamp, one) for one in people])])


def as_json(rows: Sequence[dict[str, str]]) -> bytes:
    """Rows as an import has them."""
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


EMMA_ROWS = EmmaRows()
