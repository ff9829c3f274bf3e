"""Sealing with AES-GCM: what is sealed for one person of one bank opens for no other."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reku.foundation.errors import StageError

KEY_BITS = 256
_NONCE = 12
"""Bytes before each sealed text; random, since a data key seals far fewer than the 2³² texts that this is good for."""


@dataclass(frozen=True)
class Seal:
    """One data key of a bank; `id` is its row in `data_keys`."""

    id: int
    institute: str
    key: bytes = field(repr=False)

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self.key)

    def seal(self, person_number: str, clear: bytes) -> bytes:
        """The text, sealed for this person (the pseudonym)."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, clear, self._context(person_number))

    def open(self, person_number: str, sealed: bytes) -> bytes:
        """The clear text. Raises StageError if it was sealed for another person or with another key, or was changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._context(person_number))
        except (InvalidTag, ValueError):  # the latter for a text too short to be one
            raise StageError(
                f"Something sealed of institute {self.institute} does not open with data key {self.id}: it was changed "
                "or moved to another person. Nothing is written; restore the table, or import the bank's data anew."
            ) from None

    def _context(self, person_number: str) -> bytes:
        return f"{self.institute}|{person_number}".encode()
