"""`reku agree21`: the cooperative banks' imported data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reku.cli import prepared
from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Blz, Institute, Note, actor, blz, number
from reku.cli.output import Json, print_json, show, show_one

app = typer.Typer(
    no_args_is_help=True,
    help="Look after the data of the banks on agree21, and the keys that seal them.",
    rich_markup_mode=None,
)
app.add_typer(prepared.app, name="files")


@app.command("import")
def import_one(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Named as agreed.")],
    as_json: Json = False,
) -> None:
    """Import a file of a bank's data by hand.

    It takes the way of the bank's inbox, with all checks; what else lies there is taken in as well. The file itself
    stays where it is: remove it.

    Example: `reku agree21 import ida_kunden_99990003.csv`.
    """
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.by_hand import hand_over, institute_of
    from reku.store.states import FILE_WAS_REFUSED

    engine = database()
    report = hand_over(engine, data_bank_named(institute_of(file.name)), file)
    results = [{**asdict(result), "counts": result.counts} for result in report.outcomes]
    if as_json:
        print_json(asdict(report))
    elif report.busy:
        typer.echo("Another look at the inbox is at work and takes the file in.")
    else:
        show(results, as_json=False, nothing="Nothing was taken in.")
        if report.waiting:
            typer.echo(f"{report.waiting} files wait: for the customers of their day, or to be written to their end.")
        if report.left:
            typer.echo(f"{report.left} files are left for the next scan: this one has done what one may do.")
    for failure in report.failures:
        typer.echo(failure, err=True)
    if report.failures or any(result.verdict in FILE_WAS_REFUSED for result in report.outcomes):
        raise typer.Exit(FAULT)


@app.command("accept")
def accept_one(
    institute: Blz,
    file: Annotated[int, typer.Argument(metavar="FILE_ID", parser=number, help="Its id in `reku files list`.")],
    note: Note,
    as_json: Json = False,
) -> None:
    """Accept a doubtful snapshot.

    One that was refused since it is empty, much smaller than the one before, or lacks a column. For this one file only.

    Example: `reku agree21 accept 99990003 12 --note "bank confirms"`.
    """
    from reku.process.systems import data_bank_named
    from reku.sources.agree21.by_hand import accept

    result = accept(database(), data_bank_named(institute), file, actor=actor(), note=note)
    show_one(asdict(result), as_json=as_json)
    if result.verdict != "PROCESSED":
        raise typer.Exit(FAULT)


@app.command("status")
def status(institute: Institute = "", as_json: Json = False) -> None:
    """Show the newest import of each kind: its age and counts.

    `parked` names the codes of impulses that no campaign of the bank answers, with their number.

    Example: `reku agree21 status --institute 99990003`.
    """
    from reku.views.import_overview import newest_imports

    show(
        map(asdict, newest_imports(database(), institute)),
        as_json=as_json,
        nothing="Nothing was imported yet: `reku agree21 import FILE` does it by hand.",
    )


@app.command("placeholders")
def placeholders(
    institute: Annotated[
        str, typer.Argument(metavar="[BLZ]", callback=blz, help="Only this institute.", show_default=False)
    ] = "",
    as_json: Json = False,
) -> None:
    """List the placeholders that must be set up in VTM.

    For each the campaigns whose activities hang on it (Anlassvorlage), as the banks' files say.

    Example: `reku agree21 placeholders 99990003`.
    """
    from reku.catalogue import institutes
    from reku.process.systems import bank_named

    banks = [bank_named(institute)] if institute else [bank_named(known) for known in institutes()]
    lines = [
        {
            "institute": bank.blz,
            "placeholder": campaign.announces.placeholder,
            "order": campaign.order,
            "occasion": campaign.announces.occasion,
            "active": campaign.active,
            "campaign": campaign.name,
        }
        for bank in banks
        for campaign in bank.campaigns
        if campaign.announces
    ]
    show(
        sorted(lines, key=lambda line: (line["institute"], line["placeholder"], line["order"])),
        as_json=as_json,
        nothing="No campaign announces an order, so no placeholder is needed.",
    )


@app.command("rotate-key")
def rotate_key(as_json: Json = False) -> None:
    """Wrap all data keys with the newest key of REKU_VAULT_KEYS.

    Append a new key at the end first, everywhere. May be killed and repeated; imports may go on meanwhile. Says which
    older keys may go.

    Example: `reku agree21 rotate-key`.
    """
    from reku.vault.rotation import rotate

    result = rotate(database(), actor=actor())
    if as_json:
        print_json(asdict(result))
    else:
        typer.echo(f"{result.rewrapped} data keys wrapped anew with vault key {result.newest}.")
        for name in result.spare:
            typer.echo(f"Vault key {name} is needed by nothing any more: take it out of REKU_VAULT_KEYS.")
    for name, keys in result.unopened.items():
        typer.echo(
            f"{keys} data keys need the vault key {name}, which REKU_VAULT_KEYS does not have: put it back before "
            "the newest, then repeat this.",
            err=True,
        )
    if result.unopened:
        raise typer.Exit(FAULT)


@app.command("rotate-pseudonyms")
def rotate_pseudonyms_of(institute: Blz, as_json: Json = False) -> None:
    """Make all pseudonyms of a bank anew.

    With the newest key of REKU_PSEUDONYM_KEYS, for when one has leaked: append a new one at the end first, everywhere,
    and never take one out. One transaction, refused while somebody is at work for the bank; may be killed and repeated.
    Objections and blocking periods stay.

    Example: `reku agree21 rotate-pseudonyms 99990003`.
    """
    from reku.vault.pseudonym_rotation import rotate_pseudonyms

    result = rotate_pseudonyms(database(), institute, actor=actor())
    if as_json:
        print_json(asdict(result))
        return
    typer.echo(f"The pseudonyms of institute {institute} are made with key {result.version} now.")
    show(
        ({"table": table, "rows": rows} for table, rows in result.rewritten.items() if rows),
        as_json=False,
        nothing="No row held one.",
    )
