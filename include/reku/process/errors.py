"""Errors of the database as a stage tells them: without their text, which may quote values of people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from reku.foundation.errors import PassingError


@contextmanager
def told_database_errors() -> Iterator[None]:
    """Raises PassingError for an error of the database: only its kind is told."""
    try:
        yield
    except DBAPIError as error:
        raise PassingError(
            f"The database refused or lost a statement ({type(error.orig).__name__}). It is tried again; if it stays, "
            "look at the database's log."
        ) from None
