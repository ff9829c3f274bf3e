"""The row counts of an order's deliveries over time, with the range that passed unasked: one SVG to stand in a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reku.foundation.plots import house_style, labelled, number, quiet, saved
from reku.release.report_facts import PastDelivery

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE, _BAND, _PRESENT = "#1f5a8c", "#cfe3f4", "#c2410c"
_WITHIN = (0.085, 0.16, 0.9, 0.8)  # left, bottom, width, height, in shares of the picture: room for the labels
_MOST_LABELS = 10
_RISE = 1.5
"""A range is shown up to so many times the largest row count: an absolute limit far above would press all flat."""


def row_plot(history: Sequence[PastDelivery], present: int) -> str:
    """The SVG of the deliveries `history`, oldest first, the delivery `present` marked; empty without any."""
    if not history:
        return ""
    from matplotlib.figure import Figure  # half a second to import, so only to make a report

    with house_style():
        figure = Figure(figsize=(9, 2.9))
        _draw(figure.add_axes(_WITHIN), history, present)
        drawn = saved(figure, "svg").decode()
    return _for_a_page(drawn, _told(history, present))


def _draw(axes: Axes, history: Sequence[PastDelivery], present: int) -> None:
    places = range(len(history))
    top = 1.15 * max(*(_shown_high(history, past) for past in history), *(past.rows for past in history), 1)
    for place, past in zip(places, history, strict=True):
        if past.low is not None or past.high is not None:
            low = past.low or 0
            high = min(past.high if past.high is not None else top, top)
            axes.bar(place, max(high - low, 0), bottom=low, width=1, color=_BAND, edgecolor=_BAND, zorder=1)
    taken = [(place, past.rows) for place, past in zip(places, history, strict=True) if not past.refused]
    axes.plot([x for x, _ in taken], [y for _, y in taken], color=_LINE, linewidth=1, zorder=2)
    for place, past in zip(places, history, strict=True):
        here = past.delivery == present
        colour = _PRESENT if here else _LINE
        axes.plot(
            *(place, past.rows),
            marker="D" if here else "o",
            markersize=8 if here else 5,
            markerfacecolor="white" if past.refused else colour,
            markeredgecolor=colour,
            zorder=4 if here else 3,
        )
        if here:
            axes.annotate(
                number(past.rows),
                (place, past.rows),
                xytext=(0, 9),
                textcoords="offset points",
                ha="center",
                color=_PRESENT,
                fontweight="bold",
            )
    axes.set_xlim(-0.7, max(len(history), 4) - 0.3)
    axes.set_ylim(0, top)
    axes.set_xticks(*_labels(history))
    axes.set_ylabel("Zeilen / rows")
    quiet(axes)


def _shown_high(history: Sequence[PastDelivery], past: PastDelivery) -> float:
    most = max(each.rows for each in history)
    return min(past.high or 0, _RISE * most)


def _labels(history: Sequence[PastDelivery]) -> tuple[list[int], list[str]]:
    """Where a day and a number stand below the axis."""
    places = labelled(len(history), _MOST_LABELS)
    return places, [f"{history[place].day:%d.%m.%y}\n{history[place].number:06d}" for place in places]


def _told(history: Sequence[PastDelivery], present: int) -> str:
    """The plot in words, for those who cannot see it."""
    counts = ", ".join(f"{past.day:%d.%m.%Y}: {number(past.rows)}" for past in history)
    marked = next((f"; markiert: {past.number:06d}" for past in history if past.delivery == present), "")
    return f"Zeilen der letzten {len(history)} Lieferungen des Auftrags ({counts}){marked}"


def _for_a_page(svg: str, told: str) -> str:
    """The picture as an element of an HTML page, with its text for screen readers."""
    element = svg[svg.index("<svg ") :]
    head, rest = element.split(">", 1)
    title = "<title>Zeilen je Lieferung / rows per delivery</title>"
    return f'{head} role="img" aria-label="{told}">{title}{rest}'
