"""Whom an occasion selects from a bank's imported data: a rule of closed fields and conditions, no code.

What is unknown satisfies no condition, negated ones included: a person without a birthday is in no list of birthdays,
and `not_in` lets in nobody of whom the field is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reku.catalogue.fields import Model, Text


class SelectionField(StrEnum):
    """What a condition may ask for; of people, of their holdings (`OF_HOLDINGS`), or of impulses (`OF_IMPULSES`)."""

    BORN = "born"
    CUSTOMER_SINCE = "customer_since"
    SEGMENT = "segment"
    POSTCODE = "postcode"
    SALUTATION = "salutation"
    PRODUCT = "product"
    BALANCE_CLASS = "balance_class"
    PAYMENT_FLOW = "payment_flow"
    OPENED = "opened"
    DUE = "due"
    MADE = "made"
    VALUE_DATE = "value_date"


OF_HOLDINGS = frozenset(
    {
        SelectionField.PRODUCT,
        SelectionField.BALANCE_CLASS,
        SelectionField.PAYMENT_FLOW,
        SelectionField.OPENED,
        SelectionField.DUE,
    }
)
OF_IMPULSES = frozenset({SelectionField.MADE, SelectionField.VALUE_DATE})
DateField = Literal[
    SelectionField.BORN,
    SelectionField.CUSTOMER_SINCE,
    SelectionField.OPENED,
    SelectionField.DUE,
    SelectionField.MADE,
    SelectionField.VALUE_DATE,
]
TextField = Literal[
    SelectionField.SEGMENT,
    SelectionField.POSTCODE,
    SelectionField.SALUTATION,
    SelectionField.PRODUCT,
    SelectionField.BALANCE_CLASS,
    SelectionField.PAYMENT_FLOW,
]
Values = Annotated[tuple[Text, ...], Field(min_length=1)]
Conditions = Annotated[tuple["Condition", ...], Field(min_length=1)]
_MOST_DEPTH = 5


class AllOf(Model):
    """All of these hold."""

    kind: Literal["all"]
    of: Conditions = Field(description="conditions")


class AnyOf(Model):
    """At least one of these holds."""

    kind: Literal["any"]
    of: Conditions = Field(description="conditions")


class Not(Model):
    """This does not hold, and is known not to."""

    kind: Literal["not"]
    of: Condition = Field(description="a condition")


class In(Model):
    """The field has one of these values."""

    kind: Literal["in"]
    field: TextField = Field(description="what is asked for")
    values: Values = Field(description="values as delivered")


class NotIn(Model):
    """The field is known and has none of these values."""

    kind: Literal["not_in"]
    field: TextField = Field(description="what is asked for")
    values: Values = Field(description="values as delivered")


class Begins(Model):
    """The field begins with one of these."""

    kind: Literal["begins"]
    field: TextField = Field(description="what is asked for")
    values: Values = Field(description="beginnings, such as those of postcodes")


class Known(Model):
    """The field is known."""

    kind: Literal["known"]
    field: SelectionField = Field(description="what is asked for")


class DayNear(Model):
    """The date lies so many days around the day of the selection, both ends included."""

    kind: Literal["day_near"]
    field: DateField = Field(description="what is asked for")
    first: int = Field(ge=-36_600, le=36_600, description="first day, counted from the day of the selection")
    last: int = Field(ge=-36_600, le=36_600, description="last day, counted from the day of the selection")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.last:
            raise ValueError(f"first {self.first} lies after last {self.last}")
        return self


class Years(Model):
    """So many whole years lie between the date and Anlass_Datum: an age, the years of a contract."""

    kind: Literal["years"]
    field: DateField = Field(description="the date from which years are counted")
    minimum: int = Field(0, ge=0, le=200, description="least number of years")
    maximum: int = Field(200, ge=0, le=200, description="greatest number of years")
    step: int = Field(1, ge=1, le=100, description="only every so many years, counted from `minimum`")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is greater than maximum {self.maximum}")
        return self


class Has(Model):
    """The person has a holding of which this holds."""

    kind: Literal["has"]
    where: Condition = Field(description="a condition on the holding")


class HasNo(Model):
    """The person has no holding of which this holds."""

    kind: Literal["has_no"]
    where: Condition = Field(description="a condition on the holding")


Condition = Annotated[
    AllOf | AnyOf | Not | In | NotIn | Begins | Known | DayNear | Years | Has | HasNo, Field(discriminator="kind")
]


class Selection(Model):
    """Whom an occasion selects: people, holdings of people, or impulses about people."""

    row: Literal["person", "holding", "impulse"] = Field(description="what is looked through")
    on: DateField = Field(description="the date that becomes Anlass_Datum, or whose anniversary does")
    anniversary: bool = Field(False, description="whether it is the date's anniversary; of a 29 February on 1 March")
    where: Condition | None = Field(None, description="condition; none: everybody with such a date")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.on in OF_IMPULSES) != (self.row == "impulse"):
            raise ValueError(
                f"`row: impulse` and `on: {'` or `on: '.join(sorted(OF_IMPULSES))}` belong together: they are the "
                "dates of an impulse"
            )
        if self.row == "person" and self.on in OF_HOLDINGS:
            raise ValueError(f"a person has no {self.on}: write `row: holding`")
        if self.row == "impulse" and self.anniversary:
            raise ValueError("an impulse is used once and has no anniversary")
        if self.where is not None:
            _check_fields(self.where, row=self.row, inside=False, depth=1)
        return self


def asks_for_holdings(rule: Selection) -> bool:
    """Whether a rule asks for anything of people's holdings."""

    def asks(condition: Condition) -> bool:
        return isinstance(condition, Has | HasNo) or any(map(asks, parts_of(condition)))

    return rule.row == "holding" or (rule.where is not None and asks(rule.where))


class NoSelection(Model):
    """An occasion for which nothing is selected."""

    row: Literal["none"] = Field(description="nothing is selected")
    why: Text = Field(description="why not, one line")


OccasionSelection = Annotated[Selection | NoSelection, Field(discriminator="row")]


def parts_of(condition: Condition) -> Iterator[Condition]:
    """The conditions directly below one."""
    match condition:
        case AllOf(of=several) | AnyOf(of=several):
            yield from several
        case Not(of=one):
            yield one
        case Has(where=one) | HasNo(where=one):
            yield one


def _check_fields(condition: Condition, *, row: str, inside: bool, depth: int) -> None:
    """Refuse a field where it means nothing. `inside`: within `has` or `has_no`, where it is of that holding."""
    if depth > _MOST_DEPTH:
        raise ValueError(f"conditions lie in one another more than {_MOST_DEPTH} deep; say it more simply")
    field = getattr(condition, "field", None)
    if field in OF_IMPULSES and (row != "impulse" or inside):
        raise ValueError(f"only an impulse has {field}: write `row: impulse`, outside has and has_no")
    if field in OF_HOLDINGS and not (row == "holding" or inside):
        raise ValueError(f"a person has no {field}: put it into has or has_no, or write `row: holding`")
    if inside and field is not None and field not in OF_HOLDINGS:
        raise ValueError(f"a holding has no {field}: put it outside has and has_no")
    if isinstance(condition, Has | HasNo):
        if inside:
            raise ValueError("has and has_no cannot lie in one another")
        inside = True
    for part in parts_of(condition):
        _check_fields(part, row=row, inside=inside, depth=depth + 1)


for _model in (AllOf, AnyOf, Not, Has, HasNo, Selection):
    _model.model_rebuild()
