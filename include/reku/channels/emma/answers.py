"""The shapes of what EMMA's web service answers, as far as we read them (docs/emma.md, "Calls")."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from reku.foundation.clock import BERLIN

Number = int | str
"""An id, which some functions write as a number and others as text."""


class EmmaList(msgspec.Struct, frozen=True):
    """A list. `substitute`: the stable key that its maker gave it, which a renaming in EMMA keeps."""

    id: Number
    name: str
    substitute: str | None = None


class EmmaField(msgspec.Struct, frozen=True):
    """A field of the account's people."""

    id: Number
    name: str


class EmmaEmail(msgspec.Struct, frozen=True):
    """A mailing. `type`: standard, dialog, campaign …; `status`: drafted, activated, paused, done, cancelled."""

    id: Number
    type: str
    status: str
    subject: str = ""
    listId: list[Number] = []  # as the service spells it


class ErrorRow(msgspec.Struct, frozen=True):
    """A row that an import did not take. `row`: its place, from 1."""

    row: int
    reason: str


class Import(msgspec.Struct, frozen=True):
    """An import. `substitute`: the stable key we gave it; `status`: queued, running, done, failed."""

    id: Number
    substitute: str
    status: str
    imported: int = 0
    errors: list[ErrorRow] = []


class FieldValue(msgspec.Struct, frozen=True):
    """A field's value in a row; its number is called `field` or `id`, as the function likes."""

    value: str | int | None = None
    field: Number | None = None
    id: Number | None = None


class ClickedLink(msgspec.Struct, frozen=True):
    """A link of a mail."""

    id: Number
    url: str = ""


class Row(msgspec.Struct, frozen=True):
    """One thing that happened to a recipient of a mailing; what a function does not tell is empty.

    `date`: Berlin time, `YYYY-MM-DD HH:MM:SS`. `type`: of a bounce, hard or soft; `reason`: why one was not sent to.
    """

    recipient: Number
    date: str
    fields: list[FieldValue] = []
    type: str = ""
    code: str = ""
    reason: str = ""
    link: ClickedLink | None = None
    userAgent: str | None = None  # as the service spells it
    email: Number | None = None
    listId: list[Number] = []

    def at(self) -> datetime:
        """When it happened. Raises ValueError for a date that is none."""
        return datetime.strptime(self.date, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BERLIN)

    def value_of(self, field: str) -> str:
        """The value of a field by its number, or empty."""
        return next((str(one.value or "") for one in self.fields if str(one.field or one.id) == field), "")

    def without_person(self) -> dict[str, Any]:
        """The row as it came, without the fields of the person."""
        kept: dict[str, Any] = msgspec.to_builtins(self)
        kept.pop("fields")
        return {name: value for name, value in kept.items() if value not in ("", None, [])}


class RetainedAddress(msgspec.Struct, frozen=True):
    """A retained address."""

    address: str


class RetainedAddresses(msgspec.Struct, frozen=True):
    """Addresses that EMMA writes to no more, of one month."""

    total: int
    data: list[RetainedAddress]


class Export(msgspec.Struct, frozen=True):
    """An export of the account's history: `status` running or done."""

    status: str
    data: list[Row] = []
