"""`reku orders` and `reku lists`: what the control files have made."""

from __future__ import annotations

from dataclasses import asdict

from reku.cli.database import database
from reku.cli.options import Institute, Occasion
from reku.cli.output import Json, show


def orders(
    institute: Institute = "",
    occasion: Occasion = "",
    as_json: Json = False,
) -> None:
    """List the orders that have a processed control file.

    The state is `active`, `ended` (by control file, or past valid_until), or `faulty` when the newest control file was.

    Example: `reku orders --occasion MCAG002`.
    """
    from reku.views.order_overview import order_lines

    lines = order_lines(database(), institute, known_occasion(occasion))
    show(map(asdict, lines), as_json=as_json, nothing="No orders.")


def known_occasion(code: str) -> str:
    """The code in capitals. Raises StageError for a mistyped one: orders may have occasions that have left."""
    from reku.catalogue import occasions
    from reku.foundation.errors import StageError, suggest

    known, code = occasions(), code.upper()
    if code and code not in known and (near := suggest(code, known)):
        raise StageError(f"There is no occasion {code}. Did you mean {near}?")
    return code


def lists(institute: Institute = "", as_json: Json = False) -> None:
    """List the subscriber lists with their number of people.

    The state is `reserved` (no delivery yet), `in use`, or `frozen` since its order was renamed.

    Example: `reku lists --institute 99990001`.
    """
    from reku.views.order_overview import subscriber_lists

    show(map(asdict, subscriber_lists(database(), institute)), as_json=as_json, nothing="No lists.")
