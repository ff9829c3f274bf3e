"""A token means one thing, for ever: a link in an old mail works after an update and after new keys."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from itsdangerous import Signer

from reku.foundation import tokens
from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make, read
from tests.conftest import NEWER_KEY, OLDER_KEY

pytestmark = pytest.mark.usefixtures("reku_settings")

ANOTHER = "another key of tests as long as one has to be"


SHUFFLED = {OLDER_KEY: "da9251269887ba91", NEWER_KEY: "80faa9305ce009f3"}
"""4711 as the keys of the tests shuffle it: must never change, since an unsubscribe link never expires."""


def signed(key: str, text: str, purpose: str = "u") -> str:
    """As itsdangerous does it by itself."""
    return Signer(key, salt=f"reku.{purpose}", sep=".").sign(text).decode()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set REKU_TOKEN_KEYS."""

    def use(written: str) -> None:
        monkeypatch.setenv("REKU_TOKEN_KEYS", written)
        settings.cache_clear()
        tokens._hashed_keys.cache_clear()

    yield use
    monkeypatch.undo()
    settings.cache_clear()
    tokens._hashed_keys.cache_clear()


def test_tokens_are_signed_as_itsdangerous_signs_by_itself() -> None:
    """What it is asked to do faster must not change a signature."""
    assert make(Purpose.UNSUBSCRIBE, Target(4711)) == signed(NEWER_KEY, SHUFFLED[NEWER_KEY])
    for key, text in SHUFFLED.items():
        assert read(Purpose.UNSUBSCRIBE, signed(key, text)) == Target(4711)
    assert read(Purpose.UNSUBSCRIBE, signed("a key of nobody", SHUFFLED[NEWER_KEY])) is None
    assert read(Purpose.UNSUBSCRIBE, signed(NEWER_KEY, SHUFFLED[NEWER_KEY], "c")) is None


@pytest.mark.parametrize("purpose", Purpose)
def test_an_old_key_is_good_for_unsubscribing_only(purpose: Purpose, keys: Callable[[str], None]) -> None:
    token = make(purpose, Target(4711, 1))
    assert read(purpose, token) == Target(4711, 1)
    keys(f"{NEWER_KEY},{ANOTHER}")
    assert read(purpose, token) == (Target(4711, 1) if purpose is Purpose.UNSUBSCRIBE else None)
    assert read(purpose, make(purpose, Target(4711, 1))) == Target(4711, 1)


def test_an_old_key_is_good_below_the_id_that_is_noted_behind_it(keys: Callable[[str], None]) -> None:
    """Who has stolen it can unsubscribe nobody who was mailed later."""
    made = {number: make(Purpose.UNSUBSCRIBE, Target(number)) for number in (1, 4710, 4711, 4712)}
    keys(f"{NEWER_KEY}@4711,{ANOTHER}")
    assert [number for number, token in made.items() if read(Purpose.UNSUBSCRIBE, token)] == [1, 4710]
    assert read(Purpose.UNSUBSCRIBE, make(Purpose.UNSUBSCRIBE, Target(9999))) == Target(9999)


@given(st.integers(0, 2**63 - 1))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_shuffled_and_found_again(number: int) -> None:
    for purpose in Purpose:
        token = make(purpose, Target(number))
        assert read(purpose, token) == Target(number)
        assert token.startswith(tokens.beginning(number))


def test_tokens_do_not_tell_how_many_lie_between_them() -> None:
    """Neighbours lie anywhere: halves of the range take turns as a coin falls, and no difference comes twice."""
    places = [int(tokens.beginning(number)[:-1], 16) for number in range(1, 513)]
    assert len(set(places)) == 512
    assert 190 < sum(place >> 63 for place in places) < 322  # six standard deviations
    assert len({later - earlier for earlier, later in pairwise(places)}) == 511


@pytest.mark.parametrize(
    "target",
    [Target(1), Target(2**63 - 1, 2**31 - 1), Target(17, 2, "SCOM_GEBURTSTAG"), Target(17, 0, "EIGEN_" + "X" * 54)],
)
def test_what_is_signed_is_read(target: Target) -> None:
    token = make(Purpose.ANONYMOUS, target)
    assert read(Purpose.ANONYMOUS, token) == target
    assert not set(token) - set("-_.") - set(string.ascii_letters + string.digits)
    for length in range(len(token)):
        assert read(Purpose.ANONYMOUS, token[:length]) is None


@pytest.mark.parametrize("target", [Target(2**63), Target(1, 2**31), Target(1, 1, "X" * 1_000_000)])
def test_what_fits_no_table_is_nobodys(target: Target) -> None:
    assert read(Purpose.CLICK, make(Purpose.CLICK, target)) is None


@pytest.mark.parametrize("number", [1, 4711, 2**63 - 1])
def test_a_return_path_may_come_back_in_any_case(number: int) -> None:
    token = make(Purpose.BOUNCE, Target(number))
    assert len(f"b+{token}") <= 64  # RFC 5321 4.5.3.1.1
    for returned in (token, token.upper(), token.swapcase()):
        assert read(Purpose.BOUNCE, returned) == Target(number)
    for purpose in set(Purpose) - {Purpose.BOUNCE}:
        assert read(purpose, token) is None
        assert read(Purpose.BOUNCE, make(purpose, Target(number))) is None


@pytest.mark.parametrize("broken", ["", ".", "1", "1.", "1.zz", "1.abc", "ü.ü", "1267.00", "1267." + "0" * 40])
def test_what_is_no_return_path_is_nobodys(broken: str) -> None:
    assert read(Purpose.BOUNCE, broken) is None
    assert read(Purpose.BOUNCE, make(Purpose.BOUNCE, Target(1)) + "0") is None
