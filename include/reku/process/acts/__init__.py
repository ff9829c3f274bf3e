"""What a person may do about a thing that needs one, as pages offer it (docs/operations.md, "Acts").

An act looks first: who is concerned, and whether it has been done already. Acts on one thing are done one at a time, so
of two people who want the same, one does it and the other hears so.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from reku.process.acts.act import Act
from reku.process.acts.on_alarms import ALARM_ACTS
from reku.process.acts.on_deliveries import DELIVERY_ACTS
from reku.process.acts.on_files import FILE_ACTS
from reku.process.acts.on_sendings import SENDING_ACTS
from reku.process.acts.on_stops import STOP_ACTS

ACTS: Mapping[str, Act] = {**DELIVERY_ACTS, **SENDING_ACTS, **STOP_ACTS, **FILE_ACTS, **ALARM_ACTS}
"""Every act on our own tables, by its name in addresses."""

_ON_DELIVERIES = ("approve", "decline", "retry", "go-on", "resolve-sent", "resolve-unsent", "close")


def acts_on_delivery(engine: sa.Engine, delivery: int) -> tuple[str, ...]:
    """Names of what can be done about a delivery as it stands. Raises StageError if there is no such delivery."""
    return tuple(name for name in _ON_DELIVERIES if ACTS[name].look(engine, str(delivery)).over is None)
