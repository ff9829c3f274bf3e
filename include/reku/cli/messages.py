"""`reku messages`: the ledger, and what only a person can decide in it."""

from __future__ import annotations

from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Institute, Order, actor, blz, one_of
from reku.cli.output import Json, print_json, show

app = typer.Typer(no_args_is_help=True, help="Messages: the ledger, and those in doubt.", rich_markup_mode=None)


@app.command("list")
def list_messages(
    institute: Institute = "",
    order: Order = "",
    state: Annotated[
        str,
        typer.Option(
            "--state",
            help="Only this state: OPEN, CLAIMED, BEGUN, SENT, WITHHELD, REJECTED, UNDELIVERED or IN_DOUBT.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """List messages by Referenz, newest first.

    When each is due, how it ended and why.
    """
    import sqlalchemy as sa

    from reku.store import tables

    of = tables.messages.c
    wanted = (
        sa.select(
            of.institute,
            tables.orders.c.order_number.label("order"),
            of.delivery_number.label("number"),
            of.reference,
            of.due_at,
            of.state,
            of.reason,
            of.medium,
            of.answer,
            of.ended_at,
        )
        .join(tables.orders, tables.orders.c.id == of.order_id)
        .order_by(of.id.desc())
        .limit(limit)
    )
    if institute:
        wanted = wanted.where(of.institute == institute)
    if order:
        wanted = wanted.where(tables.orders.c.order_number == order)
    if only := one_of(state, tables.MessageState, "--state"):
        wanted = wanted.where(of.state == only)
    with database().connect() as connection:
        show(connection.execute(wanted).mappings(), as_json=as_json, nothing="No messages.")


@app.command("in-doubt")
def in_doubt(as_json: Json = False) -> None:
    """List the messages in doubt.

    They were handed to the mail server, and its answer was never recorded. Look their Message-ID up in the mail
    server's log, then say what you found with `reku messages resolve`.
    """
    from reku.mailing.doubt import in_doubt as of_ledger

    show((row._asdict() for row in of_ledger(database())), as_json=as_json, nothing="No messages in doubt.")


@app.command("resolve")
def resolve(
    institute: Annotated[str, typer.Argument(metavar="BLZ", callback=blz, help="The institute.")],
    reference: Annotated[str, typer.Argument(metavar="REFERENZ", help="Referenz of the message.")],
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What the mail server's log says.")],
    note: Annotated[str, typer.Option("--note", help="How you know; kept in the audit. No personal data.")],
    delivery: Annotated[
        int | None,
        typer.Option(
            "--delivery", metavar="ID", help="Its delivery, if several have the Referenz.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Close a message in doubt as sent or as not sent.

    It is never sent again. The bank is told by response file.
    """
    from reku.mailing.doubt import resolve as close

    close(database(), institute, reference, sent=sent, actor=actor(), note=note, delivery=delivery)
    outcome = "sent" if sent else "not sent"
    if as_json:
        print_json({"institute": institute, "reference": reference, "closed_as": outcome})
    else:
        typer.echo(f"{institute} {reference} is closed as {outcome}.")
