"""Stage "bap": the state of a day for agree21BAP, 200,000 rows, against psql's \\copy of the same rows into a file.

Ours is all of it: the transaction that fixes the state and who has dropped out, and the fetch, in which every clear
number is opened and the file made with its check sums. The peer reads the same messages with their orders and contacts
in the same order, with pseudonyms as they stand in the tables. Told apart is a day on which all of it is new.
"""

from __future__ import annotations

import hashlib
import secrets
import statistics
import time
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.bench.psql import copied_out
from reku.bench.world import BLZ, World, world
from reku.channels.bap.day_state import prepare_state
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.pickup.take import fetch
from reku.process.systems import FILE_FORMATS, bank_named
from reku.vault import numbers

ROWS = 200_000
AT_LEAST = 0.3
_LEDGER = """
    UPDATE reku.messages SET person_number = 'p1.' || md5(person_number), state = 'SENT', medium = 'SCOM_GEBURTSTAG',
        channel = (ARRAY['email', 'online_banking', 'terminal', 'advisor'])[1 + id % 4], ended_at = now(), row_id = NULL
"""
_PEOPLE = """
    INSERT INTO reku.persons (institute, person_number, household, household_rank, consent, tracking, estate, flags)
    SELECT institute, person_number, person_number, 1, true, false, false, '{}' FROM reku.messages
"""
_CONTACTS = """
    INSERT INTO reku.contacts (institute, person_number, message_id, medium, day, blocked_until, mandatory)
    SELECT institute, person_number, id, medium, CURRENT_DATE, last_day, false FROM reku.messages WHERE id % 2 = 0
"""
_SAME_ROWS = """
    SELECT 'D', m.person_number, o.order_number, m.channel, m.state, o.placeholder, m.medium,
        CAST(m.due_at AT TIME ZONE 'Europe/Berlin' AS date), m.last_day, c.blocked_until
    FROM reku.messages m JOIN reku.orders o ON o.id = m.order_id LEFT JOIN reku.contacts c ON c.message_id = m.id
    ORDER BY m.id
"""
_PEER = "psql \\copy of the same rows"


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage. Raises SetupError if the file does not have all rows."""
    with world() as there:
        there.environment |= {
            "REKU_VAULT_KEYS": Fernet.generate_key().decode(),
            "REKU_PSEUDONYM_KEYS": secrets.token_urlsafe(48),
        }
        with there.in_force():
            build(there, ROWS)
            return figures(there, ROWS, rounds)


def build(there: World, rows: int) -> None:
    """A bank whose people we select, with so many of them and a message to each."""
    file = there.folder / "config" / "institutes" / f"{BLZ}.yaml"
    text = file.read_text(encoding="utf-8").replace("core_system: osplus", "core_system: agree21")
    file.write_text(text, encoding="utf-8")
    there.delivery(rows)
    clear = {f"p1.{hashlib.md5(number.encode()).hexdigest()}": number for number in _numbers(rows)}  # noqa: S324 - names
    with there.engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE reku.delivery_rows"))
        for statement in (_LEDGER, _PEOPLE, _CONTACTS):
            connection.execute(sa.text(statement))
        numbers.keep(connection, BLZ, clear, clock.today())
    _tidy(there.engine)


def _numbers(rows: int) -> list[str]:
    return [f"{number:010d}" for number in range(1, rows + 1)]


def figures(there: World, rows: int, rounds: int) -> list[dict[str, Any]]:
    """Both sides in turns, and the medians of so many rounds; one before them only warms up."""
    taken = []
    for _ in range(rounds + 1):
        _forget(there.engine, everything=True)
        new = ours(there, rows)
        _forget(there.engine, everything=False)
        again, peer = ours(there, rows), copied(there, rows)
        taken.append((peer / sum(again), peer / sum(new), peer / again[0], peer / again[1]))
    ratios = [round(statistics.median(column), 2) for column in zip(*taken[1:], strict=True)]
    whats = (
        "state of a day: fixed and fetched",
        "the same, all of it new",
        "of it: the transaction that fixes the state",
        "of it: the fetch, with every number opened",
    )
    return [
        {
            "stage": "bap",
            "what": what,
            "against": _PEER,
            "ratio": ratio,
            "at_least": None if place else AT_LEAST,
            "rounds": rounds,
            "rows": rows,
        }
        for place, (what, ratio) in enumerate(zip(whats, ratios, strict=True))
    ]


def ours(there: World, rows: int) -> tuple[float, float]:
    """Seconds of fixing the state, and of the fetch."""
    bank = bank_named(BLZ)
    begun = time.perf_counter()
    file = prepare_state(there.engine, bank, clock.today())
    middle = time.perf_counter()
    if file is None:
        raise SetupError("There is a file of today already: nothing was measured.")
    taken = fetch(there.engine, bank, FILE_FORMATS, file, actor="bench")
    end = time.perf_counter()
    if f"\r\nN;{rows};".encode() not in taken.files[taken.name]:
        raise SetupError(f"The file does not have {rows} rows: nothing was measured.")
    return middle - begun, end - middle


def copied(there: World, rows: int) -> float:
    """Seconds of psql and its \\copy of the same rows."""
    return copied_out(there, " ".join(_SAME_ROWS.split()), rows)


def _forget(engine: sa.Engine, *, everything: bool) -> None:
    """No file was made yet today; `everything`: nor on any day before."""
    more = ", reku.told_in_bap" if everything else ""
    with engine.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE reku.prepared_rows, reku.prepared_files{more}"))
    _tidy(engine)


def _tidy(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
