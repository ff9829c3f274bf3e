"""Header fields of a mail: encoded and folded by RFC 2047, never open to injection.

Done here and not by `email.message`, because the standard library's folding has lost quotes around names with commas
in some of the Python versions that we support, and because a mail for each of a million people has to be quick.
"""

from __future__ import annotations

import re
from binascii import b2a_base64

UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators and lone surrogates: none may stand in any value of a person."""


def is_safe(value: str) -> bool:
    """Whether the value has nothing `UNSAFE`: all of that is unprintable, which most values are seen not to be."""
    return value.isprintable() or not UNSAFE.search(value)


_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_ENCODED = re.compile(r"=\?.*\?=")
_WORD_BYTES = 42  # as Base64 with `=?utf-8?b??=` 68 characters: fits a line of 78 behind most field names
_LINE = 78


def text(name: str, value: str) -> str:
    """The whole field `name: value` for plain text such as a subject. Raises ValueError for unsafe characters."""
    _refuse_unsafe(value)
    plain = f"{name}: {value}"
    if value.isascii() and len(plain) <= _LINE and not _ENCODED.search(value):
        return plain
    return f"{name}: {_words(value)}"


def mailbox(name: str, shown: str, address: str) -> str:
    """The whole field `name: "shown" <address>`; without a shown name only the address.

    Raises ValueError for unsafe characters. The address must be valid already.
    """
    _refuse_unsafe(shown)
    _refuse_unsafe(address)
    if not shown:
        return f"{name}: {address}"
    phrase = _phrase(shown) if shown.isascii() and not _ENCODED.search(shown) else _words(shown)
    if len(phrase) > _LINE - len(name) - 2:
        phrase = _words(shown)
    line = f"{name}: {phrase} <{address}>"
    return line if len(line.rpartition("\n")[2]) <= _LINE else f"{name}: {phrase}\r\n <{address}>"


def _phrase(shown: str) -> str:
    return shown if _ATOMS.fullmatch(shown) else '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(value: str) -> str:
    """Encoded words of whole characters, one on each line (RFC 2047 section 2 and 5)."""
    rest, words = value.encode(), []
    while len(rest) > _WORD_BYTES:
        end = _WORD_BYTES
        while rest[end] & 0xC0 == 0x80:  # the next word would begin inside of a character
            end -= 1
        words.append(rest[:end])
        rest = rest[end:]
    return "\r\n ".join([f"=?utf-8?b?{b2a_base64(word, newline=False).decode()}?=" for word in (*words, rest)])


def _refuse_unsafe(value: str) -> None:
    if not is_safe(value):
        raise ValueError("a control character in a header field")
