"""How our plots look, whatever they show: quiet axes, German numbers, text that stays text, always the same bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GRID = "#d8dde3"
# Without them matplotlib writes itself and the time into each file.
_NO_METADATA: dict[str, dict[str, Any]] = {
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
    "png": {"Software": None},
}

Kind = Literal["svg", "png"]


def house_style() -> AbstractContextManager[None]:
    """Within it figures are drawn in the style of the house. Importing matplotlib takes half a second."""
    from matplotlib import rc_context

    return rc_context(
        {
            "svg.fonttype": "none",  # text stays text: it is read aloud, searched, and shown in the page's own font
            "svg.hashsalt": "reku",  # the same plot is the same bytes
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,  # names of orders come from outside: a $ in them is a $
        }
    )


def saved(figure: Figure, kind: Kind) -> bytes:
    """The figure as the bytes of a file: the same for the same figure."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata=_NO_METADATA[kind])
    return file.getvalue()


def quiet(axes: Axes) -> None:
    """Take from axes all but the horizontal grid; counts upwards, with German thousands."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(lambda value, _: number(value))
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def labelled(count: int, most: int) -> list[int]:
    """Which of `count` places in a row get a label: at most `most`, evenly, always the last one."""
    step = -(-count // most)
    return list(range(count - 1, -1, -step)) if count else []


def number(value: float) -> str:
    """A whole number with the dots of German thousands: 12.345."""
    return f"{value:,.0f}".replace(",", ".")
