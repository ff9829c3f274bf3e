"""`reku deliveries`: the numbered files of people, how far each has come, and what a person may do about one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Id, Institute, Note, Order, actor, one_of
from reku.cli.output import Json, print_json, show, show_one
from reku.cli.watch import watch

app = typer.Typer(
    no_args_is_help=True,
    help="Deliveries: how far each has come.",
    rich_markup_mode=None,
)


@app.command("list")
def list_deliveries(
    institute: Institute = "",
    order: Order = "",
    state: Annotated[
        str,
        typer.Option(
            "--state",
            help="Only this state: PARKED, REGISTERED, VALIDATED, RELEASED, DECLINED, LOADED or REFUSED.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """List the deliveries, newest first.

    `code` is the Fehler_Code of a refused or parked one, `replaced_by` the id of the corrected one that took the place
    of a refused one; `--state REFUSED` leaves those out. `asked` is since when a person is asked whether one may go
    out: see `approve` and `decline`.

    Example: `reku deliveries list --state PARKED`.
    """
    from reku.store.states import DeliveryState
    from reku.views.delivery_overview import delivery_lines

    only = one_of(state, DeliveryState, "--state") or ""
    lines = delivery_lines(database(), institute, order, only)
    show(map(asdict, lines), as_json=as_json, nothing="No deliveries.")


@app.command("show")
def show_delivery(delivery: Id, as_json: Json = False) -> None:
    """Show one delivery.

    Its file, its state, its messages by state and reason, its rejected rows. Of a rejected row its line, Referenz,
    field and Fehler_Code are shown, never what stands in it.

    Example: `reku deliveries show 17`.
    """
    from reku.views.delivery_overview import delivery_details

    details = asdict(delivery_details(database(), delivery))
    show_one(details | {name: list(details[name]) for name in ("messages", "rejected_rows")}, as_json=as_json)


@app.command("report")
def report_delivery(
    delivery: Id,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    as_json: Json = False,
) -> None:
    """Make a delivery's report anew and print where it lies.

    One page with what the gate found, the figures and the rejected rows; it needs no network and shows nobody. It is
    what the button at the tasks `validate` and `release` opens in Airflow.

    Example: `reku deliveries report 17 --open`.
    """
    from reku.release.report import write_report

    file = write_report(database(), delivery)
    if as_json:
        print_json({"delivery": delivery, "report": str(file)})
    else:
        typer.echo(str(file))
    if open_it:
        typer.launch(file.resolve().as_uri())


app.command("watch")(watch)


@app.command("retry")
def retry_delivery(delivery: Id, as_json: Json = False) -> None:
    """Read a refused delivery's original again.

    For when what was wrong has been put right on our side. It is judged anew and goes on with the next run of its
    occasion. Exits with 1 if it is refused again. A fault in the file itself needs a corrected file with the same
    delivery number from the sender instead.

    Example: `reku deliveries retry 17`.
    """
    from reku.process.systems import system_of_delivery
    from reku.store.states import DeliveryState

    engine = database()
    result = system_of_delivery(engine, delivery).source.retry(engine, delivery, actor())
    if as_json:
        print_json(asdict(result))
    else:
        typer.echo(" ".join(filter(None, (f"Delivery {delivery} is {result.state}", result.code, result.advice))))
    if result.state == DeliveryState.REFUSED:
        raise typer.Exit(FAULT)


@app.command("approve")
def approve_delivery(delivery: Id, note: Note, as_json: Json = False) -> None:
    """Let an unusual delivery go out.

    The same as Approve in Airflow (Browse, Required Actions). Nothing is sent by that alone: a `release` task that
    waits for an answer does not notice, so clear it, and it goes on. The first answer holds, wherever it was given.

    Example: `reku deliveries approve 17 --note "sender confirms"`.
    """
    from reku.release.decision import approve
    from reku.store.states import DeliveryState
    from reku.views.delivery_overview import delivery_details

    engine = database()
    decision = approve(engine, delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "decision": decision})
    elif delivery_details(engine, delivery).state == DeliveryState.LOADED:
        typer.echo(f"Delivery {delivery} was let through before ({decision}) and is loaded; nothing is to be done.")
    else:
        typer.echo(f"Delivery {delivery} may go out ({decision}). Clear its `release` task.")


@app.command("decline")
def decline_delivery(delivery: Id, note: Note, as_json: Json = False) -> None:
    """Keep an unusual delivery back for good.

    The same as Decline in Airflow (Browse, Required Actions). All its rows are withheld with FREIGABE_VERWEIGERT, and
    the daily feedback reports them. It cannot be undone: if these people shall be written to after all, the sender
    delivers them again with a new delivery number. A `release` task that waits for an answer does not notice; clear it,
    and it ends.

    Example: `reku deliveries decline 17 --note "wrong people"`.
    """
    from reku.process.decline import decline

    rows = decline(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "decision": "DECLINED", "withheld": rows})
    else:
        what = f"its {rows} rows are withheld" if rows else "it had been declined before"
        typer.echo(f"Delivery {delivery} is declined, {what}. Clear its `release` task if it still waits.")


@app.command("refuse")
def refuse_delivery(delivery: Id, note: Note, as_json: Json = False) -> None:
    """Refuse a delivery that can neither go on nor be declined.

    It holds up the later ones of its order as long as it is not loaded. For one that the gate cannot judge, or that
    nobody needs any more: nobody of it is written to, its sender gets a receipt, and its number is free for a corrected
    file. `retry` reads it again, should it be needed after all.

    Example: `reku deliveries refuse 17 --note "not needed any more"`.
    """
    from reku.process.refuse import refuse
    from reku.store.states import DeliveryState

    refuse(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "state": DeliveryState.REFUSED})
    else:
        typer.echo(f"Delivery {delivery} is refused. The later ones of its order go on with their next run.")


@app.command("go-on")
def go_on_delivery(
    delivery: Id,
    note: Note,
    as_json: Json = False,
) -> None:
    """Let the others follow that a canary holds back.

    For when the first mails of a delivery were taken badly, or shall not be waited for. Nothing is sent by that alone:
    clear the delivery's `dispatch` task.

    Example: `reku deliveries go-on 17 --note "bounces looked at"`.
    """
    from reku.dispatch.canary import go_on

    go_on(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "canary": "passed"})
    else:
        typer.echo(f"Delivery {delivery} goes on past its canary. Clear its `dispatch` task.")


@app.command("close")
def close_delivery(
    delivery: Id,
    note: Note,
    as_json: Json = False,
) -> None:
    """Close a delivery for good.

    Nothing of it that has not gone out ever will: every open message is withheld with GESTOPPT, which the next response
    file reports. For mails that turned out to be wrong; `reku stop` only holds them back. A running dispatch has to be
    stopped first.

    Example: `reku deliveries close 17 --note "wrong price"`.
    """
    from reku.process.cancel import cancel

    closed = cancel(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "closed": closed})
    else:
        typer.echo(f"{closed} messages of delivery {delivery} are closed and will not be sent.")
