"""What pages ask stays quick however long the history is: nothing that they ask reads the whole ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.process.acts import ACTS
from reku.process.acts.on_stops import EVERYTHING
from reku.process.agenda import agenda
from reku.process.matrix import cells
from reku.process.needs import needs
from reku.process.order_details import order_details
from reku.views.dispatch_overview import collected, deliveries_without_session, slow_domains, suppression_counts
from reku.views.trace import traces
from reku_testing import banks

NOON = datetime(2026, 11, 24, 11, tzinfo=UTC)
BANKS, OCCASIONS, MESSAGES = 350, 56, 200_000
FIRST = "90000001"


@pytest.fixture(scope="module")
def many(migrated: sa.Engine) -> Iterator[sa.Engine]:
    """A bank's order of each occasion, one loaded delivery of each, and a ledger of them that was sent long ago."""
    from reku_testing.postgres import empty

    empty(migrated)
    with migrated.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # no look for each foreign key
        for statement in _WORLD:
            connection.execute(sa.text(statement), {"banks": BANKS, "occasions": OCCASIONS, "messages": MESSAGES})
    with migrated.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))
    yield migrated
    with migrated.begin() as connection:
        connection.execute(sa.text("TRUNCATE reku.orders CASCADE"))


@contextmanager
def listening(engine: sa.Engine) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is executed meanwhile, with what it was given."""
    heard: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, given: Any, _context: Any, _many: bool) -> None:
        heard.append((statement, given))

    sa.event.listen(engine, "before_cursor_execute", hear)
    yield heard
    sa.event.remove(engine, "before_cursor_execute", hear)


def scans(plan: Any) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


def test_no_page_reads_the_whole_ledger(
    many: sa.Engine,
    reku_settings: Path,
    clock_at: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    clock_at(NOON)
    banks.configure(monkeypatch, tmp_path / "config", blz=FIRST)
    asked: dict[str, Callable[[], Any]] = {
        "today": lambda: needs(many),
        "matrix": lambda: cells(many),
        "agenda": lambda: agenda(many),
        "order": lambda: order_details(many, FIRST, "R0000001"),
        "why": lambda: traces(many, "R0000001-000001-1", FIRST),
        "dispatch": lambda: [
            look(many) for look in (collected, deliveries_without_session, slow_domains, suppression_counts)
        ],
        "stop": lambda: ACTS["stop"].look(many, EVERYTHING),
        "stop a bank": lambda: ACTS["stop"].look(many, FIRST),
        "read again": lambda: ACTS["retry"].look(many, "1"),
    }
    bad = []
    for page, ask in asked.items():
        with listening(many) as heard:
            ask()
        assert len(heard) < 20, page
        with many.connect() as connection:
            for statement, given in heard:
                if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
                    continue
                (told,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", given).one()
                plan = told if isinstance(told, list) else json.loads(told)
                if "messages" in scans(plan[0]["Plan"]):
                    bad.append(f"{page}: {statement}")
    assert bad == []
    assert len(cells(many)) == BANKS * OCCASIONS
    assert order_details(many, FIRST, "R0000001").periods[0].rows == 10


_WORLD = (
    """INSERT INTO reku.orders (institute, order_number, name, occasion, rhythm, valid_from, expected_by)
    SELECT 90000000 + bank, 'R' || lpad(occasion::text, 7, '0'), 'Auftrag ' || occasion,
        'MCAG' || lpad(occasion::text, 3, '0'), 'MONATLICH', '2026-01-01', '06:00'
    FROM generate_series(1, :banks) bank, generate_series(1, :occasions) occasion""",
    """INSERT INTO reku.deliveries (institute, source, contract, order_number, order_id, occasion, delivery_number,
        created_at, day, period_start, state, rows, accepted, rejected)
    SELECT institute, 'selection', 'REKU', order_number, id, occasion, 1,
        '2026-11-01', '2026-11-01', '2026-11-01', 'LOADED', 10, 10, 0
    FROM reku.orders""",
    """INSERT INTO reku.messages (institute, order_id, delivery_id, delivery_number, reference, person_number,
        recipient_key, occasion_date, consent, tracking, due_at, last_day, state)
    SELECT d.institute, d.order_id, d.id, 1, d.order_number || '-000001-' || n, n::text, lpad(n::text, 64, '0'),
        '2026-11-01', true, false, '2026-11-01', '2026-12-01',
        CASE WHEN n = 1 AND d.id % 100 = 0 THEN 'OPEN' ELSE 'SENT' END
    FROM reku.deliveries d, generate_series(1, 1 + :messages / (:banks * :occasions)) n
    LIMIT :messages""",
)
