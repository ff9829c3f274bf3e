"""`reku emma`: the EMMA accounts of banks."""

from __future__ import annotations

from dataclasses import asdict

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Blz, Institute
from reku.cli.output import Json, show

app = typer.Typer(
    no_args_is_help=True,
    help="Look after the EMMA accounts that banks send with.",
    rich_markup_mode=None,
)


@app.command("status")
def status(institute: Institute = "", as_json: Json = False) -> None:
    """Show how the accounts stand.

    Log-in, lists, what waits, what came back. Exit code 1 if one cannot be talked to.

    Example: `reku emma status`.
    """
    from reku.channels.emma.account_state import account_status
    from reku.process.emma import banks_with_emma

    lines = [account_status(database(), blz) for blz in ([institute] if institute else banks_with_emma())]
    show(map(asdict, lines), as_json=as_json, nothing="No campaign sends by EMMA.")
    if any(line.problem for line in lines):
        raise typer.Exit(FAULT)


@app.command("lists")
def lists(institute: Blz, as_json: Json = False) -> None:
    """Show the lists of a bank's orders in EMMA.

    One without a number is not there.

    Example: `reku emma lists 99990001`.
    """
    from reku.channels.emma.account_state import lists_of
    from reku.channels.emma.accounts import open_client
    from reku.process.systems import bank_named

    with open_client(institute) as client:
        lines = lists_of(database(), bank_named(institute), client)
    show(map(asdict, lines), as_json=as_json, nothing="Nobody was brought into a list of this bank in EMMA yet.")


@app.command("read")
def read(institute: Blz, as_json: Json = False) -> None:
    """Look after an account now.

    Follows imports, carries unsubscribes there, reads what came back.

    Example: `reku emma read 99990001`.
    """
    from reku.process.emma import look_after_emma

    counts = look_after_emma(database(), institute)
    lines = [{"what": what, "count": count} for what, count in counts.items() if count]
    show(lines, as_json=as_json, nothing="Nothing is new.")


@app.command("reconcile")
def reconcile(institute: Blz, as_json: Json = False) -> None:
    """Hold an account and the ledger against each other.

    What differs is listed, and cured where it can be. Exit code 1 if something is left for a person.

    Example: `reku emma reconcile 99990001`.
    """
    from reku.channels.emma.accounts import open_client
    from reku.process.emma import reconcile_now
    from reku.process.systems import bank_named

    with open_client(institute) as client:
        differences = reconcile_now(database(), bank_named(institute), client)
    show(map(asdict, differences), as_json=as_json, nothing="Nothing differs.")
    if any(not one.cured for one in differences):
        raise typer.Exit(FAULT)
