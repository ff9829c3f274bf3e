"""A search for known words in every column of every table, found in the database itself, and in every file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.store.tables import SCHEMA
from tests.privacy.conftest import Chain


def in_tables(engine: sa.Engine, words: Iterable[str], schema: str = SCHEMA) -> dict[str, set[str]]:
    """Word → the tables in which it stands, whatever the column and its type."""
    found: dict[str, set[str]] = {word: set() for word in words}
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names(schema=schema):
            rows = connection.scalars(sa.text(f'SELECT CAST(t AS text) FROM "{schema}"."{table}" AS t'))  # noqa: S608 - names of its own tables
            told = "\n".join(rows)
            for word in found:
                if word in told:
                    found[word].add(table)
    return found


def in_files(words: Iterable[str]) -> dict[str, set[Path]]:
    """Word → the files below the files URL, the home, the journals and the return mailbox in which it stands."""
    found: dict[str, set[Path]] = {word: set() for word in words}
    for file in files():
        data = file.read_bytes()
        if file.suffix == ".gz":
            data = gzip.decompress(data)
        for word in found:
            if any(word.encode(encoding) in data for encoding in ("utf-8", "cp1252")):
                found[word].add(file)
    return found


def files() -> list[Path]:
    """Every file below the files URL, the home, the journals and the return mailbox."""
    s = settings()
    folders = [Path(s.files_url), s.home, s.journals(), *([s.bounce_maildir] if s.bounce_maildir else [])]
    return sorted({file for folder in folders for file in folder.rglob("*") if file.is_file()})


def places_with(chain: Chain, words: Iterable[str]) -> list[str]:
    """Every table and file with one of the words."""
    listed = list(words)
    tables = set().union(*in_tables(chain.engine, listed).values())
    return sorted(tables) + sorted(map(str, set().union(*in_files(listed).values())))
