"""`reku funnel`: where the rows of each order have gone, and whether the numbers add up."""

from __future__ import annotations

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Institute, Order
from reku.cli.output import Json, console, print_json


def funnel(institute: Institute = "", order: Order = "", as_json: Json = False) -> None:
    """Show where the rows of each order went.

    Rejected and accepted rows, what became of the messages, and what came back (people, not events). Rows of deliveries
    that are parked, refused or still on their way stand under `not loaded`. `withheld` is followed by its reasons. The
    last column says whether rows = accepted + rejected and accepted = the sum of the states, for each delivery; exits
    with 1 if not.
    """
    from reku.feedback.funnel import funnel as of_orders
    from reku.feedback.funnel import funnel_table

    rows = [
        row for row in of_orders(database()) if institute in ("", row.institute) and order in ("", row.order_number)
    ]
    if as_json:
        print_json([row.as_dict() for row in rows])
    elif rows:
        console().print(funnel_table(rows))
    else:
        typer.echo("No deliveries.")
    if not all(row.adds_up for row in rows):
        raise typer.Exit(FAULT)
