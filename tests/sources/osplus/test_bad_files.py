"""Bad deliveries in the inbox of a bank: each with the exact receipt that its sender gets (docs/domain.md, rule 8).

The files of one test lie in the inbox at once, each of an order of its own; one scan and the gate judge them.
"""

from __future__ import annotations

import hashlib
import random
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.store import tables
from reku_testing import banks, world
from tests.sources.conftest import MOST_BYTES, NOW, OTHER_BLZ, Bank
from tests.sources.osplus.bad_files import FILES, PACKED, TOO_BIG
from tests.sources.osplus.broken import (
    WRONG_COUNT,
    delivery,
    delivery_name,
    judge,
    outcome,
    packed,
    receipt_of,
    refused,
    sealed,
)


def test_every_broken_delivery_is_answered_with_its_exact_receipt(inbox: Bank, subtests: pytest.Subtests) -> None:
    cases = [(what, ".csv", *case) for what, case in FILES.items()]
    cases += [(what, ".csv.gz", *case) for what, case in PACKED.items()]
    arrived, judged = [], []
    for number, (what, end, damage, verdict) in enumerate(cases, 1):
        order = f"R{number:07d}"
        world.order(inbox.engine, order)
        data = damage(delivery(order))
        arrived.append((what, inbox.put(delivery_name(order, end=end), data), data, verdict))
        if verdict.state == "VALIDATED":
            judged.append(order)
    orders = inbox.rows(tables.orders)
    inbox.scan()
    judge(inbox.engine, *judged)
    assert inbox.names("eingang") == inbox.names("in_arbeit") == inbox.names("geparkt") == []
    assert inbox.rows(tables.orders) == orders, "a delivery changes no order"
    assert inbox.rows(tables.lists) == inbox.rows(tables.control_files) == inbox.rows(tables.rejects) == []
    for what, name, data, verdict in arrived:
        with subtests.test(what):
            assert outcome(inbox, name, data) == verdict


@pytest.mark.parametrize(
    ("blz", "code", "advice"),
    [
        (OTHER_BLZ, "WIDERSPRUCH", f"Die Datei gehört nach ihrem Namen in den Eingang von {OTHER_BLZ}."),
        (
            "99990000",
            "INSTITUT_UNBEKANNT",
            "Das Institut 99990000 im Dateinamen ist hier nicht eingerichtet. BLZ im Dateinamen prüfen.",
        ),
    ],
    ids=["another bank", "a bank that nobody set up"],
)
def test_a_file_in_the_wrong_inbox_is_refused(
    inbox: Bank, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blz: str, code: str, advice: str
) -> None:
    banks.configure(monkeypatch, tmp_path / "config", blz=OTHER_BLZ)
    data = delivery("R0000001")
    names = [inbox.put(delivery_name("R0000001", blz=blz), data)]
    names.append(inbox.put(f"vreku_{blz}_R0000001_20261105213000.csv", data))
    inbox.scan()
    for name in names:
        assert outcome(inbox, name, data) == refused((None, "BLZ", code, advice), delivery=False)
    assert [inbox.rows(table) for table in (tables.orders, tables.control_files, tables.deliveries)] == [[], [], []]


@pytest.mark.parametrize("end", [".csv", ".csv.gz"])
def test_a_file_of_any_size_is_refused_in_bounded_memory(inbox: Bank, end: str) -> None:
    inbox.folder("eingang").mkdir(parents=True)
    name, size = delivery_name("R0000001", end=end), 40 * MOST_BYTES
    with inbox.folder("eingang", name).open("wb") as file:
        file.truncate(size)  # a file of zeros that takes no room
    tracemalloc.start()
    try:
        inbox.scan()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert inbox.verdict(name) == ("ABGELEHNT", "ZU_GROSS", TOO_BIG)
    assert peak < 6 * MOST_BYTES
    (kept,) = inbox.rows(tables.files)
    assert (inbox.root / kept.stored_as).stat().st_size == size
    assert kept.sha256 == hashlib.sha256(bytes(size)).hexdigest()


def test_a_receipt_written_again_is_the_same_byte_for_byte(inbox: Bank, clock_at: Callable[..., None]) -> None:
    world.order(inbox.engine)
    name = inbox.put(delivery_name(world.ORDER), WRONG_COUNT(delivery(world.ORDER)))
    inbox.scan()
    receipt = inbox.folder("ausgang", f"quittung_{name}")
    first = receipt.read_bytes()
    receipt.unlink()
    with inbox.engine.begin() as connection:  # as a crash before the writing leaves it
        connection.execute(sa.update(tables.files).values(moving_from=tables.files.c.stored_as))
    clock_at(NOW + timedelta(days=1))
    inbox.scan()
    assert receipt.read_bytes() == first


def _battered(data: bytes, chance: random.Random) -> bytes:
    """The file with a few bytes lost, doubled, or replaced; sealed again every other time."""
    for _ in range(chance.randint(0, 2)):
        place, length = chance.randrange(len(data) + 1), chance.choice([0, 1, 1, 20, 300])
        put = chance.choice([b"", b";", b'"', b"\r", b"\n", b"\0", b"\xff", b"\xc3", b"D;", b"\r\nN;1;x", data[:place]])
        data = data[:place] + put + data[place + length :]
    return sealed(data[: data.rfind(b"\nN;") + 1]) if chance.random() < 0.5 else data


def test_whatever_arrives_the_scan_goes_on_and_everything_is_answered(inbox: Bank) -> None:
    chance = random.Random(20261122)  # noqa: S311 # the same files each time, nothing secret
    arrived = {}
    for number in range(1, 81):
        order = f"R{number:07d}"
        if number % 4:
            world.order(inbox.engine, order)
            name, data = delivery_name(order), delivery(order)
        else:
            name = f"vreku_{inbox.blz}_{order}_20261105213000.csv"
            data = inbox.control_bytes(Auftrags_Nr=order)
        data = _battered(data, chance)
        if number % 5 == 0 and number % 4:
            name, data = f"{name}.gz", packed(data)[: chance.choice([None, -3, 40])]
        arrived[inbox.put(name, data)] = data
    good = inbox.put(delivery_name("R0000001", 18), delivery("R0000001", number=18))
    inbox.scan()
    assert inbox.names("eingang") == inbox.names("in_arbeit") == []
    found = {row.file_name: row for row in inbox.rows(tables.files)}
    assert found.pop(good).verdict == "REGISTERED"
    assert set(found) == set(arrived)
    for name, file in found.items():
        assert (inbox.root / file.stored_as).read_bytes() == arrived[name]
        assert bool(receipt_of(inbox, name)) is (file.verdict != "REGISTERED")
    assert {row.verdict for row in found.values()} >= {"REFUSED", "REGISTERED"}
    assert len({row.code for row in found.values()}) > 10, "they are damaged in many ways"
