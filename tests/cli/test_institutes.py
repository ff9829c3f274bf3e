"""A new bank: a complete, checked file from what is asked, and what the DNS says of its sender domain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from reku.catalogue import institutes
from reku.catalogue.check import check_catalogue
from reku.catalogue.new_bank import QUESTIONS
from reku.foundation.settings import settings
from reku_testing.dispatching import change_settings
from reku_testing.name_server import name_server
from tests.cli.conftest import Reku

BLZ = "99990044"
ANSWERS = {question.key: question.example for question in QUESTIONS if question.example} | {
    "name": 'Sparkasse Übermüßig: "Nord" #1',
    "address": "Service@Nord.sparkasse-uebermuessig.example",
    "control_address": "kontrolle@sparkasse-uebermuessig.example",
}
SET = [f"--set={key}={value}" for key, value in ANSWERS.items()]


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A configuration of its own, to write into."""
    folder = tmp_path / "config"
    shutil.copytree(settings().config_dir, folder, ignore=shutil.ignore_patterns("reku", "reku_testing", "__pycache__"))
    change_settings(monkeypatch, config_dir=folder)
    return folder


@pytest.mark.parametrize("system", ["osplus", "agree21"])
def test_what_is_asked_makes_a_whole_file(reku: Reku, config: Path, system: str) -> None:
    """As written, and with what stands in it as comments."""
    typed = "".join(f"{(ANSWERS | {'core_system': system}).get(question.key, '')}\n" for question in QUESTIONS)
    done = reku("institutes", "new", BLZ, typed=typed)
    assert done.exit_code == 0, done.output
    bank = institutes(config)[BLZ]
    assert (bank.name, bank.core_system, bank.state) == (ANSWERS["name"], system, "NW")
    assert bank.sender.domains == ("nord.sparkasse-uebermuessig.example",)
    assert bank.approve_first
    assert bank.interface_active_from is None
    assert "Umsatzsteuer-Identifikationsnummer: DE999999991\nBankleitzahl: 99990044" in bank.imprint
    file = config / "institutes" / f"{BLZ}.yaml"
    prose = ("# Set the day", "# The first delivery", "# One campaign", "# Which fields")
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith(prose)]
    file.write_text("\n".join(line.removeprefix("# ") for line in lines), encoding="utf-8")
    assert check_catalogue(config) == []
    (campaign,) = institutes(config / ".")[BLZ].campaigns
    assert not campaign.active


def test_a_wrong_answer_is_asked_again(reku: Reku, config: Path) -> None:
    answers = [(question.key, ANSWERS.get(question.key, "")) for question in QUESTIONS]
    typed = "".join(f"keine Adresse\n{answer}\n" if key == "address" else f"{answer}\n" for key, answer in answers)
    done = reku("institutes", "new", BLZ, typed=typed)
    assert done.exit_code == 0
    assert done.output.count("Absenderadresse") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((BLZ, "--json"), "name: Das wird gebraucht."),
        ((BLZ, "--json", "--set", "Name=x"), "Write KEY=VALUE"),
        ((BLZ, "--json", *SET, "--set=state=XX"), "state"),
        (("99990001", "--json", *SET), "already"),
        (("9999", "--json"), "eight digits"),
    ],
)
def test_what_makes_no_file(reku: Reku, config: Path, arguments: tuple[str, ...], said: str) -> None:
    before = sorted((config / "institutes").iterdir())
    done = reku("institutes", "new", *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.output
    assert sorted((config / "institutes").iterdir()) == before


def test_dns_of_the_sender_domain(reku: Reku) -> None:
    domain = "sparkasse-musterstadt.example"
    with name_server({domain: ["v=spf1 -all"], f"_dmarc.{domain}": ["v=DMARC1; p=reject"]}) as address:
        done = reku("institutes", "dns", "99990001", "--nameserver", address, "--json")
        faulty = reku("institutes", "dns", "99990001", "--nameserver", address, "--selector", "s1")
    assert done.exit_code == 0
    assert [row["state"] for row in json.loads(done.stdout)] == ["fine", "warning", "fine"]
    assert faulty.exit_code == 1
    assert f"s1._domainkey.{domain}" in faulty.stdout
    unknown = reku("institutes", "dns", "99990009")
    assert unknown.exit_code == 1
    assert "There is no institute" in unknown.output
