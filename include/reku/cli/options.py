"""Options and arguments that several commands share."""

from __future__ import annotations

import os
import pwd
import re
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from reku.foundation.errors import suggest

EnumT = TypeVar("EnumT", bound=StrEnum)


def blz(value: str) -> str:
    """The value, which must be a BLZ or empty. Wrong usage otherwise."""
    if value and not re.fullmatch(r"[0-9]{8}", value):
        raise typer.BadParameter(f"{value!r} is no BLZ; a BLZ has eight digits")
    return value


Institute = Annotated[
    str, typer.Option("--institute", metavar="BLZ", callback=blz, help="Only this institute.", show_default=False)
]
OneInstitute = Annotated[str, typer.Option("--institute", metavar="BLZ", callback=blz, help="The institute.")]
Blz = Annotated[str, typer.Argument(metavar="BLZ", callback=blz, help="The institute.")]
Note = Annotated[str, typer.Option("--note", help="Why; kept in the audit. No personal data.")]
Order = Annotated[str, typer.Option("--order", metavar="NUMBER", help="Only this order.", show_default=False)]


def one_of(value: str, values: type[EnumT], option: str) -> EnumT | None:
    """The member that an option names, whatever its case; None for "". Wrong usage for any other value."""
    if not value:
        return None
    try:
        return values(value.upper())
    except ValueError:
        near = suggest(value, values)
        hint = f" Did you mean {near}?" if near else ""
        raise typer.BadParameter(f"{value!r} is none of {', '.join(values)}.{hint}", param_hint=f"'{option}'") from None


def actor() -> str:
    """Who is at work here, for the audit: the account of this process, not what the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account without an entry, as in containers
        return f"uid {os.getuid()}"
