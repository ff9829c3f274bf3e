"""Pseudonyms: always the same, of one bank and kind only, and never made with another key than before."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.store.tables import pseudonym_keys
from reku.vault.pseudonyms import NumberKind, is_pseudonym, pseudonymiser
from reku_testing.world import BLZ

FIRST, SECOND = "the first key of pseudonyms long enough", "the second key of pseudonyms long enough"


def set_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("REKU_PSEUDONYM_KEYS", ",".join(keys))
    settings.cache_clear()


def pseudonym(engine: sa.Engine, number: str, kind: NumberKind = NumberKind.PERSON, institute: str = BLZ) -> str:
    with engine.begin() as connection:
        return pseudonymiser(connection, institute)(kind, number)


def test_one_number_has_one_pseudonym_and_no_other_has_it(database: sa.Engine) -> None:
    asked = [
        (number, kind, bank)
        for number in ("0001234567", "1234567", "0001234568")
        for kind in NumberKind
        for bank in (BLZ, "99950002")
    ]
    made = [pseudonym(database, *one) for one in asked]
    assert made == [pseudonym(database, *one) for one in asked]
    assert len(set(made)) == len(asked)
    assert all(is_pseudonym(kind, text) for text, (_, kind, _) in zip(made, asked, strict=True))
    assert {text[:3] for text in made} == {"p1.", "v1.", "h1."}
    assert {len(text) for text in made} == {35}


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("p1.9f2c4e7ab01d55c3", True),
        ("p12.0c19e2", True),
        ("h1.77aa01", False),
        ("0001234567", False),
        ("p1.0001234567x", False),
        ("p1.", False),
        ("P1.9F2C4E", False),
        ("p0.9f2c4e", False),
        ("p1.9f2c4e\n", False),
    ],
)
def test_what_looks_like_a_pseudonym(text: str, is_one: bool) -> None:
    assert is_pseudonym(NumberKind.PERSON, text) == is_one


def test_a_new_key_makes_no_new_pseudonyms_of_a_bank_that_has_some(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch, FIRST)
    before = pseudonym(database, "1")
    set_keys(monkeypatch, FIRST, SECOND)
    assert pseudonym(database, "1") == before
    assert pseudonym(database, "1", institute="99950002").startswith("p2.")


@pytest.mark.parametrize("keys", [(), (SECOND,), (SECOND, FIRST)], ids=["lost", "another", "out of order"])
def test_with_another_key_there_is_one_sentence_and_nothing_is_written(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    set_keys(monkeypatch, FIRST)
    pseudonym(database, "1")
    set_keys(monkeypatch, *keys)
    with pytest.raises(SetupError, match=r"^REKU_PSEUDONYM_KEYS ") as raised:
        pseudonym(database, "1")
    assert str(raised.value).count(". ") == 0
    assert not any(key in str(raised.value) for key in (FIRST, SECOND))
    with database.connect() as connection:
        assert connection.scalars(sa.select(pseudonym_keys.c.version)).all() == [1]
