"""`reku why`: what became of one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reku.cli.database import database
from reku.cli.options import Institute
from reku.cli.output import Json, print_json, show_one

if TYPE_CHECKING:
    import sqlalchemy as sa

    from reku.views.trace import Trace


def why(
    reference: Annotated[str, typer.Argument(metavar="REFERENZ", help="Referenz of the row.")],
    institute: Institute = "",
    as_json: Json = False,
) -> None:
    """Say what became of one row.

    File and line, the gate's verdict, when it is due, state, all reasons for not sending it, tries and the mail
    server's last answer, what an unfinished one waits for (`next`); then its life in the order of time, with its
    events and the response files that tell them, and the mails of the return mailbox about it (`reku bounces show`
    writes one to a file). Rows that share a Referenz are all shown. Exits with 1 if no row has it.

    Example: `reku why R0000101-000001-00001`.
    """
    from reku.views.trace import traces

    engine = database()
    rows = [_told(engine, trace) for trace in traces(engine, reference, institute)]
    if as_json:
        print_json(rows)
        return
    for number, row in enumerate(rows):
        if number:
            typer.echo("")
        # the life tells these, and in their place
        told = {name: value for name, value in row.items() if name not in ("events", "by_hand")}
        show_one(told | {"reasons": _in_words(row["reasons"])}, as_json=False)


def _told(engine: sa.Engine, trace: Trace) -> dict[str, Any]:
    from reku.dispatch.pending import waits_for
    from reku.views.history import history

    told = asdict(trace)
    lists = {name: told.pop(name) for name in ("events", "by_machines", "by_hand", "mails")}
    message = told.pop("message")
    following = "" if message is None else waits_for(engine, message)
    return told | {"next": following} | lists | {"life": [asdict(step) for step in history(trace)]}


def _in_words(reasons: Sequence[str]) -> str:
    from reku.contact.reasons import Reason

    return "; ".join(f"{code} ({Reason(code).meaning})" for code in reasons)
