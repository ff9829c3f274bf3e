"""Links as they come back: mail programs, wrappers of lines and people's fingers add to them, and break them in two.

A token has a known alphabet and a signature of a known length, so that what cannot belong to it is told and left out.
Nothing is guessed: what is left has to be signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reku.foundation.tokens import Purpose, Target, read

LONGEST = 2_000
"""Characters of a path that are looked at; a token has some 60."""

_SIGNATURE = 27  # SHA-1 in base64url, without padding
_TOKEN = re.compile(
    rf"(?<![\w.-])[-_.]*([0-9a-f]+(?:-[0-9a-f]+(?:-[A-Z0-9_]*)?)?\.[A-Za-z0-9_-]{{{_SIGNATURE}}})(?=[-_]*(?![\w-]))",
    re.ASCII,
)
_BREAKS = re.compile(r"=(?=[\r\n])|[\s\u00ad\u200b-\u200f\u2028-\u202f\u2060\ufeff]|%(?:20|0[9AaDd])")
"""What is put in between: blanks and ends of lines, also quoted-printable or escaped twice; characters of no width."""


def read_link(purpose: Purpose, text: str) -> Target | None:
    """What the last part of a link means, bent or not; None if no token of ours for this purpose stands in it."""
    target = read(purpose, text)
    if target is None and len(text) <= LONGEST:
        for token in _tokens(text):
            target = read(purpose, token)
            if target is not None:
                break
    return target


def _tokens(text: str) -> Iterator[str]:
    """What may be meant: the first token as it stands, and the first one once what breaks it is left out."""
    whole = _BREAKS.sub("", text)
    for written in (text, whole) if whole != text else (text,):
        found = _TOKEN.search(written)
        if found and found[1] != text:
            yield found[1]
