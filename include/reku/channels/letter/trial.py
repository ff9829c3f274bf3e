"""A letter set for people of whom nothing, something and very much is known, and looked at (`reku check`)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pypdfium2

from reku.catalogue import institutes, media
from reku.channels.email.media import placeholders
from reku.channels.letter.medium import CompiledLetter, compile_letter, has_letter
from reku.channels.letter.typesetting import set_letters
from reku.foundation.errors import ConfigError

_LONGEST_VALUE = 254
_MOST_PAGES = 4
"""Of a letter to somebody of whom very much is known."""
_DAY = datetime(2026, 11, 24, 9, tzinfo=UTC)
_ADDRESS = ("Frau", "Dr. Jördis Beispiel-Müßig", "Prüfweg 1", "99999 Musterstadt")
_LEFT_OVER = re.compile(r"answer\.at\(\d+\)|\{[{%]|[%}]\}")
_HYPHEN_AT_END = "\x02"  # how PDFium writes the one at which a line ends
_BLANKS = re.compile(r"[\s\u200b]+")


def letter_faults() -> list[ConfigError]:
    """What is wrong with any letter of any readable medium for any readable institute, each fault once."""
    faults: dict[str, ConfigError] = {}
    for medium in filter(has_letter, media().whole.values()):
        for institute in institutes().whole.values():
            try:
                check_letter(compile_letter(medium, institute))
            except ConfigError as error:
                faults[str(error)] = error
    return list(faults.values())


def check_letter(compiled: CompiledLetter) -> None:
    """Set it three times over. Raises ConfigError for what Typst refuses, for code that is printed instead of a value,
    for an imprint that does not fit on the page and for a letter that grows too long.
    """
    nobody = dict.fromkeys(placeholders.MANDATORY, "1")
    fields = [placeholders.DELIVERED_AS.get(name, name) for name in placeholders.OPTIONAL]
    people = (nobody, nobody | dict.fromkeys(fields, "x"), nobody | dict.fromkeys(fields, "W" * _LONGEST_VALUE))
    run = set_letters([compiled.fill(person, _ADDRESS, _DAY.date()) for person in people], _DAY)
    if (longest := max(last - first + 1 for first, last in run.pages)) > _MOST_PAGES:
        raise ConfigError(
            f"The letter may take {longest} pages. Its text is too long: at most {_MOST_PAGES} are posted.",
            file=compiled.file,
        )
    document = pypdfium2.PdfDocument(run.pdf)
    try:
        texts = [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()
    pages = [_BLANKS.sub("", text.replace(_HYPHEN_AT_END, "-")) for text in texts]
    if any(_LEFT_OVER.search(page) for page in pages):
        raise ConfigError(
            "A placeholder stands inside of code, quotes of code or `…`, where it is not filled. Write it in the text.",
            file=compiled.file,
        )
    missing = [line for column in compiled.bank["imprint"] for line in column if _BLANKS.sub("", line) not in pages[0]]
    if missing:
        raise ConfigError(
            f"The imprint does not fit at the foot of the page: {missing[0]!r} is cut off. Shorten the imprint.",
            file=compiled.file.parents[3] / "institutes" / f"{compiled.institute.blz}.yaml",
        )
