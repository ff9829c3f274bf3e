"""A search for known words in every table, found by reflection, and in every file."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa

from reku.settings import settings
from reku.store.tables import SCHEMA
from tests.privacy.conftest import Chain


def in_tables(engine: sa.Engine, words: Iterable[str]) -> list[str]:
    """`table.column` of every column that has one of the words in it, whatever its type."""
    tables = sa.MetaData()
    tables.reflect(engine, schema=SCHEMA)
    found = []
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            for column in table.columns:
                text = sa.cast(column, sa.Text)
                hit = sa.or_(*(text.contains(word, autoescape=True) for word in words))
                if connection.execute(sa.select(sa.literal(1)).select_from(table).where(hit).limit(1)).first():
                    found.append(f"{table.name}.{column.name}")
    return found


def in_files(words: Iterable[str]) -> list[str]:
    """Every file below the files URL, the home, the journals and the return mailbox with one of the words in it."""
    s = settings()
    folders = [Path(s.files_url), s.home, s.journals(), *([s.bounce_maildir] if s.bounce_maildir else [])]
    found = []
    for file in sorted({file for folder in folders for file in folder.rglob("*") if file.is_file()}):
        data = file.read_bytes()
        if data.startswith(b"\x1f\x8b") and file.suffix == ".gz":
            data = gzip.decompress(data)
        if any(word.encode(encoding) in data for word in words for encoding in ("utf-8", "cp1252")):
            found.append(str(file))
    return found


def places_with(chain: Chain, words: Iterable[str]) -> list[str]:
    """Every column and file with one of the words."""
    listed = list(words)
    return in_tables(chain.engine, listed) + in_files(listed)
