"""`reku check` on a configuration that a new user has broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reku.foundation.settings import INCLUDE, settings
from tests.cli.conftest import Reku


@pytest.fixture
def config(tmp_path: Path, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped configuration with few media, since each is compiled for each bank."""
    folder = tmp_path / "include"
    for name in ("contracts", "expectations", "templates/shared", "templates/scom/geburtstag"):
        shutil.copytree(INCLUDE / name, folder / name)
    shutil.copy(INCLUDE / "templates/scom/look.mjml", folder / "templates/scom")
    for rules in (folder / "expectations/occasions").iterdir():
        if rules.stem != "MCAG002":
            rules.unlink()
    for rules_of in ("bounces.yaml", "bots.yaml", "products.yaml"):
        shutil.copy(INCLUDE / rules_of, folder)
    for name in ("occasions/MCAG002.yaml", "institutes/99990001.yaml"):
        (folder / name).parent.mkdir()
        shutil.copy(INCLUDE / name, folder / name)
    medium = folder / "templates/scom/geburtstag/medium.yaml"
    _edit(medium, "occasions: [", "occasions: [MCAG002] # [")
    bank = folder / "institutes/99990001.yaml"
    bank.write_text(bank.read_text(encoding="utf-8").partition("campaigns:")[0], encoding="utf-8")
    monkeypatch.setenv("REKU_CONFIG_DIR", str(folder))
    settings.cache_clear()
    return folder


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_what_is_shipped_is_whole(reku: Reku, reku_settings: Path) -> None:
    done = reku("check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("all fine: 56 occasions, 29 media, 3 institutes, ")
    assert done.stdout.count("\n") == 1


def test_a_whole_configuration(reku: Reku, config: Path) -> None:
    done = reku("check")
    assert (done.exit_code, done.stdout.partition(",")[0]) == (0, "all fine: 1 occasions")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("occasions/MCAG002.yaml", "priority: 3", "priority: : 3", ["MCAG002.yaml:4: Not valid YAML"]),
        ("occasions/MCAG002.yaml", "family: Geburtstage", "family: Geburtstag", ["Did you mean 'Geburtstage'"]),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact: {estate: {Nachlass_KZ: [J]}}",
            ["99990001.yaml:6", "contact, estate: no delivery has the field 'Nachlass_KZ'", "never hold"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact:\n  household: Haushalt\n",
            ["99990001.yaml:7", "contact, household: no delivery has the field 'Haushalt'"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact:\n  blocking_days: {SCOM_GEBURTSTAGE: 14}\n",
            ["99990001.yaml:7", "SCOM_GEBURTSTAGE", "Did you mean 'SCOM_GEBURTSTAG'"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact: {contact_person: Anrede}",
            ["99990001.yaml:6", "contact_person needs household"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact: {unsubscribes: liste}",
            ["99990001.yaml:6", "Did you mean 'list'"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NW\ncontact: {blocking_days: {SCOM_GEBURTSTAG: -1}}",
            ["99990001.yaml:6", "greater than or equal to 0"],
        ),
        (
            "institutes/99990001.yaml",
            "state: NW",
            "state: NRW",
            ["99990001.yaml:5:", "Did you mean 'NW'", "Valid: BB, BE"],
        ),
        ("contracts/viam.yaml", "kind:", "kint:", ["viam.yaml:", "Did you mean 'kind'"]),
        ("contracts/response.yaml", "kind: RESPONSE", "kind: RESPONCE", ["no contract of kind RESPONSE"]),
        ("expectations/reku.yaml", "kind: REKU", "kind: REKUU", ["expectations/reku.yaml:", "Did you mean 'REKU'"]),
        (
            "expectations/occasions/MCAG002.yaml",
            "in_steps",
            "in_stepps",
            ["MCAG002.yaml:", "Did you mean 'in_steps'"],
        ),
        ("bounces.yaml", "rules:", "rulez:", ["bounces.yaml:", "Did you mean 'rules'"]),
        ("products.yaml", "products:", "product:", ["products.yaml:", "Did you mean 'products'"]),
        ("products.yaml", "GIRO: Girokonto", "GIRO: Konto 12345678", ["products.yaml:", "GIRO"]),
        ("bots.yaml", "agent_has:", "agent_hat:", ["bots.yaml:", "Did you mean 'agent_has'"]),
        (
            "templates/scom/geburtstag/mail.txt",
            "{{ briefanrede }}",
            "{{ briefanred }}",
            ["mail.txt:1:", "'briefanred'"],
        ),
        ("templates/scom/geburtstag/mail.mjml", "</mjml>", "", ["mail.mjml"]),
    ],
)
def test_every_room_has_its_faults_named(
    reku: Reku, config: Path, file: str, old: str, new: str, said: list[str]
) -> None:
    _edit(config / file, old, new)
    done = reku("check")
    assert done.exit_code == 1
    for piece in said:
        assert piece in done.stdout
    found = json.loads(reku("check", "--json").stdout)["faults"]
    assert len(found) == len(done.stdout.splitlines())
    assert all(fault["text"] in done.stdout for fault in found)


def test_a_standard_occasion_without_rules(reku: Reku, config: Path) -> None:
    file = config / "expectations/occasions/MCAG002.yaml"
    file.rename(file.with_stem("MCAG0002"))
    missing, unknown = sorted(json.loads(reku("check", "--json").stdout)["faults"], key=lambda fault: fault["file"])[
        ::-1
    ]
    assert Path(missing["file"]).name == "MCAG002.yaml"
    assert "none:" in missing["problem"]
    assert (Path(unknown["file"]).name, unknown["suggestion"]) == ("MCAG0002.yaml", "MCAG002")


def test_a_settle_time_shorter_than_what_a_rule_looks_at(
    reku: Reku, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_HIT_SETTLE_SECONDS", "2")
    settings.cache_clear()
    (fault,) = json.loads(reku("check", "--json").stdout)["faults"]
    assert Path(fault["file"]).name == "bots.yaml"
    assert "REKU_HIT_SETTLE_SECONDS to 3 or more" in fault["problem"]


def test_a_missing_medium(reku: Reku, config: Path) -> None:
    shutil.rmtree(config / "templates/scom/geburtstag")
    (fault,) = json.loads(reku("check", "--json").stdout)["faults"]
    assert (Path(fault["file"]).name, fault["line"], fault["value"]) == ("MCAG002.yaml", 5, "SCOM_GEBURTSTAG")


def test_a_missing_file_of_a_medium_is_told_once(reku: Reku, config: Path) -> None:
    (config / "templates/scom/geburtstag/mail.mjml").unlink()
    (line,) = reku("check").stdout.splitlines()
    assert "lacks its mail.mjml" in line


def test_one_broken_file_hides_no_other(reku: Reku, config: Path) -> None:
    _edit(config / "occasions/MCAG002.yaml", "priority: 3", "priority: 33")
    _edit(config / "contracts/viam.yaml", "kind:", "kint:")
    _edit(config / "institutes/99990001.yaml", "state: NW", "state: NRW")
    done = reku("check")
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 3)
    assert done.stderr.startswith("3 faults")


def test_no_configuration_at_all(reku: Reku, reku_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_CONFIG_DIR", "/nowhere")
    settings.cache_clear()
    done = reku("check")
    assert done.exit_code == 1
    assert "REKU_CONFIG_DIR" in done.stdout
