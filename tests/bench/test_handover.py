"""The hand-over benchmark measures what it says: a sink of its own takes every mail of both sides."""

from __future__ import annotations

import shutil
import socket

import psutil
import pytest

from reku.bench import handover
from reku.bench import sink as sinks
from reku.foundation.errors import SetupError, StageError
from reku.runtime import ports
from reku_testing import hostile
from reku_testing.hostile import Act

needs_postfix = pytest.mark.skipif(
    shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None,
    reason="smtp-sink and smtp-source are not installed (Debian package postfix)",
)


@needs_postfix
def test_the_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAILS", 60)
    found = handover.measure(2)
    assert found.pop("ratio") > 0
    assert found == {
        "stage": "handover",
        "what": "4 connections, pipelined, 1 process",
        "against": "smtp-source -d -s 4",
        "at_least": 0.9,
        "rounds": 2,
        "rows": 60,
    }


@needs_postfix
def test_the_other_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "MAILS", 80)
    figures = handover.peers(1)
    assert [figure["against"].split(",")[0] for figure in figures] == [
        "smtplib",
        "EmailMessage + smtplib.send_message",
        "aiosmtplib",
    ]
    assert all(figure["ratio"] > 0 for figure in figures)


@needs_postfix
def test_the_sink_is_ours_and_ends_with_us() -> None:
    with sinks.sink() as port, sinks.sink() as other:
        assert port != other
        holders = [ports.holder(port), ports.holder(other)]
        assert all(holder and holder.ppid() == psutil.Process().pid for holder in holders)
        assert sinks.smtp_source(port, 20, size=500, sessions=2) > 0
    assert ports.is_free(port)
    assert not [holder for holder in holders if holder and holder.is_running()]


@needs_postfix
def test_a_port_taken_by_another_is_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr(sinks, "free_port", lambda: other.getsockname()[1])
        with pytest.raises(SetupError, match="smtp-sink did not start"), sinks.sink():
            pass


@needs_postfix
def test_a_source_that_fails_says_why() -> None:
    with pytest.raises(SetupError, match=r"smtp-source failed: .*[Cc]onnection refused"):
        sinks.smtp_source(ports.free_port(), 1)


def test_without_postfix_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SetupError, match=r"no smtp-sink on this machine.*Debian package postfix"):
        handover.measure(1)
    with pytest.raises(SetupError, match=r"no smtp-source on this machine.*Debian package postfix"):
        sinks.smtp_source(25, 1)


def test_mails_that_are_not_accepted_are_no_measure() -> None:
    script = {(1, "rcpt", 2): Act(b"550 5.1.1 no\r\n")}
    with hostile.running(hostile.Hostile(script)) as server, pytest.raises(StageError, match="of 50 mails"):
        handover.ours(server.port, 50)


def test_the_mail_is_of_the_size_it_is_said_to_be() -> None:
    body = handover.MAIL.data.split(b"\r\n\r\n", 1)[1]
    assert len(body) == sinks.MAIL_BYTES == 16_171
    assert max(len(line) for line in body.split(b"\r\n")) <= 78
