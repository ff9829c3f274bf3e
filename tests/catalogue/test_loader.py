"""Folders of YAML become entries by key; one broken file never takes the others down; an edit is seen at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reku.catalogue import institutes, load_occasion, loader, media, medium_folder, occasions, scan_occasions
from reku.catalogue.medium import Provider
from reku.catalogue.occasion import Family, Occasion
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings

PROJECT = Path(__file__).resolve().parents[2]
INCLUDE = PROJECT / "include"

Edit = Callable[[str, str, str], Path]
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The project's own 56 occasions in a folder where they may be spoilt."""
    (tmp_path / "occasions").mkdir()
    for file in (INCLUDE / "occasions").glob("*.yaml"):
        (tmp_path / "occasions" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_everything_is_read_by_its_key(config: Path) -> None:
    assert list(occasions(config)) == ["MCAG002"]
    assert list(media(config)) == ["SCOM_GEBURTSTAG"]
    assert list(institutes(config)) == ["99990009"]
    assert institutes(config)["99990009"].name == "Sparkasse Prüfstadt"
    assert medium_folder("SCOM_GEBURTSTAG", config) == config / "templates/scom/geburtstag"


def test_the_settings_name_the_folder_unless_the_caller_does(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_CONFIG_DIR", str(config))
    settings.cache_clear()
    try:
        assert list(occasions()) == ["MCAG002"]
        assert list(institutes()) == ["99990009"]
        assert list(media()) == ["SCOM_GEBURTSTAG"]
        assert medium_folder("LBS_HEIRAT") == config / "templates/lbs/heirat"
        assert scan_occasions()[1] == []
    finally:
        settings.cache_clear()


@pytest.mark.parametrize("content", ["code: MCAG005\ntitle: [", "\xff", "", "code: MCAG005\n"])
def test_one_broken_occasion_leaves_the_other_55(copied: Path, content: str) -> None:
    (copied / "occasions/MCAG005.yaml").write_bytes(content.encode("latin-1"))
    whole, faults = scan_occasions(copied)
    assert len(whole) == 55
    assert "MCAG005" not in whole
    assert {fault.file.name for fault in faults} == {"MCAG005.yaml"}

    entries = occasions(copied)
    assert entries["MCAG002"].title == "Runde Geburtstage"
    assert len(entries) == 56
    assert "MCAG005" in entries  # it is known, and whoever needs it is told what is wrong with it
    for ask in (lambda: entries["MCAG005"], lambda: entries.get("MCAG005"), lambda: dict(entries)):
        with pytest.raises(ConfigError, match=r"MCAG005\.yaml"):
            ask()


def test_an_unknown_code_is_just_unknown(config: Path) -> None:
    assert occasions(config).get("MCAG999") is None
    assert "MCAG999" not in occasions(config)
    with pytest.raises(KeyError):
        occasions(config)["MCAG999"]


def test_a_code_in_two_files_is_a_fault_that_names_both(copied: Path) -> None:
    original, copy = copied / "occasions/MCAG002.yaml", copied / "occasions/MCAG002_neu.yaml"
    copy.write_bytes(original.read_bytes())
    whole, faults = scan_occasions(copied)
    assert len(whole) == 56  # the file that bears the code's name stays in force
    assert [(fault.file, fault.line) for fault in faults] == [(copy, 1)]
    assert str(original) in str(faults[0])
    assert "'MCAG002'" in str(faults[0])


def test_a_code_in_two_files_that_both_have_another_name(copied: Path) -> None:
    original = copied / "occasions/MCAG002.yaml"
    first = original.rename(copied / "occasions/GEBURTSTAG_A.yaml")
    second = copied / "occasions/GEBURTSTAG_B.yaml"
    second.write_bytes(first.read_bytes())
    whole, faults = scan_occasions(copied)
    assert len(whole) == 55
    assert [fault.file for fault in faults] == [first, second]
    assert str(second) in str(faults[0])
    assert str(first) in str(faults[1])


def test_a_copy_of_a_broken_file_names_it(copied: Path) -> None:
    copy = copied / "occasions/MCAG002_neu.yaml"
    copy.write_bytes((copied / "occasions/MCAG002.yaml").read_bytes())
    (copied / "occasions/MCAG002.yaml").write_text("code: [", encoding="utf-8")
    whole, faults = scan_occasions(copied)
    assert len(whole) == 55
    assert str(copied / "occasions/MCAG002.yaml") in str(faults[1])


def test_a_banks_own_occasion_is_just_one_more_file(copied: Path) -> None:
    (copied / "occasions/GOLDHOCHZEIT.yaml").write_text(
        "code: GOLDHOCHZEIT\ntitle: Goldene Hochzeit für treue Kunden\nfamily: Eigene Anlässe\npriority: 4\n"
        "media: [EIGEN_HOCHZEIT]\nwindow: {first_day: 0, last_day: 3}\nresponse_window: 6h\n",
        encoding="utf-8",
    )
    whole, faults = scan_occasions(copied)
    assert (len(whole), faults) == (57, [])
    own = whole["GOLDHOCHZEIT"]
    assert own.title == "Goldene Hochzeit für treue Kunden"
    assert (own.family, own.providers, own.is_standard) == (Family.OWN, (Provider.EIGEN,), False)


def test_an_edit_is_seen_and_an_unchanged_file_is_read_once(
    config: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    read = loader.yaml_source.load_all

    def counted(file: Path, model: type[Occasion]) -> object:
        reads.append(file)
        return read(file, model)

    monkeypatch.setattr(loader.yaml_source, "load_all", counted)
    assert occasions(config)["MCAG002"].priority == 3
    assert occasions(config)["MCAG002"].priority == 3
    assert len(reads) == 1
    file = edit("occasions/MCAG002.yaml", "priority: 3", "priority: 7")
    os.utime(file, ns=(1, 1))  # same size as before: only the time tells
    assert occasions(config)["MCAG002"].priority == 7
    assert len(reads) == 2
    file.unlink()
    assert list(occasions(config)) == []


@pytest.mark.parametrize("folder", ["occasions", "templates", "institutes"])
def test_a_folder_is_looked_into_at_most_once_a_second(
    config: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    ask = {"occasions": occasions, "templates": media, "institutes": institutes}[folder]
    file = next((config / folder).rglob("*.yaml"))
    present, looks = [100.0], []
    scandir = os.scandir

    def counted(place: Path) -> Iterator[os.DirEntry[str]]:
        looks.append(place)
        return scandir(place)

    monkeypatch.setattr(loader, "LOOK_EVERY", 1.0)
    monkeypatch.setattr(loader.time, "monotonic", lambda: present[0])
    monkeypatch.setattr(loader.os, "scandir", counted)
    (key,) = ask(config)
    first = looks.copy()
    assert first
    file.write_text("broken: [", encoding="utf-8")
    for _ in range(100):
        assert ask(config)[key]
    assert looks == first
    present[0] += 1.0
    with pytest.raises(ConfigError, match=file.name):
        ask(config)[key]
    assert looks == first * 2


def test_a_file_that_another_one_takes_the_place_of_is_seen(config: Path) -> None:
    """As when a configuration is rolled out: neither time nor size need differ."""
    file = config / "occasions/MCAG002.yaml"
    assert occasions(config)["MCAG002"].priority == 3
    before = file.stat()
    other = file.with_name("other")
    other.write_text(file.read_text(encoding="utf-8").replace("priority: 3", "priority: 7"), encoding="utf-8")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert (file.stat().st_mtime_ns, file.stat().st_size) == (before.st_mtime_ns, before.st_size)
    assert occasions(config)["MCAG002"].priority == 7


def test_only_what_has_changed_is_read_again(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(occasions(copied)) == 56
    reads: list[str] = []
    read = loader.yaml_source.load_all
    monkeypatch.setattr(
        loader.yaml_source, "load_all", lambda file, model: reads.append(file.name) or read(file, model)
    )
    (copied / "occasions/MCAG002.yaml").write_text("code: [", encoding="utf-8")
    (copied / "occasions/MCAG005.yaml").unlink()
    (copied / "occasions/EIGEN.yaml").write_text("code: EIGEN\n", encoding="utf-8")
    assert sorted({fault.file.name for fault in occasions(copied).faults}) == ["EIGEN.yaml", "MCAG002.yaml"]
    assert "MCAG005" not in occasions(copied)
    assert sorted(reads) == ["EIGEN.yaml", "MCAG002.yaml"]


def test_a_missing_folder_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="REKU_CONFIG_DIR"):
        occasions(tmp_path)
    whole, faults = scan_occasions(tmp_path)
    assert whole == {}
    assert faults[0].file == tmp_path / "occasions"


def test_one_occasion_by_its_file(config: Path, edit: Edit) -> None:
    file = config / "occasions/MCAG002.yaml"
    assert load_occasion(file).code == "MCAG002"
    edit("occasions/MCAG002.yaml", "priority: 3", "priority: 0")
    with pytest.raises(ConfigError, match=r"MCAG002\.yaml:4: priority '0'"):
        load_occasion(file)
    with pytest.raises(ConfigError, match="does not exist"):
        load_occasion(config / "occasions/MCAG003.yaml")


def test_scalars_are_texts_until_the_model_says_otherwise(config: Path, edit: Edit) -> None:
    edit("institutes/99990009.yaml", "name: Sparkasse Prüfstadt\ncore", "name: 007\ncore")
    edit("institutes/99990009.yaml", "name: Geburtstage", "name: NO")
    bank = institutes(config)["99990009"]
    assert (bank.name, bank.campaigns[0].name) == ("007", "NO")
    assert str(bank.campaigns[0].play_out_time) == "10:30:00"  # plain YAML would make 630 of it


def test_parsing_with_the_catalogue_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "import reku.catalogue\n"
        f"whole, faults = reku.catalogue.scan_occasions(Path({str(INCLUDE)!r}))\n"
        "assert (len(whole), faults) == (56, []), faults\n"
        "heavy = ('airflow', 'pandas', 'numpy', 'sqlalchemy', 'jinja2', 'mjml', 'great_expectations', 'holidays',"
        " 'email_validator', 'pydantic_settings', 'reku.store')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)
