"""What all models are built of: the frozen base that refuses unknown keys, and the field types of our YAML files.

The models know nothing of files. `yaml_source` turns what pydantic finds wrong into errors with file and line.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from reku.catalogue.calendar import STATES
from reku.foundation.clock import BERLIN


class Model(BaseModel):
    """Base of all: cannot be changed, and takes no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError("give a whole number and a unit, such as 90s, 30m, 4h or 2d")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise ValueError("is longer than any calendar") from None


def _clock_time(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value.strip()):
            raise ValueError("give hour and minute, such as 09:30")
        return time.fromisoformat(value.strip())
    return value


def _berlin_moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("give a day or a moment of Berlin, such as 2026-01-01 or 2026-01-01 21:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=BERLIN)).astimezone(UTC)


def _german_state(value: str) -> str:
    if value not in STATES:
        # The type and the list are those of a wrong enum value, so that the error shows the valid ones.
        raise PydanticCustomError("enum", "is no German state", {"expected": ", ".join(map(repr, STATES))})
    return value


def _mail_address(value: str) -> str:
    from reku.foundation.addresses import is_valid  # email_validator: for institutes only, not for each DAG parse

    if not is_valid(value):
        raise ValueError("is not a mail address")
    return value


def _recipient_domain(value: str) -> str:
    """A domain in the form that normalised addresses have, or "*". Raises ValueError saying how to write it."""
    if value == OTHER_DOMAINS:
        return value
    from reku.foundation.addresses import normalise  # see _mail_address

    try:
        domain = normalise(f"x@{value.strip().lstrip('@').rstrip('.')}").partition("@")[2]
    except ValueError:
        domain = ""
    if "." not in domain:
        raise ValueError(
            f'is no mail domain; give what stands after the @ of addresses, such as gmx.example, or "{OTHER_DOMAINS}" '
            "for all that are not named"
        )
    if value != domain:
        raise ValueError(f"must be written as mail servers write it: {domain}")
    return value


OTHER_DOMAINS = "*"
"""Stands for every recipient domain that is not named."""

Duration = Annotated[timedelta, BeforeValidator(_duration)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
BerlinMoment = Annotated[datetime, BeforeValidator(_berlin_moment)]
GermanState = Annotated[str, AfterValidator(_german_state)]
Text = Annotated[str, Field(min_length=1)]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9_]{3,20}$")]
OWN_NUMBER = r"K\d{4}-\d{3,6}"
"""Number of an order that a campaign announces: year and running number. No control file gives such a number."""
OrderNumber = Annotated[str, Field(pattern=rf"^([A-Z0-9]{{1,20}}|{OWN_NUMBER})$")]
"""As a control file gives it, or as a bank gives it to a campaign that announces its order."""
Placeholder = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
"""Key of an Anlassvorlage, as it is set up in VTM."""
FieldNumber = Annotated[str, Field(pattern=r"^[0-9]{4}$")]
"""Number of a bank-individual field of the core system; text, leading zeros kept."""
MediumKey = Annotated[str, Field(pattern=r"^(SCOM|LBS|SKP|DEKA|VOEV|SV|EIGEN)(_[A-Z0-9]+)+$", max_length=60)]
ImpulseCode = Annotated[str, Field(min_length=1, max_length=20)]
"""Impuls_Code, as the bank's Impulsmanager writes it."""
HexColour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
Domain = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$", max_length=253)
]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
RecipientDomain = Annotated[str, AfterValidator(_recipient_domain)]
Rate = Annotated[float, Field(ge=0.001, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
RowCount = Annotated[int, Field(ge=0)]
ResponseCode = Literal["VERS", "ZUGE", "OEFF", "KLIC", "ABME", "BESC", "HBOU", "SBOU", "UBOU", "ZRUE", "NVER"]


def no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    """The values, for a validator. Raises ValueError if one stands there more than once."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once")
    return values


REFUSAL_FIELD, ESTATE_FIELD = "Werbesperre_KZ", "Nachlass_KZ"
"""Where we select from a bank's data: the fields of customers by whose values it says who refuses and who has died."""
HOUSEHOLD_FIELD, CONTACT_PERSON_FIELD = "Haushalt_ID", "Ansprechperson"
"""There, too: the fields that say who lives together, and who is the contact person."""
