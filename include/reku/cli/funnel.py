"""`reku funnel`: where the rows of each order have gone, and whether the numbers add up."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Institute, Order
from reku.cli.output import Json, console, print_json, show

if TYPE_CHECKING:
    from reku.foundation.plots import Kind


class FunnelLevel(StrEnum):
    """What a row of the funnel stands for."""

    ORDER = "order"
    PERIOD = "period"
    VARIANT = "variant"


def funnel(
    institute: Institute = "",
    order: Order = "",
    by: Annotated[
        FunnelLevel,
        typer.Option("--by", help="A row for each order, or each of its periods, or variants (A/B)."),
    ] = FunnelLevel.ORDER,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", dir_okay=False, help="Draw it, too: a .svg or .png.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where the rows of each order went.

    Rejected and accepted rows, what became of the messages, and what came back (people, not events). Rows of deliveries
    that are parked, refused or still on their way stand under `not loaded`. `withheld` is followed by its reasons. The
    last column says whether rows = accepted + rejected and accepted = the sum of the states, for each delivery; exits
    with 1 if not. By period there is a line for each due date of the order's rhythm that something was delivered for,
    and their sum. The plot always shows periods. By variant there are the subjects or media that a campaign tries
    against one another, with the interval in which each rate lies (95 %), and whether their difference may be chance.

    Example: `reku funnel --institute 99990001 --by period`.
    """
    from reku.views.funnel import funnel_by_period, whole_orders
    from reku.views.funnel_plot import funnel_plot
    from reku.views.funnel_table import funnel_table, period_tables

    if by is FunnelLevel.VARIANT:
        _show_variants(institute, order, as_json=as_json)
        return
    kind = _kind(plot) if plot else None
    periods = funnel_by_period(database(), institute, order)
    if plot and kind:
        plot.write_bytes(funnel_plot(periods, kind))
    rows = periods if by is FunnelLevel.PERIOD else whole_orders(periods)
    if as_json:
        print_json([row.as_dict() | ({"period": row.period} if by is FunnelLevel.PERIOD else {}) for row in rows])
    elif rows:
        console().print(period_tables(rows) if by is FunnelLevel.PERIOD else funnel_table(rows))
    else:
        typer.echo("No deliveries.")
    if not all(row.adds_up for row in rows):
        raise typer.Exit(FAULT)


def _show_variants(institute: str, order: str, *, as_json: bool) -> None:
    from reku.views.variants import comparisons, variant_rows

    rows = variant_rows(database(), institute, order)
    said = comparisons(rows)
    if as_json:
        print_json([row.as_dict() | {"said": said[row.institute, row.order_number]} for row in rows])
        return
    shown = [
        {
            "institute": row.institute,
            "order": row.order_number,
            "variant": row.variant,
            "sent": row.sent,
            "tracked": row.tracked,
            "opened": row.opened,
            "rate": str(row.open_rate),
            "clicked": row.clicked,
            "click rate": str(row.click_rate),
        }
        for row in rows
    ]
    show(shown, as_json=False, nothing="No variants were sent.")
    for place, sentences in said.items():
        typer.echo(f"{' '.join(place)}: {sentences}")


def _kind(file: Path) -> Kind:
    """What a file's name says it is to be. Wrong usage for a name that says nothing we can draw."""
    from reku.foundation.plots import Kind

    known: tuple[Kind, ...] = get_args(Kind)
    for kind in known:
        if file.suffix.lower() == f".{kind}":
            return kind
    ends = " or ".join(f".{kind}" for kind in known)
    raise typer.BadParameter(f"{file.name!r} must end in {ends}: its end says what to draw", param_hint="'--plot'")
