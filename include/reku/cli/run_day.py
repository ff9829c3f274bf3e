"""`reku run`: a day's work of one occasion without Airflow."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.group import FAULT, INTERRUPTED
from reku.cli.options import Institute
from reku.cli.output import Json, print_json, show

if TYPE_CHECKING:
    import sqlalchemy as sa

    from reku.process.answers import StageOutcome
    from reku.process.ownership import OwningRun
    from reku.process.run_day import DayResult, Pause, Wait


def run(
    occasion: Annotated[str, typer.Argument(metavar="OCCASION", help="Code of the occasion.")],
    day: Annotated[
        datetime | None,
        typer.Option(
            "--day", metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="The day to work on.", show_default="today"
        ),
    ] = None,
    institute: Institute = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until what has to wait is done, too.")] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Take deliveries from runs of Airflow, which is down and stays so."),
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Decide, fill and count everything; keep nothing of it, send nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Do a day's work of one occasion without Airflow.

    For when Airflow is down and mails must go out. It takes in what has arrived and does what can be done now, stage by
    stage as the DAG would. What has to wait is listed; --wait stays for it. A delivery that a run of Airflow has in
    hand is left to it, since only Airflow knows whether that run still lives; --take-over says that it does not. Nobody
    gets a mail twice either way. About an unusual delivery nobody is asked here: approve or decline it, then run again.
    With --dry-run it tells what would become of each delivery that is there, and takes nothing in. Exits with 1 if
    anything is not as it should be. Example: `reku run MCAG002 --institute 99990001 --dry-run`.
    """
    from reku.foundation import clock
    from reku.process.ownership import run_outside_airflow
    from reku.process.run_day import run_day

    _check_occasion(occasion)
    engine = database()
    if dry:
        _try_out(engine, occasion, day.date() if day else clock.today(), institute, as_json=as_json)
        return
    faults = _take_in(engine, institute)
    with run_outside_airflow(engine) as own, _ending_cleanly() as asked_to_end:
        result = run_day(
            engine,
            occasion,
            day.date() if day else clock.today(),
            owner=own,
            is_alive=lambda owner: _is_alive(engine, owner, take_over=take_over),
            pause=_pause(asked_to_end, wait=wait),
            institute=institute,
        )
    if as_json:
        print_json({"intake": faults, "stages": [_row(result, outcome) for outcome in result.outcomes]})
    else:
        for fault in faults:
            typer.echo(fault, err=True)
        show((_row(result, outcome) for outcome in _last(result)), as_json=False, nothing="Nothing to do.")
    if asked_to_end.is_set():
        raise typer.Exit(INTERRUPTED)
    if faults or not (result.is_green or result.waiting):
        raise typer.Exit(FAULT)


def _try_out(engine: sa.Engine, occasion: str, day: date, institute: str, *, as_json: bool) -> None:
    from reku.process.dry_run import dry_run

    lines = dry_run(engine, occasion, day, institute=institute)
    if as_json:
        print_json([asdict(line) for line in lines])
    else:
        typer.echo("\n".join(map(str, lines)) or "Nothing would be done.")


def _check_occasion(code: str) -> None:
    """Raises ConfigError, naming the valid ones, for a code that no occasion has, or a broken file."""
    from reku.catalogue import occasions
    from reku.foundation.errors import ConfigError
    from reku.foundation.settings import settings

    known = occasions()
    if code not in known:
        folder = settings().config_dir / "occasions"
        raise ConfigError(f"There is no occasion {code!r}.", file=folder, value=code, valid=tuple(known))
    known[code]


def _take_in(engine: sa.Engine, institute: str) -> list[str]:
    """Look into the inbox of one bank, or of each. Returns what is wrong with some: it holds up no other."""
    from reku.foundation.errors import RekuError
    from reku.process.intake import take_in
    from reku.process.systems import served_banks

    faults: list[str] = []
    for bank in [institute] if institute else served_banks():
        try:
            faults += take_in(engine, bank).problems
        except RekuError as error:
            faults.append(str(error))
    return faults


def _is_alive(engine: sa.Engine, owner: OwningRun, *, take_over: bool) -> bool:
    from reku.process.ownership import OUTSIDE_AIRFLOW, is_alive_outside_airflow

    if owner.dag == OUTSIDE_AIRFLOW:
        return is_alive_outside_airflow(engine, owner)
    return not take_over


def _pause(asked_to_end: threading.Event, *, wait: bool) -> Pause:
    from reku.foundation.settings import settings

    told: set[str] = set()

    def pause(waits: Sequence[Wait]) -> bool:
        if not wait:
            return False
        for text in map(str, waits):
            if text not in told:
                typer.echo(text, err=True)
        told.update(map(str, waits))
        return not asked_to_end.wait(settings().poke_seconds)

    return pause


@contextmanager
def _ending_cleanly() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM let every mail in hand come to its end, and set the event."""
    from reku.dispatch.shutdown import request_shutdown

    asked_to_end = threading.Event()

    def end(*_: object) -> None:
        asked_to_end.set()
        request_shutdown()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked_to_end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last(result: DayResult) -> list[StageOutcome]:
    """How far each item has come, and every stage of the day that did not do its work."""
    from reku.process.answers import Ending

    by_item = {outcome.item: outcome for outcome in result.outcomes if outcome.item is not None}
    of_day = [one for one in result.outcomes if one.item is None and one.ending is not Ending.DONE]
    return [*by_item.values(), *of_day]


def _row(result: DayResult, outcome: StageOutcome) -> dict[str, Any]:
    of = "" if outcome.item is None else result.items[outcome.item].label
    return {"of": of, "stage": outcome.stage, "ending": outcome.ending, "why": outcome.why}
