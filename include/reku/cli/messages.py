"""`reku messages`: the ledger, and what only a person can decide in it."""

from __future__ import annotations

from dataclasses import asdict
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
            help="Only this state: OPEN, CLAIMED, SENT, WITHHELD, REJECTED, UNDELIVERED or IN_DOUBT.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 200,
    as_json: Json = False,
) -> None:
    """List messages by Referenz, newest first.

    When each is due, how it ended and why.

    Example: `reku messages list --order R0000101 --state REJECTED`.
    """
    from reku.store.states import MessageState
    from reku.views.message_overview import message_lines

    only = one_of(state, MessageState, "--state") or ""
    lines = message_lines(database(), institute, order, only, limit)
    show(map(asdict, lines), as_json=as_json, nothing="No messages.")


@app.command("key-bound")
def key_bound(as_json: Json = False) -> None:
    """Tell what to note behind an old key of REKU_TOKEN_KEYS.

    From the message with this id on nothing has been signed with it, if all workers sign with the new key by now. With
    `old@ID,new` whoever has stolen the old key can unsubscribe nobody who is mailed from now on.

    Example: `reku messages key-bound`.
    """
    from reku.views.message_overview import next_message_id

    bound = next_message_id(database())
    if as_json:
        print_json({"bound": bound})
    else:
        typer.echo(f"@{bound}")


@app.command("in-doubt")
def list_in_doubt(as_json: Json = False) -> None:
    """List the messages in doubt.

    Their hand-over was begun, or may have been, and the mail server's answer was never recorded. Look them up in its
    log by Message-ID or by how their return path begins, then say what you found with `reku messages resolve`. Those
    settled by "dispatch" (policy resend) are sent again by the next one, with the same Message-ID.

    Example: `reku messages in-doubt --json`.
    """
    from reku.dispatch.doubt import in_doubt

    rows = (asdict(doubt) for doubt in in_doubt(database()))
    listed = [{"order" if name == "order_number" else name: value for name, value in row.items()} for row in rows]
    show(listed, as_json=as_json, nothing="No messages in doubt.")


@app.command("resolve")
def resolve_doubt(
    institute: Annotated[str, typer.Argument(metavar="BLZ", callback=blz, help="The institute.")],
    note: Annotated[str, typer.Option("--note", help="How you know; kept in the audit. No personal data.")],
    reference: Annotated[
        str, typer.Argument(metavar="REFERENZ", help="Referenz of the message.", show_default=False)
    ] = "",
    sent: Annotated[
        bool | None, typer.Option("--sent/--not-sent", help="What the mail server's log says.", show_default=False)
    ] = None,
    delivery: Annotated[
        int | None,
        typer.Option(
            "--delivery", metavar="ID", help="Its delivery, if several have the Referenz.", show_default=False
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All in doubt of --delivery ID, as after the loss of a machine.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Close messages in doubt as sent or as not sent.

    One by its Referenz, or with --all those of a delivery. They are never sent again. The bank is told by response
    file.

    Example: `reku messages resolve 99990001 R0000101-000001-00001 --sent --note "log of the relay"`.
    """
    from reku.dispatch.doubt import resolve, resolve_all

    if sent is None:
        raise typer.BadParameter("say --sent or --not-sent: what the mail server's log says of it")
    count = 1
    if every and delivery is not None and not reference:
        count = resolve_all(database(), institute, delivery, sent=sent, actor=actor(), note=note)
    elif reference and not every:
        resolve(database(), institute, reference, sent=sent, actor=actor(), note=note, delivery=delivery)
    else:
        raise typer.BadParameter("give the REFERENZ of one message, or --delivery ID with --all")
    outcome = "sent" if sent else "not sent"
    if as_json:
        named = {"delivery": delivery} if every else {"reference": reference}
        print_json({"institute": institute, **named, "closed_as": outcome, "count": count})
    elif every:
        typer.echo(f"{count} messages of delivery {delivery} are closed as {outcome}.")
    else:
        typer.echo(f"{institute} {reference} is closed as {outcome}.")
