"""A rule as a statement: who is selected on a day, with which Anlass_Datum. Values are bound, nothing is spliced in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import distinct_on

from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.sources.agree21.conditions import RuleRow, Truth, anniversary, condition_of, month
from reku.sources.agree21.impulses import is_open, rank
from reku.store.tables import holdings, impulses, persons

_A_MONTH = timedelta(days=28)
"""A shorter window touches two months at most, so that the index on birthdays helps."""


@dataclass(frozen=True)
class Pairs:
    """People with the dates that a rule may make their Anlass_Datum: `source`, to be selected from.

    `row`: what conditions look at; `start`: the rule's date; `is_in_window`: whether the window is open on the day.
    """

    source: sa.FromClause
    row: RuleRow
    start: sa.ColumnElement[Any]
    is_in_window: Truth

    @property
    def occasion_date(self) -> sa.ColumnElement[date]:
        """Anlass_Datum."""
        return self.row.occasion_date


def pairs_of(rule: Selection, window: Window, institute: str, day: date, *, optional: bool = False) -> Pairs:
    """What a rule looks through. `optional`: people who have no such holding or impulse are there too, without one."""
    first, last = day - timedelta(days=window.last_day), day - timedelta(days=window.first_day)
    beside = _looked_through(rule)
    start = RuleRow(beside, institute, day, sa.null()).column(rule.on)
    source: sa.FromClause = persons
    if beside is not None:
        same_person = beside.c.person_number == persons.c.person_number
        source = persons.join(beside, (beside.c.institute == persons.c.institute) & same_person, isouter=optional)
    if not rule.anniversary:
        return Pairs(source, RuleRow(beside, institute, day, start), start, start.between(first, last))
    years = (
        sa.func.generate_series(sa.literal(first.year), sa.literal(last.year))
        .table_valued("year", name="years")
        .render_derived()
    )
    on = anniversary(start, years.c.year)
    is_in_window = (on > start) & on.between(first, last)
    return Pairs(source.join(years, sa.true()), RuleRow(beside, institute, day, on), start, is_in_window)


def candidates(
    rule: Selection, window: Window, institute: str, day: date, codes: Collection[str] = ()
) -> sa.Select[tuple[str, date]]:
    """People (`person_number`) whose window is open on that day, with `occasion_date`: each pair once.

    Of several holdings with one date the one with the lowest contract number stands for all, of several impulses the
    most important one, else the oldest: `contract_number` and `impulse` are null where others are looked through.
    `years` lie between the rule's date and Anlass_Datum, 0 for an impulse. `codes`: those of the impulses that are
    looked through, of which only open ones count. People whom the newest customers lack are left out.
    """
    pairs = pairs_of(rule, window, institute, day)
    beside = pairs.row.beside
    wanted: list[Truth] = [persons.c.institute == institute, persons.c.missing_since.is_(None)]
    wanted += [pairs.start.is_not(None), pairs.is_in_window]
    if rule.anniversary and window.last_day - window.first_day < _A_MONTH.days:
        # the day before it too: 29 February may be celebrated on 1 March
        before, last = day - timedelta(days=window.last_day + 1), day - timedelta(days=window.first_day)
        wanted.append(month(pairs.start).in_({before.month, last.month}))
    if beside is not None and rule.row == "impulse":
        wanted += [beside.c.code.in_(codes), is_open(beside, day)]
    if rule.where is not None:
        wanted.append(condition_of(rule.where, pairs.row))
    pair = (persons.c.person_number, pairs.occasion_date)
    told = _told(rule, beside, pairs.start, pairs.occasion_date)
    statement = sa.select(pair[0], pair[1].label("occasion_date"), *told).select_from(pairs.source).where(*wanted)
    match rule.row:
        case "holding":
            # by the whole primary key of persons, so that their other columns may be selected as well
            return statement.group_by(persons.c.institute, *pair)
        case "impulse" if beside is not None:
            return statement.ext(distinct_on(*pair)).order_by(*pair, *rank(beside))
    return statement


def _told(
    rule: Selection, beside: sa.FromClause | None, start: sa.ColumnElement[Any], occasion_date: sa.ColumnElement[Any]
) -> tuple[sa.ColumnElement[Any], ...]:
    """What is told of each pair beside itself; of the holdings of one pair the one that stands for all."""
    years = sa.extract("year", occasion_date) - sa.extract("year", start)
    passed: sa.ColumnElement[int] = sa.cast(years, sa.Integer)
    contract: sa.ColumnElement[Any] = sa.cast(sa.null(), sa.Text)
    impulse: sa.ColumnElement[Any] = sa.cast(sa.null(), sa.Text)
    if beside is not None and rule.row == "holding":
        contract, passed = sa.func.min(beside.c.contract_number), sa.func.min(passed)
    elif beside is not None:
        impulse = beside.c.impulse
    return contract.label("contract_number"), passed.label("years"), impulse.label("impulse")


def _looked_through(rule: Selection) -> sa.FromClause | None:
    """What lies beside a person in the rows that a rule looks through; None if it looks at people alone."""
    match rule.row:
        case "holding":
            return holdings.alias("held")
        case "impulse":
            return impulses.alias("told")
    return None


def statement_text(rule: Selection, window: Window) -> str:
    """The statement of `candidates` for people to read, with its values, for an example bank and day."""
    return _with_values(candidates(rule, window, "00000000", date(2026, 1, 1), ["CODE"]))


def statement_plan(
    connection: sa.Connection, rule: Selection, window: Window, institute: str, day: date, codes: Collection[str] = ()
) -> list[str]:
    """The lines of PostgreSQL's plan for the statement of `candidates`; it is not carried out."""
    statement = _with_values(candidates(rule, window, institute, day, codes))
    return [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}")]


def _with_values(statement: sa.Select[Any]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
