"""How the demo ended: the funnel of each order, and the outbox held against what really happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from reku.demo.story import Story
from reku.foundation.bank_folders import Folder
from reku.foundation.settings import settings
from reku.simulator.truth import compare
from reku.store.engine import engine
from reku.views.funnel import funnel
from reku.views.funnel_table import funnel_table

if TYPE_CHECKING:
    from reku.demo.run import DemoPlaces

MOST_SHOWN = 10


def show_outcome(places: DemoPlaces, story: Story, days: int, console: Console) -> bool:
    """Print the table and the comparison after so many days.

    Returns whether every number adds up and the outbox tells the truth.
    """
    rows = funnel(engine())
    console.print(funnel_table(rows))
    adds_up = all(row.adds_up for row in rows)
    # Whether the mail of a row in doubt that was closed as not sent had arrived only the sink knows.
    discrepancies = compare(
        story.world,
        sink_truth=places.sink_truth,
        customers_truth=places.customers_truth,
        files_url=settings().files_url,
        through_day=days,
        in_doubt=[
            (str(bank), str(order), int(number), str(ref))
            for bank, order, number, ref in story.state.closed_as_not_sent
        ],
    )
    for title, faults in (
        ("happened, but not reported", discrepancies.missing),
        ("reported, but did not happen", discrepancies.unexpected),
        ("mails", discrepancies.mail_faults),
    ):
        for fault in faults[:MOST_SHOWN]:
            console.print(f"[red]{title}: {fault}[/red]")
        if len(faults) > MOST_SHOWN:
            console.print(f"[red]{title}: {len(faults) - MOST_SHOWN} more[/red]")
    console.print(f"Numbers add up: {_yes(adds_up)}")
    console.print(
        f"Files for the core banks against what mail server and customers noted: {discrepancies.agreed} events agree, "
        f"{len(discrepancies.missing)} missing, {len(discrepancies.unexpected)} too many: {_yes(discrepancies.agrees)}"
    )
    for bank in sorted(path for path in places.home.files.iterdir() if path.is_dir()):
        console.print(f"Files for {bank.name}: {bank / Folder.OUTBOX}")
    return adds_up and discrepancies.agrees


def _yes(good: bool) -> str:
    return "[green]yes[/green]" if good else "[red]no[/red]"
