"""The home of one embedded set-up: logs, exchanged files, Airflow's own folder, secrets.

`REKU_HOME`, or `var` in the checkout. The database lives elsewhere (see `places`), because root can't run it here.
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reku.foundation.errors import SetupError
from reku.foundation.private_files import private_folder
from reku.foundation.settings import settings
from reku.runtime import places

_KEY_BYTES = 48


def _key() -> str:
    return secrets.token_urlsafe(_KEY_BYTES)


def _sealing_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


SECRETS: dict[str, Callable[[], str]] = {
    "REKU_SECRET_KEY": _key,
    "REKU_TOKEN_KEYS": _key,
    "REKU_PSEUDONYM_KEYS": _key,
    "REKU_VAULT_KEYS": _sealing_key,
    "REKU_UI_TOKEN": _key,
    "AIRFLOW__CORE__FERNET_KEY": _sealing_key,
    "AIRFLOW__API__SECRET_KEY": _key,
    # Airflow warns in every process about a key under 64 bytes.
    "AIRFLOW__API_AUTH__JWT_SECRET": lambda: secrets.token_urlsafe(72),
}


@dataclass(frozen=True)
class Home:
    """The folders of one embedded set-up; `make` creates what is missing."""

    path: Path

    @property
    def instance(self) -> str:
        """What marks every process of this set-up (`REKU_INSTANCE`): a hash of the home's path."""
        return places.short_hash(self.path)

    @property
    def database(self) -> Path:
        """The folder of the embedded PostgreSQL."""
        return places.state_of(self.path)

    @property
    def logs(self) -> Path:
        """One log per process of the set-up."""
        return self.path / "logs"

    @property
    def files(self) -> Path:
        """In- and outboxes of the institutes."""
        return self.path / "files"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.path / "airflow"

    @property
    def mailbox(self) -> Path:
        """The return mailbox (Maildir)."""
        return self.path / "mailbox"

    @property
    def lock(self) -> Path:
        """Held by the running supervisor."""
        return self.path / "supervisor.lock"

    @property
    def secrets(self) -> Path:
        """Keys made at the first start and kept, since unsubscribe links hang on them."""
        return self.path / "secrets.env"

    def make(self) -> None:
        """Create the folders. Raises SetupError if that is not allowed."""
        try:
            for folder in (self.path, self.logs, self.files, self.airflow):
                private_folder(folder)
            probe = self.path / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise SetupError(
                f"No write permission for {error.filename or self.path} ({error.strerror}). "
                "Allow it, or name another folder in REKU_HOME."
            ) from None

    def secret_environment(self) -> dict[str, str]:
        """The secrets as environment variables; missing ones are made and kept. What is set in the environment wins.

        Raises SetupError if others may read the file.
        """
        kept = self._read_secrets()
        missing = {name: make() for name, make in SECRETS.items() if name not in kept}
        if missing:
            kept |= missing
            self._write_secrets(kept)
        return {name: os.environ.get(name) or value for name, value in kept.items()}

    def _read_secrets(self) -> dict[str, str]:
        try:
            text = self.secrets.read_text(encoding="ascii")
        except FileNotFoundError:
            return {}
        except (PermissionError, UnicodeDecodeError) as error:
            raise SetupError(f"{self.secrets} can't be read: {error}.") from None
        if stat.S_IMODE(self.secrets.stat().st_mode) & 0o077:
            raise SetupError(f"Others may read {self.secrets}, which holds keys. Run: chmod 600 '{self.secrets}'")
        pairs = (line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: value for name, value in pairs if name in SECRETS}

    def _write_secrets(self, kept: dict[str, str]) -> None:
        draft = self.secrets.with_name(f"secrets.{os.getpid()}.tmp")
        lines = ["# Made at the first start. Keep it: links in mails already sent hang on these keys."]
        lines += [f"{name}={value}" for name, value in kept.items()]
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        draft.replace(self.secrets)


def home() -> Home:
    """The home that the settings name."""
    return Home(settings().home.resolve())
