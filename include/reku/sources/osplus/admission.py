"""What may become of a delivery: its order, its control state, its number (docs/domain.md, "Control files")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.foundation import clock
from reku.records import Fault, FaultCode
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.receipts import Line, Status, refusal
from reku.sources.osplus import order_changes
from reku.store.states import WAS_TAKEN_IN, DeliveryState, FileVerdict
from reku.store.tables import control_files, deliveries

CONTROL_FILE = {"REKU": "vreku", "IAMW": "viam"}
"""Dateiart of deliveries → what the control files of their orders are called."""
_NAME_FIELD = {"REKU": "Auftragsbezeichnung", "IAMW": "Bezeichnung der Ansprache"}
_TEAM = {"BANK": "EMMA-Support", "AUTKA": "AutKA-Team"}
_VERDICT = {
    DeliveryState.REGISTERED: FileVerdict.REGISTERED,
    DeliveryState.PARKED: FileVerdict.PARKED,
    DeliveryState.REFUSED: FileVerdict.REFUSED,
}


@dataclass(frozen=True)
class Key:
    """What tells a delivery from all others. `kind` is REKU or IAMW."""

    institute: str
    kind: str
    order_number: str
    number: int

    def same_order(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Conditions for all deliveries of the same order."""
        return (
            deliveries.c.institute == self.institute,
            deliveries.c.contract == self.kind,
            deliveries.c.order_number == self.order_number,
        )


@dataclass(frozen=True)
class AdmissionDecision:
    """What becomes of a delivery: its state, the faults (or a warning) behind it, and its order if it has one."""

    state: DeliveryState
    faults: tuple[Fault, ...] = ()
    order: sa.Row[Any] | None = None

    @property
    def code(self) -> str:
        """The first fault's code, or empty."""
        return self.faults[0].code if self.faults else ""

    @property
    def advice(self) -> str:
        """The first fault's German advice, or empty."""
        return self.faults[0].advice if self.faults else ""

    def ruling(self) -> FileDecision:
        """What this means for the file."""
        receipt: tuple[Line, ...] = ()
        if self.state == DeliveryState.REFUSED:
            receipt = refusal(self.faults)
        elif self.state == DeliveryState.PARKED:
            receipt = (Line(Status.GEPARKT, self.code, self.advice),)
        return FileDecision(_VERDICT[self.state], self.code, self.advice, receipt)


def decide_admission(connection: sa.Connection, key: Key, created_at: datetime) -> AdmissionDecision:
    """PARKED without a processed control file, REFUSED after the order's end, else REGISTERED (a gap only warns)."""
    order = order_of(connection, key)
    if order is None or order.faulty:
        return AdmissionDecision(DeliveryState.PARKED, (missing_control(connection, key),), order)
    if order.ended or (order.valid_until and clock.berlin(created_at).date() > order.valid_until):
        how = "beendet" if order.ended else f"am {order.valid_until:%d.%m.%Y} ausgelaufen"
        advice = f"Der Auftrag ist {how}. Für weitere Lieferungen den Auftrag in OSPlus ändern oder neu anlegen."
        return AdmissionDecision(DeliveryState.REFUSED, (Fault(FaultCode.AUFTRAG_BEENDET, advice=advice),), order)
    return AdmissionDecision(DeliveryState.REGISTERED, _gap(connection, key), order)


def order_of(connection: sa.Connection, key: Key) -> sa.Row[Any] | None:
    """The order that these deliveries belong to, if a control file of their interface was ever processed."""
    order = order_changes.find(connection, key.institute, key.order_number)
    return order if order is not None and order.interface == key.kind else None


def missing_control(connection: sa.Connection, key: Key) -> Fault:
    """Why deliveries of this order are parked, with the cure (docs/domain.md, "Control files")."""
    order = order_of(connection, key)
    last = connection.execute(
        sa.select(control_files.c.processed)
        .where(
            control_files.c.institute == key.institute,
            control_files.c.order_number == key.order_number,
            control_files.c.kind == CONTROL_FILE[key.kind].upper(),
        )
        .order_by(control_files.c.created_at.desc(), control_files.c.id.desc())
        .limit(1)
    ).scalar()
    faulty = order.faulty if order is not None else last is False
    team = _TEAM[order.origin] if order is not None else "EMMA-Support, bei AutKA-Lieferungen AutKA-Team"
    advice = (
        f"{'Fehlerhafte' if faulty else 'Keine'} Steuerungsdatei {CONTROL_FILE[key.kind]}. {_NAME_FIELD[key.kind]} im "
        f"Vertriebsweg EMMA einmal ändern, ohne Umlaute und Leerzeichen. Hilfe: {team}"
    )
    return Fault(FaultCode.STEUERUNG_FEHLERHAFT if faulty else FaultCode.STEUERUNG_FEHLT, advice=advice)


def _gap(connection: sa.Connection, key: Key) -> tuple[Fault, ...]:
    """A warning if numbers before this one are missing. A lower number that comes late is no gap."""
    last = connection.execute(
        sa.select(sa.func.max(deliveries.c.delivery_number)).where(
            *key.same_order(), deliveries.c.state.in_(WAS_TAKEN_IN)
        )
    ).scalar_one()
    if last is None or key.number <= last + 1:
        return ()
    advice = f"Vor {key.number:06d} fehlen Lieferungen ab {last + 1:06d}. Fehlende Nummern nachliefern."
    return (Fault(FaultCode.NUMMERNLUECKE, advice=advice),)
