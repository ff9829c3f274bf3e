"""A bank's pseudonyms made anew: wherever one stands, all at once or not at all, and nobody is forgotten by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.addresses import address_hmac
from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.sources.agree21.announcing import announce as announce_orders
from reku.sources.agree21.selection import obtain
from reku.store import tables
from reku.store.kinds import SuppressionKind, SuppressionSource
from reku.store.locks import Lock, session_lock
from reku.vault import pseudonym_rotation
from reku.vault.pseudonym_rotation import rotate_pseudonyms
from reku.vault.renewal import pseudonym_columns, pseudonym_tables
from reku_testing.clear_numbers import clear_numbers
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.cli.conftest import Reku, reku
from tests.process.conftest import relay
from tests.process.test_announcing import OCCASION, campaign
from tests.process.test_selection_chain import BORN, TODAY, Work, bank, deliver, failed, rows, work
from tests.sources.agree21.conftest import CoopBank, appointment, holding, impulse, person
from tests.vault.test_pseudonyms import FIRST, SECOND, set_keys

__all__ = ["bank", "reku", "relay", "work"]  # fixtures

MEDIUM = "SCOM_GEBURTSTAG"


@pytest.fixture
def world(bank: CoopBank, work: Work, relay: Sink, monkeypatch: pytest.MonkeyPatch) -> CoopBank:
    """A morning's bank with something in every place that can hold a pseudonym.

    People 1 and 2 have had a mail and have left the bank's data; 1 has objected. Person 3 is in a selection that was
    judged and in one that was not.
    """
    set_keys(monkeypatch, FIRST)
    contact = {"blocking_days": {MEDIUM: 30}, "household": "Haushalt_ID", "contact_person": "Ansprechperson"}
    imports = {"erase_after_days": 0, "max_shrink": 0.9}
    announced: list[dict[str, Any]] = []

    def announce(order: str) -> None:
        announced.append(campaign(order, f"Geburtstage {order}"))
        bank.configure(contact=contact, imports=imports, campaigns=announced)

    announce("K2026-014")
    deliver(bank, *(person(number, Geburtsdatum=BORN, Haushalt_ID="0000077001") for number in (1, 2)))
    settings.cache_clear()
    assert failed(work()) == []
    objects = pseudonym_of(bank, "person1@kunde.example")
    with bank.engine.begin() as connection:
        connection.execute(
            sa.insert(tables.suppressions).values(
                institute=BLZ,
                kind=SuppressionKind.UNSUBSCRIBED,
                recipient_key="0" * 64,
                person_number=objects,
                source=SuppressionSource.SUPPORT,
                since=clock.now(),
            )
        )
        waiting = {"file_id": 1, "position": 1, "institute": BLZ, "person_number": objects}
        connection.execute(sa.insert(tables.prepared_rows).values(waiting))
    at = clock.now() - timedelta(minutes=1)
    bank.put("IDA_KUNDEN", [person(3, Geburtsdatum=BORN, Haushalt_ID="0000077003")], at)
    bank.put("IDA_BESTAND", [holding(1, 3)], at)
    bank.put("GDIX_TERMINE", [appointment("T-1", 3, Termin_Beginn="26.12.2026 10:00:00")], at)
    bank.put("IMPULSE", [impulse("IMP-1", 3)], at)
    assert bank.verdicts() == ["PROCESSED"] * 4
    announce("K2026-015")
    assert failed(work(stages=("validate",))) == []
    announce("K2026-016")
    assert failed(work(stages=())) == []
    told = {"institute": BLZ, "field": "0017", "value": "23.11.2026"}
    of_person = {"person_number": rows(bank.engine, tables.persons)[0]["person_number"]}
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(tables.told_core_fields).values(told | of_person))
    return bank


@pytest.fixture
def light(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> CoopBank:
    """A morning's bank that has selected person 3 for an order."""
    set_keys(monkeypatch, FIRST)
    deliver(bank, person(3, Geburtsdatum=BORN, Haushalt_ID="0000077003"))
    announce_orders(bank.engine, bank.institute, OCCASION)
    assert obtain(bank.engine, rows(bank.engine, tables.orders)[0]["id"], TODAY) is not None
    return bank


def pseudonym_of(bank: CoopBank, address: str) -> str:
    (found,) = {
        row["person_number"]
        for row in rows(bank.engine, tables.messages)
        if row["recipient_key"] == address_hmac(BLZ, address)
    }
    return str(found)


def places(engine: sa.Engine, version: int) -> set[tuple[str, str]]:
    """Every table and column of the schema with a pseudonym of that version in it, as PostgreSQL writes the value."""
    found = set()
    with engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            for column in table.columns:
                text = sa.cast(column, sa.Text)
                if connection.scalar(
                    sa.select(sa.exists().where(text.regexp_match(f"[pvh]{version}\\.[0-9a-f]{{6}}")))
                ):
                    found.add((table.name, column.name))
    return found


def test_every_column_that_holds_a_pseudonym_is_rewritten(
    world: CoopBank, relay: Sink, work: Work, monkeypatch: pytest.MonkeyPatch, clock_at: Callable[[datetime], None]
) -> None:
    known = {(table.name, name) for table in pseudonym_tables() for name in pseudonym_columns(table)}
    open_ones = {(table, name) for table, name in known if name != "sealed"}
    never = {("subscribers", "fields")}  # a list keeps no field that is a number
    assert places(world.engine, 1) == open_ones - never, "the world has one in each place, and each place is known"
    sealed = {table for table, name in known if name == "sealed"}
    assert all(rows(world.engine, tables.metadata.tables[f"reku.{table}"]) for table in sealed)
    before = {table.name: len(rows(world.engine, table)) for table in tables.metadata.sorted_tables}
    set_keys(monkeypatch, FIRST, SECOND)
    done = rotate_pseudonyms(world.engine, BLZ, actor="tester")
    assert (places(world.engine, 1), places(world.engine, 2)) == (set(), open_ones - never)
    after = {table.name: len(rows(world.engine, table)) for table in tables.metadata.sorted_tables}
    assert {name for name in after if after[name] != before[name]} == {"audit", "pseudonym_keys"}
    assert done.version == 2
    assert {name for name, number in done.rewritten.items() if number} == {table for table, _ in known}
    everybody = [row["person_number"] for row in rows(world.engine, tables.persons)]
    with world.engine.connect() as connection:
        assert set(clear_numbers(connection, BLZ, everybody).values()) == {"0000000003"}
    # Who has left and comes back is still barred, and still blocked: by the person, since the addresses are new.
    at = clock.now() - timedelta(seconds=30)
    back = [person(n, Geburtsdatum=BORN, EMail=f"neu{n}@kunde.example", Haushalt_ID=f"{n:010d}") for n in range(1, 5)]
    deliver(world, *back, at=at)
    assert failed(work()) == []
    assert sorted(set(relay.recipients)) == [f"person{number}@kunde.example" for number in (1, 2, 3)]
    assert relay.recipients.count("person3@kunde.example") == 1, "what was sealed is opened, and filled into a mail"
    clock_at(clock.at(TODAY + timedelta(days=1), 5, 30))
    deliver(world, *back, at=clock.at(TODAY + timedelta(days=1), 5))
    work(stages=("validate", "release", "upsert_subscribers", "dispatch"))
    assert {address for address in relay.recipients if address.startswith("neu")} == {"neu4@kunde.example"}
    newest = max(rows(world.engine, tables.selections), key=lambda row: row["delivery_id"])
    # The second and the third were written to, before the change and after it.
    assert (newest["funnel"].get("ABGEMELDET"), newest["funnel"].get("SPERRZEIT")) == (1, 2)


def test_it_may_end_anywhere_and_nothing_is_half_done(light: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    set_keys(monkeypatch, FIRST, SECOND)
    before = places(light.engine, 1)
    steps = len(pseudonym_tables())
    real = pseudonym_rotation.rewrite
    for step in (1, steps):
        done = 0

        def dying(*arguments: Any, last: int = step, **_named: Any) -> int:
            nonlocal done
            if done == last:
                raise Killed
            done += 1
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(pseudonym_rotation, "rewrite", dying)
            if step == steps:  # all is rewritten, and not yet on record
                patch.setattr(pseudonym_rotation, "put_on_record", dying)
            with pytest.raises(Killed):
                rotate_pseudonyms(light.engine, BLZ, actor="tester")
        assert (places(light.engine, 1), places(light.engine, 2)) == (before, set())
    rotate_pseudonyms(light.engine, BLZ, actor="tester")
    assert places(light.engine, 1) == set()


@pytest.mark.parametrize("lock", [Lock.FILES, Lock.PEOPLE, Lock.ORDER, Lock.SELECTION, Lock.DELIVERY])
def test_it_is_refused_while_somebody_is_at_work(light: CoopBank, monkeypatch: pytest.MonkeyPatch, lock: Lock) -> None:
    set_keys(monkeypatch, FIRST, SECOND)
    table = {Lock.DELIVERY: tables.deliveries, Lock.ORDER: tables.orders, Lock.SELECTION: tables.orders}.get(lock)
    of = int(BLZ) if table is None else rows(light.engine, table)[0]["id"]
    with session_lock(light.engine, lock, of), pytest.raises(StageError, match=f"{lock.name} is locked"):
        rotate_pseudonyms(light.engine, BLZ, actor="tester")
    rotate_pseudonyms(light.engine, BLZ, actor="tester")


def test_it_is_refused_while_a_table_is_in_use(light: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch, FIRST, SECOND)
    monkeypatch.setattr(pseudonym_rotation, "_WAIT", "50ms")
    with light.engine.begin() as other:
        other.execute(sa.select(tables.contacts)).all()
        with pytest.raises(StageError, match="the tables are in use"):
            rotate_pseudonyms(light.engine, BLZ, actor="tester")


def test_the_command_says_what_it_did_and_imports_go_on(
    light: CoopBank, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = reku("agree21", "rotate-pseudonyms", BLZ)
    assert (nothing.exit_code, "append a new key" in nothing.stderr) == (1, True)
    assert "no pseudonyms" in reku("agree21", "rotate-pseudonyms", "99959999").stderr
    set_keys(monkeypatch, SECOND)
    lost = reku("agree21", "rotate-pseudonyms", BLZ)
    assert (lost.exit_code, f"reku agree21 rotate-pseudonyms {BLZ}" in lost.stderr) == (1, True)
    set_keys(monkeypatch, FIRST, SECOND)
    done = reku("agree21", "rotate-pseudonyms", BLZ)
    assert (done.exit_code, "made with key 2 now" in done.stdout) == (0, True)
    assert re.search(r"persons +1\b", done.stdout)
    assert FIRST not in done.stdout + lost.stderr
    deliver(light, person(3, Geburtsdatum=BORN, Haushalt_ID="0000077003"), at=clock.now() - timedelta(seconds=1))
    newest = light.newest()
    assert (newest["added"], newest["changed"], newest["gone"]) == (0, 0, 0), "everybody is who they were"
    set_keys(monkeypatch, FIRST)
    with pytest.raises(SetupError, match="at place 2 not the key"):
        rotate_pseudonyms(light.engine, BLZ, actor="tester")
