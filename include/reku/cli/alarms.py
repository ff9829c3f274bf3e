"""`reku alarms`: who looks after what needs a person, and what nobody wants to be told of for a while."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Id, Institute, Note, actor
from reku.cli.output import Json, print_json, show
from reku.foundation import clock

app = typer.Typer(
    no_args_is_help=True,
    help="Take what needs a person, or silence it for a while.",
    rich_markup_mode=None,
)

_Why = Annotated[str, typer.Option("--note", help="What for; kept in the audit. No personal data.")]


@app.command("list")
def list_alarms(institute: Institute = "", as_json: Json = False) -> None:
    """List what people are told of.

    Which team is told, who has taken it, what is silent until when, and why.

    `reku today` says of each what happened and what to do.

    Example: `reku alarms list --institute 99990001`.
    """
    from reku.process.alarming.looking_after import open_alarms

    found = open_alarms(database(), institute)
    rows = [asdict(state) for state in found]
    if not as_json:  # bank and order stand in `about`; when it was seen tells less than when people were told
        hidden = ("cause", "institute", "seen_at")
        rows = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
    show(rows, as_json=as_json, nothing="Nothing needs a person.")


@app.command("take")
def take_alarm(alarm: Id, note: _Why = "", as_json: Json = False) -> None:
    """Take an alarm, so that no further team is told.

    Your name stands beside it.

    Exits with 1 if somebody else has taken it, or it is over.

    Example: `reku alarms take 12 --note "on the phone with the bank"`.
    """
    from reku.process.acts import ACTS
    from reku.process.acts.act import carry_out
    from reku.process.alarming.looking_after import cause_of

    engine = database()
    result = carry_out(engine, ACTS["take"], cause_of(engine, alarm), actor=actor(), note=note)
    if as_json:
        print_json({"id": alarm, "taken": result.done, "said": result.said.english})
    else:
        typer.echo(result.said.english, err=not result.done)
    if not result.done:
        raise typer.Exit(FAULT)


@app.command("silence")
def silence_alarm(
    alarm: Id,
    until: Annotated[
        datetime,
        typer.Option(
            "--until",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"],
            metavar="YYYY-MM-DD[THH:MM]",
            help="Berlin time; a day begins at 00:00.",
        ),
    ],
    note: Note,
    as_json: Json = False,
) -> None:
    """Let nobody be told of it until then.

    What is still there afterwards is told anew.

    It stays on the list. Silencing again moves the end.

    Example: `reku alarms silence 12 --until 2026-12-07 --note "the bank corrects it on Friday"`.
    """
    from reku.process.alarming.looking_after import cause_of, silence

    engine, end = database(), _berlin(until)
    silence(engine, cause_of(engine, alarm), end, actor=actor(), note=note)
    if as_json:
        print_json({"id": alarm, "silent_until": end})
    else:
        typer.echo(f"Nobody is told of alarm {alarm} until {clock.berlin(end):%d.%m.%Y %H:%M}.")


@app.command("unsilence")
def unsilence_alarm(alarm: Id, note: Note, as_json: Json = False) -> None:
    """Let people be told of it again.

    Example: `reku alarms unsilence 12 --note "not corrected after all"`.
    """
    from reku.process.alarming.looking_after import cause_of, unsilence

    engine = database()
    unsilence(engine, cause_of(engine, alarm), actor=actor(), note=note)
    if as_json:
        print_json({"id": alarm, "silent_until": None})
    else:
        typer.echo(f"People are told of alarm {alarm} again.")


def _berlin(local: datetime) -> datetime:
    return clock.at(date(local.year, local.month, local.day), local.hour, local.minute)
