"""What a server answered, shown to people without whom it was about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.foundation.quoted_reply import LONGEST, quoted

ADDRESS = "erika.muster-mann7@kunde.example"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5.7.1 too much mail from 192.0.2.7", "5.7.1 too much mail from 192.0.2.7"),
        ("5.7.1 Sender address rejected: not owned", "5.7.1 Sender address rejected: not owned"),
        ("5.1.1 <erika.muster-mann7@kunde.example>: unknown", "5.1.1 <…>: unknown"),
        ("5.1.1 erika.muster-mann7@kunde.example unknown", "5.1.1 … unknown"),
        ("5.1.1 Erika.Muster-Mann7 unknown", "5.1.1 … unknown"),
        ("mailbox of Mrs MUSTER is full", "mailbox of Mrs … is full"),
        ("user=muster, box=mann7", "user=…, box=…"),
        ("<erika> unknown", "<…> unknown"),
        ("to somebody.else@other.example, forwarded", "to …, forwarded"),
        ('"erika m"@kunde.example unknown', "… unknown"),
        ("SRS0=ab=cd=kunde.example=erika@relay.example no", "… no"),
        ("erika%40kunde.example no", "… no"),
        ("see https://post.example/why?to=erika&t=1.abc for more", "see https://post.example/why… for more"),
        ("account 1234567 locked until 2026", "account … locked until 2026"),
        ("two\r\nlines\tand \x1b[31mcolours\u202e", "two lines and [31mcolours"),
        ("Empfänger unbekannt", "Empfänger unbekannt"),
        ("", ""),
    ],
)
def test_shown(text: str, shown: str) -> None:
    assert quoted(text, ADDRESS) == shown


def test_it_is_short() -> None:
    assert len(quoted("word " * 1000)) == LONGEST


PARTS = st.text("abcdefghijklmnopqrstuvwxyzäöü0123456789", min_size=2, max_size=12)
AROUND = st.sampled_from([" ", "<", ">", "(", ")", ":", "'", ",", "\n", " user ", " no. ", "mailto:"])


@given(PARTS, PARTS, st.lists(AROUND, min_size=2, max_size=6), st.booleans())
def test_neither_address_nor_its_local_part_is_ever_shown(
    first: str, last: str, around: list[str], whole: bool
) -> None:
    address = f"{first}.{last}@kunde.example"
    text = (address if whole else f"{first}.{last}").join(around)
    shown = quoted(text, address)
    assert "@" not in shown
    assert f"{first}.{last}" not in shown


@given(st.text(max_size=300))
def test_whatever_comes_stays_on_one_line(text: str) -> None:
    shown = quoted(text, ADDRESS)
    assert shown.isprintable()
    assert "@" not in shown
