"""`reku bounces`: an operator sees how many unclear mails there are, and gets at the evidence of an event."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.responses.bounces import collect_all
from reku_testing import world
from reku_testing.dispatching import change_settings
from tests.cli.conftest import Reku
from tests.responses.reports import report


@pytest.fixture
def maildir(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A return mailbox with a bounce and rubbish, taken in, and one mail that waits."""
    delivery = world.delivery(database, world.order(database))
    message = world.message(database, world.row(database, delivery, world.reku_fields()), state="SENT")
    new = tmp_path / "mail" / "new"
    new.mkdir(parents=True)
    (new / "1.host").write_bytes(report(message))
    (new / "2.host").write_bytes(b"rubbish")
    change_settings(monkeypatch, bounce_maildir=tmp_path / "mail")
    collect_all(database)
    (new / "3.host").write_bytes(b"waits")
    return tmp_path / "mail"


def test_status(reku: Reku, maildir: Path) -> None:
    done = reku("bounces", "status", "--json")
    assert json.loads(done.output) == [
        {"mailbox": f"the Maildir {maildir}", "new": 1, "gesehen": 1, "ungeklaert": 1},
    ]


def test_no_mailbox(reku: Reku, database: sa.Engine) -> None:
    assert "REKU_BOUNCE_IMAP_HOST" in reku("bounces", "status").output


def test_the_evidence_that_why_names(reku: Reku, maildir: Path, tmp_path: Path) -> None:
    told = reku("why", world.reku_fields()["Referenz"], "--json")
    (mail,) = json.loads(told.output)[0]["mails"]
    assert {name: mail[name] for name in ("mail", "meaning", "event", "status")} == {
        "mail": "1.host",
        "meaning": "BOUNCE",
        "event": "BOUNCED_HARD",
        "status": "5.1.1",
    }
    assert mail["why"].startswith("The address is wrong")
    file = tmp_path / "evidence.eml"
    done = json.loads(reku("bounces", "show", "1.host", "--to", file, "--json").output)
    assert done == {"mail": "1.host", "file": str(file), "bytes": file.stat().st_size}
    assert b"Status: 5.1.1" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    for name, said in (("9.host", "No mail of this name"), ("1.host", "exists already")):
        again = reku("bounces", "show", name, "--to", file)
        assert again.exit_code == 1
        assert said in again.output
