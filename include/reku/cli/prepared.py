"""`reku agree21 files`: prepared files, which a person of the bank fetches."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.group import FAULT
from reku.cli.options import Blz, Id, Institute
from reku.cli.output import Json, print_json, show, show_one

app = typer.Typer(
    no_args_is_help=True,
    help="Prepared files: what waits for the bank, or for a system of its, to fetch it.",
    rich_markup_mode=None,
)


@app.command("list")
def list_prepared(
    institute: Institute = "",
    open_only: Annotated[bool, typer.Option("--open", help="Only those that may be fetched.")] = False,
    as_json: Json = False,
) -> None:
    """List prepared files, newest first.

    States: prepared (nobody has taken it), fetched, acknowledged, expired (nobody had taken it when its last day
    ended). A fetched file may be fetched again for REKU_KEEP_FETCHED_HOURS.

    Example: `reku agree21 files list --open`.
    """
    from reku.views.prepared_overview import prepared_files_of

    lines = prepared_files_of(database(), institute, fetchable=open_only)
    show(map(asdict, lines), as_json=as_json, nothing="No prepared files.")


@app.command("prepare")
def prepare(institute: Blz, as_json: Json = False) -> None:
    """Prepare a bank's files of the day now.

    By itself the DAG `reku_agree21_files` does so each morning. A newer file takes the place of those of its kind that
    nobody has fetched.

    Example: `reku agree21 files prepare 99990003`.
    """
    from reku.foundation import clock
    from reku.process.daily_files import prepare_now
    from reku.process.systems import data_bank_named

    done = prepare_now(database(), data_bank_named(institute), clock.today(), again=True)
    if as_json:
        print_json(asdict(done))
    else:
        show_one(dict(done.counts), as_json=False)
        for problem in done.problems:
            typer.echo(problem, err=True)
    if done.problems:
        raise typer.Exit(FAULT)


@app.command("fetch")
def fetch_prepared(
    institute: Blz,
    file: Id,
    who: Annotated[
        str, typer.Option("--who", prompt="Who is fetching (name, kept in the audit)", help="Who is fetching.")
    ],
    into: Annotated[
        Path, typer.Option("--into", file_okay=False, help="Folder to write into; it must exist.")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Fetch a prepared file.

    It is made now, with clear person numbers, and once it is written its messages count as sent. Who fetched what and
    when is kept.
    Repeated, the same bytes come out. A file of that name is never overwritten.

    Example: `reku agree21 files fetch 99990003 12 --who "Anna Muster" --into .`.
    """
    from reku.foundation.errors import StageError
    from reku.pickup.take import make_file, note_fetched
    from reku.process.systems import FILE_FORMATS, bank_named

    if not who.strip():
        raise typer.BadParameter("say who is fetching", param_hint="--who")
    if not into.is_dir():
        raise typer.BadParameter(f"there is no folder {into}", param_hint="--into")
    engine, bank = database(), bank_named(institute)
    taken = make_file(engine, bank, FILE_FORMATS, file)
    written = []
    for name, data in taken.files.items():
        path = into / name
        try:
            with path.open("xb") as out:
                out.write(data)
        except FileExistsError:
            raise StageError(f"{path} is there already. Give another folder (--into), then fetch it again.") from None
        written.append(str(path))
    first = note_fetched(engine, bank, FILE_FORMATS, taken, actor=who.strip())
    if as_json:
        print_json({"id": taken.id, "files": written, "first": first})
    else:
        show(({"file": path} for path in written), as_json=False, nothing="Nothing was written.")
