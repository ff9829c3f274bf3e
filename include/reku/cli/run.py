"""`reku up` and `reku demo`: the whole set-up on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from reku.cli.output import Json, print_json


def up(
    sink: Annotated[
        bool, typer.Option("--sink", help="Run a mail server beside it that keeps every mail and sends none on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the set-up with your configuration.

    It is database, Airflow and tracker, until Ctrl-C. Everything listens on 127.0.0.1. What is printed is told by the
    supervisor; with --json each line is an object with the key `report`.

    Example: `reku up --sink`.
    """
    import reku.runtime.up

    def tell(line: str) -> None:
        if as_json:
            print_json({"report": line})
        else:
            typer.echo(line)

    raise typer.Exit(reku.runtime.up.main(sink=sink, report=tell))


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself, with exit code 1 if anything went wrong.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the world of an earlier demo away first.")] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=3, help="How many of its three days.")] = 3,
) -> None:
    """Run the demo world on real Airflow.

    Three days of two savings banks and a cooperative bank, with real mails, responses and files for their core
    systems; then it stays up until Ctrl-C. A demo that was killed goes on where it was.

    Example: `reku demo --fresh`.
    """
    import reku.demo

    raise typer.Exit(reku.demo.main(once=once, fresh=fresh, days=days))
