"""`reku orders` and `reku lists`: what the control files have made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Institute
from reku.cli.output import Json, show


def orders(
    institute: Institute = "",
    occasion: Annotated[
        str, typer.Option("--occasion", metavar="CODE", help="Only this occasion.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> None:
    """List the orders that have a processed control file.

    The state is `active`, `ended` (by control file, or past valid_until), or `faulty` when the newest control file was.
    """
    from reku.catalogue import occasions
    from reku.foundation.errors import StageError, suggest
    from reku.views.order_overview import order_lines

    known, occasion = occasions(), occasion.upper()
    if occasion and occasion not in known and (near := suggest(occasion, known)):
        raise StageError(f"There is no occasion {occasion}. Did you mean {near}?")
    show(map(asdict, order_lines(database(), institute, occasion)), as_json=as_json, nothing="No orders.")


def lists(institute: Institute = "", as_json: Json = False) -> None:
    """List the subscriber lists with their number of people.

    The state is `reserved` (no delivery yet), `in use`, or `frozen` since its order was renamed.
    """
    from reku.views.order_overview import subscriber_lists

    show(map(asdict, subscriber_lists(database(), institute)), as_json=as_json, nothing="No lists.")
