"""Rows of a statement as a read model."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa

ModelT = TypeVar("ModelT")


def read(connection: sa.Connection, statement: sa.Select[Any], model: type[ModelT]) -> list[ModelT]:
    """One model for each row; the statement's columns bear the names of the model's fields."""
    return [model(**row) for row in connection.execute(statement).mappings()]


def filters(*wanted: tuple[sa.ColumnElement[str], str]) -> list[sa.ColumnElement[bool]]:
    """The conditions of those filters that are set: a column and its value; an empty value wants all rows."""
    return [column == value for column, value in wanted if value]
