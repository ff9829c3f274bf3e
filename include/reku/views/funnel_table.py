"""The funnel as tables for people, 80 columns wide; what is zero is left out, but for rows and sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any

from reku.views.funnel import FunnelRow, whole_orders

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

_ROWS = ("rows", "accepted", "rejected", "not_loaded")
_MESSAGES = ("sent", "prepared", "open", "rejected_by_server", "not_in_time", "in_doubt")
_RESPONSES = ("opened", "clicked", "unsubscribed", "hard", "soft", "unknown", "complained")
_MEANING = {"hard": "hard bounces", "soft": "soft bounces", "unknown": "unknown bounces"}
_COLUMNS = {
    "not\nload.": ("not_loaded",),
    "rows": ("rows",),
    "re-\nject.": ("rejected",),
    "sent": ("sent",),
    "with-\nheld": ("withheld",),
    "fail-\ned": ("rejected_by_server", "not_in_time"),
    "in\ndoubt": ("in_doubt",),
    "open": ("open", "prepared"),
    "open-\ned": ("opened",),
    "clic-\nked": ("clicked",),
    "un-\nsubs.": ("unsubscribed",),
    "boun-\nced": ("hard", "soft", "unknown"),
    "com-\nplai.": ("complained",),
}
"""Columns of a period's line, in the order in which people fall out of it, and what each adds up."""
_ALWAYS = ("rows", "sent")


def funnel_table(rows: Sequence[FunnelRow]) -> Table:
    """Whole orders as a Rich table."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False)
    shown.add_column("order", overflow="fold")
    for name in ("rows", "messages", "responses", "adds\nup"):
        shown.add_column(name, no_wrap=True)
    for row in rows:
        told = row.as_dict()
        messages = _figures({name: told[name] for name in _MESSAGES}, always="sent")
        reasons = [f"{count:>6} {reason}" for reason, count in row.reasons.items()]
        if reasons:
            reasons.insert(0, f"{sum(row.reasons.values()):>4} withheld:")
        shown.add_row(
            Text(f"{row.institute}\n{row.order_number}\n{row.name}\n{row.occasion}"),
            _figures({name: told[name] for name in _ROWS}, always="rows"),
            "\n".join((messages, *reasons)),
            _figures({name: told[name] for name in _RESPONSES}),
            _yes(row.adds_up),
        )
    return shown


def period_tables(periods: Sequence[FunnelRow]) -> Group:
    """One Rich table per order: a line for each period, and their sum."""
    from rich.console import Group

    by_order = groupby(periods, key=lambda row: (row.institute, row.order_number))
    return Group(*(part for _, rows in by_order for part in _order(list(rows))))


def _order(rows: list[FunnelRow]) -> tuple[Any, ...]:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    (whole,) = whole_orders(rows)
    total = _line(whole)
    columns = [name for name, count in total.items() if count or name in _ALWAYS]
    shown = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_footer=True)
    shown.add_column("period", footer="all", no_wrap=True)
    for name in columns:
        # folded where a terminal is too narrow: a figure that is cut off is a wrong one
        shown.add_column(name, footer=str(total[name]), justify="right", overflow="fold")
    shown.add_column("adds\nup", footer=_yes(whole.adds_up))
    for row in rows:
        line = _line(row)
        shown.add_row(period_name(row.period), *(str(line[name]) for name in columns), _yes(row.adds_up))
    return Text(f"{whole.institute} {whole.order_number} {whole.name} {whole.occasion}"), shown, Text()


def _yes(adds_up: bool) -> str:
    return "yes" if adds_up else "NO"


def period_name(period: date | None) -> str:
    """A period as people call it: by the day that begins it."""
    return f"{period:%d.%m.%y}" if period else "none yet"


def _line(row: FunnelRow) -> dict[str, int]:
    """The figures of a row by column."""
    told = row.as_dict() | {"withheld": sum(row.reasons.values())}
    return {column: sum(told[name] for name in names) for column, names in _COLUMNS.items()}


def _figures(counts: Mapping[str, int], always: str = "") -> str:
    shown = {name: count for name, count in counts.items() if count or name == always}
    return "\n".join(f"{count:>4} {_MEANING.get(name, name.replace('_', ' '))}" for name, count in shown.items())
