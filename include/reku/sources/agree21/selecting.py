"""A rule as a statement: who is selected on a day, with which Anlass_Datum. Values are bound, nothing is spliced in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import distinct_on

from reku.catalogue.occasion import Window
from reku.catalogue.selection import (
    OF_HOLDINGS,
    OF_IMPULSES,
    AllOf,
    AnyOf,
    Begins,
    Condition,
    DayNear,
    Has,
    HasNo,
    In,
    Known,
    Not,
    NotIn,
    Selection,
    SelectionField,
    Years,
)
from reku.sources.agree21.impulses import is_open, made_on, rank
from reku.store.tables import holdings, impulses, persons

Truth = sa.ColumnElement[bool]

_A_MONTH = timedelta(days=28)
"""A shorter window touches two months at most, so that the index on birthdays helps."""


def candidates(
    rule: Selection, window: Window, institute: str, day: date, codes: Collection[str] = ()
) -> sa.Select[tuple[str, date]]:
    """People (`person_number`) whose window is open on that day, with `occasion_date`: each pair once.

    Of several holdings with one date the one with the lowest contract number stands for all, of several impulses the
    most important one, else the oldest: `contract_number` and `impulse` are null where others are looked through.
    `years` lie between the rule's date and Anlass_Datum, 0 for an impulse. `codes`: those of the impulses that are
    looked through, of which only open ones count. People whom the newest customers lack are left out.
    """
    first, last = day - timedelta(days=window.last_day), day - timedelta(days=window.first_day)
    of_row = _Row(_looked_through(rule), institute, day, sa.null())
    start = of_row.column(rule.on)
    source: sa.FromClause = persons
    wanted: list[Truth] = [persons.c.institute == institute, persons.c.missing_since.is_(None), start.is_not(None)]
    if of_row.beside is not None:
        same_person = of_row.beside.c.person_number == persons.c.person_number
        source = persons.join(of_row.beside, (of_row.beside.c.institute == persons.c.institute) & same_person)
        if rule.row == "impulse":
            wanted += [of_row.beside.c.code.in_(codes), is_open(of_row.beside, day)]
    occasion_date: sa.ColumnElement[date] = start
    if rule.anniversary:
        years = (
            sa.func.generate_series(sa.literal(first.year), sa.literal(last.year))
            .table_valued("year", name="years")
            .render_derived()
        )
        source = source.join(years, sa.true())
        occasion_date = _anniversary(start, years.c.year)
        wanted.append(occasion_date > start)
        if last - first < _A_MONTH:
            # the day before it too: 29 February may be celebrated on 1 March
            wanted.append(_month(start).in_({(first - timedelta(days=1)).month, last.month}))
    wanted.append(occasion_date.between(first, last))
    if rule.where is not None:
        wanted.append(condition_of(rule.where, _Row(of_row.beside, institute, day, occasion_date)))
    statement = sa.select(
        persons.c.person_number, occasion_date.label("occasion_date"), *_told(rule, of_row.beside, start, occasion_date)
    )
    statement = statement.select_from(source).where(*wanted)
    match rule.row:
        case "holding":
            return statement.group_by(persons.c.person_number, occasion_date)
        case "impulse" if of_row.beside is not None:
            pair = (persons.c.person_number, occasion_date)
            return statement.ext(distinct_on(*pair)).order_by(*pair, *rank(of_row.beside))
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


@dataclass(frozen=True)
class _Row:
    """What a condition looks at: a person, and the holding or impulse beside it if there is one."""

    beside: sa.FromClause | None
    institute: str
    day: date
    occasion_date: sa.ColumnElement[Any]

    def column(self, field: SelectionField) -> sa.ColumnElement[Any]:
        """The column of a field."""
        if field not in OF_HOLDINGS | OF_IMPULSES:
            return persons.c[field.value]
        if self.beside is None:
            raise AssertionError(f"{field} of a person: the model lets none through")
        if field == SelectionField.MADE:
            return made_on(self.beside)
        return self.beside.c[field.value]


def statement_text(rule: Selection, window: Window) -> str:
    """The statement of `candidates` for people to read, with its values, for an example bank and day."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
    statement = candidates(rule, window, "00000000", date(2026, 1, 1), ["CODE"])
    return str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def condition_of(condition: Condition, row: _Row) -> Truth:
    """The condition as an expression: true, false, or null where something is unknown."""
    match condition:
        case AllOf(of=several):
            return sa.and_(*(condition_of(part, row) for part in several))
        case AnyOf(of=several):
            return sa.or_(*(condition_of(part, row) for part in several))
        case Not(of=one):
            return sa.not_(condition_of(one, row))
        case In(field=field, values=values):
            return row.column(field).in_(values)
        case NotIn(field=field, values=values):
            return row.column(field).not_in(values)
        case Begins(field=field, values=values):
            column = sa.cast(row.column(field), sa.Text)
            return reduce(sa.or_, (column.startswith(value, autoescape=True) for value in values))
        case Known(field=field):
            return row.column(field).is_not(None)
        case DayNear(field=field, first=first, last=last):
            return row.column(field).between(row.day + timedelta(days=first), row.day + timedelta(days=last))
        case Years(field=field):
            return _years_fit(condition, row.column(field), row.occasion_date)
        case Has(where=where):
            return _has(where, row)
        case HasNo(where=where):
            return ~_has(where, row)


def _has(where: Condition, row: _Row) -> Truth:
    other = holdings.alias()
    inner = _Row(other, row.institute, row.day, row.occasion_date)
    return sa.exists().where(
        other.c.institute == row.institute,
        other.c.person_number == persons.c.person_number,
        condition_of(where, inner),
    )


def _years_fit(condition: Years, start: sa.ColumnElement[Any], occasion_date: sa.ColumnElement[Any]) -> Truth:
    """Whole years that have passed: one more on each anniversary, of a 29 February on 1 March."""
    years = sa.extract("year", occasion_date) - sa.extract("year", start)
    passed = years - sa.case((_anniversary(start, sa.extract("year", occasion_date)) > occasion_date, 1), else_=0)
    fits = passed.between(condition.minimum, condition.maximum)
    if condition.step == 1:
        return fits
    return fits & (sa.cast(passed - condition.minimum, sa.Integer) % condition.step == 0)


def _anniversary(start: sa.ColumnElement[Any], year: sa.ColumnElement[Any]) -> sa.ColumnElement[date]:
    """The day in another year; the day after 28 February where there is no 29th."""
    first_of_month = sa.func.make_date(sa.cast(year, sa.Integer), sa.cast(_month(start), sa.Integer), 1, type_=sa.Date)
    return first_of_month + (sa.cast(sa.extract("day", start), sa.Integer) - 1)


def _month(start: sa.ColumnElement[Any]) -> sa.Extract:
    return sa.extract("month", start)
