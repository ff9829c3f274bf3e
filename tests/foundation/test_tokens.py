"""A token means one thing, for ever: a link in an old mail works after an update and after new keys."""

from __future__ import annotations

import string

import pytest
from itsdangerous import Signer

from reku.foundation.tokens import Purpose, Target, make, read

pytestmark = pytest.mark.usefixtures("reku_settings")


def test_tokens_are_signed_as_itsdangerous_signs_by_itself() -> None:
    """What it is asked to do faster must not change a signature: an unsubscribe link never expires."""
    newest = Signer("a newer key", salt="reku.u", sep=".")
    assert make(Purpose.UNSUBSCRIBE, Target(4711)) == newest.sign("1267").decode()
    for key in ("an older key", "a newer key"):
        assert read(Purpose.UNSUBSCRIBE, Signer(key, salt="reku.u", sep=".").sign("1267").decode()) == Target(4711)
    assert read(Purpose.UNSUBSCRIBE, Signer("no key", salt="reku.u", sep=".").sign("1267").decode()) is None
    assert read(Purpose.UNSUBSCRIBE, Signer("a newer key", salt="reku.c", sep=".").sign("1267").decode()) is None


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
