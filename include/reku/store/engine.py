"""The engine of our database, one per process."""

from __future__ import annotations

import os
from functools import cache

import msgspec
import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.foundation.settings import required

_SILENCE = {"tcp_user_timeout": 30_000, "keepalives_idle": 20, "keepalives_interval": 5}
"""A server that is gone without a word is noticed within half a minute (ms, s, s), not after a quarter of an hour."""


def engine() -> sa.Engine:
    """The engine for `REKU_DATABASE_URL`; a forked process gets its own. Raises SetupError without a usable URL."""
    return _engine(required("database_url"), os.getpid())


@cache
def _engine(url: str, _pid: int) -> sa.Engine:
    try:
        given = sa.make_url(url)
        given.get_dialect().import_dbapi()
    except (sa.exc.ArgumentError, ImportError):
        given = None
    if given is None or given.get_backend_name() != "postgresql":
        # The URL itself may hold a password, so it is not shown.
        raise SetupError("REKU_DATABASE_URL is no URL of a PostgreSQL: postgresql+psycopg://user@host:5432/reku")
    # pool_pre_ping: PostgreSQL may have been restarted between two uses; the next use must not fail for it.
    # hide_parameters: the text of a database error must not carry what was to be written: names and addresses.
    return sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=3,
        hide_parameters=True,
        json_deserializer=msgspec.json.decode,
        # tcp_user_timeout (ms), keepalives: a server that is gone without a word is noticed within half a minute.
        connect_args={
            "connect_timeout": 10,
            "tcp_user_timeout": 30_000,
            "keepalives_idle": 20,
            "keepalives_interval": 5,
        },
    )
