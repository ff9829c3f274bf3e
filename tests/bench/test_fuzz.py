"""`reku bench fuzz`: what a reader does not document is found, and all of ours are tried."""

from __future__ import annotations

import base64
import random
import time
from typing import Any

import pytest

from reku.bench import fuzz
from reku.bench.fuzz import Reader, Tally


def _tried(reader: Reader, inputs: int = 200) -> Tally:
    tally = Tally(reader.name)
    while tally.inputs < inputs:
        fuzz._try(reader, tally, random.Random(tally.inputs), 60)  # noqa: S311 - no secret hangs on it
    return tally


def test_an_error_that_is_not_documented_is_found_with_its_input() -> None:
    def take(data: bytes) -> object:
        if data.count(b";") > 1:
            raise ZeroDivisionError
        raise ValueError

    tally = _tried(Reader("broken", take, (ValueError,), [b"a;b"]))
    assert tally.faults > 0
    assert tally.faults + tally.refused == tally.inputs
    assert tally.first_fault == "ZeroDivisionError"
    assert base64.b64decode(tally.first_input).count(b";") > 1


def test_an_input_that_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "LONGEST_SECONDS", 0.01)
    monkeypatch.setattr(fuzz, "_ROUND", 1)

    def hang(_data: bytes) -> object:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            pass
        return None

    tally = _tried(Reader("slow", hang, (), [b"x"]), inputs=1)
    assert (tally.faults, tally.first_fault) == (1, "TooLong")


def test_the_same_seed_makes_the_same_inputs() -> None:
    def made(seed: int) -> list[bytes]:
        chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
        return [fuzz._damaged(chance, [b"V;REKU;1", b"x"]) for _ in range(50)]

    assert made(1) == made(1) != made(2)


def test_every_reader_of_ours_is_tried_and_raises_what_it_documents() -> None:
    rows: list[dict[str, Any]] = fuzz.run(4, seed=20261129)
    assert {"return mail", "hit journal", "token and link", "IMAP answer", "record file VREKU"} <= {
        row["reader"] for row in rows
    }
    assert [(row["reader"], row["first_fault"], row["first_input"]) for row in rows if row["faults"]] == []
    assert all(row["inputs"] > 0 for row in rows)
