"""The home of a set-up: its secrets are made once, kept, and private; what can't be written is said in one sentence."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reku.foundation.errors import SetupError
from reku.runtime.home import SECRETS, Home


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    home = Home(tmp_path / "with a blank" / "var")
    home.make()
    return home


def test_secrets_are_made_once_private_and_long_enough(here: Home) -> None:
    made = here.secret_environment()
    assert set(made) == set(SECRETS)
    assert len(made["AIRFLOW__API_AUTH__JWT_SECRET"].encode()) >= 64
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(here.secrets.stat().st_mode) == 0o600
    assert here.secret_environment() == made
    assert Home(here.path).secret_environment() == made


def test_the_environment_wins_and_is_not_written_down(here: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = here.secret_environment()["REKU_SECRET_KEY"]
    monkeypatch.setenv("REKU_SECRET_KEY", "of the operator")
    assert here.secret_environment()["REKU_SECRET_KEY"] == "of the operator"
    assert "of the operator" not in here.secrets.read_text()
    monkeypatch.delenv("REKU_SECRET_KEY")
    assert here.secret_environment()["REKU_SECRET_KEY"] == kept


def test_a_key_that_is_missing_in_an_older_file_is_added_and_the_others_stay(here: Home) -> None:
    made = here.secret_environment()
    lines = here.secrets.read_text().splitlines()
    here.secrets.write_text("\n".join(line for line in lines if not line.startswith("AIRFLOW__API__SECRET_KEY")) + "\n")
    again = here.secret_environment()
    assert again["REKU_TOKEN_KEYS"] == made["REKU_TOKEN_KEYS"]
    assert again["AIRFLOW__API__SECRET_KEY"] != made["AIRFLOW__API__SECRET_KEY"]


def test_secrets_that_others_may_read_are_refused(here: Home) -> None:
    here.secret_environment()
    here.secrets.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        here.secret_environment()


def test_two_homes_are_two_instances(tmp_path: Path) -> None:
    assert Home(tmp_path / "a").instance != Home(tmp_path / "b").instance


def test_a_file_in_the_way_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    with pytest.raises(SetupError, match=r"No write permission for .*var .*REKU_HOME"):
        Home(tmp_path / "var").make()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second account to be refused as")
def test_no_write_permission_is_one_clear_sentence_for_root_s_guest(tmp_path: Path) -> None:
    forbidden = tmp_path / "closed"
    forbidden.mkdir(mode=0o755)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from reku.runtime.home import Home; from reku.foundation.errors import SetupError\n"
        "os.chdir('/'); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: Home(Path(sys.argv[1])).make()\n"
        "except SetupError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(forbidden / "var")], capture_output=True, text=True, check=False
    )
    assert "No write permission for" in done.stdout, done.stderr
    assert done.stderr == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SetupError, match=r"No write permission for .*REKU_HOME"):
        Home(tmp_path / "closed" / "var").make()
