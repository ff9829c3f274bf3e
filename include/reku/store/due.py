"""Berlin's calendar days in statements, as bounds in UTC: a statement with them uses an index."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from reku.foundation import clock


def due_bounds(day: date, only: date | None = None) -> tuple[datetime, datetime]:
    """From when on, and until when (not included), something is due by `day`, or exactly on `only` if that is given."""
    begin = clock.at(only) if only else datetime.min.replace(tzinfo=UTC)
    return begin, clock.at((only or day) + timedelta(days=1))


def due_by(due_at: sa.ColumnElement[datetime], day: date, only: date | None = None) -> sa.ColumnElement[bool]:
    """Whether something is due by `day`, or exactly on `only` if that is given."""
    begin, end = due_bounds(day, only)
    return (due_at >= begin) & (due_at < end)


def on_day(moment: sa.ColumnElement[datetime], day: date) -> sa.ColumnElement[bool]:
    """Whether a moment lies on that day."""
    return due_by(moment, day, only=day)
