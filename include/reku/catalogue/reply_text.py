"""What the text of a mail server's answer holds: enhanced status codes, reply codes and plain words.

Addresses, hosts, URLs and numbers are no words: a mailbox `unknown@kunde.example` must not decide what its server said.
A return path of ours (`b+<token>@…`) stays as the word `oursender`, any other address as `someaddress`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

OUR_SENDER = "oursender"
ADDRESS = "someaddress"
SENTENCE_END = "."

LONGEST = 4_000
"""Characters that are looked at: an answer has a few lines (RFC 5321 section 4.5.3.1.5: 512 octets each)."""

_LONGEST_TOKEN = 200
_REMEMBERED = 20_000

_ENHANCED = re.compile(r"(?<![\w.])[245]\.[0-7]\.\d{1,3}(?![\d.]*\d)")
_BEFORE_ENHANCED = re.compile(
    r"(?:^|\n|[245]\d\d[ \-]|[#('\"\[:;=,<]|-\s|\b(?:status|code|error|reason))\s*$", re.IGNORECASE
)
"""A code stands at the beginning, behind a reply code, or behind a mark: `Exim 4.92.3` and `am 5.1.26` are none."""
_REPLY = re.compile(r"(?<![\w.@])[245]\d\d(?=[ \-\n]|$)")
_BEFORE_REPLY = re.compile(
    r"(?:^|\n|[:;'\"(<>\[=,]"
    r"|\b(?:said|was|with|code|error|reply|returned|answered|response|failed|reason|smtp))\s*$",
    re.IGNORECASE,
)
_BEFORE = 16

_URL = re.compile(r"(?:https?|mailto):[^<>\"]+", re.IGNORECASE)
_OUR_RETURN_PATH = re.compile(r"\bb\+[\w.\-]+@[\w.\-]+", re.IGNORECASE)
_ADDRESS = re.compile(r"[^<>()\[\]\"',;:]{1,64}@[\w.\-]+")
_LOCAL_PART = re.compile(r"<[^<>@]+>")
_HOST = re.compile(
    r"(?<![\w.\-])(?:[a-z0-9_-]+\.)+[a-z]{2,}\b(?![A-Z])|(?<![\w.\-])(?:[A-Z0-9_-]+\.)+[A-Z]{2,}\b(?![a-z])"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CODE = re.compile(r"[^\w]*[245](?:\d\d|\.\d\.\d{1,3})(?!\d)")
_DIVIDER = re.compile(r"[-=_*~/|>]+")
_WORD = re.compile(r"(?<!\w)[^\W\d_]++(?:'[^\W\d_]++)*+(?!\w)|[.!?;]$")


@dataclass(frozen=True)
class ReplyText:
    """The codes of an answer in their order, its words folded and joined by blanks (`.` between sentences), and all
    of it in lower case.
    """

    codes: tuple[str, ...]
    replies: tuple[str, ...]
    words: str
    raw: str


def read_reply(text: str) -> ReplyText:
    """Take an answer apart. Never raises; what is longer than `LONGEST` is cut."""
    text = text[:LONGEST].replace("’", "'").replace("´", "'")
    codes = _behind(_BEFORE_ENHANCED, _ENHANCED, text)
    replies = _behind(_BEFORE_REPLY, _REPLY, text)
    tokens = text.split()
    words = " ".join(filter(None, map(_words, _sentences(tokens)))).strip(" .")
    return ReplyText(codes, replies, words, " ".join(tokens).casefold())


def is_generic(code: str) -> bool:
    """Whether a status tells no more than its class (RFC 3463 section 3.1, x.0.0)."""
    return code[2:] == "0.0"


def fold(text: str) -> str:
    """Lower case without accents, so that `Empfänger` and `EMPFANGER` are one word."""
    if text.isascii():
        return text.lower()
    return "".join(char for char in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(char))


def _behind(before: re.Pattern[str], wanted: re.Pattern[str], text: str) -> tuple[str, ...]:
    """All that is wanted, each once, where it stands behind the right thing."""
    matches = (
        match[0]
        for match in wanted.finditer(text)
        if before.search(text[max(0, match.start() - _BEFORE) : match.start()])
    )
    return tuple(dict.fromkeys(matches))


def _sentences(tokens: list[str]) -> Iterator[str]:
    """What was said begins behind the first code; further ones stand in the lines of the same answer."""
    begun = False
    for token in tokens:
        yield SENTENCE_END if _DIVIDER.fullmatch(token) else token
        if not begun and _CODE.match(token):
            begun = True
            yield SENTENCE_END


@lru_cache(_REMEMBERED)
def _words(token: str) -> str:
    """The words in a piece of text without blanks; most pieces come again and again."""
    text = _LOCAL_PART.sub(f" {ADDRESS} ", _URL.sub(" ", token[:_LONGEST_TOKEN]))
    if "@" in text:
        text = _ADDRESS.sub(f" {ADDRESS} ", _OUR_RETURN_PATH.sub(f" {OUR_SENDER} ", text))
    if "." in text:
        text = _HOST.sub(" ", text)
    words = _WORD.findall(fold(_CAMEL.sub(" ", text)).replace("_", " "))
    return " ".join(SENTENCE_END if word in "!?;." else word for word in words if not _has_number(word))


def _has_number(word: str) -> bool:
    r"""Whether a number stands in it that is no decimal digit, such as ❶: `\d` does not know them."""
    return not word.isascii() and not word.replace("'", "").isalpha()
