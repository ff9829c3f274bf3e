"""Takes the trackers' journals into the database, each line once.

How far a journal has been taken in is written in the transaction that takes it in, under a lock on the journal's row:
a kill at any moment loses and doubles nothing. A journal whose process lives is taken in as far as it goes; one that
nobody holds is complete, and is removed afterwards.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.foundation.append_log import LogReader, reading
from reku.foundation.errors import StageError
from reku.foundation.one_by_one import is_of_the_database, one_by_one
from reku.foundation.settings import settings
from reku.responses.hit_journal import SUFFIX, HitLine
from reku.store.tables import hit_journals

log = logging.getLogger(__name__)

HITS_OF_A_MESSAGE, HITS_OF_AN_HOUR = 300, 50
"""Hits of one message that are kept at most, in all and of one hour: a person makes a handful, a program any number."""
BATCH = 1_000_000
"""Bytes that are taken in by one transaction: some ten thousand hits."""

_decode = msgspec.json.Decoder(HitLine).decode
_decode_all = msgspec.json.Decoder(list[HitLine]).decode

_STORE = sa.text("""
    WITH told AS (
        SELECT t.kind, t.id, t.link, to_timestamp(t.at / 1000000.0) AS at, t.agent
        FROM json_to_recordset(CAST(:lines AS json)) AS t(kind text, id bigint, link integer, at bigint, agent text)
    ), of_messages AS (
        SELECT t.*, m.institute, m.delivery_id, m.tracking,
            t.at <= coalesce(m.begun_at, m.ended_at, t.at) + make_interval(days => :days) AS in_time
        FROM told t JOIN reku.messages m ON m.id = t.id WHERE t.kind <> 'ANON'
        FOR KEY SHARE OF m
    ), of_nobody AS (
        SELECT t.*, d.institute,
            t.at <= coalesce(d.loaded_at, d.created_at) + make_interval(days => :days) AS in_time
        FROM told t JOIN reku.deliveries d ON d.id = t.id WHERE t.kind = 'ANON'
    ), numbered AS (
        SELECT *, row_number() OVER (PARTITION BY id ORDER BY at) AS place,
            row_number() OVER (PARTITION BY id, date_trunc('hour', at) ORDER BY at) AS place_in_hour
        FROM of_messages WHERE tracking AND in_time
    ), before AS (
        SELECT n.id, n.hour, count(h.id) AS of_message,
            count(h.id) FILTER (WHERE date_trunc('hour', h.at) = n.hour) AS of_hour
        FROM (SELECT DISTINCT id, date_trunc('hour', at) AS hour FROM numbered) AS n
        LEFT JOIN reku.hits h ON h.message_id = n.id
        GROUP BY n.id, n.hour
    ), stored AS (
        INSERT INTO reku.hits (institute, message_id, kind, link_number, at, agent)
        SELECT n.institute, n.id, n.kind, nullif(n.link, 0), n.at, n.agent
        FROM numbered n JOIN before b ON b.id = n.id AND b.hour = date_trunc('hour', n.at)
        WHERE b.of_message + n.place <= :of_message AND b.of_hour + n.place_in_hour <= :of_hour
        ORDER BY n.at
        RETURNING 1
    ), counted AS (
        INSERT INTO reku.response_counts (institute, delivery_id, kind, link_number, count)
        SELECT institute, delivery_id, kind, link, count(*) FROM (
            SELECT institute, delivery_id, kind, link FROM of_messages WHERE NOT tracking AND in_time
            UNION ALL SELECT institute, id, 'CLICKED', link FROM of_nobody WHERE in_time
        ) AS nameless
        GROUP BY institute, delivery_id, kind, link ORDER BY delivery_id, kind, link
        ON CONFLICT (delivery_id, kind, link_number) DO UPDATE SET count = response_counts.count + excluded.count
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM stored) AS stored,
        (SELECT count(*) FROM numbered) - (SELECT count(*) FROM stored) AS too_many,
        (SELECT count(*) FROM of_messages WHERE in_time AND NOT tracking)
            + (SELECT count(*) FROM of_nobody WHERE in_time) AS counted,
        (SELECT count(*) FROM of_messages WHERE NOT in_time)
            + (SELECT count(*) FROM of_nobody WHERE NOT in_time) AS late,
        (SELECT count(*) FROM told) - (SELECT count(*) FROM of_messages) - (SELECT count(*) FROM of_nobody) AS unknown,
        (SELECT count(*) FROM counted) AS counters
""")
"""Who has no tracking consent is counted for the delivery and named nowhere. The key share lets an erasure of
the person come wholly before or wholly after."""


def drain(engine: sa.Engine, folder: Path, end: float = math.inf) -> Counter[str]:
    """Take in every journal of the folder as far as it goes, or until `end`, by the monotonic clock.

    Returns how many hits were `stored`, `counted` (nobody named), `late` (past their time), `too_many` of one message,
    `unknown` (of a message that this database has not) and `unreadable` (lines spoilt by a loss of power). Of each
    journal one batch is taken in whatever the time. Raises StageError if a journal cannot be taken in, after all
    others.
    """
    done = Counter[str]()

    def drain_one(file: Path) -> None:
        with suppress(FileNotFoundError), reading(file) as journal:  # gone: somebody else has just finished it
            for batch in _batches(engine, file, journal, end):
                done.update(batch)

    files = sorted(folder.glob(f"*{SUFFIX}"))
    handled = one_by_one(files, drain_one, named=lambda file: f"The journal {file.name}", stops=is_of_the_database)
    for name in ("too_many", "unknown", "unreadable"):
        if done[name]:
            log.warning("%d opens and clicks were dropped: %s.", done[name], name.replace("_", " "))
    if handled.failures:
        told = " ".join(f"{failure.name}: {failure.why}" for failure in handled.failures)
        raise StageError(
            f"Opens and clicks noted in {folder} cannot be taken in; nothing of them is lost. {told} Let this account "
            "read and write the files; what stays unreadable may be moved away by hand."
        )
    return done


def _batches(engine: sa.Engine, file: Path, journal: LogReader, end: float) -> Iterator[Counter[str]]:
    """Take in a journal piece by piece, and remove it once it is complete and wholly in."""
    while (batch := _next_batch(engine, file, journal)) is not None:
        yield batch
        if time.monotonic() >= end:
            return
    if journal.is_complete:
        journal.remove()
        # Only now: while there is a file, its row says what of it was taken in.
        with engine.begin() as connection:
            connection.execute(sa.delete(hit_journals).where(hit_journals.c.name == file.stem))


def _next_batch(engine: sa.Engine, file: Path, journal: LogReader) -> Counter[str] | None:
    """Take in the next lines; None when there are none."""
    own = hit_journals.c.name == file.stem
    with engine.begin() as connection:
        connection.execute(insert(hit_journals).values(name=file.stem).on_conflict_do_nothing())
        position = connection.scalar(sa.select(hit_journals.c.drained).where(own).with_for_update())
        if position is None or not journal.is_in_place():
            connection.rollback()  # finished and removed while we waited for its row
            return None
        whole = journal.read(position, BATCH)
        if not whole:
            return None
        lines, unreadable = _readable(whole)
        limits = {
            "days": settings().late_events_days,
            "of_message": HITS_OF_A_MESSAGE,
            "of_hour": HITS_OF_AN_HOUR,
        }
        counted = connection.execute(_STORE, {"lines": lines.decode()} | limits).one()
        connection.execute(sa.update(hit_journals).where(own).values(drained=position + len(whole)))
    names = ("stored", "counted", "late", "too_many", "unknown")
    return Counter({name: getattr(counted, name) for name in names} | {"unreadable": unreadable})


def _readable(data: bytes) -> tuple[bytes, int]:
    """The lines as one JSON array, and how many had to be left out."""
    lines = [line for line in data.split(b"\n") if line]
    listed = _as_array(lines)
    try:
        _decode_all(listed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        good = [line for line in lines if _is_readable(line)]
        return _as_array(good), len(lines) - len(good)
    return listed, 0


def _as_array(lines: list[bytes]) -> bytes:
    return b"[" + b",".join(lines) + b"]"


def _is_readable(line: bytes) -> bool:
    try:
        _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
