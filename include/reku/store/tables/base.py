"""What all tables share: the metadata of schema `reku`, and the columns and constraints that many have."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import sqlalchemy as sa

from reku.store.states import sql_list

SCHEMA = "reku"
EVERY_INSTITUTE = "00000000"
"""Stands for all institutes where a table needs one; no bank has this BLZ."""
metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    },
)


def closed(column: str, values: Iterable[StrEnum]) -> sa.CheckConstraint:
    """A column of a closed vocabulary: nothing but its values can be written."""
    return sa.CheckConstraint(f"{column} IN {sql_list(values)}", name=column)


def identity() -> sa.Column[int]:
    """The column `id`, numbered by the database."""
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def institute() -> sa.Column[str]:
    """The column `institute`."""
    return sa.Column("institute", sa.CHAR(8), nullable=False, comment="BLZ, leading zeros kept")


def moment(name: str, *, nullable: bool = True, comment: str | None = None) -> sa.Column[object]:
    """A column of moments."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)
