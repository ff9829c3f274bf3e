"""Stage "feedback": a response file of 100,000 events, against psql's \\copy of the same rows into a file.

Ours is everything from the first statement to the file in the outbox: the transaction that draws the number and assigns
the events, the file's content with all checks and its check sums, fsync and rename, and that it is recorded. The peer
only reads, once the events are assigned: the same columns of the same rows in the same order, as they stand in the
tables. How long it takes without the order is told as well.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import sqlalchemy as sa

from reku.bench.psql import copied_out
from reku.bench.world import BLZ, World, world
from reku.foundation.errors import SetupError
from reku.process.systems import bank_named, system_of
from reku.reporting import export as exporting
from reku.reporting.formats.osplus import event_id

EVENTS = 100_000
AT_LEAST = 0.3
_SENT = sa.text("""
    UPDATE reku.messages SET state = 'SENT', medium = 'SCOM_GEBURTSTAG', begun_at = now() - interval '2 hours',
        ended_at = now() - interval '2 hours'
    WHERE delivery_id = :delivery
""")
_RESPONSES = sa.text("""
    INSERT INTO reku.responses
        (institute, message_id, order_id, kind, at, reason, scope, link_number, link_target, recorded_at)
    SELECT m.institute, m.id, m.order_id, told.kind, m.begun_at + m.id % 7000 * interval '1 second', told.reason,
        told.scope, told.link, told.target, now()
    FROM reku.messages m
    JOIN (VALUES
        ('SENT', 100, '', NULL, NULL, ''),
        ('OPENED', 55, '', NULL, NULL, ''),
        ('CLICKED', 40, '', NULL, 1, 'https://www.messbank.example/geburtstag/konto'),
        ('UNSUBSCRIBED', 1, 'EINKLICK', 'ORDER', NULL, ''),
        ('BOUNCED_HARD', 1, '5.1.1', NULL, NULL, ''),
        ('BOUNCED_SOFT', 3, '4.2.2', NULL, NULL, '')
    ) AS told(kind, percent, reason, scope, link, target) ON m.id % 100 < told.percent
    WHERE m.delivery_id = :delivery
""")
_ROWS = """
    SELECT 'D', (event_id) AS event_id, responses.kind, responses.at, messages.reference, messages.person_number,
        orders.order_number, messages.delivery_number, orders.occasion, responses.reason, responses.scope,
        responses.link_number, responses.link_target, responses.bounce_series, messages.medium
    FROM reku.feedback_rows JOIN reku.responses ON responses.id = feedback_rows.response_id
    JOIN reku.messages ON messages.id = responses.message_id JOIN reku.orders ON orders.id = responses.order_id
    JOIN reku.deliveries ON deliveries.id = messages.delivery_id
"""
_ORDER = "ORDER BY date_trunc('second', at), event_id"
_PEER, _UNSORTED = "psql \\copy of the same rows", "psql \\copy of the same rows, in no order"


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figure of this stage, and its two parts. Raises SetupError if the file does not have all events."""
    with world() as there:
        build(there, EVENTS)
        return figures(there, EVENTS, rounds)


def build(there: World, events: int) -> None:
    """So many events to be reported, two for each person; `events` must be a multiple of 200."""
    delivery = there.delivery(events // 2)
    with there.engine.begin() as connection:
        connection.execute(_SENT, {"delivery": delivery})
        connection.execute(_RESPONSES, {"delivery": delivery})


def figures(there: World, events: int, rounds: int) -> list[dict[str, Any]]:
    """Both sides in turns, and the medians of so many rounds; one before them only warms up."""
    rows = []
    with there.in_force():
        for _ in range(rounds + 1):
            _forget(there.engine)
            assigning, whole = ours(there, events)
            peer, unsorted = copied(there, events, _ORDER), copied(there, events)
            rows.append((peer / whole, peer / assigning, peer / (whole - assigning), unsorted / whole))
    ratios = [round(statistics.median(column), 2) for column in zip(*rows[1:], strict=True)]
    whole_file = "response file: assigned, written, recorded"
    whats = (
        (whole_file, _PEER),
        ("of it: the transaction that assigns", _PEER),
        ("of it: content, check sums, fsync, rename", _PEER),
        (whole_file, _UNSORTED),
    )
    return [
        {
            "stage": "feedback",
            "what": what,
            "against": against,
            "ratio": ratio,
            "at_least": AT_LEAST if (what, against) == whats[0] else None,
            "rounds": rounds,
            "rows": events,
        }
        for (what, against), ratio in zip(whats, ratios, strict=True)
    ]


def ours(there: World, events: int) -> tuple[float, float]:
    """Seconds of the transaction that assigns, and of the whole export."""
    bank = bank_named(BLZ)
    feedback = system_of(bank).feedback
    begun = time.perf_counter()
    assigned = exporting.assign(there.engine, bank, feedback)
    middle = time.perf_counter()
    written = exporting.finish_unwritten(there.engine, bank, feedback)
    end = time.perf_counter()
    if not assigned or [file.rows for file in written] != [events]:
        raise SetupError(f"The response file does not have {events} events: nothing was measured.")
    return middle - begun, end - begun


def copied(there: World, events: int, order: str = "") -> float:
    """Seconds of psql and its \\copy of the same rows."""
    made = str(event_id().compile(there.engine, compile_kwargs={"literal_binds": True}))
    rows = " ".join(_ROWS.replace("(event_id)", made.replace("reku.", "")).split())
    return copied_out(there, f"{rows} {order}", events)


def _forget(engine: sa.Engine) -> None:
    """Nothing is reported yet, and the tables are as fresh as they were."""
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE reku.feedback_rows, reku.feedback_files"))
        connection.execute(sa.text("UPDATE reku.responses SET bounce_series = NULL WHERE bounce_series IS NOT NULL"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
