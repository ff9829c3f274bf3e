"""The form with which a run of an occasion is started by hand: its fields, and what a run was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from reku.process.run_options import RunOptions

if TYPE_CHECKING:
    from airflow.sdk import Context

_WHAT = "Was / What"
_HOW = "Wie / How"


def fields(banks: Mapping[str, str]) -> dict[str, Any]:
    """The fields, with German and English labels and help. `banks`: those to choose from, name by BLZ."""
    return {
        "day": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Tag / Day",
            section=_WHAT,
            description="Tag der Arbeit; leer: der Tag des Laufs. Bei einem Backfill leer lassen. / The day whose work"
            " is done; empty: the run's own day. Leave it empty for a backfill, or each of its runs does this one day.",
        ),
        "banks": Param(
            [],
            type="array",
            items={"type": "string"},
            title="Banken / Banks",
            section=_WHAT,
            examples=list(banks),
            values_display={blz: f"{name} ({blz})" for blz, name in banks.items()},
            description="Leer: alle Banken. / Empty: all banks.",
        ),
        "orders": Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^ *[A-Za-z0-9-]* *$"},
            title="Aufträge / Orders",
            section=_WHAT,
            description="Auftragsnummern, eine je Zeile, etwa R0000101; leer: alle. / Numbers of orders, one a line,"
            " such as R0000101; empty: all.",
        ),
        "dry_run": _switch(
            "Probelauf / Dry run",
            "Prüft, entscheidet, füllt jede Mail und zählt; sendet nichts und speichert nichts. Das Ergebnis steht im"
            " Protokoll der Aufgabe „Arbeit des Tages“. / Checks, decides, fills each mail and counts; sends nothing,"
            " keeps nothing. The result stands in the log of the task `due_work`.",
        ),
        "late": _switch(
            "Auch Verspätetes senden / Send although late",
            "Mails, deren Zeitfenster vorbei ist, gehen trotzdem hinaus; sonst gelten sie als abgelaufen. / Mails whose"
            " window has passed go out all the same; otherwise they are withheld as expired.",
        ),
        "ignore_missing": _switch(
            "Fehlende Lieferungen übergehen / Ignore missing deliveries",
            "Auf Lieferungen, die noch nicht da sind, wird nicht gewartet. / Deliveries that have not come are not"
            " waited for.",
        ),
    }


def _switch(title: str, description: str) -> Param:
    return Param(False, type="boolean", title=title, section=_HOW, description=description)


def options_of(context: Context) -> RunOptions:
    """What the task's run was asked for. Raises StageError for a bank there is not."""
    from reku.catalogue import institutes

    return RunOptions.of(context["params"], set(institutes()))
