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


def banks_beginning(incomplete: str) -> list[tuple[str, str]]:
    """The banks whose BLZ begins so, with their names, for the completion in a shell."""
    from reku.catalogue import bank_names

    return [(blz, name) for blz, name in bank_names().items() if blz.startswith(incomplete)]


def occasions_beginning(incomplete: str) -> list[str]:
    """The occasions whose code begins so, for the completion in a shell."""
    from reku.foundation.settings import settings

    files = sorted((settings().config_dir / "occasions").glob(f"{incomplete.upper()}*.yaml"))
    return [file.stem for file in files]


def number(value: str) -> int:
    """A whole number from 1 on. Wrong usage otherwise."""
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 2**63:
        raise typer.BadParameter(f"{value!r} is no number. Write the number that the command `list` shows.")
    return int(value)


Institute = Annotated[
    str,
    typer.Option(
        "--institute",
        metavar="BLZ",
        callback=blz,
        help="Only this institute.",
        show_default=False,
        autocompletion=banks_beginning,
    ),
]
OneInstitute = Annotated[
    str, typer.Option("--institute", metavar="BLZ", callback=blz, help="The institute.", autocompletion=banks_beginning)
]
Blz = Annotated[str, typer.Argument(metavar="BLZ", callback=blz, help="The institute.", autocompletion=banks_beginning)]
Occasion = Annotated[
    str,
    typer.Option(
        "--occasion", metavar="CODE", help="Only this occasion.", show_default=False, autocompletion=occasions_beginning
    ),
]
Id = Annotated[int, typer.Argument(metavar="ID", parser=number, help="Its id, first column of the list.")]


def existing(value: str) -> str:
    """The value, which must be the BLZ of a bank with a file. Raises ConfigError otherwise, naming those there are."""
    from reku.catalogue import institutes
    from reku.foundation.errors import ConfigError
    from reku.foundation.settings import settings

    known = institutes()
    if blz(value) not in known:
        folder = settings().config_dir / "institutes"
        raise ConfigError(f"There is no institute {value!r}.", file=folder, value=value, valid=tuple(known))
    return value


ExistingBlz = Annotated[
    str, typer.Argument(metavar="BLZ", callback=existing, help="The institute.", autocompletion=banks_beginning)
]
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
