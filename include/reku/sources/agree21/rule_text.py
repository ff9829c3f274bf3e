"""A selection rule in a German sentence, for people who decide whether it says what they mean."""

from __future__ import annotations

from reku.catalogue.occasion import Window
from reku.catalogue.selection import (
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

_NAMES = {
    SelectionField.BORN: "Geburtsdatum",
    SelectionField.CUSTOMER_SINCE: "Beginn der Kundenbeziehung",
    SelectionField.SEGMENT: "Kundensegment",
    SelectionField.POSTCODE: "Postleitzahl",
    SelectionField.SALUTATION: "Anrede",
    SelectionField.PRODUCT: "Produktart",
    SelectionField.BALANCE_CLASS: "Saldoklasse",
    SelectionField.PAYMENT_FLOW: "Zahlungsstrom",
    SelectionField.OPENED: "Eröffnung",
    SelectionField.DUE: "Fälligkeit",
    SelectionField.MADE: "Entstehung",
    SelectionField.VALUE_DATE: "genanntes Datum",
}


_WHO = {
    "person": "Personen, deren",
    "holding": "Personen mit einem Vertrag, dessen",
    "impulse": "Personen mit einem gültigen, noch nicht verwendeten Impuls der Kampagne, dessen",
}


def sentence(rule: Selection, window: Window) -> str:
    """What the rule selects, as one sentence."""
    where = f", wenn {told(rule.where)}" if rule.where is not None else ""
    return f"Ausgewählt werden {_WHO[rule.row]} {told_window(rule, window)} liegt{where}."


def told_window(rule: Selection, window: Window) -> str:
    """Which date has to lie on which days."""
    name = f"Jahrestag ({_NAMES[rule.on]})" if rule.anniversary else _NAMES[rule.on]
    return f"{name} {_days(-window.last_day, -window.first_day)}"


def told(condition: Condition) -> str:
    """A condition in words."""
    match condition:
        case AllOf(of=several):
            return _joined([told(part) for part in several], " und ")
        case AnyOf(of=several):
            return _joined([told(part) for part in several], " oder ")
        case Not(of=one):
            return f"nicht gilt: {told(one)}"
        case In(field=field, values=values):
            return f"{_NAMES[field]} = {' oder '.join(values)}"
        case NotIn(field=field, values=values):
            none_of = f"nicht {values[0]}" if len(values) == 1 else f"weder {' noch '.join(values)}"
            return f"{_NAMES[field]} bekannt und {none_of}"
        case Begins(field=field, values=values):
            return f"{_NAMES[field]} beginnt mit {' oder '.join(values)}"
        case Known(field=field):
            return f"{_NAMES[field]} bekannt"
        case DayNear(field=field, first=first, last=last):
            return f"{_NAMES[field]} {_days(first, last)}"
        case Years(field=field, minimum=least, maximum=most, step=step):
            steps = "" if step == 1 or least == most else f", in Schritten von {step}"
            span = f"{least}" if least == most else f"{least} bis {most}"
            return f"{_NAMES[field]} {span} Jahre her{steps}"
        case Has(where=where):
            return f"es einen Vertrag gibt mit {told(where)}"
        case HasNo(where=where):
            return f"es keinen Vertrag gibt mit {told(where)}"


def _joined(parts: list[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})"


def _days(first: int, last: int) -> str:
    """Days counted from the day of the selection, both ends included."""
    if first == last:
        return _day(first)
    return f"frühestens {_day(first)} und spätestens {_day(last)}"


def _day(number: int) -> str:
    if number == 0:
        return "heute"
    unit = "Tag" if abs(number) == 1 else "Tagen"
    return f"vor {-number} {unit}" if number < 0 else f"in {number} {unit}"
