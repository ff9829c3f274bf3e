"""Settings from the environment, prefix `REKU_`. Secrets come from there too, never from a file in the repository."""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from reku.foundation.encryption import sent_in_clear
from reku.foundation.errors import SetupError
from reku.foundation.networks import Network, networks

INCLUDE = Path(__file__).resolve().parents[2]


SHORTEST_KEY = 32
"""Characters: what can be guessed from one link would sign all others."""

_SEALING_KEY_BYTES = 32
_BOUND = re.compile(r"(.*)@([1-9]\d{0,18})", re.DOTALL)


class TokenKey(NamedTuple):
    """A key of link tokens. `below`: it is good for messages with a smaller id only; None for all."""

    text: str
    below: int | None = None


def _token_key(written: str) -> TokenKey:
    found = _BOUND.fullmatch(written)
    return TokenKey(found[1], int(found[2])) if found else TokenKey(written)


def _check_length(key: str) -> None:
    if key and len(key) < SHORTEST_KEY:
        raise ValueError(
            f"a key of {len(key)} characters can be guessed; take at least {SHORTEST_KEY} random ones, such as "
            "`openssl rand -base64 48` prints"
        )


def _check_sealing_key(key: str) -> None:
    """A key of Fernet's: 32 random bytes in URL-safe base 64."""
    try:
        raw = base64.b64decode(key, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SEALING_KEY_BYTES:
        raise ValueError(
            "a key that seals is 32 random bytes in URL-safe base 64, as `openssl rand -base64 32 | tr +/ -_` prints"
        )


class Settings(BaseSettings):
    """One field, one variable `REKU_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="REKU_", frozen=True, extra="ignore")

    config_dir: Path = Field(
        INCLUDE, description="folder with occasions, institutes, templates, contracts, expectations"
    )
    database_url: str = Field("", description="SQLAlchemy URL of our database, postgresql+psycopg://…")
    files_url: str = Field("", description="folder of all institutes' in- and outboxes: a path or an fsspec URL")
    files_group: str = Field(
        "",
        description="group of this machine that may fetch from `ausgang` and deliver into `eingang` of a local "
        "`REKU_FILES_URL`; empty: only the account that runs this",
    )
    sftp_key: Path | None = Field(
        None, description="private key for a `REKU_FILES_URL` by SFTP; empty: the account's own keys, or the password"
    )
    sftp_password: SecretStr = Field(SecretStr(""), description="password for it, or of the key; empty for none")
    sftp_known_hosts: Path | None = Field(
        None, description="file with the keys of its server; empty: `~/.ssh/known_hosts` of the account"
    )
    environment: str = Field(
        "T",
        pattern="^[PT]$",
        description="P production or T test; files of the other kind are refused, and P demands TLS wherever another "
        "machine is talked to",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="key of the address HMAC, at least 32 random characters; never change it: unsubscribes hang on it",
    )
    token_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="keys of link tokens, each of at least 32 random characters, newest last, joined by commas; old "
        "ones keep unsubscribe links alive, those of messages below `@ID` where one is noted behind a key",
    )
    pseudonym_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="keys of the pseudonyms of imported people, each of at least 32 random characters, newest last, "
        "joined by commas; the place of a key is the version of its pseudonyms: never take one out",
    )
    vault_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="keys that wrap the data keys of sealed numbers and addresses, each of 32 random bytes in URL-safe "
        "base 64, newest last, joined by commas; older ones until `reku agree21 rotate-key` says that they may go",
    )
    tracker_url: str = Field("http://127.0.0.1:8091", description="public address of the tracker as it stands in mails")
    smtp_host: str = Field("127.0.0.1", description="relay that takes our mails")
    smtp_port: int = Field(25, description="port of the relay")
    smtp_user: str = Field("", description="login at the relay; empty for none")
    smtp_password: SecretStr = Field(SecretStr(""), description="password at the relay")
    smtp_tls: bool = Field(True, description="STARTTLS before anything else; off only for a relay on this machine")
    smtp_helo: str = Field(
        "",
        pattern=r"^$|^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$|^\[[0-9A-Za-z.:]+\]$",
        description="our name in EHLO, as the relay wants it; empty: the machine's full name, or its address in "
        "brackets where that is none",
    )
    smtp_pipelining: bool = Field(
        True,
        description="send a mail's envelope as a whole where the relay offers it (RFC 2920); off for one that does not "
        "keep to it",
    )
    smtp_connections: int = Field(4, ge=1, le=50, description="kept connections to the relay, for each process")
    dispatch_processes: int = Field(2, ge=1, le=16, description="processes that share a large delivery's dispatch")
    dispatch_large: int = Field(
        2000, ge=1, description="from so many due messages on a delivery is dispatched by several processes"
    )
    dispatch_batch: int = Field(200, ge=1, le=1000, description="messages that a dispatcher claims at once")
    lease_seconds: float = Field(
        300.0,
        gt=0,
        allow_inf_nan=False,
        description="how long a claim of a silent dispatcher holds; must exceed the longest SMTP time-out, 120 s",
    )
    emma_url: str = Field(
        "",
        description="address of EMMA's web service, to which the names of its functions are appended; empty: no bank "
        "sends through EMMA",
    )
    emma_accounts: SecretStr = Field(
        SecretStr(""),
        description='user and password of each bank\'s EMMA account, as JSON: {"99990001": {"username": "…", '
        '"password": "…"}}',
    )
    bounce_domain: str = Field("bounce.example", description="domain of the VERP return paths")
    feedback_loops: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses that feedback loops report complaints from, joined by commas, such as "
        "`staff@hotmail.com`; `@domain` for a domain that does nothing else. Theirs bar by themselves if they are "
        "authenticated, all others are for a person",
    )
    authserv_id: str = Field(
        "",
        description="name of your own receiving server in the `Authentication-Results` that it writes (RFC 8601); "
        "empty: only DKIM signatures are looked at",
    )
    bounce_received_hops: int = Field(
        1,
        ge=1,
        le=10,
        description="how many `Received` fields your own servers write into a mail of the return mailbox",
    )
    bounce_maildir: Path | None = Field(None, description="Maildir into which the return mailbox is delivered")
    bounce_imap_host: str = Field(
        "", description="IMAP server of a return mailbox, beside or instead of the Maildir; empty for none"
    )
    bounce_imap_port: int = Field(993, ge=1, le=65535, description="port of the IMAP server")
    bounce_imap_user: str = Field("", description="login at the IMAP server")
    bounce_imap_password: SecretStr = Field(SecretStr(""), description="password at the IMAP server")
    bounce_imap_folder: str = Field(
        "INBOX",
        pattern=r"^[\x20-\x7e]+$",
        description="folder that bounces arrive in, as the server spells it",
    )
    bounce_imap_tls: Literal["on", "starttls", "off"] = Field(
        "on", description="`on`: TLS from the start; `starttls`; `off` only for a server on this machine"
    )
    file_settle_seconds: float = Field(
        60.0, description="a file without .ok marker is taken when unchanged for so long"
    )
    collect_seconds: float = Field(
        45.0, gt=0, description="how long one look for return mails, and one for opens and clicks, may take"
    )
    collect_wait_seconds: float = Field(
        600.0,
        ge=0,
        description="so long canary and responses wait for the return mails of their time; then they go on without",
    )
    intake_seconds: float = Field(
        240.0, gt=0, description="how long one look into a bank's inbox may take; the rest waits for the next look"
    )
    intake_files: int = Field(2000, ge=1, description="so many files of a bank are taken in by one look")
    response_window_seconds: float | None = Field(None, description="overrides every occasion's response window (demo)")
    late_events_days: int = Field(
        90,
        ge=1,
        description="opens, clicks and the like count up to so long after sending; unsubscribes, complaints and hard "
        "bounces always do",
    )
    poke_seconds: float = Field(15.0, description="how often a waiting task looks again")
    home: Path = Field(
        INCLUDE.parent / "var", description="where the embedded set-up keeps logs, files, secrets; one per checkout"
    )
    journal_dir: Path | None = Field(
        None,
        description="folder of the dispatchers' journals, on a disk of this machine, never shared between machines; "
        "empty: `journal` in `REKU_HOME`",
    )
    tracker_dir: Path | None = Field(
        None,
        description="folder of the trackers' journals of opens and clicks, on a disk of this machine; empty: `tracker` "
        "in `REKU_HOME`",
    )
    tracker_proxies: str = Field(
        "",
        description="addresses or networks of reverse proxies before the tracker, joined by commas: only theirs is "
        "X-Forwarded-For believed; without it all clients behind a proxy share one limit",
    )
    tracker_connections: int = Field(
        1000,
        ge=10,
        description="connections to the tracker at once; beyond, the one that is idle for longest makes room",
    )
    tracker_client_connections: int = Field(
        100, ge=1, description="so many of them from one client address; a proxy's are not counted"
    )
    tracker_rate: float = Field(
        50.0,
        gt=0,
        description="opens, clicks and wrong links a second that count from one client address; unsubscribes always do",
    )
    tracker_burst: int = Field(1000, ge=1, description="so many of them at once from one client address")
    hit_settle_seconds: float = Field(
        60.0,
        ge=0,
        description="age at which an open or click is judged: by a person or by a bot; at least what the rules of "
        "`bots.yaml` look at",
    )
    report_bots: bool = Field(False, description="report opens and clicks of bots like those of people")
    reports_dir: Path | None = Field(
        None,
        description="folder of the delivery reports, shared by workers and api-server; empty: `reports` in `REKU_HOME`",
    )
    keep_reports_days: int = Field(90, ge=1, description="days that a delivery report is kept")
    keep_sent_hours: float = Field(
        1.0, ge=0, description="how long a delivered row (name, address) is kept after its mail has ended"
    )
    keep_files_days: int = Field(30, ge=1, description="how long originals and rejected rows are kept")
    keep_refused_imports_hours: float = Field(
        36.0,
        ge=1,
        le=720,
        description="how long originals of a cooperative bank's data are kept that were refused or set aside; those "
        "that are taken in are not kept",
    )
    keep_fetched_hours: float = Field(
        36.0,
        ge=0,
        description="how long a prepared file may be fetched again after the first fetch; then who stands in it leaves,"
        " with the names and addresses of selected people",
    )
    keep_doubt_hours: float = Field(
        36.0,
        ge=1,
        le=720,
        description="how long a mail to somebody whom we have selected may be in doubt; then it is closed as not sent "
        "(UNGEKLAERT), and its row leaves",
    )
    keep_outbox_days: int = Field(30, ge=1, description="how long receipts and response files are kept")
    keep_bounce_mails_days: int = Field(30, ge=1, description="how long mails of the return mailbox are kept")
    keep_bounce_mails_hours: float = Field(
        36.0,
        ge=1,
        le=720,
        description="how long those are kept that are about people whom we have selected; where a bank is served whose "
        "people we select, also those of which nothing tells the bank",
    )
    keep_logs_days: int = Field(30, ge=1, description="how long logs, and journals of finished batches, are kept")
    keep_messages_days: int = Field(
        396, ge=100, description="how long deliveries are kept with their messages, responses and contacts: 13 months"
    )
    keep_subscribers_days: int | None = Field(
        396,
        ge=1,
        description="how long people stay on a list after the last delivery or mail about them, unless the bank's file "
        "says something else: 13 months; empty: for good",
    )
    keep_audit_days: int = Field(1461, ge=1, description="how long is kept what people did by hand: 4 years")
    ui_token: SecretStr = Field(
        SecretStr(""),
        description="what `reku up` and the demo ask for at Airflow's pages; made at the first start and printed with "
        "their address; at least 32 characters",
    )
    ui_hosts: str = Field(
        "",
        description="names, joined by commas, by which Airflow's pages may be asked for (Host); empty: any. `reku up` "
        "and the demo set this machine's own",
    )
    alarm_urls: SecretStr = Field(
        SecretStr(""),
        description="where people are told what needs them, separated by blanks, as apprise writes them: "
        "mailtos://user:password@host?to=team@bank.example, jsons://host/path …, with `team=` before it for a team of "
        "`teams.yaml` other than the platform's; empty: nobody is told",
    )
    alarm_language: Literal["de", "en"] = Field("de", description="language of what they are told: de or en")
    heartbeat_url: SecretStr = Field(
        SecretStr(""),
        description="asked for every five minutes while all is alive, so that a watcher elsewhere notices silence; "
        "empty: none",
    )
    ui_port: int = Field(8080, ge=1, le=65535, description="port of Airflow's pages in the embedded set-up")
    tracker_port: int = Field(8091, ge=1, le=65535, description="port of the tracker in the embedded set-up")

    @field_validator("token_keys", "pseudonym_keys", "vault_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(key for key in value.split(",") if key) if isinstance(value, str) else value

    @field_validator("feedback_loops", mode="before")
    @classmethod
    def _addresses(cls, value: object) -> object:
        return (
            tuple(one.strip().casefold() for one in value.split(",") if one.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("feedback_loops")
    @classmethod
    def _with_at(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if "@" not in one]:
            raise ValueError(f"{wrong[0]!r} is no address; write staff@provider.example, or @provider.example for all")
        return value

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> Settings:
        faults = list(sent_in_clear(self)) if self.environment == "P" else []
        if faults:
            raise ValueError(f"REKU_ENVIRONMENT=P demands TLS. {'; '.join(faults)}")
        return self

    @field_validator("secret_key", "ui_token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        _check_length(value.get_secret_value())
        return value

    @field_validator("token_keys")
    @classmethod
    def _long_enough_each(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        keys = [_token_key(key.get_secret_value()) for key in value]
        for key in keys:
            _check_length(key.text)
        if keys and keys[-1].below is not None:
            raise ValueError("the last key is the one that signs: @ID stands behind old ones only")
        return value

    @field_validator("tracker_proxies")
    @classmethod
    def _named_proxies(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("pseudonym_keys")
    @classmethod
    def _long_enough_too(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            _check_length(key.get_secret_value())
        return value

    @field_validator("vault_keys")
    @classmethod
    def _sealing_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in value:
            _check_sealing_key(key.get_secret_value())
        return value

    @field_validator(
        "journal_dir",
        "tracker_dir",
        "reports_dir",
        "bounce_maildir",
        "keep_subscribers_days",
        "sftp_key",
        "sftp_known_hosts",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    def journals(self) -> Path:
        """The folder of the dispatchers' journals; it need not exist yet."""
        return self.journal_dir or self.home / "journal"

    def hit_journals(self) -> Path:
        """The folder of the trackers' journals; it need not exist yet."""
        return self.tracker_dir or self.home / "tracker"

    def reports(self) -> Path:
        """The folder of the delivery reports; it need not exist yet."""
        return self.reports_dir or self.home / "reports"

    def proxies(self) -> tuple[Network, ...]:
        """The reverse proxies before the tracker."""
        return networks(self.tracker_proxies)

    def keys_for_tokens(self) -> tuple[TokenKey, ...]:
        """The token keys in clear, newest last."""
        return tuple(_token_key(key.get_secret_value()) for key in self.token_keys)


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises SetupError naming each wrong variable."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_told(fault["loc"], fault["msg"]) for fault in error.errors())
        raise SetupError(f"Wrong setting in the environment: {faults}.") from None


def _told(place: tuple[int | str, ...], fault: str) -> str:
    if not place:  # of several at once, which it names itself
        return fault.removeprefix("Value error, ")
    return f"REKU_{str(place[0]).upper()}: {fault}"


def configured(name: str) -> Path:
    """The file `name` of the configuration folder, or the one shipped where it has none."""
    own = settings().config_dir / name
    return own if own.exists() else INCLUDE / name


def required(name: str) -> str:
    """The setting `name`, which must not be empty here. Raises SetupError saying which variable to set."""
    value = getattr(settings(), name)
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if not text:
        raise SetupError(
            f"REKU_{name.upper()} is not set. Set it in the environment; `reku up` and `make demo` do it by themselves."
        )
    return text
