"""The gate of one delivery: rows that may become messages go on, the others back to the sender.

A delivery passes once. Everything the gate finds is written in one transaction, so that a delivery is either judged
as a whole or not at all; asked again, it answers with what it wrote.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from reku.catalogue import Institute, institutes, media
from reku.catalogue.rhythm import Rhythm
from reku.foundation import clock
from reku.foundation.clock import berlin
from reku.foundation.errors import StageError
from reku.gate.metrics import measure
from reku.gate.predicates import Expected
from reku.gate.rule_files import rules_for
from reku.gate.rules import Rule, way_out_rules
from reku.gate.suite import Finding, find_breaches
from reku.records import FaultCode, Rows
from reku.records.delivered_row import DeliveredRow, row_reader
from reku.records.faults import LONGEST_ADVICE
from reku.store.bulk import copy_rows
from reku.store.delivery import load_delivery
from reku.store.kinds import SealedKind, Severity
from reku.store.states import WENT_THROUGH_THE_GATE, DeliveryState
from reku.store.tables import deliveries, delivery_rows, orders, rejects, rule_counts
from reku.vault.day_keys import seal_of_day
from reku.vault.sealed_rows import close
from reku.vault.sealing import Seal

logger = logging.getLogger(__name__)

LONGEST_REFERENCE = 40
"""Characters of `Referenz` in a receipt; a longer one is a fault of its own."""


@dataclass(frozen=True)
class GateResult:
    """What the gate made of a delivery: rows = accepted + rejected.

    A refused delivery has no accepted rows; `code` and `advice` (German) say why. `warnings` are English sentences
    with counts; a delivery that was judged before has none.
    """

    delivery: int
    rows: int
    accepted: int
    rejected: int
    refused: bool
    warnings: tuple[str, ...] = ()
    code: str = ""
    advice: str = ""


def validate(engine: sa.Engine, delivery_id: int, read_rows: Callable[[sa.Engine, int], Rows]) -> GateResult:
    """Judge a REGISTERED delivery and write its accepted rows and rejects; one that was judged before answers at once.

    `read_rows` gives its rows as its source has them.

    Afterwards the delivery is VALIDATED, or REFUSED when more rows than allowed are bad or a rule of severity `refuse`
    is broken. Of a refused one only the rejects are kept, for the receipt.

    Raises StageError if there is no such delivery, if it is parked, if its original is gone or changed, or if GX
    failed; ConfigError for a broken contract, rule, institute or medium file. Nothing is written then.
    """
    delivery = _delivery(engine, delivery_id)
    if (known := _known(delivery)) is not None:
        return known
    delivered = read_rows(engine, delivery_id)
    rules = (
        *rules_for(delivered.contract, delivery.order_occasion),
        *way_out_rules(delivered.contract, _institute(delivery).response.encoding),
    )
    findings = find_breaches(delivered.columns, delivered.rows, delivered.lines, rules, _expected(delivery))
    return _write(engine, delivery, delivered, findings)


def _delivery(engine: sa.Engine, delivery_id: int) -> sa.Row[Any]:
    """The delivery with its order's occasion and rhythm. Raises StageError if it is unknown or parked."""
    with engine.connect() as connection:
        delivery = load_delivery(
            connection,
            delivery_id,
            sa.select(
                deliveries,
                orders.c.occasion.label("order_occasion"),
                orders.c.rhythm.label("order_rhythm"),
            ).outerjoin(orders, orders.c.id == deliveries.c.order_id),
        )
    if delivery.state == DeliveryState.PARKED or (
        delivery.state == DeliveryState.REGISTERED and delivery.order_id is None
    ):
        raise StageError(
            f"Delivery {delivery_id} of order {delivery.order_number} waits for a processed control file."
            " Have the sender change the order's name once, so that the control file is sent again."
        )
    return delivery


def _known(delivery: sa.Row[Any]) -> GateResult | None:
    """What was found when the delivery was judged before, or None if it was not."""
    counts = (delivery.rows or 0, delivery.accepted or 0, delivery.rejected or 0)
    if delivery.state == DeliveryState.REFUSED:
        return GateResult(delivery.id, *counts, refused=True, code=delivery.code, advice=delivery.advice)
    if delivery.state in WENT_THROUGH_THE_GATE:
        return GateResult(delivery.id, *counts, refused=False)
    return None


def _expected(delivery: sa.Row[Any]) -> Expected:
    campaign = _institute(delivery).campaign(delivery.order_number)
    return Expected(
        institute=delivery.institute,
        order_number=delivery.order_number,
        occasion=delivery.order_occasion,
        media=frozenset(media()),
        must_choose=campaign is not None and len(campaign.send_media) > 1,
        day=berlin(delivery.created_at).date(),
        covers=Rhythm(delivery.order_rhythm).longest_period,
    )


def _institute(delivery: sa.Row[Any]) -> Institute:
    known = institutes()
    if delivery.institute not in known:
        raise StageError(
            f"Institute {delivery.institute} of delivery {delivery.id} is not set up."
            f" Add include/institutes/{delivery.institute}.yaml, then clear the task."
        )
    return known[delivery.institute]


def _write(engine: sa.Engine, delivery: sa.Row[Any], delivered: Rows, findings: Sequence[Finding]) -> GateResult:
    faults = _by_line(findings)
    result = _result(delivery, len(delivered.rows), faults, findings)
    with engine.begin() as connection:
        current = connection.execute(
            sa.select(deliveries).where(deliveries.c.id == delivery.id).with_for_update()
        ).one()
        if (known := _known(current)) is not None:  # another try of the same task was faster
            return known
        # A refused original that is read again brings its old rejects and counts along.
        connection.execute(sa.delete(rejects).where(rejects.c.delivery_id == delivery.id))
        connection.execute(sa.delete(rule_counts).where(rule_counts.c.delivery_id == delivery.id))
        connection.execute(sa.insert(rule_counts), _counts(delivery, findings))
        copy_rows(connection, rejects, _REJECT_COLUMNS, _rejects(delivery, delivered, faults))
        if not result.refused:
            seal = _seal(connection, delivery, delivered)
            copy_rows(connection, delivery_rows, _ROW_COLUMNS, _accepted(delivery, delivered, faults, seal))
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.id == delivery.id)
            .values(
                state=DeliveryState.REFUSED if result.refused else DeliveryState.VALIDATED,
                rows=result.rows,
                accepted=result.accepted,
                rejected=result.rejected,
                **({"code": result.code, "advice": result.advice} if result.refused else {}),
            )
        )
        if not result.refused:
            measure(connection, delivery.id, _damaged(findings))
    for warning in result.warnings:
        logger.warning("delivery %d: %s", delivery.id, warning)
    if result.refused:
        logger.info("delivery %d: refused as a whole, %d of %d rows are faulty", delivery.id, len(faults), result.rows)
    else:
        logger.info(
            "delivery %d: %d rows, %d accepted, %d rejected", delivery.id, result.rows, result.accepted, result.rejected
        )
    return result


_REJECT_COLUMNS = ("institute", "delivery_id", "line", "reference", "field", "code", "advice")
_ROW_COLUMNS = ("institute", "delivery_id", "line", *DeliveredRow._fields, "fields", "data_key_id", "sealed")


def _by_line(findings: Sequence[Finding]) -> dict[int, list[Rule]]:
    """The broken rules of every row that is kept out, in the order of the rules, the first one of each field."""
    faults: defaultdict[int, list[Rule]] = defaultdict(list)
    for finding in findings:
        if finding.rule.severity != Severity.WARN:
            for line in finding.lines:
                if all(rule.field != finding.rule.field for rule in faults[line]):
                    faults[line].append(finding.rule)
    return dict(faults)


def _result(
    delivery: sa.Row[Any], rows: int, faults: Mapping[int, Sequence[Rule]], findings: Sequence[Finding]
) -> GateResult:
    bad = len(faults)
    code, advice = _refusal(_institute(delivery).reject_limit(delivery.order_number), rows, bad, findings)
    warnings = tuple(
        f"{len(finding.lines)} rows break the rule {finding.rule.name!r} ({finding.rule.field}); they go on"
        for finding in findings
        if finding.rule.severity == Severity.WARN and finding.lines
    )
    if code:
        return GateResult(delivery.id, rows, 0, rows, True, warnings, code, advice)
    return GateResult(delivery.id, rows, rows - bad, bad, False, warnings)


def _damaged(findings: Sequence[Finding]) -> int:
    """How many rows have a text that was damaged on its way."""
    return len({line for one in findings if one.rule.code is FaultCode.BESCHAEDIGT for line in one.lines})


def _refusal(limit: float, rows: int, bad: int, findings: Sequence[Finding]) -> tuple[str, str]:
    """Fehler_Code and advice if the whole delivery is refused, else two empty texts."""
    for finding in findings:
        if finding.rule.severity == Severity.REFUSE and finding.lines:
            advice = f"{finding.rule.field}: {finding.rule.advice} ({len(finding.lines)} Zeilen)"
            return finding.rule.code.value, advice[:LONGEST_ADVICE]
    most = int(Decimal(str(limit)) * rows)  # 0.29 * 100 is 28.999999999999996 as a float
    if bad <= most:
        return "", ""
    commonest = max(
        (finding for finding in findings if finding.rule.severity == Severity.REJECT), key=lambda f: len(f.lines)
    ).rule
    allowed = f"{100 * limit:.1f}".replace(".", ",")
    advice = (
        f"{bad} von {rows} Zeilen fehlerhaft, erlaubt sind {most} ({allowed} %). "
        f"Häufigster Fehler: {commonest.field} ({commonest.code.value}). "
        "Datei berichtigen und mit gleicher Nummer liefern"
    )
    return FaultCode.FEHLERQUOTE.value, advice[:LONGEST_ADVICE]


def _counts(delivery: sa.Row[Any], findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "delivery_id": delivery.id,
            "number": number,
            "institute": delivery.institute,
            "rule": finding.rule.name,
            "field": finding.rule.field,
            "check": finding.rule.check.kind,
            "severity": finding.rule.severity.value,
            "code": finding.rule.code.value,
            "advice": finding.rule.advice,
            "looked_at": finding.looked_at,
            "broken": len(finding.lines),
        }
        for number, finding in enumerate(findings, start=1)
    ]


def _rejects(delivery: sa.Row[Any], delivered: Rows, faults: Mapping[int, Sequence[Rule]]) -> Iterator[tuple[Any, ...]]:
    at = delivered.columns.index(delivered.contract.roles["reference"])
    for line, broken in sorted(faults.items()):
        first = broken[0]
        reference = delivered.rows[delivered.lines.index(line)][at][:LONGEST_REFERENCE]
        yield delivery.institute, delivery.id, line, reference, first.field, first.code.value, _advice(broken)


def _advice(broken: Sequence[Rule]) -> str:
    """All faults of a row within the length of a receipt's Hinweis: in words if they fit, else fields and codes."""
    words = "; ".join(f"{rule.field}: {rule.advice}" for rule in broken)
    if len(words) <= LONGEST_ADVICE:
        return words
    fields: list[str] = []
    for number, rule in enumerate(broken):
        rest = f" und {len(broken) - number} weitere"
        entry = f"{rule.field} {rule.code.value}"
        if len(", ".join([*fields, entry])) + len(rest) > LONGEST_ADVICE:
            return ", ".join(fields) + rest
        fields.append(entry)
    return ", ".join(fields)


def _seal(connection: sa.Connection, delivery: sa.Row[Any], delivered: Rows) -> Seal | None:
    """The seal of today for rows whose contract seals something, else None."""
    if not delivered.contract.sealed:
        return None
    return seal_of_day(connection, delivery.institute, SealedKind.ADDRESS, clock.today())


def _accepted(
    delivery: sa.Row[Any], delivered: Rows, faults: Mapping[int, Sequence[Rule]], seal: Seal | None
) -> Iterator[tuple[Any, ...]]:
    read_row, reference = row_reader(delivered.contract), delivered.contract.roles["reference"]
    sealed = frozenset(delivered.contract.sealed)
    for fields, line in zip(delivered.as_dicts(), delivered.lines, strict=True):
        if line not in faults:
            row = read_row(fields)
            del fields[reference]  # another one in each delivery: a person of whom nothing is new must look the same
            if seal is None:
                yield (delivery.institute, delivery.id, line, *row, msgspec.json.encode(fields).decode(), None, None)
                continue
            closed = close(seal, row.person_number, row.address, fields, sealed)
            stored = row._replace(address=closed.address)
            left = msgspec.json.encode(closed.fields).decode()
            yield (delivery.institute, delivery.id, line, *stored, left, seal.id, closed.sealed)
