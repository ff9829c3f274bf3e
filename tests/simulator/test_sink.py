"""The mail server over real SMTP, as a process of its own."""

import signal
import smtplib
import subprocess
import sys
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest

from reku.simulator.sink import write_dead_addresses
from reku.simulator.truth_file import TruthFile, entries
from tests.simulator.conftest import SinkProcess

FEEDBACK_ID = "000001:R0000101:99990001:reku"


def mail(number: int = 1) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "service@sparkasse-musterstadt.example"
    message["To"] = "jörg@kunde.example"
    message["Subject"] = "Herzlichen Glückwunsch"
    message["Message-ID"] = f"<{number}@sparkasse-musterstadt.example>"
    message["Feedback-ID"] = FEEDBACK_ID
    message.set_content("Alles Gute!\n.\n..\nEin Punkt allein steht oben.\n")
    return message


def hand_over(sink: SinkProcess, recipient: str, number: int = 1) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        smtp.send_message(mail(number), "b+token@bounce.example", [recipient])


def test_a_mail_is_noted_and_kept_as_it_came(sink: SinkProcess) -> None:
    hand_over(sink, "joerg@kunde.example")
    (taken,) = entries(sink.truth)
    assert taken["what"] == "taken"
    assert taken["recipient"] == "joerg@kunde.example"
    assert taken["envelope_from"] == "b+token@bounce.example"
    assert taken["feedback_id"] == FEEDBACK_ID
    assert taken["message_id"] == "<1@sparkasse-musterstadt.example>"
    kept = message_from_bytes((sink.maildir / "new" / taken["mail"]).read_bytes())
    assert kept.get_payload(decode=True) == b"Alles Gute!\r\n.\r\n..\r\nEin Punkt allein steht oben.\r\n"


def test_a_dead_mailbox_is_refused_at_rcpt_and_the_session_goes_on(sink: SinkProcess) -> None:
    write_dead_addresses(sink.rules, ["weg@kunde.example"])
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as smtp:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            smtp.send_message(mail(1), "b+one@bounce.example", ["Weg@Kunde.Example"])
        assert refused.value.recipients == {"Weg@Kunde.Example": (550, b"5.1.1 The mailbox does not exist")}
        smtp.send_message(mail(2), "b+two@bounce.example", ["da@kunde.example"])
    assert [(entry["what"], entry["recipient"]) for entry in entries(sink.truth)] == [
        ("refused", "Weg@Kunde.Example"),
        ("taken", "da@kunde.example"),
    ]


def test_rules_may_change_while_it_runs(sink: SinkProcess) -> None:
    hand_over(sink, "weg@kunde.example")
    write_dead_addresses(sink.rules, ["weg@kunde.example"])
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        hand_over(sink, "weg@kunde.example")


def test_whatever_was_answered_survives_a_kill(sink: SinkProcess) -> None:
    for number in range(5):
        hand_over(sink, "joerg@kunde.example", number)
    assert sink.process is not None
    sink.process.kill()
    sink.process.wait()
    sink.start()
    hand_over(sink, "joerg@kunde.example", 5)
    found = list(entries(sink.truth))
    assert [entry["message_id"][1] for entry in found] == list("012345")
    assert {entry["mail"] for entry in found} == {path.name for path in (sink.maildir / "new").iterdir()}


def test_it_ends_at_once_when_told_to_even_with_an_open_connection(sink: SinkProcess) -> None:
    assert sink.process is not None
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10):
        sink.process.send_signal(signal.SIGTERM)
        assert sink.process.wait(10) == 0


def test_a_port_in_use_is_one_clear_sentence(sink: SinkProcess) -> None:
    second = subprocess.run(sink.command(), capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{sink.port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_place_that_cannot_be_written_is_one_clear_sentence(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    command = [sys.executable, "-m", "reku.simulator.sink", "--port", "0", "--maildir", str(tmp_path / "mails")]
    ended = subprocess.run(
        [*command, "--truth", str(in_the_way / "sink.jsonl")], capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    assert "The mail sink cannot write" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_torn_last_line_never_took_place(tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_bytes(b'{"number": 1}\n{"num')
    assert list(entries(path)) == [{"number": 1}]
    journal = TruthFile(path)
    journal.append({"number": 2})
    journal.close()
    assert list(entries(path)) == [{"number": 1}, {"number": 2}]
