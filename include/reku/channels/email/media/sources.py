"""The files of a medium as they are written, checked file by file, so that every fault has its file and line.

What Jinja may do in them is the affair of `language`; here are the files themselves, their includes, and MJML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html.entities import html5
from pathlib import Path
from xml.parsers import expat

from reku.channels.email.media.placeholders import LINK
from reku.foundation.errors import ConfigError

JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
INCLUDE = re.compile(r'<mj-include\s+path="([^"]*)"\s*/>|\{%-?\s*include\s+"([^"]*)"\s*-?%\}')
_DEEPEST = 5
_MARK = "zqx{}xqz"  # ASCII, since MJML writes other letters in an href as \u{…}
_MARKED = re.compile(r"zqx(\d+)xqz")
_FRAGMENT = "fragment"  # the root that an included file gets for being parsed
_TAGS = frozenset(
    {
        *("mjml", "mj-head", "mj-body", "mj-include", "mj-raw", "mj-title", "mj-preview", "mj-style", "mj-font"),
        *("mj-attributes", "mj-all", "mj-class", "mj-breakpoint"),
        *("mj-wrapper", "mj-section", "mj-group", "mj-column", "mj-hero"),
        *("mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table"),
    }
)
_CONTENT = frozenset({"mj-column", "mj-hero", "mj-attributes", _FRAGMENT})
_PARENTS = {
    "mj-section": frozenset({"mj-body", "mj-wrapper", "mj-attributes", _FRAGMENT}),
    "mj-column": frozenset({"mj-section", "mj-group", "mj-attributes", _FRAGMENT}),
    **dict.fromkeys(("mj-text", "mj-button", "mj-image", "mj-divider", "mj-spacer", "mj-table"), _CONTENT),
}
"""Where an element may stand: MJML itself says nothing and lays the mail out wrongly."""
_LINK_TARGETS = re.compile(
    rf"\{{\{{\s*({LINK}\w+|Abmelde_Link)\s*\}}\}}|(mailto:|tel:|#)[^{{}}]*"
    r"|mailto:\{\{\s*Berater_E_Mail\s*\}\}|tel:\{\{\s*Berater_Telefon\s*\}\}"
)
LINK_CURE = (
    "Name it under `links` in medium.yaml and write {{ link_<name> }} here: only so it can be counted, and no personal "
    "data gets into a URL."
)
LARGEST = 200_000
"""Characters of a file: MJML and Jinja take their time for each."""
_ENTITY = re.compile(r"&(\w+);")
_ENTITIES_OF_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})


@dataclass(frozen=True)
class Source:
    """One file of a medium (or one of its YAML texts, which begins at `first_line`)."""

    file: Path
    text: str
    first_line: int = 1

    def fault(self, problem: str, line: int, *, value: str | None = None, valid: Collection[str] = ()) -> ConfigError:
        """The error for a fault in this source; `line` counts from 1 within the source."""
        return ConfigError(problem, file=self.file, line=self.first_line + line - 1, value=value, valid=valid)


def read(file: Path) -> Source:
    """One template file. Raises ConfigError if it is missing or is no UTF-8."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"The template cannot be read: {error.strerror}.", file=file) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError("Not UTF-8. Save the file as UTF-8.", file=file, line=line) from None
    if len(text) > LARGEST:
        raise ConfigError(f"The file has {len(text):,} characters. A template has at most {LARGEST:,}.", file=file)
    text = text.replace("\r\n", "\n")
    return Source(file, _ENTITY.sub(_character, text) if file.suffix == ".mjml" else text)


def _character(entity: re.Match[str]) -> str:
    """What an entity of HTML stands for, as a letter: XML knows five of them only."""
    return entity[0] if entity[1] in _ENTITIES_OF_XML else html5.get(f"{entity[1]};", entity[0])


def is_link(href: str) -> bool:
    """Whether it is a link of the medium, the unsubscribe link, a place in the mail, or a mail or call to the bank."""
    return _LINK_TARGETS.fullmatch(href) is not None


def with_includes(source: Source, root: Path, _depth: int = 0) -> Iterator[Source]:
    """The source and all that it includes, each once for each time it is included."""
    yield source
    for match in INCLUDE.finditer(source.text):
        line = source.text.count("\n", 0, match.start()) + 1
        yield from with_includes(_included(source, match, line, root, _depth), root, _depth + 1)


def resolved(source: Source, root: Path, _depth: int = 0) -> str:
    """The source's text with all its includes in place."""

    def text_of(match: re.Match[str]) -> str:
        line = source.text.count("\n", 0, match.start()) + 1
        return resolved(_included(source, match, line, root, _depth), root, _depth + 1).rstrip("\n")

    return INCLUDE.sub(text_of, source.text)


def _included(source: Source, match: re.Match[str], line: int, root: Path, depth: int) -> Source:
    name = match[1] or match[2]
    file = (root / name).resolve()
    if depth >= _DEEPEST:
        raise source.fault(f"Includes are nested more than {_DEEPEST} deep; does {name!r} include itself?", line)
    if not file.is_relative_to(root.resolve()):
        raise source.fault(f"The include {name!r} lies outside of {root.name}/. Give a path below it.", line)
    if not file.is_file():
        known = sorted(str(path.relative_to(root)) for path in root.glob(f"shared/*{file.suffix}"))
        raise source.fault(f"The included file {name!r} does not exist.", line, value=name, valid=known)
    return read(file)


def check_mjml(source: Source, *, is_mail: bool) -> None:
    """Hold one MJML source against XML and MJML's elements; links must be named, nothing personal may stand in a URL.

    `is_mail`: a whole mail, otherwise a piece for including. Raises ConfigError for XML that is not well-formed, an
    unknown mj- element or one in the wrong place, and an href or src of the wrong kind.
    """
    if is_mail and not source.text.lstrip().startswith("<mjml"):
        raise source.fault("A mail begins with <mjml>.", 1)
    text, jinja = marked(source.text)
    parser = expat.ParserCreate()
    around: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        if tag.startswith("mj") and tag not in _TAGS:
            raise source.fault(f"MJML has no element <{tag}>.", line, value=tag, valid=sorted(_TAGS))
        if tag in _PARENTS and around[-1] not in _PARENTS[tag]:
            where = ", ".join(sorted(_PARENTS[tag] - {_FRAGMENT, "mj-attributes"}))
            raise source.fault(f"<{tag}> stands in <{around[-1]}>; it belongs in {where}.", line)
        around.append(tag)
        href = unmarked(attributes.get("href", "#"), jinja)
        if not is_link(href):
            raise source.fault(f"href={href!r} is no link of this medium. {LINK_CURE}", line)
        address = unmarked(attributes.get("src", ""), jinja)
        if "{" in address and address.replace(" ", "") != "{{Zaehlpixel}}":
            raise source.fault(f"src={address!r}: the address of an image takes no placeholder.", line)

    def end(_tag: str) -> None:
        around.pop()

    def no_cdata() -> None:
        raise source.fault("<![CDATA[ is not wanted in a mail. Write &lt; and &amp; instead.", parser.CurrentLineNumber)

    parser.StartCdataSectionHandler = no_cdata
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    wrapped = text if is_mail else f"<{_FRAGMENT}>{text}</{_FRAGMENT}>"
    try:
        parser.Parse(wrapped.encode(), True)
    except expat.ExpatError as error:
        raise source.fault(f"Broken MJML: {expat.ErrorString(error.code)}.", error.lineno) from None


def marked(text: str) -> tuple[str, list[str]]:
    """The text with a mark in place of each piece of Jinja (its line ends are kept), and the pieces."""
    pieces: list[str] = []

    def mark(match: re.Match[str]) -> str:
        pieces.append(match[0])
        return _MARK.format(len(pieces) - 1) + "\n" * match[0].count("\n")

    return JINJA.sub(mark, text), pieces


def unmarked(text: str, pieces: Sequence[str]) -> str:
    """The inverse of `marked`."""
    return _MARKED.sub(lambda match: pieces[int(match[1])], text)


def marks_in(text: str) -> set[int]:
    """The numbers of the marks that the text still has."""
    return {int(number) for number in _MARKED.findall(text)}
