"""`reku bench`: stages against their limits and a peer in the same run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from reku.cli.output import Json, print_json, show, working


class Stage(StrEnum):
    """Stages that have a benchmark."""

    PARSE = "parse"


def bench(
    stage: Annotated[
        Stage | None, typer.Argument(metavar="STAGE", help="`parse`; none: all.", show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=5, help="Rounds, each in processes of its own.")] = 5,
    as_json: Json = False,
) -> None:
    """Measure stages against a peer in the same run.

    The two are alternated, the figures are medians. ratio: 1 is as fast as the peer, higher is faster; at_least is the
    limit. With --json each stage is one object on a line of its own. Exits with 0 whatever the figures are.
    """
    from reku.bench import parse

    measures = {Stage.PARSE: parse.measure}
    wanted = [stage] if stage else list(Stage)
    figures = []
    for one in wanted:
        with working(f"{one}: {rounds} rounds"):
            figure = measures[one](rounds)
        figures.append(figure)
        if as_json:
            print_json(figure)
    if not as_json:
        show(figures, as_json=False, nothing="No stages.")
