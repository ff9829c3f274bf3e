"""What a server answered, shown to people: its words, without anything that says whom they were about."""

from __future__ import annotations

import re

LONGEST = 200
"""Characters that are shown; the beginning tells what is wrong."""

GAP = "…"
_ADDRESS = re.compile(r"(?:\"[^\"\n]*\"|[^\s<>()\[\]\"',;:]*)(?:@|%40|=40)[^\s<>()\[\]\"',;]*", re.IGNORECASE)
_BRACKETS = re.compile(r"<[^<>]*>")
_QUERY = re.compile(r"(https?://[^\s?#]*)[?#]\S*", re.IGNORECASE)
_NUMBER = re.compile(r"\d{6,}")
_PIECE = re.compile(r"[^\W_]{2,}")


def quoted(text: str, *about: str) -> str:
    """The words of an answer on one line. Addresses, what stands in brackets, queries of URLs and long numbers go.

    `about`: the addresses or names that were said to the server; pieces of their local parts go as well.
    """
    words = "".join(char if char.isprintable() else " " for char in text[: 10 * LONGEST])
    words = _QUERY.sub(rf"\1{GAP}", words)
    words = _BRACKETS.sub(f"<{GAP}>", words)
    words = _ADDRESS.sub(GAP, words)
    for piece in _pieces(about):
        words = re.sub(rf"(?<![^\W_]){re.escape(piece)}(?![^\W_])", GAP, words, flags=re.IGNORECASE)
    words = " ".join(_NUMBER.sub(GAP, words).split())
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}{GAP}"


def _pieces(about: tuple[str, ...]) -> list[str]:
    """The local parts, or names without a domain, and their words, longest first."""
    local_parts = {address.rpartition("@")[0] if "@" in address else address for address in about} - {""}
    pieces = local_parts | {piece for local_part in local_parts for piece in _PIECE.findall(local_part)}
    return sorted(pieces, key=len, reverse=True)
