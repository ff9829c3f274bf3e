"""`reku feedback`: the response files, as they were made and made again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Institute, OneInstitute, actor, number
from reku.cli.output import Json, print_json, show, show_one

app = typer.Typer(no_args_is_help=True, help="Response files: what was reported.", rich_markup_mode=None)

Number = Annotated[int, typer.Argument(metavar="NUMBER", parser=number, help="Number of the response file.")]


@app.command("list")
def list_files(institute: Institute = "", as_json: Json = False) -> None:
    """List the response files, newest first.

    One without `written_at` is finished by the next export.

    Example: `reku feedback list --institute 99990001`.
    """
    from reku.views.feedback_overview import feedback_file_lines

    show(map(asdict, feedback_file_lines(database(), institute)), as_json=as_json, nothing="No response files.")


@app.command("show")
def show_file(number: Number, institute: OneInstitute, as_json: Json = False) -> None:
    """Show one response file.

    How many events of each kind stand in it, and when it was written.

    Example: `reku feedback show 4 --institute 99990001`.
    """
    from reku.views.feedback_overview import feedback_file_details

    details = asdict(feedback_file_details(database(), institute, number))
    show_one(details | {"events": list(details["events"])}, as_json=as_json)


@app.command("rebuild")
def rebuild_file(
    number: Number,
    institute: OneInstitute,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write it here; into this folder if it is one.", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Put it into the outbox once more.")] = False,
    as_json: Json = False,
) -> None:
    """Make a response file again from its rows.

    The bytes are held against those that were written. Its content is not shown, since it holds person numbers; --out
    writes it, readable for you alone. --again puts the same bytes into the outbox under the same name, for a receiver
    who has lost the file; it is put on record. Exits with 1 if it would come out differently.

    Example: `reku feedback rebuild 4 --institute 99990001 --out again.csv`.
    """
    import hashlib

    from reku.process.systems import bank_named, system_of
    from reku.reporting.export import rebuild, send_again

    engine, bank = database(), bank_named(institute)
    feedback = system_of(bank).feedback
    made = (
        send_again(engine, bank, feedback, number, actor=actor()) if again else rebuild(engine, bank, feedback, number)
    )
    if out is not None:
        _keep(out, made)
    sent, data = ", ".join(made) if again else "", b"".join(made.values())
    sha256 = hashlib.sha256(data).hexdigest()
    if as_json:
        print_json(
            {"institute": institute, "number": number, "bytes": len(data), "sha256": sha256, "put_to": sent or None}
        )
    else:
        place = (f", written to {out}" if out else "") + (f", put to {sent}" if sent else "")
        typer.echo(f"Response file {number:06d} of {institute}: {len(data)} bytes, SHA-256 {sha256}{place}")


def _keep(out: Path, made: dict[str, bytes]) -> None:
    """Write the files of a report, readable for this account alone. Raises SetupError for several without a folder."""
    import os

    from reku.foundation.errors import SetupError

    if len(made) > 1 and not out.is_dir():
        raise SetupError(f"This report consists of {len(made)} files: --out must name a folder that exists.")
    for name, data in made.items():
        place = out / Path(name).name if out.is_dir() else out
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # also where the file was there before
            file.write(data)
