"""Many addresses at once get the same normal forms, and are refused the same, as one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reku.foundation.addresses import normalise, normalised

_LOCAL = [
    "a",
    "Info",
    "o'neill+tag",
    "jörg",
    "JO\u0308RG",
    "l" * 64,
    "l" * 65,
    "a b",
    ".",
    "..",
    "-",
    "_",
    "",
    " ",
    "\t",
]
_SPECIAL = [
    '"',
    '"a b"',
    '"a\\"b"',
    "\\",
    "<",
    ">",
    "(c)",
    ",",
    ";",
    "@",
    "＠",
    "﹫",
    "\u0338",
    "\u0301",
    "\u200d",
    "\x00",
]
_DOMAIN = ["kunde.example", "KUNDE.Example", "müßig.example", "xn--mig-hoa87d.example", "xn--", "ab--c.de", "1.אב.com"]
_ODD = [
    "straße.de",
    "。example",
    "host",
    "local",
    "[127.0.0.1]",
    "[IPv6:::1]",
    "d" * 63 + ".",
    "d" * 64,
    "é" * 50 + ".",
]
_WIDE = ["\ud800", "\N{ZERO WIDTH SPACE}", "\N{NO-BREAK SPACE}", "\N{KELVIN SIGN}", "İ", "ß"]
_MADE = st.lists(st.sampled_from(_LOCAL + _SPECIAL + _DOMAIN + _ODD + _WIDE), max_size=6).map("".join)
_LOCALS = _MADE | st.text(max_size=8)
_ADDRESSES = st.builds("{}@{}".format, _LOCALS, _MADE) | st.emails() | _MADE


def _one_by_one(addresses: list[str]) -> dict[str, str]:
    found = {}
    for address in addresses:
        try:
            found[address] = normalise(address)
        except ValueError:
            continue
    return found


@given(st.lists(_ADDRESSES, max_size=8))
@example(["l" * 64 + "@" + "d" * 60 + "." + "d" * 60 + "." + "d" * 60 + ".example"])
@example(["l@" + "d" * 60 + "." + "d" * 60 + "." + "d" * 60 + ".example", "l@b@c.example", "a@\u0338b.example"])
@example([" A@müßig.example ", "a@müßig.example\n", "a@kunde.example", "info@KUNDE.example"])
def test_many_at_once_are_as_one_by_one(addresses: list[str]) -> None:
    assert normalised(addresses) == _one_by_one(addresses)


@pytest.mark.parametrize("local", ["a", "l" * 63, "l" * 64, "l" * 65, "ö" * 30])
@pytest.mark.parametrize("length", range(180, 256, 3))
def test_lengths_are_those_of_the_whole_address(local: str, length: int) -> None:
    domain = ("d" * 49 + ".") * 5
    address = f"{local}@{domain[: length - len(local) - 9]}.example"
    assert normalised([address]) == _one_by_one([address])
