"""The funnel of orders over their periods as a picture: what became of the rows, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from math import nan
from typing import TYPE_CHECKING

from reku.foundation.errors import StageError
from reku.foundation.plots import Kind, house_style, labelled, number, quiet, saved
from reku.store.kinds import EventKind
from reku.store.states import MAY_STILL_GO_OUT, MessageState
from reku.views.funnel import FunnelRow
from reku.views.funnel_table import period_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_ORDERS = 20
"""How many orders one picture holds; a taller one cannot be read."""
_MOST_LABELS = 10
_WIDTH, _PANEL, _MARGIN, _LEGEND = 9.0, 2.6, 0.35, 0.85
"""Inches: of the picture, of an order's part of it, of the room below each, of the legend above all."""
_NOTHING = "Nichts geliefert / nothing delivered"

_Count = Callable[[FunnelRow], int]
_STACK: tuple[tuple[str, str, _Count], ...] = (
    ("versandt / sent", "#1f5a8c", lambda row: row.state(MessageState.SENT)),
    ("bereitgestellt / prepared", "#7fb0d8", lambda row: row.state(MessageState.PREPARED)),
    ("offen / open", "#cfe3f4", lambda row: row.state(*MAY_STILL_GO_OUT)),
    ("ungeklärt / in doubt", "#000000", lambda row: row.state(MessageState.IN_DOUBT)),
    ("vom Server abgelehnt / refused by server", "#c2410c", lambda row: row.state(MessageState.REJECTED)),
    ("nicht rechtzeitig / not in time", "#f4a582", lambda row: row.state(MessageState.UNDELIVERED)),
    ("zurückgehalten / withheld", "#9aa5b1", lambda row: row.state(MessageState.WITHHELD)),
    ("am Tor abgelehnt / rejected at the gate", "#e8b53a", lambda row: row.rejected),
    ("nicht geladen / not loaded", "#e5e7eb", lambda row: row.not_loaded),
)
_LINES: tuple[tuple[str, str, str, _Count], ...] = (
    ("geöffnet / opened", "#f59e0b", "o", lambda row: row.response(EventKind.OPENED)),
    ("geklickt / clicked", "#16a34a", "s", lambda row: row.response(EventKind.CLICKED)),
    ("abgemeldet / unsubscribed", "#be185d", "^", lambda row: row.response(EventKind.UNSUBSCRIBED)),
    ("unzustellbar / hard bounces", "#7c3aed", "D", lambda row: row.response(EventKind.BOUNCED_HARD)),
)


def funnel_plot(periods: Sequence[FunnelRow], kind: Kind) -> bytes:
    """The picture of these rows, which stand by period, as an SVG or PNG file; it says so where nothing was delivered.

    Raises StageError for more than `MOST_ORDERS` orders.
    """
    from matplotlib.figure import Figure  # half a second to import, so only to draw

    orders = [list(rows) for _, rows in groupby(periods, key=lambda row: (row.institute, row.order_number))]
    if len(orders) > MOST_ORDERS:
        raise StageError(
            f"One picture holds {MOST_ORDERS} orders, and these are {len(orders)}. Choose by --institute or --order."
        )
    panels = max(len(orders), 1)
    height = _LEGEND + panels * (_PANEL + _MARGIN)
    with house_style():
        figure = Figure(figsize=(_WIDTH, height), dpi=150)
        for place, rows in enumerate(orders):
            bottom = (panels - 1 - place) * (_PANEL + _MARGIN) + _MARGIN
            _draw(figure.add_axes((0.09, bottom / height, 0.89, (_PANEL - 0.35) / height)), rows)
        if orders:
            _legend(figure)
        else:
            figure.text(0.5, 0.5, _NOTHING, ha="center", va="center", fontsize=14)
        return saved(figure, kind)


def _draw(axes: Axes, rows: Sequence[FunnelRow]) -> None:
    """One order: a stacked bar for each period, and lines for the people who reacted."""
    places = range(len(rows))
    below = [0] * len(rows)
    for _, colour, count in _STACK:
        heights = [count(row) for row in rows]
        axes.bar(places, heights, bottom=below, width=0.75, color=colour, edgecolor="white", linewidth=0.4, zorder=2)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    for _, colour, marker, count in _LINES:
        people = [count(row) for row in rows]
        axes.plot(
            *(places, people if any(people) else [nan] * len(rows)),
            color=colour,
            marker=marker,
            markersize=5,
            markeredgecolor="white",
            linewidth=1.4,
            zorder=3,
            clip_on=False,
        )
    top = max(*below, 1)
    if not any(below):
        axes.text(0.5, 0.5, _NOTHING, transform=axes.transAxes, ha="center", va="center")
    elif len(rows) <= _MOST_LABELS:
        for place, height in zip(places, below, strict=True):
            axes.annotate(number(height), (place, height), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set_ylim(0, 1.15 * top)
    axes.set_xlim(-0.7, max(len(rows), 4) - 0.3)
    shown = labelled(len(rows), _MOST_LABELS)
    axes.set_xticks(shown, [period_name(rows[place].period) for place in shown])
    axes.set_ylabel("Zeilen / rows")
    first = rows[0]
    axes.set_title(
        " · ".join(filter(None, (first.institute, first.order_number, first.name, first.occasion))),
        loc="left",
        fontsize=10,
        fontweight="bold",
    )
    quiet(axes)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks = [Patch(color=colour, label=label) for label, colour, _ in _STACK]
    lines = [
        Line2D([], [], color=colour, marker=marker, markeredgecolor="white", label=label)
        for label, colour, marker, _ in _LINES
    ]
    figure.legend(handles=[*marks, *lines], loc="upper left", ncols=3, frameon=False, fontsize=8)
