"""What a rule may demand of a field, as data: one class per kind of check, told apart by `kind`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reku.records.contract import Conditions
from reku.records.times import parse_date


class Strict(BaseModel):
    """A part of a rule file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Required(Strict):
    """The field is filled: always, or where all columns of `when` hold one of their values."""

    kind: Literal["required"] = "required"
    when: Conditions = {}


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

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


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
    """The value that the delivery's order has."""

    kind: Literal["as_expected"] = "as_expected"
    of: Literal["occasion", "order_number", "institute"]


class MediumChoice(Strict):
    """The key of a medium that exists; may only be empty while the order's campaign has no choice of media."""

    kind: Literal["medium_choice"] = "medium_choice"


Check = Annotated[
    Required
    | EmptyUnless
    | MaxLength
    | Pattern
    | Among
    | Unique
    | WholeNumber
    | NumberBetween
    | Day
    | DayBetween
    | Moment
    | NotBefore
    | Address
    | AsExpected
    | MediumChoice,
    Field(discriminator="kind"),
]
