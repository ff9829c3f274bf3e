"""`reku bench`: stages against their limits and a peer in the same run."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from reku.cli.output import Json, print_json, show, show_one, working
from reku.foundation.errors import SetupError

Figures = list[dict[str, Any]]


class BenchStage(StrEnum):
    """Stages that have a benchmark."""

    PARSE = "parse"
    READ = "read"
    GATE = "gate"
    RENDER = "render"
    HANDOVER = "handover"
    DISPATCH = "dispatch"
    UPSERT = "upsert"
    CONTACT = "contact"
    TRACKER = "tracker"
    FEEDBACK = "feedback"
    DSN = "dsn"
    BANKS = "banks"
    IMPORT = "import"
    SELECTION = "selection"
    STRANGERS = "strangers"
    LETTERS = "letters"
    BAP = "bap"
    ORCHESTRATION = "orchestration"
    COCKPIT = "cockpit"


FUZZ = "fuzz"
"""No race: damaged inputs for every reader of what others have made."""

KILL = "kill"
"""No race: exact numbers of mails while dispatchers are killed."""


def bench(
    stage: Annotated[
        str,
        typer.Argument(
            metavar="[STAGE]",
            help="`parse`, `read`, `gate`, `render`, `handover`, `dispatch`, `upsert`, `contact`, `tracker`, "
            "`feedback`, `dsn`, `banks`, `import`, `selection`, `strangers`, `letters`, `bap`, `orchestration`, "
            "`cockpit`; none: all. `kill`: no race, but dispatchers killed with SIGKILL, and what became of every "
            "mail. `fuzz`: no race, but damaged inputs for every reader.",
            show_default=False,
        ),
    ] = "",
    rounds: Annotated[int, typer.Option("--rounds", min=5, help="Rounds; the figures are their medians.")] = 5,
    times: Annotated[int, typer.Option("--times", min=1, help="`kill`: how often.")] = 200,
    banks: Annotated[int, typer.Option("--banks", min=1, max=500, help="`orchestration`: of how many banks.")] = 50,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="`fuzz`: for how long, in all.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Measure stages against a peer in the same run.

    The two are alternated, the figures are medians. ratio: 1 is as fast as the peer, higher is faster; at_least is the
    limit. Without --json the figures are written into docs/benchmarks.md as well. With --json each figure is one
    object on a line of its own. Exits with 0 whatever the figures are; `kill` with 1 when a mail went out twice or is
    not accounted for, `fuzz` with 1 when a reader has raised an error that it does not document, or has hung.

    Example: `reku bench dispatch`.
    """
    _check_checkout()
    if stage == KILL:
        _kill(times, as_json=as_json)
        return
    if stage == FUZZ:
        _fuzz(seconds, as_json=as_json)
        return
    if stage and stage not in list(BenchStage):
        raise typer.BadParameter(f"{stage!r} is none of {', '.join([*BenchStage, KILL, FUZZ])}.", param_hint="STAGE")
    figures: Figures = []
    for one in [BenchStage(stage)] if stage else list(BenchStage):
        with working(f"{one}: {rounds} rounds"):
            measured = _measure(one, banks)(rounds)
        figures += measured
        if as_json:
            for figure in measured:
                print_json(figure)
    if not as_json:
        from reku.bench import table

        table.write(figures)
        show(figures, as_json=False, nothing="No stages.")


def _check_checkout() -> None:
    """Raises SetupError where the benchmarks' servers and worlds are missing: they are part of no package."""
    if find_spec("reku_testing") is None:
        raise SetupError(
            "Benchmarks need reku_testing, which lies beside reku in a checkout and in no package or image. Run "
            "`make bench` in a checkout."
        )


def _measure(stage: BenchStage, banks_of_run: int) -> Callable[[int], Figures]:
    from reku.bench import (
        banks,
        bap,
        cockpit,
        contact,
        data_import,
        dispatch,
        dsn,
        feedback,
        gate,
        handover,
        letters,
        orchestration,
        parse,
        read,
        render,
        selection,
        strangers,
        tracker,
        upsert,
    )

    measures: dict[BenchStage, Callable[[int], Figures]] = {
        BenchStage.PARSE: lambda rounds: [parse.measure(rounds)],
        BenchStage.READ: lambda rounds: [read.measure(rounds)],
        BenchStage.GATE: gate.measure,
        BenchStage.RENDER: lambda rounds: [render.measure(rounds)],
        BenchStage.LETTERS: lambda rounds: [letters.measure(rounds)],
        BenchStage.HANDOVER: lambda rounds: [handover.measure(rounds), *handover.peers(rounds)],
        BenchStage.DISPATCH: dispatch.measure,
        BenchStage.UPSERT: upsert.measure,
        BenchStage.CONTACT: lambda rounds: [contact.measure(rounds)],
        BenchStage.TRACKER: tracker.measure,
        BenchStage.FEEDBACK: feedback.measure,
        BenchStage.DSN: dsn.measure,
        BenchStage.BANKS: banks.measure,
        BenchStage.IMPORT: data_import.measure,
        BenchStage.SELECTION: selection.measure,
        BenchStage.STRANGERS: strangers.measure,
        BenchStage.BAP: bap.measure,
        BenchStage.ORCHESTRATION: lambda rounds: orchestration.measure(rounds, banks_of_run),
        BenchStage.COCKPIT: cockpit.measure,
    }
    return measures[stage]


def _kill(times: int, *, as_json: bool) -> None:
    from reku.bench import kill

    with working(f"{times} dispatchers are killed"):
        numbers = kill.run(times)
    show_one(numbers, as_json=as_json)
    if any(numbers[name] for name in ("twice", "missing", "untold", "open")):
        raise typer.Exit(1)


def _fuzz(seconds: float, *, as_json: bool) -> None:
    from reku.bench import fuzz

    with working(f"damaged inputs for {seconds:.0f} s"):
        rows = fuzz.run(seconds)
    shown = ("reader", "inputs", "refused", "per_second", "faults", "first_fault")
    show(({name: row[name] for name in shown} for row in rows), as_json=as_json, nothing="No readers.")
    bad = [row for row in rows if row["faults"]]
    for row in bad:
        typer.echo(f"{row['reader']}: {row['first_fault']} by this input (base64): {row['first_input']}", err=True)
    if bad:
        raise typer.Exit(1)
