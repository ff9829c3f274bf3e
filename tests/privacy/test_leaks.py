"""A cooperative bank's day with a moved clock: no clear number and no address lies anywhere, none opens for too long.

Searched are every table, the server's own data folder with its write-ahead log, our files but the bank's own boxes, and
what was logged.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.pickup.take import fetch
from reku.privacy import retention
from reku.process.data_import import import_data
from reku.process.systems import FILE_FORMATS, bank_named
from reku.store import tables
from reku.store.kinds import SealedKind
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.privacy.searching import files, in_tables
from tests.process.conftest import relay
from tests.process.test_channels import by
from tests.process.test_contact_of_selected import LOADED
from tests.process.test_selection_chain import BORN, TODAY, Work, bank, deliver, failed, work
from tests.sources.agree21.conftest import CoopBank, holding, person

__all__ = ["bank", "relay", "work"]  # fixtures

BOXES = ("eingang", "ausgang")
"""Where the bank itself lays and finds files."""
MARK = secrets.token_hex(5)
NUMBERS = [f"7{secrets.randbelow(10**9):09d}" for _ in range(4)]
CONTRACT, HOUSEHOLD = (f"8{secrets.randbelow(10**9):09d}" for _ in range(2))
SECRETS = [*NUMBERS, CONTRACT, HOUSEHOLD, *(f"{word}{MARK}" for word in ("Nach", "Vor", "Gasse", "Ort", "post"))]


def customer(at: int, **changes: str) -> dict[str, str]:
    """Somebody whose number, name and address stand nowhere else in the world."""
    own = {
        "Personennummer": NUMBERS[at],
        "Haushalt_ID": HOUSEHOLD,
        "Ansprechperson": "J" if at == 0 else "N",
        "Vorname": f"Vor{MARK}",
        "Nachname": f"Nach{MARK}",
        "Strasse": f"Gasse{MARK} 1",
        "Ort": f"Ort{MARK}",
        "EMail": f"post{MARK}{at}@kunde.example",
        "Kundensegment": f"S{MARK}",
    }
    return person(at, **own | changes)


def places(engine: sa.Engine, words: Iterable[str], logged: str) -> set[str]:
    """Where one of the words stands, as it is or as PostgreSQL writes bytes."""
    texts = [form for word in words for form in (word, word.encode().hex())]
    forms = [text.encode() for text in texts]

    def has(data: bytes) -> bool:
        return any(form in data for form in forms)

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CHECKPOINT")
        folder = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar_one()))
    found = {f"table {table}" for named in in_tables(engine, texts).values() for table in named}
    if has(logged.encode()):
        found.add("log")
    on_disk = [*files(), *(file for file in folder.rglob("*") if file.is_file())]
    for file in on_disk:
        if not set(BOXES) & set(file.parts) and file.exists() and has(file.read_bytes()):
            found.add("wal" if "pg_wal" in file.parts else "data" if folder in file.parents else str(file))
    return found


def days_that_open(engine: sa.Engine) -> set[date]:
    """The days whose addresses can still be opened, wherever something that their key has sealed may lie."""
    key = tables.data_keys.c
    live = sa.select(key.day).where(key.kind == SealedKind.ADDRESS, key.wrapped.is_not(None))
    with engine.connect() as connection:
        return set(connection.scalars(live))


def test_nothing_lies_in_clear_and_nothing_opens_past_its_time(
    database: sa.Engine,
    bank: CoopBank,
    work: Work,
    relay: Sink,
    clock_at: Callable[[datetime], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="reku")
    bank.put("IDA_BESTAND", [holding(1, 1, Vertragsnummer=CONTRACT, Personennummer=NUMBERS[0])], clock.at(TODAY, 4))
    # one is mailed, one is not selected, one row is kept out with a receipt
    people = [customer(0, Geburtsdatum=BORN), customer(1), *(person(n) for n in range(10, 40))]
    bank.put("IDA_KUNDEN", [*people, customer(2, Geburtsdatum="1976-02-14")], clock.at(TODAY, 4, 10))
    assert bank.verdicts() == ["PROCESSED", "PROCESSED"]
    assert places(database, [f"S{MARK}"], "") >= {"table persons", "wal"}, "the search finds what lies there"
    assert places(database, SECRETS, caplog.text) == set(), "after the import"
    assert days_that_open(database) == {TODAY}
    # a file that is refused is kept as it came, for 36 hours
    bank.put("IDA_KUNDEN", [customer(3)], clock.at(TODAY, 4, 20))
    assert bank.verdicts() == ["REFUSED SCHRUMPFUNG"]
    kept = places(database, SECRETS, caplog.text)
    assert {Path(place).parent.name for place in kept} == {"fehler"}
    assert failed(work(stages=LOADED)) == []
    clock_at(clock.at(TODAY, 12, 1))
    bank.take_in()
    assert days_that_open(database) == {TODAY}, "a mail has still to be filled"
    assert failed(work()) == []
    assert days_that_open(database) == set(), "the dispatch that ends the last mail destroys the key, at once"
    assert [address for address in relay.recipients if MARK in address] == [f"post{MARK}0@kunde.example"]
    assert places(database, SECRETS, caplog.text) == kept, "after the mails"
    clock_at(clock.now() + timedelta(hours=37))
    retention.apply(database, clock.now())
    deliver(bank, *(person(n) for n in range(10, 40)), at=clock.now())
    assert places(database, SECRETS, caplog.text) == set(), "when all periods are over"
    assert days_that_open(database) == {clock.today()}, "the day's key is gone with the last row that it sealed"


@pytest.mark.parametrize("is_taken", [True, False], ids=["fetched and acknowledged", "taken by nobody"])
def test_of_prepared_files_nothing_opens_past_its_time(
    database: sa.Engine,
    bank: CoopBank,
    work: Work,
    relay: Sink,
    clock_at: Callable[[datetime], None],
    caplog: pytest.LogCaptureFixture,
    is_taken: bool,
) -> None:
    """A letter and a job for agreeMailing: 36 hours after a fetch, at once when acknowledged, else by the day."""
    caplog.set_level(logging.DEBUG, logger="reku")
    bank.configure(campaigns=by("agree_mailing", "letter"))
    own = {"Haushalt_ID": "", "Ansprechperson": "J", "Geburtsdatum": BORN}
    others = [person(n) for n in range(10, 40)]
    deliver(bank, customer(0, **own), customer(1, **own, Einwilligung_EMail="N"), *others)
    assert failed(work()) == []
    start, inbox = clock.now(), bank.files / BLZ / "eingang"
    (jobs,) = (bank.files / BLZ / "ausgang").glob("agreemailing_*")
    assert NUMBERS[0].encode() in jobs.read_bytes()
    files = {row["kind"]: row for row in bank.rows(tables.prepared_files)}
    letter = files["LETTER"]["id"]
    assert places(database, SECRETS, caplog.text) == set(), "the letter is sealed rows"
    assert days_that_open(database) == {TODAY}
    assert len(bank.rows(tables.delivery_rows)) == 2
    if is_taken:
        made = fetch(database, bank_named(BLZ), FILE_FORMATS, letter, actor="Erika Beispiel")
        assert MARK in made.files[letter_index(made.files)].decode("cp1252")
        (inbox / f"{jobs.name}.ok").touch()
        assert import_data(database, BLZ).counts["acknowledged"] == 1
        assert len(bank.rows(tables.delivery_rows)) == 1, "what is acknowledged goes at once"
        assert not jobs.exists()
    assert places(database, SECRETS, caplog.text) == set()
    clock_at(start + timedelta(hours=35))
    bank.take_in()  # the addresses of the day's customers are over
    retention.apply(database, clock.now())
    assert TODAY in days_that_open(database)
    clock_at(start + timedelta(hours=37))
    retention.apply(database, clock.now())
    assert not jobs.exists()
    assert len(bank.rows(tables.delivery_rows)) == (0 if is_taken else 1), "a letter that nobody took waits on"
    clock_at(clock.at(files["LETTER"]["last_day"] + timedelta(days=1), 0, 1))
    retention.apply(database, clock.now())
    assert places(database, SECRETS, caplog.text) == set()
    assert bank.rows(tables.delivery_rows) == []
    assert TODAY not in days_that_open(database)
    if is_taken:
        assert bank.rows(tables.prepared_rows) == []
    states = sorted((row["channel"], row["state"]) for row in bank.rows(tables.messages))
    ends = ("SENT", "SENT") if is_taken else ("IN_DOUBT", "UNDELIVERED")
    assert states == list(zip(("agree_mailing", "letter"), ends, strict=True))
    with pytest.raises(StageError, match="erased" if is_taken else "was to be fetched until"):
        fetch(database, bank_named(BLZ), FILE_FORMATS, letter, actor="Erika Beispiel")


def letter_index(files: Iterable[str]) -> str:
    return next(name for name in files if name.endswith(".csv"))
