"""What a person gets to read of a mail, taken out of its HTML: words, links, pictures, headings.

Words that hold no text, such as styles and the title, are left out; so are the comments for Outlook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

_SILENT = frozenset({"style", "title"})
_BLOCKS = frozenset({"br", "p", "div", "li", "td"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_GAPS = re.compile(r"\{\{|\}\}|\{%|\bNone\b|\bUndefined\b|zqx\d|[^\s-] {2,}\S| [,.!?;:](\s|$)|\(\s*\)|„\s*“|,,")


@dataclass(frozen=True)
class ReadLink:
    """A link: where it leads, and what people read of it; the text of a picture in it counts."""

    href: str
    text: str


@dataclass
class ReadPage:
    """A mail as it is read. `lang`: that of `<html>`; `images`: their attributes; `headings`: tags in their order."""

    lang: str = ""
    text: str = ""
    anchors: list[ReadLink] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [anchor.href for anchor in self.anchors]


def read_page(html: str) -> ReadPage:
    """The words and marks of a mail's HTML; each block of text is a line."""
    reader = _Reader()
    reader.feed(html)
    lines = (line.strip() for line in "".join(reader.words).splitlines())
    reader.page.text = "\n".join(line for line in lines if line)
    return reader.page


def gaps(text: str) -> list[str]:
    """What a reader would notice where a value is missing: left-over Jinja, double blanks, a lonely comma."""
    return [match[0] for match in _GAPS.finditer(text)]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page, self.words = ReadPage(), list[str]()
        self._silent = 0
        self._href: str | None = None
        self._anchor: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag in _SILENT:
            self._silent += 1
        elif tag == "a":
            self._href, self._anchor = attributes.get("href", ""), []
        elif tag == "img":
            self.page.images.append(attributes)
            self._anchor.append(attributes.get("alt", ""))
        elif tag == "html":
            self.page.lang = attributes.get("lang", "")
        elif tag in _HEADINGS:
            self.page.headings.append(tag)
        if tag in _BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent -= 1
        elif tag == "a" and self._href is not None:
            self.page.anchors.append(ReadLink(self._href, " ".join("".join(self._anchor).split())))
            self._href = None

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)
            self._anchor.append(data)
