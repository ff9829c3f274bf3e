"""`reku bounces`: an operator sees how many unclear mails there are, and gets at the evidence of an event."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.responses.bounces import collect_all
from reku.store.tables import EVERY_INSTITUTE, audit, messages, responses, suppressions
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
    told = json.loads(reku("bounces", "status", "--json").output)
    assert told["mailboxes"] == [{"mailbox": f"the Maildir {maildir}", "new": 1, "gesehen": 1, "ungeklaert": 1}]
    unclear = {"institute": "", "meaning": "UNCLEAR", "event": "", "mails": 1}
    (bounce,) = (count for count in told["mails"] if count["meaning"] == "BOUNCE")
    assert (bounce["institute"], bounce["event"], bounce["mails"]) == (world.BLZ, "BOUNCED_HARD", 1)
    assert unclear | {"why": "neither a report nor an automatic answer"} in told["mails"]
    of_bank = json.loads(reku("bounces", "status", "--institute", world.BLZ, "--days", "1", "--json").output)
    assert of_bank["mails"] == [bounce]
    assert "neither a report nor an automatic answer" in reku("bounces", "status").output


def test_a_person_decides_about_a_complaint_that_nobody_vouches_for(
    reku: Reku, database: sa.Engine, maildir: Path
) -> None:
    with database.connect() as connection:
        message = connection.scalar(sa.select(messages.c.id))
    mail = (
        f"From: a@kunde.example\nTo: b+{make(Purpose.BOUNCE, Target(message))}@bounce.example\n\nBeschwerde!".encode()
    )
    (maildir / "new" / "4.host").write_bytes(mail)
    (maildir / "new" / "5.host").write_bytes(mail)
    collect_all(database)
    listed = json.loads(reku("bounces", "unclear", "--institute", world.BLZ, "--json").output)
    assert [(one["mail"], one["reference"]) for one in listed] == [
        (name, world.reku_fields()["Referenz"]) for name in ("4.host", "5.host")
    ]
    assert len(json.loads(reku("bounces", "unclear", "--json").output)) == 4  # and those of nobody
    said = reku("bounces", "accept", "4.host", "--note", "phoned, is angry")
    assert (said.exit_code, world.reku_fields()["Referenz"] in said.output) == (0, True)
    assert reku("bounces", "drop", "5.host", "--note", "the same").exit_code == 0
    assert reku("bounces", "drop", "2.host", "--note", "rubbish").exit_code == 0
    assert [one["mail"] for one in json.loads(reku("bounces", "unclear", "--json").output)] == ["3.host"]
    assert sorted(path.name for path in (maildir / ".gesehen" / "cur").iterdir()) == [
        f"{number}.host:2,S" for number in (1, 2, 4, 5)
    ]
    with database.connect() as connection:
        assert connection.scalars(sa.select(suppressions.c.kind)).all() == ["COMPLAINED"]
        assert connection.scalars(sa.select(responses.c.kind).where(responses.c.kind == "COMPLAINED")).all() == [
            "COMPLAINED"
        ]
        kept = connection.execute(sa.select(audit.c.institute, audit.c.action, audit.c.note).order_by(audit.c.id)).all()
    assert kept == [
        (world.BLZ, "accept complaint", "phoned, is angry"),
        (world.BLZ, "drop mail", "the same"),
        (EVERY_INSTITUTE, "drop mail", "rubbish"),
    ]


@pytest.mark.parametrize(
    ("command", "mail", "said"),
    [
        ("accept", "2.host", "reku suppressions bar"),  # nobody knows whose it is
        ("accept", "1.host", "reku bounces unclear"),  # a bounce is no unclear mail
        ("accept", "9.host", "reku bounces unclear"),
        ("drop", "1.host", "reku bounces unclear"),
    ],
)
def test_what_cannot_be_decided(reku: Reku, maildir: Path, command: str, mail: str, said: str) -> None:
    done = reku("bounces", command, mail, "--note", "x")
    assert (done.exit_code, said in done.output) == (1, True)
    assert reku("bounces", command, mail).exit_code == 2  # no note


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


def test_the_mailbox_of_the_running_set_up_is_found(reku: Reku, maildir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beside the demo, where only the set-up knows database and mailbox."""
    joined = {name: os.environ[name] for name in ("REKU_DATABASE_URL", "REKU_BOUNCE_MAILDIR")}
    for name in joined:
        monkeypatch.delenv(name)

    def join() -> None:
        for name, value in joined.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    monkeypatch.setattr("reku.cli.database._join_embedded", join)
    settings.cache_clear()
    (place,) = json.loads(reku("bounces", "status", "--json").output)["mailboxes"]
    assert place["mailbox"] == f"the Maildir {maildir}"
