"""`reku selection`: whom an occasion's rule selects, before anybody is written to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Blz
from reku.cli.output import Json, print_json, show

if TYPE_CHECKING:
    from reku.catalogue.occasion import Occasion
    from reku.catalogue.selection import Selection

app = typer.Typer(
    no_args_is_help=True,
    help="Look at the rules by which people of imported data are selected. Nothing is selected or sent by it.",
    rich_markup_mode=None,
)

Code = Annotated[str, typer.Argument(metavar="OCCASION", help="Code of the occasion, such as MCAG002.")]
PlanFor = Annotated[
    str | None,
    typer.Option("--plan", metavar="BLZ", help="Show the plan for the data of that bank.", show_default=False),
]
Day = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], help="As if it were that day; else today.", show_default=False),
]


@app.command("explain")
def explain(occasion: Code, plan_for: PlanFor = None, as_json: Json = False) -> None:
    """Say in a German sentence whom an occasion selects.

    And show the statement that asks the database for them, with its values. With --plan also how the database would go
    about it today among the data of a bank; it is not carried out.

    Example: `reku selection explain MCAG002 --plan 99990003`.
    """
    from reku.foundation import clock
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.rule_text import sentence
    from reku.sources.agree21.selecting import statement_plan, statement_text

    found, rule = _rule(occasion)
    told = {
        "occasion": found.code,
        "title": found.title,
        "rule": sentence(rule, found.window),
        "sql": statement_text(rule, found.window),
    }
    if plan_for is not None:
        blz = data_bank_named(plan_for).blz
        with database().connect() as connection:
            told["plan"] = "\n".join(statement_plan(connection, rule, found.window, blz, clock.today()))
    if as_json:
        print_json(told)
    else:
        parts = [f"{found.code} {found.title}", *(told[name] for name in ("rule", "sql", "plan") if name in told)]
        typer.echo("\n\n".join(parts))


@app.command("try")
def try_rule(occasion: Code, institute: Blz, day: Day = None, as_json: Json = False) -> None:
    """Count whom an occasion would select of a bank's data.

    Without any effect: for each order the pairs of person and Anlass_Datum whose window is open (matched), how many of
    them a run would select, and what keeps the others out; they add up.

    Example: `reku selection try MCAG002 99990003`.
    """
    from reku.foundation import clock
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.trial import trial

    found, rule = _rule(occasion)
    when = day.date() if day else clock.today()
    rows = trial(database(), data_bank_named(institute), found.code, rule, found.window, when)
    show(rows, as_json=as_json, nothing="No orders.")


@app.command("why")
def why_person(occasion: Code, institute: Blz, day: Day = None, as_json: Json = False) -> None:
    """Show why an occasion selects a person, or does not.

    The person number is asked for and not shown: the clear one, where pseudonyms are kept too. Shows the rule as a tree
    with ✓, ✗ or ? (unknown) and the person's values, for each holding or impulse that the person has; then for each
    order the messages that the person has, and what speaks against a mail. Without any effect.

    Example: `reku selection why MCAG002 99990003`.
    """
    from reku.foundation import clock
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.announcing import announcing
    from reku.sources.agree21.why import why
    from reku.sources.agree21.why_order import why_orders
    from reku.vault.pseudonyms import name_in_tables

    found, rule = _rule(occasion)
    bank = data_bank_named(institute)
    codes = [code for campaign in announcing(bank, found.code) for code in campaign.impulses]
    engine, when = database(), day.date() if day else clock.today()
    with engine.connect() as connection:
        person = name_in_tables(connection, institute, _asked_for("Person number"))
    trees = why(engine, rule, found.window, institute, person, when, codes)
    trees += why_orders(engine, bank, found.code, rule, found.window, person, when)
    if as_json:
        print_json([asdict(tree) for tree in trees])
        return
    for tree in trees:
        for line in tree.lines():
            typer.echo(line)


@app.command("diff")
def diff(occasion: Code, institute: Blz, day: Day = None, as_json: Json = False) -> None:
    """Count who has come and gone since the last selection.

    In numbers only, a row for each order: of the pairs of person and Anlass_Datum that it selected those that the rule
    matches still (stayed), and why the others are gone; of those that it matches now, why they have come.

    Example: `reku selection diff MCAG002 99990003`.
    """
    from reku.foundation import clock
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.since_last import since_last

    found, rule = _rule(occasion)
    when = day.date() if day else clock.today()
    rows = since_last(database(), data_bank_named(institute), found.code, rule, found.window, when)
    show(
        map(asdict, rows),
        as_json=as_json,
        nothing=f"No campaign of institute {institute} has announced {found.code} yet.",
    )


def _asked_for(what: str) -> str:
    """What a person types, unseen: it shall stand in no history and on no screen."""
    return str(typer.prompt(what, hide_input=True, err=True)).strip()


def _rule(code: str) -> tuple[Occasion, Selection]:
    """The occasion and its rule. Raises StageError if there is no such occasion, or it selects nobody."""
    from reku.catalogue import occasions
    from reku.catalogue.selection import Selection
    from reku.foundation.errors import StageError, suggest

    known = occasions()
    if code.upper() not in known:
        near = suggest(code.upper(), known)
        raise StageError(f"There is no occasion {code}." + (f" Did you mean {near}?" if near else ""))
    occasion = known[code.upper()]
    if isinstance(occasion.selection, Selection):
        return occasion, occasion.selection
    why = f": {occasion.selection.why}" if occasion.selection else ": its file has no `selection`"
    raise StageError(f"{occasion.code} selects nobody{why}.")
