"""`reku today`: what needs a person now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Institute
from reku.cli.output import Json, print_json, printable
from reku.foundation import clock

if TYPE_CHECKING:
    from reku.process.needs import Need


def today(institute: Institute = "", as_json: Json = False) -> None:
    """Say what needs a person now, the most urgent first.

    Broken configuration, stops, mails in doubt, deliveries that were refused, are missing, parked or wait for a
    release, files to be mended, return mails that nobody understands. Each with what happened and what to do. Exit
    code 1 if there is anything, so that a monitoring system can ask. Example: `reku today --institute 99990001`.
    """
    from reku.process.needs import needs

    found = needs(database(), institute)
    if as_json:
        print_json([asdict(need) for need in found])
    else:
        for need in found:
            typer.echo(_block(need))
        typer.echo(f"{len(found)} need a person." if found else "Nothing needs a person.")
    if found:
        raise typer.Exit(FAULT)


def _block(need: Need) -> str:
    """Three lines and an empty one: who is concerned, what happened, what to do."""
    concerned = [f"{need.bank} ({need.institute})" if need.institute else "", need.occasion, need.order]
    if need.since:
        concerned.append(f"since {clock.berlin(need.since):%d.%m.%Y %H:%M}")
    if need.people is not None:
        concerned.append(f"{need.people} people")
    head = " · ".join([need.kind.words.english.upper(), *filter(None, concerned)])
    return "\n".join(
        (printable(head), f"  {printable(need.said.what.english)}", f"  > {printable(need.said.cure.english)}", "")
    )
