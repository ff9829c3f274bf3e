"""Vault keys (`REKU_VAULT_KEYS`) wrap the data keys, so that the tables alone open nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings


@dataclass(frozen=True)
class VaultKeys:
    """All vault keys there are. `newest`: fingerprint of the one that wraps; `fingerprints`: of all, newest first."""

    fingerprints: tuple[str, ...]
    _keys: MultiFernet = field(repr=False)

    @property
    def newest(self) -> str:
        """Fingerprint of the key that wraps; the others only open."""
        return self.fingerprints[0]

    def wrap(self, data_key: bytes) -> bytes:
        """The data key, wrapped with the newest vault key."""
        return self._keys.encrypt(data_key)

    def unwrap(self, wrapped: bytes, of: str, wrapped_by: str) -> bytes:
        """The data key. `of` says whose it is, `wrapped_by` which vault key wrapped it, for the error.

        Raises SetupError if no vault key opens it.
        """
        try:
            return self._keys.decrypt(wrapped)
        except InvalidToken:
            known = wrapped_by in self.fingerprints
            cause = "was changed in the table data_keys" if known else f"needs the vault key {wrapped_by}"
            cure = "restore that table" if known else "put that key back before the newest"
            raise SetupError(
                f"REKU_VAULT_KEYS opens no data key {of}: it {cause}, and the keys set are "
                f"{', '.join(self.fingerprints)}; {cure}."
            ) from None


def vault_keys() -> VaultKeys:
    """The vault keys of the settings. Raises SetupError if there are none."""
    written = [key.get_secret_value() for key in reversed(settings().vault_keys)]
    if not written:
        raise SetupError(
            "REKU_VAULT_KEYS is not set, so nothing can be sealed or opened: set at least one key, as "
            "`openssl rand -base64 32 | tr +/ -_` prints it; `reku up` and `make demo` do it by themselves."
        )
    return VaultKeys(tuple(map(_fingerprint, written)), MultiFernet([Fernet(key) for key in written]))


def _fingerprint(key: str) -> str:
    """By which people tell keys apart; it opens nothing."""
    return hashlib.sha256(f"reku vault key|{key}".encode()).hexdigest()[:12]
