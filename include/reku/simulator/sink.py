"""The demo's mail server: a real SMTP server that keeps every mail and notes each before it answers.

Run as `python -m reku.simulator.sink --port … --maildir … --truth … --rules …`. Its truth file has one line per mail
taken (`taken`) and per recipient refused (`refused`), written before the answer is sent, so that a mail that the other
side knows to be taken is always noted. It may be killed at any moment and started again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Collection
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.foundation.private_files import keep_private, private_folder
from reku.simulator.truth_file import TruthFile, put

LARGEST_MAIL = 10_000_000
"""Bytes of a mail that the server takes (SIZE)."""


class DeadAddresses:
    """Which addresses the server does not know: a JSON file `{"dead": [address, …]}`, read again when it changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._changed_at = 0
        self._dead: frozenset[str] = frozenset()

    def is_dead(self, address: str) -> bool:
        """Whether the mailbox does not exist."""
        if self._path and self._path.exists():
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._changed_at:
                self._dead = frozenset(json.loads(self._path.read_text(encoding="utf-8"))["dead"])
                self._changed_at = changed_at
        return address.lower() in self._dead


def write_dead_addresses(path: Path, dead_addresses: Collection[str]) -> None:
    """Tell the sink which addresses (in their normal form) it does not know; it takes notice at once."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"dead": sorted(dead_addresses)}), encoding="utf-8")
    draft.replace(path)


class MailSink:
    """Handler of aiosmtpd: answers RCPT and DATA."""

    def __init__(self, truth: TruthFile, maildir: Path, rules: DeadAddresses) -> None:
        self._truth, self._maildir, self._rules = truth, maildir, rules

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take the recipient, or refuse one whose mailbox does not exist."""
        if self._rules.is_dead(address):
            self._truth.append(
                {
                    "what": "refused",
                    "recipient": address,
                    "envelope_from": envelope.mail_from,
                    "at": clock.now().isoformat(),
                }
            )
            return "550 5.1.1 The mailbox does not exist"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep the mail and note it, then answer."""
        content = envelope.original_content or b""
        head: Message = BytesHeaderParser().parsebytes(content)
        name = put(self._maildir, content)
        for recipient in envelope.rcpt_tos:
            self._truth.append(
                {
                    "what": "taken",
                    "recipient": recipient,
                    "envelope_from": envelope.mail_from,
                    "message_id": head["Message-ID"],
                    "feedback_id": head["Feedback-ID"],
                    "mail": name,
                    "at": clock.now().isoformat(),
                }
            )
        return "250 2.0.0 Taken"


async def serve(port: int, maildir: Path, truth: Path, rules: Path | None = None) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT.

    Raises SetupError if the port is taken, and if the truth file or Maildir may not be written.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        truth_file = TruthFile(truth)
        private_folder(maildir)
    except OSError as error:
        raise SetupError(f"The mail sink cannot write {error.filename}: {error.strerror}.") from None
    handler = MailSink(truth_file, maildir, DeadAddresses(rules))
    try:
        server = await loop.create_server(
            lambda: SMTP(
                handler, hostname="sink.example", enable_SMTPUTF8=True, data_size_limit=LARGEST_MAIL, loop=loop
            ),
            "127.0.0.1",
            port,
        )
    except OSError as error:
        raise SetupError(f"The mail sink cannot listen on 127.0.0.1:{port}: {error.strerror}.") from None
    await stop.wait()
    server.close()  # without waiting for kept connections: they end with this process
    truth_file.close()


def main() -> int:
    """The command line of the sink."""
    parser = argparse.ArgumentParser(prog="python -m reku.simulator.sink", description="The demo's mail server.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--maildir", type=Path, required=True, help="Maildir that keeps every mail")
    parser.add_argument("--truth", type=Path, required=True, help="file that gets one line per mail, sink.jsonl")
    parser.add_argument("--rules", type=Path, help="JSON file that names addresses without a mailbox")
    given = parser.parse_args()
    keep_private()
    try:
        asyncio.run(serve(given.port, given.maildir, given.truth, given.rules))
    except SetupError as error:
        print(error, file=sys.stderr)  # noqa: T201 # a command speaks to its user
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
