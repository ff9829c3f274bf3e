"""A letter's text as it is written, Typst with Jinja, made into Typst alone.

A medium's letter.typ names placeholders as its mail does. Each `{{ … }}` becomes a look-up of a value, each `{% if %}`
a condition of Typst; what they say for a person is asked of Jinja, and travels beside the text as data. So nothing that
stands in a person's data is ever read as Typst, whatever it looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reku.channels.email.media.language import environment
from reku.channels.email.media.sources import JINJA, Source, marked
from reku.channels.letter.fonts import first_unprintable

_LOADING = (
    *("import", "include", "read", "image", "plugin", "eval", "json", "yaml", "toml", "csv", "xml", "cbor"),
    *("bibliography", "std", "sys", "dictionary"),
)
"""What loads packages and files, and the ways round to them."""
_LOADS = re.compile(rf"(?<![\w-])({'|'.join(_LOADING)})(?![\w-])")
_LAYOUT = re.compile(r"#\s*(set|show|let|for|while|context)\b|\b(place|page|pagebreak|counter|state|query)\s*\(")
"""What could reach beyond the text: into the window of the envelope, or the pages' numbers."""
_MODES = re.compile(r"(?<!\\)([$`])")
"""Signs that begin maths or raw text, which are set in fonts of their own."""
_TIGHT = re.compile(r"\{[{%]-|-[%}]\}")


def check_letter_source(source: Source, *, is_layout: bool = False) -> None:
    """Hold a source against what a letter may do; `is_layout`: what all letters share, which sets the pages.

    Raises ConfigError for whatever loads a package, a file or a font, for a character that no font prints, and in a
    letter's text for layout and maths.
    """
    text, _ = marked(source.text)
    comments = re.compile(r"//(?!/).*") if is_layout else None
    for number, line in enumerate(text.splitlines(), 1):
        code = comments.sub("", line) if comments else line
        if found := _LOADS.search(code):
            raise source.fault(
                f"{found[1]!r} is not allowed in a letter: it must come out the same everywhere, so nothing is loaded, "
                "neither packages (@preview/…) nor files nor fonts.",
                number,
            )
        if is_layout:
            continue
        if found := _LAYOUT.search(line):
            raise source.fault(
                f"{(found[1] or found[2])!r} is not allowed in a letter's text: pages are laid out in "
                "shared/letter.typ, for all letters alike.",
                number,
            )
        if found := _MODES.search(line):
            raise source.fault(f"A {found[1]} begins maths or code in Typst. Write \\{found[1]} for the sign.", number)
        if unprintable := first_unprintable(line):
            raise source.fault(f"{unprintable} is in none of the fonts that letters are set in.", number)
    if not is_layout and (tight := _TIGHT.search(source.text)):
        line_number = source.text.count("\n", 0, tight.start()) + 1
        raise source.fault("Leave out the minus of {%- and {{-: Typst takes many blanks for one anyway.", line_number)


@dataclass(frozen=True)
class Markup:
    """A text as Typst that looks its values up in `answer`, and what to ask of Jinja for each of them."""

    code: str
    expressions: tuple[Callable[..., Any], ...]
    is_condition: tuple[bool, ...]

    def answers(self, values: Mapping[str, str]) -> list[str | bool]:
        """The values of one person in the order in which the text looks them up."""
        return [
            bool(said) if condition else str(said)
            for said, condition in zip(
                (expression(values) for expression in self.expressions), self.is_condition, strict=True
            )
        ]


def as_typst(text: str) -> Markup:
    """A text that has passed `language.check_template`, with its includes in place; it keeps its lines."""
    asked: dict[tuple[str, bool], int] = {}

    def look_up(expression: str, *, condition: bool) -> str:
        return f"answer.at({asked.setdefault((expression, condition), len(asked))})"

    def translated(match: re.Match[str]) -> str:
        piece = match[0]
        inner = " ".join(piece[2:-2].split())
        lines = "\n" * piece.count("\n")
        if piece.startswith("{#"):
            return lines
        if piece.startswith("{{"):
            return f"#{look_up(inner, condition=False)};{lines}"
        word, _, test = inner.partition(" ")
        match word:
            case "if":
                return f"#if {look_up(test, condition=True)} [{lines}"
            case "elif":
                return f"] else if {look_up(test, condition=True)} [{lines}"
            case "else":
                return f"] else [{lines}"
            case _:  # endif: there are no others
                return f"];{lines}"

    code = JINJA.sub(translated, text)
    jinja = environment(str)
    expressions = tuple(jinja.compile_expression(expression, undefined_to_none=False) for expression, _ in asked)
    return Markup(code, expressions, tuple(condition for _, condition in asked))
