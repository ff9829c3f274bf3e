"""What a rule of the gate may demand of a field: all that may be demanded of values, and two things of deliveries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reku.records import checks
from reku.records.contract import Strict


class DayAroundDelivery(Strict):
    """A day near the delivery; what is no day breaks `day` and not this.

    From `before` days before the day that the delivery was made on, to `after` days after the time that it covers:
    one period of its order's rhythm (`Expected.covers`).
    """

    kind: Literal["day_around_delivery"] = "day_around_delivery"
    before: int = Field(ge=0)
    after: int = Field(ge=0)


class MediumChoice(Strict):
    """The key of a medium that exists; may only be empty while the order's campaign has no choice of media."""

    kind: Literal["medium_choice"] = "medium_choice"


Check = Annotated[checks.Check | DayAroundDelivery | MediumChoice, Field(discriminator="kind")]
