"""What spam filters look at in a mail, as far as it can be seen here: `reku media score`.

Operators read of it in docs/media.md, "Deliverability".

A mail of the medium is filled as it would go out, with links as long as real ones, and each figure is held against a
limit. Where SpamAssassin is installed, its local rules (nothing is looked up in a network) judge the same mail.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reku.channels.email.media.compile import CompiledMedium
from reku.channels.email.media.fill import Mail, fill
from reku.channels.email.media.links import Links
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.reading import read_page
from reku.foundation.errors import SetupError

SPAMASSASSIN = "spamassassin"
INSTALL = "SpamAssassin is not here; on Debian and Ubuntu: apt install spamassassin"
WORST = 2.0
"""Points of SpamAssassin that a medium stays below; from 5 on it is taken for spam."""

_SUBJECT = (15, 65)
_CAPITALS = 0.3
_SHOUTING = re.compile(r"[!?]{2,}|€{2,}|\b(?:GRATIS|JETZT|NUR HEUTE|SOFORT)\b")
_TEXT_SHARE = 0.04
_DOMAINS = 3
_WORDS_OF_A_PICTURE = 60
_SIZE, _HTML = 150_000, 100_000
_TOKEN = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_" * 2
_NUMBER = "X-Reku-Number"
"""SpamAssassin judges several mails at once and gives them back as they are ready."""
_NUMBERED = re.compile(rf"^{_NUMBER}: (\d+)$".encode(), re.MULTILINE)
_STATUS = re.compile(rb"^X-Spam-Status: score=(-?[\d.]+)\s+tests=([\w,\s]*?)\s*end=yes", re.MULTILINE)
_PATIENCE = 300


@dataclass(frozen=True)
class Finding:
    """One thing that filters look at. `value` and `limit` in words; `cure`: what to do where it is not `fine`."""

    what: str
    value: str
    limit: str
    fine: bool
    cure: str


@dataclass(frozen=True)
class SpamReport:
    """Points that SpamAssassin gives a mail, and the rules that gave them."""

    points: float
    rules: tuple[str, ...]


def sample_mail(compiled: CompiledMedium, person: Mapping[str, str] | None = None) -> Mail:
    """A mail of the medium as it would go out with tracking consent; its links lead nowhere."""
    base = f"https://mail.{compiled.institute.sender.domains[0]}"
    links = Links(
        return_path=f"b+{_TOKEN}",
        message_id=_TOKEN,
        unsubscribe_url=f"{base}/u/{_TOKEN}",
        open_pixel_url=f"{base}/o/{_TOKEN}.gif",
        click_url=lambda number, _target: f"{base}/c/{number}{_TOKEN}",
    )
    shown = sample_person(compiled.institute) if person is None else person
    return fill(compiled, shown, links, order_number="R0004711", delivery_number=1)


def findings(compiled: CompiledMedium) -> list[Finding]:
    """All figures of a medium for its bank, fine or not."""
    mail = sample_mail(compiled)
    person = sample_person(compiled.institute)
    shown = compiled.render(person, links=compiled.links, unsubscribe="https://abmelden.example/u/probe")
    page = read_page(shown.html)
    return [
        *_of_subject(shown.subject),
        *_of_text(page.text, shown.html, len(compiled.pictures)),
        *_of_links([anchor.href for anchor in page.anchors], [anchor.text for anchor in page.anchors]),
        *_of_head(mail.data),
        *_of_size(mail.data, shown.html),
    ]


def _of_subject(subject: str) -> Iterator[Finding]:
    letters = [char for char in subject if char.isalpha()]
    capitals = sum(char.isupper() for char in letters) / max(1, len(letters))
    shouting = _SHOUTING.findall(subject)
    low, high = _SUBJECT
    fine = low <= len(subject) <= high
    yield Finding("subject", f"{len(subject)} characters", f"{low} to {high}", fine, "Phones show about 40 characters.")
    yield Finding(
        "capitals in the subject", f"{capitals:.0%}", f"at most {_CAPITALS:.0%}", capitals <= _CAPITALS, "Write small."
    )
    yield Finding("shouting in the subject", ", ".join(shouting) or "none", "none", not shouting, "Say it calmly.")


def _of_text(text: str, html: str, pictures: int) -> Iterator[Finding]:
    share, words = len(text) / len(html), len(text.split())
    yield Finding(
        "text in the HTML",
        f"{share:.1%}",
        f"at least {_TEXT_SHARE:.0%}",
        share >= _TEXT_SHARE,
        "Fewer modules, or more to say.",
    )
    needed = _WORDS_OF_A_PICTURE * pictures
    yield Finding(
        "words for each picture",
        f"{words} for {pictures}",
        f"at least {_WORDS_OF_A_PICTURE}",
        words >= needed,
        "Take a picture away, or say in words what it says.",
    )


def _of_links(targets: Sequence[str], texts: Sequence[str]) -> Iterator[Finding]:
    domains = sorted({urlsplit(target).hostname or "" for target in targets} - {""})
    yield Finding(
        "domains of links",
        ", ".join(domains),
        f"at most {_DOMAINS}",
        len(domains) <= _DOMAINS,
        "Let fewer links lead elsewhere.",
    )
    named = [text for text in texts if re.search(r"\b[\w-]+\.[a-z]{2,}\b", text) and "@" not in text]
    yield Finding(
        "links that read like another address",
        ", ".join(named) or "none",
        "none",
        not named,
        "Write what it is about in place of an address: the link leads by the tracker, which looks like phishing.",
    )


def _of_head(data: bytes) -> Iterator[Finding]:
    head = data.partition(b"\r\n\r\n")[0]
    there = b"\r\nList-Unsubscribe: <https://" in head and b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
    yield Finding(
        "one-click unsubscribe", "there" if there else "missing", "RFC 8058", there, "REKU_TRACKER_URL needs https."
    )


def _of_size(data: bytes, html: str) -> Iterator[Finding]:
    for what, size, most in (("size of the mail", len(data), _SIZE), ("size of the HTML", len(html.encode()), _HTML)):
        cure = "Save pictures with fewer colours, or shorten it: Gmail cuts long mails off."
        yield Finding(what, f"{size / 1000:.0f} KB", f"at most {most / 1000:.0f} KB", size <= most, cure)


def has_spamassassin() -> bool:
    """Whether this machine has SpamAssassin."""
    return shutil.which(SPAMASSASSIN) is not None


def spam_reports(mails: Sequence[bytes]) -> list[SpamReport]:
    """What SpamAssassin's local rules say of each mail, in one run. Raises SetupError without it, or if it fails."""
    program = shutil.which(SPAMASSASSIN)
    if program is None:
        raise SetupError(INSTALL)
    box = b"".join(_in_a_box(number, mail) for number, mail in enumerate(mails))
    with tempfile.TemporaryDirectory(prefix="reku-score-") as folder:
        preferences = Path(folder, "prefs")
        preferences.write_text(
            "use_bayes 0\nreport_safe 0\nadd_header all Status score=_SCORE_ tests=_TESTS_ end=yes\n", "utf-8"
        )
        try:
            done = subprocess.run(  # noqa: S603 - the program of this machine
                (program, "--local", "--mbox", f"--prefspath={preferences}"),
                input=box,
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SetupError(f"{program} did not end in {_PATIENCE} seconds.") from None
    judged = map(_judged, re.split(rb"^From ", done.stdout, flags=re.MULTILINE))
    reports = dict(one for one in judged if one is not None)
    if len(reports) != len(mails):
        raise SetupError(f"{program} judged {len(reports)} of {len(mails)} mails: {done.stderr.decode()[:300]}")
    return [reports[number] for number in range(len(mails))]


def _in_a_box(number: int, mail: bytes) -> bytes:
    text = re.sub(rb"^(>*From )", rb">\1", mail.replace(b"\r\n", b"\n"), flags=re.MULTILINE)
    return b"From probe Thu Jan  1 00:00:00 1970\n%s: %d\n%s\n" % (_NUMBER.encode(), number, text)


def _judged(message: bytes) -> tuple[int, SpamReport] | None:
    """What SpamAssassin has written into the head of a mail, with the mail's number; None for what is no mail."""
    head = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    number, status = _NUMBERED.search(head), _STATUS.search(head)
    if number is None or status is None:
        return None
    rules = status[2].decode().replace(",", " ").split()
    return int(number[1]), SpamReport(float(status[1]), tuple(sorted(rules)))
