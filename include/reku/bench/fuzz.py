"""`reku bench fuzz`: every reader of what others have made, given damaged inputs; only documented errors may come out.

Inputs are good ones with bytes flipped, cut, doubled, joined with others, or with pieces put in that cut, quote or
mislead. A seed makes them again. An input that takes longer than 10 seconds is a fault like an undocumented error.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from reku.bench.dsn import corpus
from reku.channels.email.smtp.answers import Lost, Replies, answer_of
from reku.dispatch import journal
from reku.foundation.addresses import normalised
from reku.foundation.errors import SetupError
from reku.foundation.tokens import Purpose, Target, make
from reku.foundation.unpacking import GZIP, ArchiveTooLarge, BrokenArchive, unpack
from reku.mailbox import imap
from reku.records import Contract, FileRefused, Head, contracts, match_name, parse_date, parse_moment, read, row_faults
from reku.records.contract import Column
from reku.records.writer import write
from reku.responses import drain
from reku.responses.bent_links import read_link
from reku.responses.reports import understand

LONGEST_SECONDS = 10.0
_ROUND = 200
"""Inputs of one reader before the next has its turn."""
_MOST_BYTES = 60_000

PIECES = (
    *(
        b";",
        b'"',
        b'""',
        b"|",
        b"\t",
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\x00",
        b"\x1a",
        b"\x7f",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xe4", b"\xc2\x85", b"\x80", b"\xed\xa0\x80", GZIP, b"PK\x03\x04"),
    *(
        "\u202e".encode(),
        "\u2028".encode(),
        "\U0001f600".encode(),
        "٣".encode(),
        b"\\u0000",
        b"\\ud800",
        b"%00",
        b"%20",
    ),
    *(b"V;", b"K;", b"D;", b"N;", b"\nN;", b"31.02.2026", b"31.12.9999", b"01.01.0001 00:00:00", b"=1+1", b"@", b"-1"),
    *(b"9" * 30, b"1e999", b"NaN", b"-0", b"--b", b"boundary=", b"boundary*0=", b"Content-Type: multipart/mixed;\n"),
    *(b"Content-Transfer-Encoding: base64\n", b"=?utf-8?q?=ff?=", b"Status: 5.1.1\n", b"b+1.00@bounce.example", b"NIL"),
    *(b"(UID 1 BODY[]<0> {5}", b'"', b"{99999999}", b"250-", b"550 5.1.1 ", b"<", b">", b"\\"),
)
"""What cuts, quotes, ends or misleads."""


@dataclass(frozen=True)
class Reader:
    """A function that reads foreign bytes, the errors that it documents, and good inputs."""

    name: str
    take: Callable[[bytes], object]
    documented: tuple[type[BaseException], ...]
    good: Sequence[bytes]


@dataclass
class Tally:
    """What became of one reader's inputs. `faults`: what came out that is not documented, and the input in base64."""

    reader: str
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    faults: int = 0
    first_fault: str = ""
    first_input: str = ""

    @property
    def per_second(self) -> int:
        """Inputs a second."""
        return round(self.inputs / self.seconds) if self.seconds else 0


class _TooLong(BaseException):
    """An input has taken longer than it may; no reader catches it."""


def run(seconds: float, seed: int | None = None) -> list[dict[str, Any]]:
    """Try all readers for about so many seconds in all, in a process with keys of its own.

    Returns a row for each reader: inputs, those that were refused as documented, inputs a second, faults. Raises
    SetupError if the process fails or does not end.
    """
    begin = secrets.randbits(32) if seed is None else seed
    command = (sys.executable, "-P", "-m", "reku.bench.fuzz", str(seconds), str(begin))
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command,
            env=os.environ | {"REKU_TOKEN_KEYS": secrets.token_hex(32)},
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * seconds + 120,
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"The readers did not end within {2 * seconds + 120:.0f} s: one of them hangs.") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SetupError(f"The readers could not be tried: {said[-1] if said else 'no reason given'}")
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def readers() -> list[Reader]:
    """Every reader of what comes from outside."""
    token = make(Purpose.UNSUBSCRIBE, Target(17)).encode()
    mails = [sample.data for sample in corpus()]
    files = {kind: _good_file(contract) for kind, contract in contracts().items()}
    hit = b'{"kind":"CLICKED","id":17,"link":1,"at":1790000000000000,"agent":"x"}\n'
    fetched = b'1 (UID 7 INTERNALDATE "01-Nov-2026 00:00:00 +0000" BODY[]<0> {5}'
    replies = b"250-mx.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n550 5.1.1 unknown\r\n"
    addresses = [b"joerdis@kunde.example", "jörg@müßig.example".encode()]
    return [
        *(
            Reader(f"record file {kind}", partial(_read_file, contracts()[kind]), (FileRefused,), [data])
            for kind, data in files.items()
        ),
        Reader("gzip archive", _unpacked, (BrokenArchive, ArchiveTooLarge), [gzip.compress(files["REKU"])]),
        Reader("file name", _file_name, (), [b"reku_99950001_R0004711_000017_20261122021500.csv"]),
        Reader("day and moment", _days, (ValueError,), [b"22.11.2026", b"22.11.2026 02:15:00"]),
        Reader("mail address", lambda data: normalised([_text(data)]), (), addresses),
        Reader("return mail", understand, (), mails),
        Reader("hit journal", drain._readable, (), [hit]),
        Reader("dispatch journal", journal._parsed, (), [_good_journal()]),
        Reader("token and link", _links, (), [token, b"/u/" + token, token + b"?utm=1"]),
        Reader("IMAP answer", _imap, (), [fetched]),
        Reader("SMTP reply", _replies, (Lost,), [replies]),
    ]


def try_all(seconds: float, seed: int) -> list[Tally]:
    """Try the readers in turns until the time is over."""
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    tallies = {reader.name: (reader, Tally(reader.name)) for reader in readers()}
    share = seconds / len(tallies)
    while any(tally.seconds < share for _, tally in tallies.values()):
        for reader, tally in tallies.values():
            if tally.seconds < share:
                _try(reader, tally, chance, share)
    return [tally for _, tally in tallies.values()]


def _try(reader: Reader, tally: Tally, chance: random.Random, share: float) -> None:
    begun = time.monotonic()
    for _ in range(_ROUND):
        data = _damaged(chance, reader.good)
        tally.inputs += 1
        try:
            with _within(LONGEST_SECONDS):
                reader.take(data)
        except reader.documented:
            tally.refused += 1
        except (Exception, _TooLong) as error:  # noqa: BLE001 - what must not come out is what is looked for
            tally.faults += 1
            if not tally.first_fault:
                tally.first_fault = type(error).__name__.strip("_")
                tally.first_input = base64.b64encode(data).decode()
        if tally.seconds + time.monotonic() - begun > share:
            break
    tally.seconds += time.monotonic() - begun


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises _TooLong in the main thread if what is inside takes longer."""

    def end(*_: object) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _damaged(chance: random.Random, good: Sequence[bytes]) -> bytes:
    data = chance.choice(good)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 5, 8))):
        place, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(6):
            case 0:
                data = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
            case 1:
                data = data[:place] + data[end:]
            case 2:
                data = data[:end] + data[place:end] * chance.choice((1, 2, 20)) + data[end:]
            case 3:
                data = data[:place] + chance.choice(PIECES) + data[place:]
            case 4:
                data = data[:place] + chance.choice(PIECES) * chance.choice((1, 3, 300)) + data[place:]
            case _:
                data = data[:place] + chance.choice(good)[place:]
        data = data[:_MOST_BYTES]
    return data


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _read_file(contract: Contract, data: bytes) -> object:
    return row_faults(contract, read(contract, data, environment="T"))


def _unpacked(data: bytes) -> bytes:
    return unpack(data, 200_000)


def _file_name(data: bytes) -> object:
    return match_name(_text(data))


def _days(data: bytes) -> object:
    text = _text(data)
    return parse_date(text) if len(text) < 11 else parse_moment(text)


def _links(data: bytes) -> object:
    return [read_link(purpose, _text(data)) for purpose in Purpose]


def _imap(data: bytes) -> object:
    return list(imap._messages([(data, b"From: a@kunde.example\n\n"), b")"]))


def _replies(data: bytes) -> object:
    replies, found = Replies(), []
    for start in range(0, len(data), 50):
        replies.feed(data[start : start + 50])
        while (reply := replies.next()) is not None:
            found.append(answer_of(reply) if reply.kind in (2, 4, 5) else None)
    return found


def _good_file(contract: Contract) -> bytes:
    made_at = datetime(2026, 11, 22, tzinfo=UTC)
    head = Head(contract.kind, contract.version, "99950001", "R0004711", "000017", made_at, "FI", "EMMA", "T")
    row = [_good_value(column) for column in contract.columns]
    return write(contract, head, [column.name for column in contract.columns], [row] * 3)


def _good_value(column: Column) -> str:
    return column.example or column.default or next(iter(column.values), "")


def _good_journal() -> bytes:
    at, mail = "2026-11-22T09:00:41+00:00", ("<a@bank.example>", "SCOM_GEBURTSTAG")
    lines: list[list[Any]] = [
        ["boot", journal._boot_id()],
        ["begun", 17, at, *mail],
        ["ended", 17, "SENT", at, at, "250 2.0.0", "SENT", "", *mail, None],
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


if __name__ == "__main__":
    told = [asdict(tally) | {"per_second": tally.per_second} for tally in try_all(float(sys.argv[1]), int(sys.argv[2]))]
    print(json.dumps(told))  # noqa: T201 - read by `run`
