"""Phrases of rules over the words of an answer."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reku.catalogue.phrases import Phrases
from reku.catalogue.reply_text import read_reply

GROUPS = {"person": ["user", "mail box", "Empfänger"], "gone": ["unknown", "not found"]}


@pytest.mark.parametrize(
    ("phrase", "text", "occurs"),
    [
        ("user unknown", "550 User unknown", True),
        ("user unknown", "550 user is unknown", False),
        ("user * unknown", "550 user erika of this house is unknown", True),
        ("user * unknown", "550 user one two three four five six seven eight unknown", False),
        ("user * unknown", "550 user erika. The road is unknown", False),  # another sentence
        ("user * unknown", "550 user has a server that is unknown", False),  # a stop
        ("{person} * {gone}", "550 mail box was not found", True),
        ("{person} * {gone}", "550 EMPFAENGER unknown", True),
        ("{person} * {gone}", "550 empfanger unknown", True),
        ("temporar~", "this is temporarily so", True),
        ("temporar~", "contemporary", False),
        ("^ {gone} $", "550 5.1.1 unknown", True),
        ("^ {gone} $", "550 5.1.1 host unknown", False),
        ("^ {gone} $", "550 5.1.1 unknown host", False),
        ("user $", "550 no user", True),
        ("user !", "550 no user database", False),
        ("user !", "550 no user erika", True),
        ("user +", "550 no user", False),
        ("user +", "550 no user. at all", False),
        ("user +", "550 no user here", True),
        ("no such user", "550 NoSuchUser", True),  # words that are written as one
        ("no such user", "550 no_such_user", True),
    ],
)
def test_phrase(phrase: str, text: str, occurs: bool) -> None:
    phrases = Phrases([[phrase]], GROUPS, ["server", "database"])
    assert (0 in phrases.found_in(read_reply(text).words)) == occurs


def test_noise_is_taken_out_in_its_order() -> None:
    phrases = Phrases([], {}, [], ["giving up", "rejected +"])
    assert phrases.without_noise("user rejected giving up") == "user rejected"
    assert phrases.without_noise("user rejected full") == "user full"


@pytest.mark.parametrize(
    ("text", "words"), [("❶ unknown", "unknown"), ("user❷ unknown", "unknown"), ("٣ unknown", "unknown"), ("一", "一")]
)
def test_numbers_of_any_script_are_no_words(text: str, words: str) -> None:
    assert read_reply(text).words == words


@given(st.text(max_size=300))
@example("❶")
def test_any_text_is_taken_apart(text: str) -> None:
    words = read_reply(text).words
    assert "@" not in words
    assert not any(char.isdigit() for char in words)
    Phrases([["{person} * {gone}"]], GROUPS).found_in(words)
