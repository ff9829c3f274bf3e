"""`reku deliveries`: the numbered files of people, how far each has come, and what a person may do about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Institute, Note, Order, actor, one_of
from reku.cli.output import Json, print_json, show, show_one
from reku.cli.watch import watch

if TYPE_CHECKING:
    import sqlalchemy as sa

app = typer.Typer(
    no_args_is_help=True,
    help="Deliveries: how far each has come.",
    rich_markup_mode=None,
)

Id = Annotated[int, typer.Argument(metavar="ID", help="Its id, first column of the list.")]


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

    `code` is the Fehler_Code of a refused or parked one. `asked` is since when a person is asked whether one may go
    out: see `approve` and `decline`.
    """
    import sqlalchemy as sa

    from reku.store import tables
    from reku.store.states import DeliveryState

    of = tables.deliveries.c
    wanted = sa.select(
        of.id,
        of.institute,
        of.order_number.label("order"),
        of.delivery_number.label("number"),
        of.occasion,
        of.day,
        of.state,
        of.rows,
        of.accepted,
        of.rejected,
        of.code,
        tables.releases.c.asked_at.label("asked"),
    )
    waiting = (tables.releases.c.delivery_id == of.id) & tables.releases.c.decision.is_(None)
    wanted = wanted.outerjoin(tables.releases, waiting).order_by(of.id.desc())
    if institute:
        wanted = wanted.where(of.institute == institute)
    if order:
        wanted = wanted.where(of.order_number == order)
    if only := one_of(state, DeliveryState, "--state"):
        wanted = wanted.where(of.state == only)
    with database().connect() as connection:
        show(connection.execute(wanted).mappings(), as_json=as_json, nothing="No deliveries.")


@app.command("show")
def show_delivery(delivery: Id, as_json: Json = False) -> None:
    """Show one delivery.

    Its file, its state, its messages by state and reason, its rejected rows. Of a rejected row its line, Referenz,
    field and Fehler_Code are shown, never what stands in it.
    """
    with database().connect() as connection:
        found = _delivery(connection, delivery)
        found["messages"] = _messages(connection, delivery)
        found["rejected_rows"] = _rejects(connection, delivery)
    show_one(found, as_json=as_json)


@app.command("report")
def report_delivery(
    delivery: Id,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser of this machine.")] = False,
    as_json: Json = False,
) -> None:
    """Make a delivery's report anew and print where it lies.

    One page with what the gate found, the figures and the rejected rows; it needs no network and shows nobody. It is
    what the button at the tasks `validate` and `release` opens in Airflow.
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
    """
    from dataclasses import asdict

    from reku.sources.osplus.retry import retry
    from reku.store.states import DeliveryState

    found = retry(database(), delivery, actor())
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(" ".join(filter(None, (f"Delivery {delivery} is {found.state}", found.code, found.advice))))
    if found.state == DeliveryState.REFUSED:
        raise typer.Exit(FAULT)


@app.command("approve")
def approve_delivery(delivery: Id, note: Note, as_json: Json = False) -> None:
    """Let an unusual delivery go out.

    The same as Approve in Airflow (Browse, Required Actions). Nothing is sent by that alone: a `release` task that
    waits for an answer does not notice, so clear it, and it goes on. The first answer holds, wherever it was given.
    """
    from reku.release.decision import approve

    decision = approve(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "decision": decision})
    else:
        typer.echo(f"Delivery {delivery} may go out ({decision}). Clear its `release` task.")


@app.command("decline")
def decline_delivery(delivery: Id, note: Note, as_json: Json = False) -> None:
    """Keep an unusual delivery back for good.

    The same as Decline in Airflow (Browse, Required Actions). All its rows are withheld with FREIGABE_VERWEIGERT, and
    the daily feedback reports them. It cannot be undone: if these people shall be written to after all, the sender
    delivers them again with a new delivery number. A `release` task that waits for an answer does not notice; clear it,
    and it ends.
    """
    from reku.process.decline import decline

    rows = decline(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "decision": "DECLINED", "withheld": rows})
    else:
        what = f"its {rows} rows are withheld" if rows else "it had been declined before"
        typer.echo(f"Delivery {delivery} is declined, {what}. Clear its `release` task if it still waits.")


@app.command("go-on")
def go_on(
    delivery: Id,
    note: Note,
    as_json: Json = False,
) -> None:
    """Let the others follow that a canary holds back.

    For when the first mails of a delivery were taken badly, or shall not be waited for. Nothing is sent by that alone:
    clear the delivery's `dispatch` task.
    """
    from reku.dispatch.canary import go_on as past_canary

    past_canary(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "canary": "passed"})
    else:
        typer.echo(f"Delivery {delivery} goes on past its canary. Clear its `dispatch` task.")


@app.command("close")
def close(
    delivery: Id,
    note: Note,
    as_json: Json = False,
) -> None:
    """Close a delivery for good.

    Nothing of it that has not gone out ever will: every open message is withheld with GESTOPPT, which the next response
    file reports. For mails that turned out to be wrong; `reku stop` only holds them back. A running dispatch has to be
    stopped first.
    """
    from reku.process.cancel import cancel as close_delivery

    closed = close_delivery(database(), delivery, actor=actor(), note=note)
    if as_json:
        print_json({"delivery": delivery, "closed": closed})
    else:
        typer.echo(f"{closed} messages of delivery {delivery} are closed and will not be sent.")


def _delivery(connection: sa.Connection, delivery: int) -> dict[str, Any]:
    """What is known of a delivery as a whole. Raises StageError if there is none with this id."""
    import sqlalchemy as sa

    from reku.store.delivery import load_delivery
    from reku.store.tables import deliveries as of
    from reku.store.tables import files, lists, releases

    wanted = (
        sa.select(
            of.c.id,
            of.c.institute,
            of.c.kind,
            of.c.order_number.label("order"),
            of.c.delivery_number.label("number"),
            of.c.occasion,
            of.c.state,
            of.c.code,
            of.c.advice,
            files.c.file_name.label("file"),
            files.c.stored_as,
            files.c.received_at,
            of.c.created_at,
            of.c.day,
            of.c.period_start,
            lists.c.name.label("list"),
            of.c.rows,
            of.c.accepted,
            of.c.rejected,
            releases.c.asked_at,
            releases.c.decision,
            releases.c.decided_at,
            releases.c.actor.label("decided_by"),
            of.c.released_at,
            of.c.loaded_at,
            of.c.control_copy_at,
            of.c.canary_until,
            of.c.canary_passed_at,
            of.c.owner_dag,
            of.c.owner_run,
        )
        .join(files, files.c.id == of.c.file_id)
        .outerjoin(lists, lists.c.id == of.c.list_id)
        .outerjoin(releases, releases.c.delivery_id == of.c.id)
    )
    return dict(load_delivery(connection, delivery, wanted)._mapping)


def _messages(connection: sa.Connection, delivery: int) -> list[dict[str, Any]]:
    import sqlalchemy as sa

    from reku.store.tables import messages as of

    counted = (
        sa.select(of.c.state, of.c.reason, sa.func.count().label("count"))
        .where(of.c.delivery_id == delivery)
        .group_by(of.c.state, of.c.reason)
        .order_by(of.c.state, of.c.reason)
    )
    return [dict(row) for row in connection.execute(counted).mappings()]


def _rejects(connection: sa.Connection, delivery: int) -> list[dict[str, Any]]:
    import sqlalchemy as sa

    from reku.store.tables import rejects as of

    listed = (
        sa.select(of.c.line, of.c.reference, of.c.field, of.c.code, of.c.advice)
        .where(of.c.delivery_id == delivery)
        .order_by(of.c.line)
    )
    return [dict(row) for row in connection.execute(listed).mappings()]
