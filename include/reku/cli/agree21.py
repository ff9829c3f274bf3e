"""`reku agree21`: the cooperative banks' imported data."""

from __future__ import annotations

from dataclasses import asdict

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import actor
from reku.cli.output import Json, print_json

app = typer.Typer(
    no_args_is_help=True,
    help="Look after the data of the banks on agree21, and the keys that seal them.",
    rich_markup_mode=None,
)


@app.command("rotate-key")
def rotate_key(as_json: Json = False) -> None:
    """Wrap all data keys with the newest key of REKU_VAULT_KEYS.

    Append a new key at the end first, everywhere. May be killed and repeated; imports may go on meanwhile. Says which
    older keys may go.
    """
    from reku.vault.rotation import rotate

    result = rotate(database(), actor=actor())
    if as_json:
        print_json(asdict(result))
    else:
        typer.echo(f"{result.rewrapped} data keys wrapped anew with vault key {result.newest}.")
        for name in result.spare:
            typer.echo(f"Vault key {name} is needed by nothing any more: take it out of REKU_VAULT_KEYS.")
    for name, number in result.unopened.items():
        typer.echo(
            f"{number} data keys need the vault key {name}, which REKU_VAULT_KEYS does not have: put it back before "
            "the newest, then repeat this.",
            err=True,
        )
    if result.unopened:
        raise typer.Exit(FAULT)
