"""Settings of the environment: bounds, derived folders, and a sentence for each wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.foundation.errors import SetupError
from reku.foundation.networks import is_within
from reku.foundation.settings import Settings, settings


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("smtp_connections", "1", "50"),
        ("dispatch_processes", "1", "16"),
        ("dispatch_large", "1", "100000000"),
        ("dispatch_batch", "1", "1000"),
        ("keep_reports_days", "1", "36500"),
        ("lease_seconds", "0.1", "86400"),
    ],
)
def test_settings_of_the_dispatch_take_what_they_say(
    monkeypatch: pytest.MonkeyPatch, name: str, least: str, most: str
) -> None:
    for value in (least, most):
        monkeypatch.setenv(f"REKU_{name.upper()}", value)
        settings.cache_clear()
        assert getattr(settings(), name) == float(value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REKU_SMTP_CONNECTIONS", "0"),
        ("REKU_SMTP_CONNECTIONS", "51"),
        ("REKU_SMTP_CONNECTIONS", "many"),
        ("REKU_DISPATCH_PROCESSES", "0"),
        ("REKU_DISPATCH_PROCESSES", "17"),
        ("REKU_DISPATCH_LARGE", "0"),
        ("REKU_DISPATCH_BATCH", "0"),
        ("REKU_DISPATCH_BATCH", "1001"),
        ("REKU_LEASE_SECONDS", "0"),
        ("REKU_LEASE_SECONDS", "inf"),
        ("REKU_LEASE_SECONDS", "nan"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=f"^Wrong setting in the environment: {variable}: Input should be "):
        settings()


LONG = "x" * 32


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REKU_SECRET_KEY", "1"),
        ("REKU_SECRET_KEY", LONG[1:]),
        ("REKU_TOKEN_KEYS", "a"),
        ("REKU_TOKEN_KEYS", f"{LONG},geheim"),
        ("REKU_TOKEN_KEYS", f"geheim,{LONG}"),
        ("REKU_TOKEN_KEYS", f"geheim-und-kurz@1234567890123456789,{LONG}"),  # what is noted behind it is no part of it
    ],
)
def test_a_key_that_can_be_guessed_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=f"{variable}: .*at least 32 random") as refused:
        settings()
    assert "geheim" not in str(refused.value)
    assert LONG[1:] not in str(refused.value)


def test_keys_of_32_characters_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_SECRET_KEY", LONG)
    monkeypatch.setenv("REKU_TOKEN_KEYS", f"{LONG}@7,{LONG},{LONG}")
    assert settings().keys_for_tokens() == ((LONG, 7), (LONG, None), (LONG, None))


def test_the_newest_key_has_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_TOKEN_KEYS", f"{LONG}@7")
    with pytest.raises(SetupError, match=r"REKU_TOKEN_KEYS.*old ones only"):
        settings()


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({}, "home/journal"),
        ({"REKU_JOURNAL_DIR": ""}, "home/journal"),
        ({"REKU_JOURNAL_DIR": "disk/journal"}, "disk/journal"),
    ],
)
def test_journals_lie_in_the_home_unless_another_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], folder: str
) -> None:
    monkeypatch.setenv("REKU_HOME", "home")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings().journals() == Path(folder)


@pytest.mark.parametrize(
    ("given", "folder"),
    [({}, "home/reports"), ({"REKU_REPORTS_DIR": ""}, "home/reports"), ({"REKU_REPORTS_DIR": "shared"}, "shared")],
)
def test_reports_lie_in_the_home_unless_another_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], folder: str
) -> None:
    monkeypatch.setenv("REKU_HOME", "home")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings().reports() == Path(folder)


@pytest.mark.parametrize(
    ("proxies", "told"),
    [
        ("*", "'\\*' is no address or network; name each one"),
        ("192.0.2.7,*", "'\\*' is no address or network"),
        ("proxy.example", "'proxy.example' is no address or network"),
        ("192.0.2.7/24", "'192.0.2.7/24' is no address or network"),
        ("0.0.0.0/0", "'0.0.0.0/0' is half the internet"),
        ("::/0", "'::/0' is half the internet"),
        ("0.0.0.0/1", "'0.0.0.0/1' is half the internet"),
    ],
)
def test_who_is_no_proxy(monkeypatch: pytest.MonkeyPatch, proxies: str, told: str) -> None:
    monkeypatch.setenv("REKU_TRACKER_PROXIES", proxies)
    with pytest.raises(SetupError, match=f"REKU_TRACKER_PROXIES: .*{told}"):
        settings()


@pytest.mark.parametrize(
    ("proxies", "address", "within"),
    [
        ("", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7, 2001:db8::/32", "2001:db8::1", True),
        ("10.0.0.0/8", "192.0.2.7", False),
        ("10.0.0.0/8", "rubbish", False),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, proxies: str, address: str, within: bool) -> None:
    monkeypatch.setenv("REKU_TRACKER_PROXIES", proxies)
    assert is_within(address, settings().proxies()) is within
