"""Intake bank by bank: what is wrong with one is said, and holds up no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.catalogue.institute import CoreSystem
from reku.foundation.errors import ConfigError, PassingError, StageError
from reku.process.intake import take_in, unknown_folders
from reku.process.systems import SYSTEMS, served_banks
from tests.sources.conftest import BLZ, OTHER_BLZ, Bank, bank, config_dir

__all__ = ["bank", "config_dir"]


def test_folders_of_unknown_banks_are_told_and_left_alone(bank: Bank) -> None:
    (bank.root / "99990077" / "eingang").mkdir(parents=True)
    (bank.root / "99990077" / "eingang" / "datei").write_bytes(b"")
    (bank.root / "lost+found").mkdir()
    bank.folder().mkdir()
    (told,) = unknown_folders()
    assert "99990077" in told
    assert (bank.root / "99990077" / "eingang" / "datei").exists()


def test_one_banks_trouble_leaves_the_others_alone(bank: Bank, config_dir: Path) -> None:
    bank.delivery()
    other = Bank(bank.engine, bank.root, OTHER_BLZ)
    other.folder().mkdir()
    other.folder("eingang").write_bytes(b"a file where a folder should be")
    broken = config_dir / "institutes" / "99950003.yaml"
    broken.write_text("blz: nonsense\n", encoding="utf-8")
    try:
        assert served_banks() == [BLZ, OTHER_BLZ, "99950003"]
        with pytest.raises(ConfigError, match=r"99950003\.yaml"):
            take_in(bank.engine, "99950003")
    finally:
        broken.unlink()
    with pytest.raises(PassingError, match=f"Institute {OTHER_BLZ}: the place that its files come to cannot be used"):
        take_in(bank.engine, OTHER_BLZ)
    assert take_in(bank.engine, BLZ).counts == {"PARKED": 1}
    assert bank.deliveries() == [(17, "PARKED", "STEUERUNG_FEHLT")]


def test_a_bank_on_a_core_system_that_is_not_served_is_left_alone(
    bank: Bank, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SYSTEMS, CoreSystem.AGREE21)
    text = (config_dir / "institutes" / f"{BLZ}.yaml").read_text(encoding="utf-8")
    file = config_dir / "institutes" / "99950004.yaml"
    file.write_text(text.replace(BLZ, "99950004").replace("osplus", "agree21"), encoding="utf-8")
    cooperative = Bank(bank.engine, bank.root, "99950004")
    cooperative.put("ida_kunden_99950004_20261122041000.csv", b"")
    try:
        assert served_banks() == [BLZ, OTHER_BLZ]
        assert unknown_folders() == []
        with pytest.raises(StageError, match=r"99950004 has core system agree21, which is not served yet.*: osplus\."):
            take_in(bank.engine, "99950004")
    finally:
        file.unlink()
    assert len(cooperative.names("eingang")) == 1


def test_an_unknown_bank_is_an_error(bank: Bank) -> None:
    with pytest.raises(StageError, match="99950099"):
        take_in(bank.engine, "99950099")
