"""The quality gate; the sender is told what was rejected, and the delivery's report is made."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.gate import gate
from reku.process.answers import Answer, Done
from reku.process.banks import label_of
from reku.process.systems import system_of_delivery
from reku.release.report import write_report_or_warn


def carry_out(engine: sa.Engine, delivery: int, day: date) -> Answer:  # noqa: ARG001 - see Stage
    """Judge the delivery's rows. Raises StageError when it is refused as a whole."""
    source = system_of_delivery(engine, delivery).source
    result = gate.validate(engine, delivery, source.read_rows)
    source.tell_rejected(engine, delivery)
    write_report_or_warn(engine, delivery)
    if result.refused:
        raise StageError(
            f"{label_of(engine, delivery)}: refused as a whole ({result.code}: {result.advice}). The receipt names "
            "each bad row. Ask the sender for a corrected file with the same number."
        )
    return Done({"rows": result.rows, "accepted": result.accepted, "rejected": result.rejected})
