"""Stage "letters": a delivery's letters filled, set, indexed and sealed, against Typst alone on the same pages.

The peer is given the finished sources and data, and calls `typst.compile`. Both sides get names that are new in every
round, since Typst remembers what it has set before.
"""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from typing import Any

import typst

from reku.catalogue import institutes, media
from reku.channels.email.media.people import sample_person
from reku.channels.letter.address import address_lines
from reku.channels.letter.fonts import typst_fonts
from reku.channels.letter.letter_files import LetterFiles
from reku.channels.letter.medium import compile_letter
from reku.channels.letter.typesetting import sources_of
from reku.foundation import clock
from reku.pickup.file_format import FileStamp, PreparedPerson
from reku.vault.sealing import KEY_BITS, Seal

BLZ, MEDIUM = "99990003", "SCOM_GEBURTSTAG"
LETTERS = 1_000
AT_LEAST = 0.7


def measure(rounds: int) -> dict[str, Any]:
    """The figure of this stage."""
    return {
        "stage": "letters",
        "what": "letters filled, set, indexed and sealed",
        "against": "typst.compile of the same pages",
        "ratio": round(statistics.median(_ratio() for _ in range(rounds)), 2),
        "at_least": AT_LEAST,
        "rounds": rounds,
        "rows": LETTERS,
    }


def _ratio() -> float:
    theirs, ours = _people(), _people()
    return _seconds_of_typst(theirs) / _seconds_of_ours(ours)


def _people() -> list[PreparedPerson]:
    bank, salt = institutes()[BLZ], secrets.token_hex(3)
    return [
        PreparedPerson(
            number,
            f"{number:010d}",
            f"K2026-001-000001-{number:05d}",
            medium=MEDIUM,
            fields=sample_person(bank)
            | {
                "Nachname": f"Beispiel-{salt}{number}",
                "Anlass_Wert": str(50 + number % 50),
                "Strasse": f"Prüfweg {number}",
                "PLZ": f"{number:05d}",
                "Ort": "Musterstadt",
            },
        )
        for number in range(1, LETTERS + 1)
    ]


def _seconds_of_ours(people: list[PreparedPerson]) -> float:
    bank, stamp = institutes()[BLZ], FileStamp(BLZ, "K2026-001", 1, 1, clock.now())
    seal = Seal(1, BLZ, secrets.token_bytes(KEY_BITS // 8))
    begun = time.perf_counter()
    for file in LetterFiles().files(bank, stamp, LetterFiles().file_name(stamp), people):
        seal.seal(file.name, b"".join(file.blocks))
    return time.perf_counter() - begun


def _seconds_of_typst(people: list[PreparedPerson]) -> float:
    compiled = compile_letter(media()[MEDIUM], institutes()[BLZ])
    day = clock.today()
    letters = [
        compiled.fill({**one.fields, "Referenz": one.reference}, address_lines(one.fields), day) for one in people
    ]
    sources = sources_of([compiled], letters)
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as nowhere:
        begun = time.perf_counter()
        typst.compile(
            sources,  # type: ignore[call-overload]  # a dict of files is one more input, of which the stub says nothing
            root=nowhere,
            font_paths=typst_fonts(),
            ignore_system_fonts=True,
            format="pdf",
            pdf_tags=False,
        )
        return time.perf_counter() - begun
