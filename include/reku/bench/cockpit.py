"""Stage "cockpit": pages with 56 occasions at 350 banks and 2,000,000 messages in the ledger.

What each page asks is timed, and how long it takes until something of it is painted: asked, rendered, and painted by
Chromium, where there is one.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.bench.banks import Sizes, many_banks
from reku.foundation.errors import SetupError
from reku.process.agenda import agenda
from reku.process.matrix import cells
from reku.process.needs import needs
from reku.process.order_details import order_details

SIZES = Sizes(banks=350, orders=56, earlier=1)
MESSAGES = 2_000_000
MOST_ASKED, MOST_PAINTED = 0.3, 1.0
"""Seconds that the questions of a page may take, and until something of it is seen."""
_LEDGER = sa.text("""
    INSERT INTO reku.messages (institute, order_id, delivery_id, delivery_number, reference, person_number,
        recipient_key, occasion_date, consent, tracking, due_at, last_day, state)
    SELECT d.institute, d.order_id, d.id, d.delivery_number, d.order_number || '-' || n, n::text,
        lpad(n::text, 64, '0'), d.day, true, false, d.created_at, d.day + 7,
        CASE WHEN n = 1 AND d.id % 100 = 0 THEN 'IN_DOUBT' WHEN n = 2 AND d.id % 50 = 0 THEN 'OPEN' ELSE 'SENT' END
    FROM reku.deliveries d, generate_series(1, :each) n
    WHERE d.state = 'LOADED'
""")


def measure(rounds: int, sizes: Sizes = SIZES, most: int = MESSAGES) -> list[dict[str, Any]]:
    """The figures of this stage: for each page what it asks, and until it is painted."""
    with many_banks(sizes) as engine:
        filled = _fill(engine, sizes, most)
        figures = []
        with _painter() as paint:
            for page, (ask, draw) in _pages(engine, sizes).items():
                asked, painted = [], []
                for _ in range(rounds + 1):
                    begun = time.perf_counter()
                    found = ask()
                    asked.append(time.perf_counter() - begun)
                    html = draw(found)
                    made = time.perf_counter() - begun
                    painted.append(made + paint(html))
                figures += [
                    _figure(f"{page}: what it asks", MOST_ASKED, asked[1:], filled),
                    _figure(f"{page}: until it is painted", MOST_PAINTED, painted[1:], filled),
                ]
    return figures


def _pages(engine: sa.Engine, sizes: Sizes) -> Mapping[str, tuple[Callable[[], Any], Callable[[Any], str]]]:
    """What each page asks, and how it is drawn from that."""
    from reku.orchestration.pages.order_pages import render_agenda, render_matrix, render_order
    from reku.orchestration.pages.today import render_today

    def first_order() -> Any:
        return order_details(engine, sizes.blz(0), "R0000000")

    return {
        "Zu tun": (lambda: needs(engine), lambda found: render_today(found, [], "", "de", lambda _: True)),
        "Matrix": (lambda: cells(engine), lambda found: render_matrix(found, "de")),
        "Agenda": (lambda: agenda(engine), lambda found: render_agenda(found, "de")),
        "Auftrag": (first_order, lambda found: render_order(found, "de", may_act=True)),
    }


def _fill(engine: sa.Engine, sizes: Sizes, most: int) -> int:
    """So many messages of the loaded deliveries, or hardly fewer. Returns how many."""
    each = max(1, most // (sizes.banks * sizes.orders * sizes.earlier))
    with engine.begin() as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))  # no look for each foreign key
        filled = connection.execute(_LEDGER, {"each": each}).rowcount
        connection.execute(sa.text("UPDATE reku.deliveries SET rows = :each, accepted = :each"), {"each": each})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    if not filled:
        raise SetupError("There is no loaded delivery: the speed means nothing.")
    return filled


@contextmanager
def _painter() -> Iterator[Callable[[str], float]]:
    """How long Chromium takes to paint something of a page, in seconds; 0 where there is no Chromium."""
    from reku_testing import browser

    if browser.program() is None:
        yield lambda _: 0.0
        return
    with tempfile.TemporaryDirectory() as folder, browser.browser(Path(folder)) as tab:
        file = Path(folder) / "page.html"

        def paint(html: str) -> float:
            file.write_text(html, encoding="utf-8")
            tab.go(f"file://{file}")
            tab.wait_for("performance.getEntriesByName('first-contentful-paint').length > 0")
            return float(tab.value("performance.getEntriesByName('first-contentful-paint')[0].startTime")) / 1000

        yield paint


def _figure(what: str, most: float, seconds: list[float], rows: int) -> dict[str, Any]:
    median = statistics.median(seconds)
    return {
        "stage": "cockpit",
        "what": f"page {what} ({median * 1000:.0f} ms)",
        "against": f"{most * 1000:.0f} ms",
        "ratio": round(most / median, 2),
        "at_least": 1.0,
        "rounds": len(seconds),
        "rows": rows,
    }
