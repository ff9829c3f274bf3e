"""Stage "dsn": understanding the mails of a return mailbox, held against flufl.bounce, which only finds the recipients.

Both start from the bytes. The mails are the corpus of the tests: reports of many mail systems, complaints, automatic
answers, forged ones; once as they are, once with a mail of ours of usual size attached. Before anything is measured
both sides have to say of each mail what its table says.
"""

from __future__ import annotations

import csv
import email
import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flufl.bounce import all_failures

from reku.foundation.errors import SetupError
from reku.foundation.settings import INCLUDE
from reku.foundation.tokens import Purpose, Target, make
from reku.responses.reports import understand

CORPUS = INCLUDE.parent / "tests" / "responses" / "corpus"
AT_LEAST = 0.9
TIMES = 6
"""How often each mail is read in a round."""

_OUR_TEXT = b"Guten Tag,\n"
_USUAL_SIZE = 15_000


@dataclass(frozen=True)
class Sample:
    """A mail of the corpus and what its table says. Its number stands for the message that it is about.

    `kind`, `bounce_class`, `status`, `why`: our verdict. `flufl`: "permanent", "temporary" or "none"; `same`: whether
    flufl.bounce finds the recipient of that message and nobody else.
    """

    name: str
    number: int
    data: bytes
    recipient: str
    kind: str
    bounce_class: str
    status: str
    flufl: str
    same: bool
    why: str


def corpus() -> list[Sample]:
    """All mails, with tokens that are valid here. Raises SetupError where there is no checkout around the package."""
    try:
        with (CORPUS / "table.csv").open(encoding="utf-8", newline="") as table:
            return [_sample(number, row) for number, row in enumerate(csv.DictReader(table, delimiter=";"), 1)]
    except FileNotFoundError as error:
        raise SetupError(f"There is no {error.filename}: run the benchmark in a checkout of the project.") from None


def _sample(number: int, row: dict[str, str]) -> Sample:
    data = (CORPUS / f"{row['mail']}.eml").read_bytes()
    for name, purpose in (("token", Purpose.BOUNCE), ("unsubscribe", Purpose.UNSUBSCRIBE)):
        data = data.replace(b"{%s}" % name.encode(), make(purpose, Target(number)).encode())
    return Sample(
        row["mail"],
        number,
        data,
        row["recipient"],
        row["kind"],
        row["class"],
        row["status"],
        row["flufl"],
        row["same"] == "yes",
        row["why"],
    )


def measure(rounds: int) -> list[dict[str, Any]]:
    """The figures of this stage, from a process with keys of its own. Raises SetupError if it fails."""
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-P", "-m", "reku.bench.dsn", str(rounds)),
        env=os.environ | {"REKU_TOKEN_KEYS": secrets.token_hex(32)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise SetupError(f"The reports could not be measured: {said[-1] if said else 'no reason given'}")
    figures: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def figures(rounds: int) -> list[dict[str, Any]]:
    """Measured in this process."""
    samples = corpus()
    for sample in samples:
        check_sample(sample)
    filling = _OUR_TEXT + (b"wir w=C3=BCnschen Ihnen alles Gute und viel Freude im neuen Lebensjahr.\n" * 210)
    small = [sample.data for sample in samples]
    large = [data.replace(_OUR_TEXT, filling[:_USUAL_SIZE]) for data in small]
    shapes = (("mixed corpus", small), ("the same with whole mails of ours attached", large))
    return [
        {
            "stage": "dsn",
            "what": f"{len(mails)} mails understood, {what}",
            "against": "flufl.bounce all_failures, same recipients",
            "ratio": _ratio(rounds, mails),
            "at_least": AT_LEAST,
            "rounds": rounds,
            "rows": len(mails) * TIMES,
        }
        for what, mails in shapes
    ]


def check_sample(sample: Sample) -> None:
    """Raise SetupError if either side says something else than the table."""
    understood = understand(sample.data)
    ours = (
        str(understood.kind),
        str(understood.bounce.bounce_class) if understood.kind == "BOUNCE" else "",
        understood.bounce.status,
    )
    if ours != (sample.kind, sample.bounce_class, sample.status):
        raise SetupError(f"{sample.name}: we say {ours}, the table something else.")
    if understood.kind in ("BOUNCE", "COMPLAINT") and understood.message != sample.number:
        raise SetupError(f"{sample.name}: we take it for another message's.")
    if understood.why != sample.why:
        raise SetupError(f"{sample.name}: the table gives another reason than {understood.why!r}.")
    temporary, permanent = all_failures(email.message_from_bytes(sample.data))
    said = "permanent" if permanent else "temporary" if temporary else "none"
    same = {address.decode() for address in permanent or temporary} == {sample.recipient}
    if (said, same) != (sample.flufl, sample.same):
        raise SetupError(f"{sample.name}: flufl.bounce says {said}, the table something else.")


def _ratio(rounds: int, mails: list[bytes]) -> float:
    sides: dict[str, Callable[[bytes], object]] = {
        "ours": understand,
        "flufl": lambda data: all_failures(email.message_from_bytes(data)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        spent = dict.fromkeys(sides, 0.0)
        for number in range(TIMES):
            for name in sides if number % 2 else reversed(sides):
                side, begun = sides[name], time.process_time()  # nothing waits here, and other programs disturb less
                for data in mails:
                    side(data)
                spent[name] += time.process_time() - begun
        for name, seconds in spent.items():
            times[name].append(seconds)
    return round(statistics.median(times["flufl"]) / statistics.median(times["ours"]), 2)


if __name__ == "__main__":
    print(json.dumps(figures(int(sys.argv[1]))))  # noqa: T201 - read by `measure`
