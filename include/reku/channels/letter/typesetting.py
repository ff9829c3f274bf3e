"""Letters set by Typst: one PDF, one letter after the other.

Typst is given all it may read: the code, the data as JSON, our fonts. Its root is an empty folder and its store of
packages is nowhere, and `markup` refuses what would load anything. With a fixed time stamp the same letters always give
the same bytes.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pypdfium2
import typst

from reku.channels.letter.fonts import typst_fonts
from reku.channels.letter.medium import CompiledLetter, FilledLetter
from reku.foundation.errors import ConfigError

_MAIN = """\
#import "layout.typ": letter
{imports}
#let texts = ({names})
#let data = json("data.json")
#for one in data.letters {{ letter(data.bank, one, texts.at(one.text)(one.values)) }}
"""
_PLACE = re.compile(r"┌─ \S*text(\d+)\.typ:(\d+)")


@dataclass(frozen=True)
class LetterRun:
    """The merged PDF; `pages`: first and last page of each letter, from 1, in their order."""

    pdf: bytes
    pages: tuple[tuple[int, int], ...]


def set_letters(letters: Sequence[FilledLetter], stamped_at: datetime) -> LetterRun:
    """The letters of one bank as one PDF; `stamped_at` stands in it as the time it was made.

    Raises ConfigError where Typst refuses a medium's code, with the file and, as far as it can be told, the line.
    """
    texts = list({id(letter.compiled): letter.compiled for letter in letters}.values())
    pdf = _typst(texts, sources_of(texts, letters), stamped_at)
    return LetterRun(pdf, _pages(pdf, len(letters)))


def sources_of(texts: Sequence[CompiledLetter], letters: Sequence[FilledLetter]) -> dict[str, bytes]:
    """What Typst is given: `main.typ`, the layout, the text of each medium (in the order of `texts`), and the data."""
    place = {id(compiled): number for number, compiled in enumerate(texts)}
    data = {
        "bank": texts[0].bank,
        "letters": [{**letter.data, "text": place[id(letter.compiled)]} for letter in letters],
    }
    numbers = range(len(texts))
    main = _MAIN.format(
        imports="\n".join(f'#import "text{number}.typ": body as text{number}' for number in numbers),
        names="".join(f"text{number}, " for number in numbers),
    )
    # The text begins on the first line, so that lines are counted as in the medium's own file.
    bodies = {
        f"text{number}.typ": f"#let body(answer) = [{compiled.body.code}\n]" for number, compiled in enumerate(texts)
    }
    files = {"main.typ": main, "layout.typ": texts[0].layout, **bodies, "data.json": json.dumps(data)}
    return {name: text.encode() for name, text in files.items()}


def _typst(texts: Sequence[CompiledLetter], files: dict[str, bytes], stamped_at: datetime) -> bytes:
    with tempfile.TemporaryDirectory(prefix="reku-letters-") as nowhere:
        compiler = typst.Compiler(
            files,  # type: ignore[type-var]  # a dict of files is one more input, of which the stub says nothing
            root=nowhere,
            font_paths=typst_fonts(),
            ignore_system_fonts=True,
            package_path=nowhere,
            package_cache_path=nowhere,
        )
        try:
            pdf = compiler.compile(format="pdf", timestamp=int(stamped_at.timestamp()), pdf_tags=False)
        except typst.TypstError as error:
            raise _fault(texts, error) from None
    if not isinstance(pdf, bytes):
        raise TypeError(f"Typst has made {type(pdf).__name__}, and not the bytes of a PDF")
    return pdf


def _fault(texts: Sequence[CompiledLetter], error: typst.TypstError) -> ConfigError:
    """What Typst says, in the file where it stands; its excerpt of the code is left out, its hints are not."""
    place = _PLACE.search(error.diagnostic)
    said = ". ".join((error.message, *error.hints))
    if place is None:
        folder = texts[0].file.parents[2]
        return ConfigError(f"Typst refuses the letter: {said}.", file=folder / "shared" / "letter.typ")
    return ConfigError(f"Typst refuses the letter: {said}.", file=texts[int(place[1])].file, line=int(place[2]))


def _pages(pdf: bytes, count: int) -> tuple[tuple[int, int], ...]:
    """First and last page of each letter, by the PDF's list of contents, which has one entry for each."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        first = [entry.get_dest().get_index() + 1 for entry in document.get_toc()]
        total = len(document)
    finally:
        document.close()
    if len(first) != count:
        raise ValueError(f"the PDF lists {len(first)} letters, and {count} were set")
    return tuple(zip(first, [*(page - 1 for page in first[1:]), total], strict=True))
