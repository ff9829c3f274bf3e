"""Whom rules select: random rules and worlds against a plain model, and the cases that are easily got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reku.catalogue import occasions
from reku.catalogue.occasion import Window
from reku.catalogue.selection import OF_HOLDINGS, OF_IMPULSES, Selection, SelectionField
from reku.foundation import clock
from reku.sources.agree21.selecting import candidates
from reku.store import tables
from reku_testing.world import BLZ
from tests.sources.agree21.selection_model import selected

DAY = date(2026, 11, 22)
DATES = st.one_of(
    st.none(),
    st.sampled_from([date(2004, 2, 29), date(1996, 2, 29), date(2005, 3, 1), DAY, DAY - timedelta(days=365)]),
    st.dates(date(1940, 1, 1), date(2027, 2, 1)),
    st.dates(DAY - timedelta(days=40), DAY + timedelta(days=40)),
)
DAYS = st.sampled_from(
    [DAY, date(2027, 2, 28), date(2027, 3, 1), date(2028, 2, 29), date(2026, 12, 31), date(2027, 1, 1)]
)
TEXTS = {
    SelectionField.SEGMENT: ["PK", "FK"],
    SelectionField.POSTCODE: ["01067", "01099", "99999"],
    SelectionField.SALUTATION: ["1", "2", "4"],
    SelectionField.PRODUCT: ["GIRO", "FESTGELD", "DE%T"],
    SelectionField.BALANCE_CLASS: ["A", "D"],
    SelectionField.PAYMENT_FLOW: ["GEHALT"],
}
DATE_FIELDS = [
    SelectionField.BORN,
    SelectionField.CUSTOMER_SINCE,
    SelectionField.OPENED,
    SelectionField.DUE,
    *sorted(OF_IMPULSES),
]


def maybe(values: Sequence[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.sampled_from(values))


PEOPLE = st.lists(
    st.fixed_dictionaries(
        {"born": DATES, "customer_since": DATES}
        | {field.value: maybe(TEXTS[field]) for field in TEXTS if field not in OF_HOLDINGS}
    ),
    min_size=1,
    max_size=4,
)
HELD = st.lists(
    st.fixed_dictionaries(
        {
            "of": st.integers(0, 3),
            "opened": DATES,
            "due": DATES,
            "product": st.sampled_from(TEXTS[SelectionField.PRODUCT]),
        }
        | {name: maybe(TEXTS[SelectionField(name)]) for name in ("balance_class", "payment_flow")}
    ),
    max_size=6,
)


CODES = ["UMZUG", "HEIRAT"]
TOLD = st.lists(
    st.fixed_dictionaries(
        {
            "of": st.integers(0, 3),
            "code": st.sampled_from([*CODES, "OTHER"]),
            "priority": st.integers(1, 3),
            "made": st.dates(DAY - timedelta(days=40), DAY + timedelta(days=2)),
            "hour": st.sampled_from([0, 23]),
            "value_date": DATES,
            "valid_until": st.one_of(st.none(), st.dates(DAY - timedelta(days=40), DAY + timedelta(days=130))),
        }
    ),
    max_size=6,
)


def leaves(fields: Sequence[SelectionField]) -> st.SearchStrategy[dict[str, Any]]:
    texts = [field for field in fields if field in TEXTS]
    days = [field for field in fields if field in DATE_FIELDS]
    of_text = st.sampled_from(texts).flatmap(
        lambda field: st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["in", "not_in"]),
                "field": st.just(field.value),
                "values": st.lists(st.sampled_from(TEXTS[field]), min_size=1, max_size=2),
            }
        )
    )
    begins = st.sampled_from(texts).flatmap(
        lambda field: st.fixed_dictionaries(
            {
                "kind": st.just("begins"),
                "field": st.just(field.value),
                "values": st.lists(st.sampled_from(["010", "DE%", "F", "_"]), min_size=1, max_size=2),
            }
        )
    )
    known = st.fixed_dictionaries({"kind": st.just("known"), "field": st.sampled_from([f.value for f in fields])})
    day = st.builds(
        lambda field, ends: {"kind": "day_near", "field": field, "first": min(ends), "last": max(ends)},
        st.sampled_from([f.value for f in days]),
        st.tuples(st.integers(-800, 60), st.integers(-60, 60)),
    )
    years = st.builds(
        lambda field, low, span, step: {
            "kind": "years",
            "field": field,
            "minimum": low,
            "maximum": low + span,
            "step": step,
        },
        st.sampled_from([f.value for f in days]),
        st.integers(0, 60),
        st.integers(0, 60),
        st.sampled_from([1, 5, 10]),
    )
    return st.one_of(of_text, begins, known, day, years)


def trees(leaf: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(
                lambda kind, of: {"kind": kind, "of": of},
                st.sampled_from(["all", "any"]),
                st.lists(inner, min_size=1, max_size=3),
            ),
            st.builds(lambda of: {"kind": "not", "of": of}, inner),
        ),
        max_leaves=4,
    )


def depth(tree: dict[str, Any]) -> int:
    below = tree.get("of", tree.get("where", []))
    return 1 + max((depth(part) for part in (below if isinstance(below, list) else [below])), default=0)


@st.composite
def rules(draw: st.DrawFn) -> Selection:
    row = draw(st.sampled_from(["person", "holding", "impulse"]))
    others = {"person": OF_HOLDINGS | OF_IMPULSES, "holding": OF_IMPULSES, "impulse": OF_HOLDINGS}[row]
    own = [field for field in SelectionField if field not in others]
    has = st.builds(
        lambda kind, where: {"kind": kind, "where": where},
        st.sampled_from(["has", "has_no"]),
        leaves([field for field in SelectionField if field in OF_HOLDINGS]),
    )
    where = draw(st.one_of(st.none(), trees(st.one_of(leaves(own), has)).filter(lambda tree: depth(tree) <= 5)))
    dates = [field for field in DATE_FIELDS if field in own and (row != "impulse" or field in OF_IMPULSES)]
    on, anniversary = draw(st.sampled_from(dates)).value, row != "impulse" and draw(st.booleans())
    return Selection.model_validate({"row": row, "on": on, "anniversary": anniversary, "where": where})


def tell(engine: sa.Engine, people: list[dict[str, Any]], told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Impulses in the table; returns them as records."""
    impulses = [
        {"institute": BLZ, "impulse": f"i{n}", "person_number": f"p{one['of'] % len(people)}"}
        | {"made_at": clock.at(one["made"], one["hour"], 59)}
        | {name: value for name, value in one.items() if name not in ("of", "made", "hour")}
        for n, one in enumerate(told)
    ]
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.impulses))
        if impulses:
            connection.execute(sa.insert(tables.impulses), impulses)
    return [impulse | {"made": one["made"]} for impulse, one in zip(impulses, told, strict=True)]


def fill(engine: sa.Engine, people: list[dict[str, Any]], held: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The world in the tables; returns it as records."""
    persons = [
        {"institute": BLZ, "person_number": f"p{n}", "household": f"p{n}", "household_rank": 1, "consent": True}
        | {"tracking": False, "estate": False, "flags": [], "missing_since": None}
        | person
        for n, person in enumerate(people)
    ]
    holdings = [
        {"institute": BLZ, "contract_number": f"v{n}", "person_number": f"p{one['of'] % len(people)}"}
        | {name: value for name, value in one.items() if name != "of"}
        for n, one in enumerate(held)
    ]
    with engine.begin() as connection:
        connection.execute(sa.delete(tables.holdings))
        connection.execute(sa.delete(tables.persons))
        connection.execute(sa.insert(tables.persons), persons)
        if holdings:
            connection.execute(sa.insert(tables.holdings), holdings)
    return persons, holdings


def found(engine: sa.Engine, rule: Selection, window: Window, day: date = DAY) -> list[tuple[str, date]]:
    with engine.connect() as connection:
        rows = connection.execute(candidates(rule, window, BLZ, day)).all()
    return sorted((row.person_number, row.occasion_date) for row in rows)


@hypothesis_settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    rule=rules(),
    people=PEOPLE,
    held=HELD,
    told=TOLD,
    ends=st.tuples(st.integers(-60, 40), st.integers(0, 60)),
    day=DAYS,
)
def test_random_rules_select_whom_the_plain_model_selects(
    database: sa.Engine,
    rule: Selection,
    people: list[dict[str, Any]],
    held: list[dict[str, Any]],
    told: list[dict[str, Any]],
    ends: tuple[int, int],
    day: date,
) -> None:
    window = Window(first_day=ends[0], last_day=ends[0] + ends[1])
    persons, holdings = fill(database, people, held)
    impulses = tell(database, people, told)
    with database.connect() as connection:
        rows = connection.execute(candidates(rule, window, BLZ, day, CODES)).all()
    wanted = selected(rule, window, persons, holdings, day, impulses, CODES)
    assert {(row.person_number, row.occasion_date, row.impulse) for row in rows} == wanted
    assert len(rows) == len(wanted)


def birthday(**changes: Any) -> Selection:
    return Selection.model_validate({"row": "person", "on": "born", "anniversary": True} | changes)


@pytest.mark.parametrize(
    ("day", "dates"),
    [
        (date(2027, 2, 28), []),
        (date(2027, 3, 1), [date(2027, 3, 1)]),
        (date(2028, 2, 29), [date(2028, 2, 29)]),
        (date(2028, 3, 1), []),
        (date(2004, 2, 29), []),
    ],
)
def test_born_on_29_february_once_a_year(database: sa.Engine, day: date, dates: list[date]) -> None:
    fill(database, [{"born": date(2004, 2, 29)}], [])
    assert [occasion for _, occasion in found(database, birthday(), Window(first_day=0, last_day=0), day)] == dates


def test_every_day_selects_those_born_on_it_and_nobody_else(database: sa.Engine) -> None:
    first = date(2026, 1, 1)
    fill(
        database,
        [{"born": date(1976, day.month, day.day)} for day in (first + timedelta(days=n) for n in range(365))],
        [],
    )
    for number in range(0, 365, 13):
        day = first + timedelta(days=number)
        assert found(database, birthday(), Window(first_day=0, last_day=0), day) == [(f"p{number}", day)]


def test_several_holdings_of_one_date_are_one_row(database: sa.Engine) -> None:
    held = [{"of": 0, "due": due, "opened": None, "product": "FESTGELD"} for due in (DAY, DAY, DAY + timedelta(days=1))]
    fill(database, [{"born": None}], held)
    rule = Selection.model_validate({"row": "holding", "on": "due"})
    assert found(database, rule, Window(first_day=-60, last_day=0)) == [("p0", DAY), ("p0", DAY + timedelta(days=1))]


def test_who_is_missing_or_of_another_bank_is_not_selected(database: sa.Engine) -> None:
    fill(database, [{"born": date(1976, 11, 22)}, {"born": date(1976, 11, 22), "missing_since": DAY}], [])
    assert found(database, birthday(), Window(first_day=0, last_day=0)) == [("p0", DAY)]
    with database.connect() as connection:
        other = candidates(birthday(), Window(first_day=0, last_day=0), "99950002", DAY)
        assert connection.execute(other).all() == []


@pytest.mark.parametrize("kind", ["in", "not_in"])
def test_unknown_is_neither_in_nor_not_in_and_not_let_in_by_a_not(database: sa.Engine, kind: str) -> None:
    fill(database, [{"born": date(1976, 11, 22), "segment": None}], [])
    leaf = {"kind": kind, "field": "segment", "values": ["PK"]}
    for where in (leaf, {"kind": "not", "of": leaf}):
        assert found(database, birthday(where=where), Window(first_day=0, last_day=0)) == []


def test_the_rules_of_the_shipped_occasions_can_be_asked(database: sa.Engine) -> None:
    ruled = [occasion for occasion in occasions().values() if isinstance(occasion.selection, Selection)]
    assert len(ruled) >= 20
    for occasion in ruled:
        assert isinstance(occasion.selection, Selection)
        assert found(database, occasion.selection, occasion.window) == []


def test_every_shipped_occasion_has_a_rule_or_says_why_not() -> None:
    assert [code for code, occasion in occasions().items() if occasion.selection is None] == []
