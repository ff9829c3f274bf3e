"""All commands of `reku` under one roof."""

from __future__ import annotations

import typer

from reku.cli import (
    agree21,
    alarms,
    bench,
    bounces,
    check,
    deliveries,
    emma,
    feedback,
    files,
    funnel,
    institutes,
    media,
    messages,
    occasions,
    orders,
    person,
    preview,
    rhythms,
    run,
    run_day,
    selection,
    stop,
    suppressions,
    today,
    why,
)
from reku.cli.group import Commands

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: it reads the same in a terminal, a pipe and docs/commands.md
    pretty_exceptions_enable=False,  # rich would show local variables, and with them people's data
    context_settings=SETTINGS,
    help="Runs the set-up and answers an operator's questions. Codes, ids and counts only: no personal data is shown. "
    "Exit codes: 0 fine, 1 a fault or a refusal, 2 wrong usage, 130 stopped by Ctrl-C.",
)

app.command("up")(run.up)
app.command("demo")(run.demo)
app.command("run")(run_day.run)
app.command("today")(today.today)
app.add_typer(alarms.app, name="alarms")
app.add_typer(rhythms.app, name="rhythms")
app.command("check")(check.check)
app.add_typer(institutes.app, name="institutes")
app.command("occasions")(occasions.occasions)
app.command("orders")(orders.orders)
app.command("lists")(orders.lists)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(files.app, name="files")
app.add_typer(messages.app, name="messages")
app.add_typer(stop.app, name="stop")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(person.app, name="person")
app.add_typer(bounces.app, name="bounces")
app.command("why")(why.why)
app.command("funnel")(funnel.funnel)
app.add_typer(feedback.app, name="feedback")
app.add_typer(agree21.app, name="agree21")
app.add_typer(emma.app, name="emma")
app.add_typer(selection.app, name="selection")
app.add_typer(media.app, name="media")
app.command("preview")(preview.preview)
app.command("test-send")(preview.send_to_colleagues)
app.command("bench")(bench.bench)
