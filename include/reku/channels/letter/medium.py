"""A letter medium made ready for one institute: checked once, then only filled per person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from reku.catalogue import medium_folder
from reku.catalogue.institute import Institute
from reku.catalogue.medium import LETTER, Medium
from reku.channels.email.media import language, placeholders, sources
from reku.channels.email.media.partial_template import PartialTemplate, partial_template
from reku.channels.email.media.sources import Source
from reku.channels.letter.address import fit_window
from reku.channels.letter.bank import bank_data
from reku.channels.letter.fonts import first_unprintable, width
from reku.channels.letter.markup import Markup, as_typst, check_letter_source
from reku.dispatch.channel import MessageFault
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of

LAYOUT = "shared/letter.typ"
NOT_IN_LETTERS = ("Abmelde_Link", "Vorschau", "Zaehlpixel", placeholders.DAYS_LEFT)
"""Placeholders that only a mail has, besides links."""
_WIDEST_WORD = 60.0
"""Millimetres of a word beside the window (9 points) above which it may be broken anywhere: an address, a mishap."""
_PARTS = re.compile(r"[^@._/-]{1,12}[@._/-]*|[@._/-]+")
"""Where such a word may break: after the signs of an address, else after twelve characters."""
_CONTACT = {
    "Ihre Ansprechperson": "Berater_Absendername",
    "Telefon": "Berater_Telefon",
    "E-Mail": "Berater_E_Mail",
}
"""Beside the window: what it is called → the placeholder."""


@dataclass(frozen=True)
class CompiledLetter:
    """A letter medium for one institute. `layout`: the code that all letters share, `bank` what it says of the bank."""

    medium: Medium
    institute: Institute
    file: Path
    layout: str
    bank: Mapping[str, Any]
    constants: dict[str, str]
    fields: tuple[tuple[str, str], ...]
    subject: PartialTemplate
    body: Markup

    def fill(self, person: Mapping[str, str], address: tuple[str, ...], day: date) -> FilledLetter:
        """The letter to one person, dated `day`; `address`: the lines for the window.

        `person`: delivered fields by German name. Raises MessageFault for an address that does not fit the window and
        for a value that has a character which no font prints.
        """
        values = placeholders.person_values(person, self.medium.fallbacks, self.fields)
        values = {name: _printable(name, value) for name, value in values.items()} | self.constants
        values["Betreff"] = " ".join(self.subject.fill(values, values).split())
        contact = [(label, values[name]) for label, name in _CONTACT.items() if values.get(name)]
        return FilledLetter(
            self,
            reference=person[placeholders.REFERENCE],
            data={
                "reference": person[placeholders.REFERENCE],
                "address": fit_window([unicodedata.normalize("NFC", line) for line in address]),
                "contact": [*contact, ("Datum", f"{day:%d.%m.%Y}")],
                "subject": values["Betreff"],
                "values": self.body.answers(values),
            },
        )


@dataclass(frozen=True)
class FilledLetter:
    """A letter to one person, as plain data for Typst."""

    compiled: CompiledLetter
    reference: str
    data: Mapping[str, Any]


def _printable(name: str, value: str) -> str:
    """The value on one line, composed, and with places to break a line where it has none of its own."""
    line = " ".join(unicodedata.normalize("NFC", value).split())
    if unprintable := first_unprintable(line):
        raise MessageFault(f"{name} has {unprintable}, which no font here prints.", unreachable=False)
    return " ".join(_breakable(word) for word in line.split(" "))


def _breakable(word: str) -> str:
    return word if width(word, 9) <= _WIDEST_WORD else "\N{ZERO WIDTH SPACE}".join(_PARTS.findall(word))


def has_letter(medium: Medium) -> bool:
    """Whether the medium has a letter beside its mail."""
    return (medium_folder(medium.key) / LETTER).is_file()


def compile_letter(medium: Medium, institute: Institute) -> CompiledLetter:
    """The medium's letter ready to be filled for this institute.

    Raises ConfigError with file and line for everything that would spoil a letter: see `language` and `markup` for the
    rules. What Typst itself finds is found when a letter is set.
    """
    root = settings().config_dir / "templates"
    folder = medium_folder(medium.key)
    file = folder / LETTER
    layout = sources.read(root / LAYOUT)
    check_letter_source(layout, is_layout=True)
    written = sources.read(file)
    for source in sources.with_includes(written, root):
        language.check_template(source, (), medium.fallbacks, not_yet=NOT_IN_LETTERS)
        check_letter_source(source)
    yaml_file = folder / "medium.yaml"
    subject = Source(yaml_file, medium.subject, line_of(yaml_file, ("subject",)))
    language.check_template(subject, (), medium.fallbacks, not_yet=("Betreff", *NOT_IN_LETTERS))
    constants = {name: str(value) for name, value in placeholders.bank_values(institute).items()}
    return CompiledLetter(
        medium,
        institute,
        file,
        layout.text,
        bank_data(institute),
        constants,
        fields=placeholders.delivered_fields((*placeholders.MANDATORY, *placeholders.OPTIONAL)),
        subject=partial_template(medium.subject, constants, encode=str),
        body=as_typst(sources.resolved(written, root)),
    )
