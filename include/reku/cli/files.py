"""`reku files`: everything that arrived."""

from __future__ import annotations

from dataclasses import asdict
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
    from reku.store.states import FileVerdict
    from reku.views.file_overview import file_lines

    only = one_of(verdict, FileVerdict, "--verdict") or ""
    lines = file_lines(database(), institute, only)
    show(map(asdict, lines), as_json=as_json, nothing="No files.")
