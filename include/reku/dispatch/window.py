"""The day's send window: from the campaign's play-out time to the institute's `send_until`, in Berlin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from reku.dispatch.plan import SendPlan
from reku.foundation import clock


@dataclass(frozen=True)
class SendWindow:
    """When mails may be handed over (UTC)."""

    opens: datetime
    closes: datetime


def send_window(plan: SendPlan, now: datetime) -> SendWindow:
    """The send window that is open, or else the next one on a day on which the campaign may send."""
    opens = plan.campaign.play_out_time or time(0)
    day = clock.berlin(now).date()
    while True:
        closes = _at(day, plan.institute.send_until)
        if closes > now and day.weekday() in plan.campaign.permitted_weekdays:
            return SendWindow(_at(day, opens), closes)
        day += timedelta(days=1)


def _at(day: date, wall_clock: time) -> datetime:
    return clock.at(day, wall_clock.hour, wall_clock.minute)
