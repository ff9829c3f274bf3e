"""`reku rhythms`: days on which an order was due and nothing ran, and making up for them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.database import database, join_airflow
from reku.cli.group import FAULT
from reku.cli.options import Institute, Occasion
from reku.cli.output import Json, print_json, print_table, show, working

if TYPE_CHECKING:
    from reku.process.missed_rhythms import MissedRhythm

app = typer.Typer(
    no_args_is_help=True,
    help="Days on which an order was due and no run did the work.",
    rich_markup_mode=None,
)

_LOOK_EVERY = 2.0
"""Seconds between two looks at a backfill."""

Days = Annotated[int, typer.Option("--days", min=1, max=366, help="So many days back.")]


@app.command("missed")
def list_missed(institute: Institute = "", occasion: Occasion = "", days: Days = 14, as_json: Json = False) -> None:
    """List days and orders without a run, or with a failed one.

    An order stands there for each past day on which it was due and whose work no run of its occasion has done: `run` is
    `none` or `failed`, `delivery` the state of what has come for it. What came through all the same is left out: the
    present day's run takes whatever is outstanding. Example: `reku rhythms missed --occasion MCAG002 --days 30`.
    """
    missed = _missed(institute, occasion, days)
    show(map(asdict, missed), as_json=as_json, nothing="Nothing was missed.")


@app.command("make-up")
def make_up(
    institute: Institute = "",
    occasion: Occasion = "",
    days: Days = 14,
    late: Annotated[
        bool, typer.Option("--late", help="Send mails whose window has passed, too; else they are withheld.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Make up for what `missed` lists.

    Airflow's own backfill does the work of exactly those days, each occasion by itself and one run at a time. It says
    how many days and orders that are and asks first, and tells how far it is until all have ended; Ctrl-C stops the
    telling and what has not begun, not what Airflow has in hand. Exits with 1 if a run failed. Nobody gets a mail
    twice. Example: `reku rhythms make-up --institute 99990001`.
    """
    from reku.foundation import clock
    from reku.foundation.errors import StageError

    database()  # the demo's clock is known from then on
    if clock.is_moved():
        raise StageError(
            "The clock of this set-up is moved, so its DAGs have no schedule and Airflow makes no backfills. Trigger "
            "the DAG with the day in the form's first field instead."
        )
    missed = _missed(institute, occasion, days)
    if not missed:
        show([], as_json=as_json, nothing="Nothing was missed.")
        return
    if not as_json:
        print_table([asdict(one) for one in missed])
    typer.echo(_summary(missed), err=as_json)
    if not yes:
        typer.confirm("Make up for them?", abort=True, err=as_json)
    from reku.orchestration import day_runs

    conf = ({"banks": [institute]} if institute else {}) | ({"late": True} if late else {})
    failed = day_runs.make_up(missed, conf, lambda text: typer.echo(text, err=as_json), lambda: time.sleep(_LOOK_EVERY))
    if as_json:
        print_json({"made_up": [asdict(one) for one in missed], "failed_runs": failed})
    if failed:
        typer.echo(f"{failed} runs failed; `reku today` says what they need.", err=True)
        raise typer.Exit(FAULT)


def _missed(institute: str, occasion: str, days: int) -> list[MissedRhythm]:
    from reku.cli.orders import known_occasion

    code, engine = known_occasion(occasion), database()
    with working("asking Airflow"):
        join_airflow()
        from reku.orchestration.day_runs import missed_by_now

        return missed_by_now(engine, institute=institute, occasion=code, days=days)


def _summary(missed: list[MissedRhythm]) -> str:
    days, orders = {one.day for one in missed}, {(one.institute, one.order) for one in missed}
    codes = {one.occasion for one in missed}
    return f"{len(days)} days, {len(codes)} occasions, {len(orders)} orders, {len(missed)} times due in all."
