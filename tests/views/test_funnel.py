"""The funnel: every count, and that a fault of one delivery never makes up for that of another."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from rich.console import Console

from reku.foundation.errors import StageError
from reku.store.events import Event, record
from reku.store.kinds import EventKind
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import deliveries
from reku.views.funnel import FunnelRow, funnel, funnel_by_period
from reku.views.funnel_plot import MOST_ORDERS, funnel_plot
from reku.views.funnel_table import funnel_table, period_tables
from reku_testing import world

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)


def _delivery(database: sa.Engine, order: int, number: int, states: list[MessageState], **values: object) -> list[int]:
    delivery = world.delivery(database, order, number, state=DeliveryState.LOADED)
    of = [world.reku_fields(place, number) for place in range(1, len(states) + 1)]
    rows = world.rows(database, delivery, of)
    if values:
        with database.begin() as connection:
            connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery).values(**values))
    return [
        world.message(
            database,
            row,
            state=state,
            reason="DUBLETTE" if state is MessageState.WITHHELD else "",
            person_number=f"{number}{row}",
        )
        for row, state in zip(rows, states, strict=True)
    ]


def test_each_state_has_its_place(database: sa.Engine) -> None:
    order = world.order(database)
    _delivery(database, order, 17, list(MessageState))
    world.delivery(database, order, 18, state=DeliveryState.PARKED, rows=5)
    world.delivery(database, order, 19, state=DeliveryState.REFUSED, rows=None)
    world.delivery(database, order, 20, state=DeliveryState.VALIDATED, rows=7, accepted=6, rejected=1)
    (row,) = funnel(database)
    found = row.as_dict()
    assert {name: found[name] for name in ("not_loaded", "rows", "rejected", "accepted")} == {
        **{"not_loaded": 12, "rows": 8},
        **{"rejected": 0, "accepted": 8},
    }
    assert found["prepared"] == 1
    assert (found["sent"], found["withheld"], found["rejected_by_server"]) == (1, {"DUBLETTE": 1}, 1)
    assert (found["not_in_time"], found["in_doubt"], found["open"]) == (1, 1, 2)
    assert row.adds_up


def test_a_declined_delivery_is_in_the_ledger(database: sa.Engine) -> None:
    order = world.order(database)
    declined = world.delivery(database, order, 17, state=DeliveryState.DECLINED)
    one, two = world.rows(database, declined, [world.reku_fields(n) for n in (1, 2)])
    world.message(database, one, state=MessageState.WITHHELD, reason="FREIGABE_VERWEIGERT")
    (row,) = funnel(database)
    assert (row.rows, row.accepted, row.not_loaded, row.adds_up) == (2, 2, 0, False)
    world.message(database, two, state=MessageState.WITHHELD, reason="FREIGABE_VERWEIGERT")
    (row,) = funnel(database)
    assert row.reasons == {"FREIGABE_VERWEIGERT": 2}
    assert row.adds_up


def test_responses_are_counted_by_people(database: sa.Engine) -> None:
    one, two = _delivery(database, world.order(database), 17, [MessageState.SENT] * 2)
    with database.begin() as connection:
        record(
            connection,
            [
                Event(one, EventKind.OPENED, AT),
                Event(one, EventKind.OPENED, AT.replace(hour=11)),
                Event(two, EventKind.OPENED, AT),
                Event(one, EventKind.CLICKED, AT, link_number=1),
                Event(one, EventKind.CLICKED, AT, link_number=2),
                Event(two, EventKind.BOUNCED_HARD, AT),
            ],
        )
    found = funnel(database)[0].as_dict()
    assert [found[name] for name in ("opened", "clicked", "unsubscribed", "hard", "soft")] == [2, 1, 0, 1, 0]


@pytest.mark.parametrize(
    "values",
    [
        {"rows": 3},
        {"accepted": 3, "rows": 3},
        {"accepted": 1, "rejected": 1},
        {"accepted": None},
    ],
)
def test_a_delivery_that_does_not_add_up(database: sa.Engine, values: dict[str, int | None]) -> None:
    order = world.order(database)
    _delivery(database, order, 17, [MessageState.SENT] * 2)
    assert funnel(database)[0].adds_up
    _delivery(database, order, 18, [MessageState.SENT] * 2, **values)
    assert not funnel(database)[0].adds_up


def test_faults_of_two_deliveries_do_not_make_up_for_each_other(database: sa.Engine) -> None:
    order = world.order(database)
    _delivery(database, order, 17, [MessageState.SENT] * 2, accepted=1, rows=1)
    _delivery(database, order, 18, [MessageState.SENT] * 2, accepted=3, rows=3)
    (row,) = funnel(database)
    assert (row.rows, row.accepted, row.state(MessageState.SENT), row.adds_up) == (4, 4, 4, False)


def test_orders_of_two_banks_with_one_number_are_two(database: sa.Engine) -> None:
    _delivery(database, world.order(database), 17, [MessageState.SENT])
    _delivery(database, world.order(database, institute="99950002"), 17, [MessageState.OPEN] * 2)
    assert [(row.institute, row.rows, row.state(MessageState.SENT)) for row in funnel(database)] == [
        (world.BLZ, 1, 1),
        ("99950002", 2, 0),
    ]


def test_a_delivery_parked_without_an_order_is_there(database: sa.Engine) -> None:
    order = world.order(database)
    parked = world.delivery(database, order, 1, state=DeliveryState.PARKED, rows=4)
    with database.begin() as connection:
        connection.execute(
            sa.update(deliveries).where(deliveries.c.id == parked).values(order_id=None, order_number="R0009999")
        )
    (row,) = funnel(database)
    assert (row.order_number, row.name, row.not_loaded, row.rows, row.adds_up) == ("R0009999", "", 4, 0, True)


def test_the_table_fits_eighty_columns(database: sa.Engine) -> None:
    _delivery(database, world.order(database, name="N" * 30), 17, list(MessageState), rows=123456)
    output = StringIO()
    Console(file=output, width=80).print(funnel_table(funnel(database)))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = output.getvalue()
    for piece in ("123456 rows", "1 sent", "2 open", "1 in doubt", "1 rejected by server", "1 DUBLETTE", "NO"):
        assert piece in text


OTHER_BANK = "99950002"


def test_periods_of_an_order_sum_up_to_it(database: sa.Engine) -> None:
    """Two deliveries of one period are one row; what is parked without a period stands last, for itself."""
    order = world.order(database)
    first = _delivery(database, order, 17, [MessageState.SENT, MessageState.WITHHELD], period_start=date(2026, 11, 1))
    _delivery(database, order, 18, [MessageState.SENT], period_start=date(2026, 11, 1))
    second = _delivery(database, order, 19, [MessageState.SENT, MessageState.OPEN], period_start=date(2026, 12, 1))
    world.delivery(database, order, 20, state=DeliveryState.PARKED, rows=5, period_start=None)
    _delivery(database, world.order(database, institute=OTHER_BANK), 17, [MessageState.SENT])
    with database.begin() as connection:
        record(connection, [Event(message, EventKind.OPENED, AT) for message in (*first, second[0])])
        record(
            connection,
            [Event(second[0], EventKind.COMPLAINED, AT), Event(first[0], EventKind.BOUNCED_UNKNOWN, AT, "5.0.0")],
        )
    told = [
        (
            row.period,
            row.rows,
            row.not_loaded,
            row.state(MessageState.SENT),
            row.reasons,
            row.response(EventKind.OPENED),
        )
        for row in funnel_by_period(database, world.BLZ)
    ]
    assert told == [
        (date(2026, 11, 1), 3, 0, 2, {"DUBLETTE": 1}, 2),
        (date(2026, 12, 1), 2, 0, 1, {}, 1),
        (None, 0, 5, 0, {}, 0),
    ]
    (whole,) = funnel(database, world.BLZ)
    found = whole.as_dict()
    assert (found["rows"], found["not_loaded"], found["sent"], found["withheld"]) == (5, 5, 3, {"DUBLETTE": 1})
    assert (found["opened"], found["complained"], found["unknown"], found["open"]) == (3, 1, 1, 1)
    assert (whole.period, whole.adds_up) == (None, True)


def test_a_period_that_does_not_add_up_is_named(database: sa.Engine) -> None:
    order = world.order(database)
    _delivery(database, order, 17, [MessageState.SENT], period_start=date(2026, 11, 1))
    _delivery(database, order, 18, [MessageState.SENT], period_start=date(2026, 12, 1), accepted=2, rows=2)
    assert [row.adds_up for row in funnel_by_period(database)] == [True, False]
    assert not funnel(database)[0].adds_up


@pytest.mark.parametrize(
    ("institute", "order", "found"),
    [
        ("", "", [(world.BLZ, "R0000002"), (world.BLZ, world.ORDER), (OTHER_BANK, world.ORDER)]),
        (world.BLZ, "", [(world.BLZ, "R0000002"), (world.BLZ, world.ORDER)]),
        ("", world.ORDER, [(world.BLZ, world.ORDER), (OTHER_BANK, world.ORDER)]),
        (OTHER_BANK, world.ORDER, [(OTHER_BANK, world.ORDER)]),
        (OTHER_BANK, "R0000002", []),
    ],
)
def test_one_bank_or_order(database: sa.Engine, institute: str, order: str, found: list[tuple[str, str]]) -> None:
    for values in ({}, {"number": "R0000002"}, {"institute": OTHER_BANK}):
        _delivery(database, world.order(database, **values), 17, [MessageState.SENT])  # type: ignore[arg-type]  # names of columns
    rows = funnel(database, institute, order)
    assert [(row.institute, row.order_number) for row in rows] == found
    assert all(row.rows == row.state(MessageState.SENT) == 1 for row in rows)


def _row(order: str = "R0000101", *, period: date | None = date(2026, 10, 1), count: int = 900) -> FunnelRow:
    """A period in which everything happened that can."""
    states = dict.fromkeys(MessageState, count)
    came = dict.fromkeys(EventKind, count // 3)
    accepted = len(states) * count
    row = (world.BLZ, order, "Käufer_über_50_$5_$6", "MCAG002", count, accepted + 7, 7, accepted, True, period)
    return FunnelRow(*row, states=states, reasons={"DUBLETTE": count}, responses=came)


def _texts(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


def test_the_table_of_periods_cuts_no_figure_off() -> None:
    rows = [_row(period=date(2026, 10, 1) + timedelta(days=day), count=12345) for day in range(30)]
    output = StringIO()
    Console(file=output, width=80).print(period_tables(rows))
    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in output.getvalue()
    assert lines[0] == f"{world.BLZ} R0000101 Käufer_über_50_$5_$6 MCAG002"
    wide = StringIO()
    Console(file=wide, width=200).print(period_tables(rows))
    last = wide.getvalue().rstrip().splitlines()[-1].split()
    assert last == [
        "all",
        *(str(30 * each) for each in (12345, 98767, 7, 12345, 12345, 24690, 12345, 37035)),
        *(str(30 * each) for each in (4115, 4115, 4115, 12345, 4115)),
        "yes",
    ]


def test_the_plot_names_orders_and_periods() -> None:
    """Umlauts and dollars as they are, ten labels at most, the last period always."""
    rows = [_row(period=date(2026, 10, 1) + timedelta(days=day)) for day in range(30)]
    texts = _texts(funnel_plot([*rows, _row("R0000102", period=None)], "svg"))
    assert f"{world.BLZ} · R0000101 · Käufer_über_50_$5_$6 · MCAG002" in texts
    days = [text for text in texts if re.fullmatch(r"\d\d\.10\.26", text)]
    assert len(days) == 10
    assert "30.10.26" in days
    assert {"none yet", "Zeilen / rows", "versandt / sent", "geöffnet / opened", "unzustellbar / hard bounces"} <= set(
        texts
    )
    assert "8.107" in texts  # rows of the order's only bar: accepted, rejected, not loaded
    assert "Nichts geliefert / nothing delivered" not in texts


@pytest.mark.parametrize("rows", [[], [FunnelRow(world.BLZ, "R1", "x", "MCAG002", 0, 0, 0, 0, True)]], ids=len)
def test_the_plot_says_when_nothing_was_delivered(rows: list[FunnelRow]) -> None:
    assert "Nichts geliefert / nothing delivered" in _texts(funnel_plot(rows, "svg"))


def test_names_do_not_break_the_picture() -> None:
    row = replace(_row(), name='<b>&amp;</b> "Öl" _{x} $\\alpha$')
    svg = ElementTree.fromstring(funnel_plot([row], "svg"))  # noqa: S314 # our own picture
    assert any(row.name in text for text in svg.itertext())


def test_the_plot_is_the_same_bytes_each_time() -> None:
    for kind, begins in (("svg", b"<?xml"), ("png", b"\x89PNG\r\n")):
        one, two = (funnel_plot([_row()], kind) for _ in range(2))  # type: ignore[arg-type]  # one of its two kinds
        assert one == two
        assert one.startswith(begins)


def test_too_many_orders_for_one_picture() -> None:
    with pytest.raises(StageError, match=f"holds {MOST_ORDERS} orders, and these are {MOST_ORDERS + 1}.*--institute"):
        funnel_plot([_row(f"R{number:07d}") for number in range(MOST_ORDERS + 1)], "svg")
