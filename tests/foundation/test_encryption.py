"""Production sends nothing about people in clear to another machine, and says what to do where it would."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reku.foundation.encryption import database_in_clear
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.runtime import airflow

GOOD = {
    "REKU_ENVIRONMENT": "P",
    "REKU_TRACKER_URL": "https://links.bank.example",
    "REKU_SMTP_HOST": "relay.bank.example",
    "REKU_SMTP_TLS": "true",
    "REKU_BOUNCE_IMAP_HOST": "imap.bank.example",
    "REKU_DATABASE_URL": "postgresql+psycopg://reku@db.bank.example/reku?sslmode=verify-full",
    "REKU_FILES_URL": "sftp://reku@files.bank.example/",
}


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("REKU_SMTP_TLS", "false", "REKU_SMTP_TLS is off, and the relay relay.bank.example .*: set it to true"),
        ("REKU_BOUNCE_IMAP_TLS", "off", r"REKU_BOUNCE_IMAP_TLS is off, .*: set it to on \(port 993\)"),
        (
            "REKU_TRACKER_URL",
            "http://links.bank.example",
            "REKU_TRACKER_URL is no https:// address, .*: set the public",
        ),
        ("REKU_TRACKER_URL", "http://127.0.0.1:8091", "REKU_TRACKER_URL is no https:// address"),
        ("REKU_DATABASE_URL", "postgresql+psycopg://r:geheim@db/r", r"REKU_DATABASE_URL names .*: append \?sslmode="),
        ("REKU_FILES_URL", "ftp://files.bank.example/", "REKU_FILES_URL names a place .*: use sftp://"),
    ],
)
def test_production_demands_tls(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str) -> None:
    settings()
    settings.cache_clear()
    monkeypatch.setenv(variable, value)
    with pytest.raises(SetupError, match=f"REKU_ENVIRONMENT=P demands TLS\\. {told}") as refused:
        settings()
    assert "geheim" not in str(refused.value)
    monkeypatch.setenv("REKU_ENVIRONMENT", "T")
    settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REKU_SMTP_HOST", "127.0.0.1"),
        ("REKU_SMTP_HOST", "localhost"),
        ("REKU_SMTP_HOST", "::1"),
    ],
)
def test_this_machine_needs_no_tls(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("REKU_SMTP_TLS", "false")
    monkeypatch.setenv(variable, value)
    assert settings().environment == "P"


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_SMTP_TLS", "false")
    monkeypatch.setenv("REKU_TRACKER_URL", "http://links.bank.example")
    with pytest.raises(SetupError, match=r"REKU_SMTP_TLS .*; REKU_TRACKER_URL "):
        settings()


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [
        ("postgresql+psycopg://reku@db.example/reku", True),
        ("postgresql+psycopg://reku@db.example/reku?sslmode=prefer", True),
        ("postgresql+psycopg://reku@db.example/reku?sslmode=disable&sslmode=require", False),
        ("postgresql+psycopg://reku@db.example/reku?sslmode=require", False),
        ("postgresql://reku@127.0.0.1:5432/reku", False),
        ("postgresql://reku@[::1]:5432/reku", False),
        ("postgresql://reku@localhost/reku", False),
        ("postgresql://reku@/reku?host=/run/postgresql", False),
        ("postgresql://reku@/reku?host=%2Frun%2Fpostgresql", False),
        ("postgresql://reku@/reku?host=/run/postgresql,db.example", True),
        ("postgresql://reku@/reku", False),
        ("airflow-db-not-allowed:///", False),
        ("", False),
    ],
)
def test_databases(url: str, in_clear: bool) -> None:
    assert database_in_clear(url) is in_clear


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"AIRFLOW__API_AUTH__JWT_SECRET": "a"}, "AIRFLOW__API_AUTH__JWT_SECRET has fewer than 64 characters"),
        ({"AIRFLOW__API__SECRET_KEY": "a" * 31}, "AIRFLOW__API__SECRET_KEY has fewer than 32 characters"),
        (
            {"REKU_ENVIRONMENT": "P", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://a@db/airflow"},
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN names another machine",
        ),
    ],
)
def test_variables_of_airflow(variables: dict[str, str], told: str) -> None:
    with pytest.raises(SetupError, match=told):
        airflow.check_variables(variables)
    airflow.check_variables({"AIRFLOW__API_AUTH__JWT_SECRET": "a" * 64, "REKU_ENVIRONMENT": "P"})
