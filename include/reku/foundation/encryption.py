"""In production (`REKU_ENVIRONMENT=P`) nothing about people leaves the machine in clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from reku.foundation.networks import is_loopback

if TYPE_CHECKING:
    from reku.foundation.settings import Settings

_ENCRYPTED_POSTGRES = ("require", "verify-ca", "verify-full")
_IN_CLEAR = ("ftp", "http", "webhdfs")
AIRFLOWS_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


def sent_in_clear(own: Settings) -> Iterator[str]:
    """What these settings would send in clear to another machine: one sentence each, with its cure."""
    if not own.smtp_tls and not is_here(own.smtp_host):
        yield (
            f"REKU_SMTP_TLS is off, and the relay {own.smtp_host} is another machine: set it to true, or name a relay "
            "on this machine in REKU_SMTP_HOST"
        )
    if own.bounce_imap_host and own.bounce_imap_tls == "off" and not is_here(own.bounce_imap_host):
        yield (
            f"REKU_BOUNCE_IMAP_TLS is off, and {own.bounce_imap_host} is another machine: set it to on (port 993) or "
            "starttls (port 143)"
        )
    if not own.tracker_url.startswith("https://"):
        yield (
            "REKU_TRACKER_URL is no https:// address, and it stands in every mail: set the public address of the "
            "tracker, behind a reverse proxy with TLS"
        )
    if urlsplit(own.emma_url).scheme == "http" and not is_here(urlsplit(own.emma_url).hostname or ""):
        yield "REKU_EMMA_URL is no https:// address, and people are brought in by it: EMMA's own begins with https://"
    if database_in_clear(own.database_url):
        yield f"REKU_DATABASE_URL {_DATABASE_CURE}"
    if urlsplit(own.files_url).scheme in _IN_CLEAR:
        yield "REKU_FILES_URL names a place that is reached in clear: use sftp://, an object store, or a mounted folder"


_DATABASE_CURE = (
    "names another machine and demands no TLS: append ?sslmode=verify-full&sslrootcert=FILE to it (sslmode=require at "
    "least), and let the server have a certificate (ssl = on)"
)


def airflow_sent_in_clear(variables: Mapping[str, str]) -> Iterator[str]:
    """The same of Airflow's own database, by its variables."""
    for name in (AIRFLOWS_DATABASE, f"{AIRFLOWS_DATABASE}_ASYNC"):
        if database_in_clear(variables.get(name, "")):
            yield f"{name} {_DATABASE_CURE}"


def database_in_clear(url: str) -> bool:
    """Whether a URL of PostgreSQL leads to another machine without demanding TLS."""
    if not url.startswith("postgres"):
        return False
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    named = options.get("host") or options.get("hostaddr") or [parts.hostname or ""]
    is_remote = not all(is_here(host) for joined in named for host in joined.split(","))
    return is_remote and options.get("sslmode", [""])[-1] not in _ENCRYPTED_POSTGRES


def is_here(host: str) -> bool:
    """Whether a host, or the folder of a socket, is on this machine."""
    return host in ("", "localhost") or host.startswith("/") or is_loopback(host)
