"""Conditions of a rule as expressions: true, false, or null where something is unknown. Values are bound."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from typing import Any

import sqlalchemy as sa

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
    SelectionField,
    Years,
)
from reku.sources.agree21.impulses import made_on
from reku.store.tables import holdings, persons

Truth = sa.ColumnElement[bool]


@dataclass(frozen=True)
class RuleRow:
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


def condition_of(condition: Condition, row: RuleRow) -> Truth:
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
            return any_holding(where, row)
        case HasNo(where=where):
            return ~any_holding(where, row)


def any_holding(where: Condition, row: RuleRow) -> Truth:
    """That a condition holds for one of the person's holdings."""
    other = holdings.alias()
    inner = RuleRow(other, row.institute, row.day, row.occasion_date)
    return sa.exists().where(
        other.c.institute == row.institute,
        other.c.person_number == persons.c.person_number,
        condition_of(where, inner),
    )


def _years_fit(condition: Years, start: sa.ColumnElement[Any], occasion_date: sa.ColumnElement[Any]) -> Truth:
    """Whole years that have passed: one more on each anniversary, of a 29 February on 1 March."""
    years = sa.extract("year", occasion_date) - sa.extract("year", start)
    passed = years - sa.case((anniversary(start, sa.extract("year", occasion_date)) > occasion_date, 1), else_=0)
    fits = passed.between(condition.minimum, condition.maximum)
    if condition.step == 1:
        return fits
    return fits & (sa.cast(passed - condition.minimum, sa.Integer) % condition.step == 0)


def anniversary(start: sa.ColumnElement[Any], year: sa.ColumnElement[Any]) -> sa.ColumnElement[date]:
    """The day in another year; the day after 28 February where there is no 29th."""
    first_of_month = sa.func.make_date(sa.cast(year, sa.Integer), sa.cast(month(start), sa.Integer), 1, type_=sa.Date)
    return first_of_month + (sa.cast(sa.extract("day", start), sa.Integer) - 1)


def month(start: sa.ColumnElement[Any]) -> sa.Extract:
    return sa.extract("month", start)
