"""`reku agree21`: imports by hand, the keys of the vault, and the placeholders."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.foundation.settings import settings
from reku.vault import numbers
from reku_testing import banks
from reku_testing.world import BLZ
from tests.cli.conftest import Reku
from tests.conftest import VAULT_KEY

Clock = Callable[[datetime], None]


def test_rotate_key_says_what_may_go_and_what_is_missing(
    database: sa.Engine, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.begin() as connection:
        numbers.keep(connection, BLZ, {"p1.0a": "1"}, date(2026, 11, 22))
    new = Fernet.generate_key().decode()
    monkeypatch.setenv("REKU_VAULT_KEYS", new)
    settings.cache_clear()
    lost = reku("agree21", "rotate-key")
    assert (lost.exit_code, "1 data keys need the vault key" in lost.stderr) == (1, True)
    monkeypatch.setenv("REKU_VAULT_KEYS", f"{VAULT_KEY},{new}")
    settings.cache_clear()
    done = reku("agree21", "rotate-key")
    assert done.exit_code == 0
    assert done.stdout.startswith("1 data keys wrapped anew")
    assert "take it out of REKU_VAULT_KEYS" in done.stdout


def test_a_key_that_is_none_is_named_and_not_shown(
    database: sa.Engine, reku: Reku, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_VAULT_KEYS", f"{VAULT_KEY},geheim")
    settings.cache_clear()
    refused = reku("agree21", "rotate-key")
    assert refused.exit_code == 1
    assert "REKU_VAULT_KEYS" in refused.stderr
    assert "geheim" not in refused.stderr


def test_a_file_by_hand_and_what_has_come(
    database: sa.Engine, reku: Reku, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock_at: Clock
) -> None:
    clock_at(datetime(2026, 11, 22, 6, tzinfo=UTC))
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21")
    header = "Personennummer;Ansprechperson;Anrede;Nachname;Stand"
    people = [f"{number:010d};J;1;Testmann;21.11.2026" for number in range(1, 11)]
    first = tmp_path / f"ida_kunden_{BLZ}_20261121041000.csv"
    first.write_text("\n".join([header, *people, ""]), encoding="cp1252")
    taken = reku("agree21", "import", first)
    assert (taken.exit_code, "UNGESICHERT" in taken.stdout) == (0, True)
    smaller = tmp_path / f"ida_kunden_{BLZ}_20261122041000.csv"
    smaller.write_text("\n".join([header, people[0], ""]), encoding="cp1252")
    refused = reku("agree21", "import", smaller, "--json")
    assert refused.exit_code == 1
    (result,) = json.loads(refused.stdout)["outcomes"]
    assert result["code"] == "SCHRUMPFUNG"
    assert reku("agree21", "accept", BLZ, result["file_id"] + 1, "--note", "probe").exit_code == 1
    assert reku("agree21", "accept", BLZ, result["file_id"], "--note", "probe").exit_code == 0
    (line,) = json.loads(reku("agree21", "status", "--json").stdout)
    assert (line["rows"], line["known_after"], line["age_hours"]) == (1, 10, 2.8)
    assert "Testmann" not in taken.stdout + refused.stdout


@pytest.mark.parametrize(
    ("name", "core_system", "says"),
    [
        ("kunden.csv", "agree21", "no name of a file"),
        ("ida_kunden_99959999_20261121041000.csv", "agree21", "no institute 99959999"),
        (f"ida_kunden_{BLZ}_20261121041000.csv", "osplus", "data are not imported"),
    ],
)
def test_a_file_that_cannot_be_imported(
    database: sa.Engine,
    reku: Reku,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    core_system: str,
    says: str,
) -> None:
    banks.configure(monkeypatch, tmp_path / "config", core_system=core_system)
    (tmp_path / name).write_text("x", encoding="cp1252")
    refused = reku("agree21", "import", tmp_path / name)
    assert (refused.exit_code, says in refused.stderr) == (1, True)


def test_nothing_was_imported_yet(database: sa.Engine, reku: Reku) -> None:
    assert "Nothing was imported yet" in reku("agree21", "status").stdout


def test_placeholders_are_listed_with_the_campaigns_that_use_them(
    reku: Reku, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def campaign(order: str, placeholder: str) -> dict[str, object]:
        announces = {
            "occasion": "MCAG002",
            "rhythm": "TAEGLICH",
            "valid_from": "2026-01-01",
            "placeholder": placeholder,
        }
        return {"order": order, "name": "Größte", "active": False, "announces": announces, "blocks": []}

    ordered = {"order": "R0000001", "name": "Ohne", "active": True, "blocks": []}
    folder = banks.configure(monkeypatch, tmp_path / "config", campaigns=[ordered])
    nothing = reku("agree21", "placeholders")
    assert (nothing.exit_code, "no placeholder is needed" in nothing.output) == (0, True)
    campaigns = [campaign("K2026-014", "MF_02"), campaign("K2026-013", "MF_02"), campaign("K2026-015", "MF_01")]
    banks.configure(monkeypatch, folder, blz="99950002", core_system="agree21", campaigns=campaigns)
    told = reku("agree21", "placeholders", "--json")
    lines = json.loads(told.stdout)
    assert [(line["placeholder"], line["order"]) for line in lines] == [
        ("MF_01", "K2026-015"),
        ("MF_02", "K2026-013"),
        ("MF_02", "K2026-014"),
    ]
    assert lines[0] == {
        "institute": "99950002",
        "placeholder": "MF_01",
        "order": "K2026-015",
        "occasion": "MCAG002",
        "active": False,
        "campaign": "Größte",
    }
    assert reku("agree21", "placeholders", "99950002", "--json").stdout == told.stdout
    assert json.loads(reku("agree21", "placeholders", BLZ, "--json").stdout) == []
    unknown = reku("agree21", "placeholders", "99950009")
    assert (unknown.exit_code, "99950009" in unknown.stderr) == (1, True)
