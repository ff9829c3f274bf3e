"""`reku files`: everything that arrived."""

from __future__ import annotations

from typing import Annotated

import typer

from reku.cli.database import database
from reku.cli.options import Institute, one_of
from reku.cli.output import Json, show


def files(
    institute: Institute = "",
    verdict: Annotated[
        str,
        typer.Option(
            "--verdict",
            help="Only this verdict: PROCESSED, REGISTERED, PARKED, DUPLICATE, REFUSED or UNKNOWN.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    r"""List the files that arrived, newest first.

    The verdict is what intake made of a file. UNKNOWN: no contract knows the name. Characters of a name that do not
    print are written as \x1b and the like.
    """
    import sqlalchemy as sa

    from reku.store import tables
    from reku.store.states import FileVerdict

    of = tables.files.c
    wanted = sa.select(
        of.id, of.institute, of.received_at, of.verdict, of.kind, of.file_name, of.code, of.advice, of.stored_as
    ).order_by(of.id.desc())
    if institute:
        wanted = wanted.where(of.institute == institute)
    if only := one_of(verdict, FileVerdict, "--verdict"):
        wanted = wanted.where(of.verdict == only)
    with database().connect() as connection:
        show(connection.execute(wanted).mappings(), as_json=as_json, nothing="No files.")
