"""What may be demanded of a field, as data: one class per kind of check, told apart by `kind`.

An empty or blank value can break only `required`; the other checks look at filled ones.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from reku.records.contract import Conditions, Strict
from reku.records.times import parse_date


def _compiles(regex: str) -> str:
    try:
        re.compile(regex)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return regex


class Required(Strict):
    """The field is filled: always, or where all columns of `when` hold one of their values."""

    kind: Literal["required"] = "required"
    when: Conditions = Field({})


class EmptyUnless(Strict):
    """The field is empty, unless all columns of `when` hold one of their values."""

    kind: Literal["empty_unless"] = "empty_unless"
    when: Conditions


class MaxLength(Strict):
    """At most so many characters."""

    kind: Literal["max_length"] = "max_length"
    length: int = Field(ge=1)


class Pattern(Strict):
    """The whole value matches a regular expression."""

    kind: Literal["pattern"] = "pattern"
    regex: str

    _regex_compiles = field_validator("regex")(_compiles)


class Without(Strict):
    """No part of the value matches a regular expression."""

    kind: Literal["without"] = "without"
    regex: str

    _regex_compiles = field_validator("regex")(_compiles)


class Encodable(Strict):
    """Every character of the value has a place in an encoding."""

    kind: Literal["encodable"] = "encodable"
    encoding: Literal["utf-8", "iso-8859-15", "cp1252"]


class Among(Strict):
    """One of a closed set of values."""

    kind: Literal["among"] = "among"
    values: tuple[str, ...] = Field(min_length=1)


class Unique(Strict):
    """No earlier row of the delivery has the same value; the first row with it is good."""

    kind: Literal["unique"] = "unique"


class WholeNumber(Strict):
    """A whole number of at most 18 digits."""

    kind: Literal["whole_number"] = "whole_number"


class NumberBetween(Strict):
    """A whole number within bounds, both included; what is no whole number breaks `whole_number` and not this."""

    kind: Literal["number_between"] = "number_between"
    minimum: int | None = None
    maximum: int | None = None


class InSteps(Strict):
    """One of the whole numbers `first`, `first` + `step` … `last`; what is no whole number breaks other rules."""

    kind: Literal["in_steps"] = "in_steps"
    first: int
    step: int = Field(ge=2)
    last: int

    @model_validator(mode="after")
    def _last_is_reached(self) -> InSteps:
        if self.last <= self.first or (self.last - self.first) % self.step:
            raise ValueError(f"steps of {self.step} from {self.first} on do not reach {self.last}")
        return self


class Day(Strict):
    """A day TT.MM.JJJJ that the calendar has."""

    kind: Literal["day"] = "day"


class DayBetween(Strict):
    """A day within bounds, both included; what is no day breaks `day` and not this."""

    kind: Literal["day_between"] = "day_between"
    first: str = Field(description="earliest day, TT.MM.JJJJ")
    last: str = Field(description="latest day, TT.MM.JJJJ")

    @field_validator("first", "last")
    @classmethod
    def _is_day(cls, value: str) -> str:
        parse_date(value)
        return value


class Moment(Strict):
    """A moment TT.MM.JJJJ HH:MM:SS that the calendar has."""

    kind: Literal["moment"] = "moment"


class NotBefore(Strict):
    """A day that does not precede the day in another column."""

    kind: Literal["not_before"] = "not_before"
    other: str


class Address(Strict):
    """One mail address by RFC 5321 and 6531: syntax, lengths, IDN; no DNS."""

    kind: Literal["address"] = "address"


class AsExpected(Strict):
    """The value that the file's order has."""

    kind: Literal["as_expected"] = "as_expected"
    of: Literal["occasion", "order_number", "institute"]


Check = (
    Required
    | EmptyUnless
    | MaxLength
    | Pattern
    | Without
    | Encodable
    | Among
    | Unique
    | WholeNumber
    | NumberBetween
    | InSteps
    | Day
    | DayBetween
    | Moment
    | NotBefore
    | Address
    | AsExpected
)


def fields_of(field: str, check: BaseModel) -> tuple[str, ...]:
    """All fields that a check of a field looks at, its own first."""
    match check:
        case Required(when=when) | EmptyUnless(when=when):
            return (field, *when)
        case NotBefore(other=other):
            return (field, other)
        case _:
            return (field,)
