"""What a bank says about the data that it delivers for our selections."""

from __future__ import annotations

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reku.catalogue.fields import ClockTime, Duration, Model, Share


class Pseudonyms(StrEnum):
    """Who makes pseudonyms of a bank's numbers."""

    NONE = "keine"  # clear numbers are kept as they come
    BANK = "bank"  # the bank: clear numbers are refused
    ON_ENTRY = "eingang"  # we do, before anything is written


LAST_LOOK = time(12, 0)
"""When the day's last import begins, Europe/Berlin (`dags/agree21_import.py`): what is to be forgotten is by then."""


class ImportRules(Model):
    """How a bank's imports are judged and kept (docs/agree21.md, "A bank's rules")."""

    pseudonyms: Pseudonyms = Field(
        Pseudonyms.ON_ENTRY, description="`keine`, `bank` or `eingang`: who makes pseudonyms of its numbers"
    )
    person_number_digits: Annotated[int, Field(ge=1, le=20)] = Field(
        10, description="digits of a clear person number, leading zeros included"
    )
    data_by: ClockTime = Field(time(7, 0), description="until when today's data are waited for, Europe/Berlin")
    max_data_age: Duration = Field(
        timedelta(hours=24), description="how old data may be that are selected from, by the file's own time"
    )
    erase_after_days: Annotated[int, Field(ge=0, le=30)] = Field(
        1, description="people whom the customers' file lacks for so many days leave, with all that is theirs"
    )
    addresses_until: ClockTime = Field(
        LAST_LOOK,
        le=LAST_LOOK,
        description="when the addresses of people who were not selected leave, Europe/Berlin; 12:00 at the latest",
    )
    delta_days: Annotated[int, Field(ge=0, le=7)] = Field(
        0,
        description="for how many days after a snapshot deltas of customers are taken in, and addresses kept; 0: none",
    )
    max_shrink: Share = Field(
        0.2, description="share by which a snapshot may be smaller than the one before; else a person has to accept it"
    )
    max_orphans: Share = Field(
        0.05, description="share of rows of people whom the newest customers lack; above it a file is refused"
    )
