"""`reku stop`: stop the dispatch, and let it go on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Blz, Id, Note, actor
from reku.cli.output import Json, print_json, show

app = typer.Typer(
    no_args_is_help=True,
    help="Stop the dispatch of an order, an institute or everything.",
    rich_markup_mode=None,
)


@app.command("order")
def stop_order(
    institute: Blz,
    order: Annotated[str, typer.Argument(metavar="ORDER", help="Number of the order.")],
    note: Note,
    as_json: Json = False,
) -> None:
    """Stop the dispatch of one order.

    In effect within two seconds: no further mail is begun, and what was not begun stays open. Running `dispatch` tasks
    fail and say so; those that begin later do the same until the stop is lifted.

    Example: `reku stop order 99990001 R0000101 --note "wrong price"`.
    """
    _stop(institute, order, note, as_json)


@app.command("institute")
def stop_institute(institute: Blz, note: Note, as_json: Json = False) -> None:
    """Stop the dispatch of all orders of one institute.

    Like `reku stop order`.

    Example: `reku stop institute 99990001 --note "ticket 815"`.
    """
    _stop(institute, None, note, as_json)


@app.command("everything")
def stop_everything(note: Note, as_json: Json = False) -> None:
    """Stop the dispatch of all institutes.

    Like `reku stop order`.

    Example: `reku stop everything --note "relay sends twice"`.
    """
    _stop(None, None, note, as_json)


@app.command("list")
def list_stops(as_json: Json = False) -> None:
    """List the stops in force.

    One without an institute stops everything, one without an order all orders of its institute.

    Example: `reku stop list`.
    """
    from reku.dispatch.stop_switches import in_force

    with database().connect() as connection:
        stops = in_force(connection)
    show(map(asdict, stops), as_json=as_json, nothing="No stop is in force.")


@app.command("lift")
def lift_stop(
    stop: Id,
    note: Note,
    as_json: Json = False,
) -> None:
    """Lift a stop.

    Nothing is sent by that alone: clear the `dispatch` tasks that it made fail. What is still in its window is sent
    then, and nobody is written to twice.

    Example: `reku stop lift 3 --note "price corrected"`.
    """
    from reku.dispatch.stop_switches import in_force, lift

    engine = database()
    lift(engine, stop, actor=actor(), note=note)
    with engine.connect() as connection:
        others = [other.id for other in in_force(connection)]
    if as_json:
        print_json({"lifted": stop, "in_force": others})
        return
    typer.echo(f"Stop {stop} is lifted. Clear the `dispatch` tasks that it made fail.")
    if others:
        typer.echo(f"Still in force: {', '.join(map(str, others))}; see `reku stop list`.")


def _stop(institute: str | None, order: str | None, note: str, as_json: bool) -> None:
    from reku.dispatch.stop_switches import scope, throw

    new = throw(database(), institute=institute, order=order, actor=actor(), note=note)
    if as_json:
        print_json({"id": new, "institute": institute, "order": order})
    else:
        typer.echo(
            f"Stop {new} stops {scope(institute, order)}, in running tasks within two seconds. "
            f"Lift it with `reku stop lift {new} --note …`."
        )
