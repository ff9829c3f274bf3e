"""What the compiled HTML of a medium may hold: known elements and attributes, and URLs of known forms, nothing else.

The sources are checked file by file as well, so that most faults have their line. But MJML makes attributes of its own,
and whatever it makes is looked at here, the comments that only Outlook reads included. Placeholders stand in the HTML
as marks (`sources.marked`). Operators read of it in docs/media.md, "What HTML a mail may hold".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html.parser import HTMLParser
from urllib.parse import urlsplit

from reku.channels.email.media import sources
from reku.channels.email.media.language import FILTERS
from reku.channels.email.media.placeholders import BANK

LARGEST = 100_000
"""Characters of a part of a mail: from 102 KB on Gmail shows its beginning only."""

_ELEMENTS = frozenset(
    {
        *("html", "head", "title", "meta", "style", "body", "div", "span", "p", "br", "hr", "a", "img"),
        *("table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "ul", "ol", "li", "dl", "dt", "dd"),
        *("strong", "b", "em", "i", "u", "s", "sub", "sup", "small", "big", "blockquote", "center", "abbr", "address"),
        *("h1", "h2", "h3", "h4", "h5", "h6"),
    }
)
_FOR_OUTLOOK = frozenset(
    {
        *("noscript", "xml", "o:officedocumentsettings", "o:allowpng", "o:pixelsperinch"),
        *("v:rect", "v:roundrect", "v:fill", "v:textbox", "v:image", "w:anchorlock"),
    }
)
_READ_BY_PEOPLE = frozenset({"alt", "title", "aria-label", "aria-roledescription"})
"""Attributes whose text is shown or read out: they may hold any placeholder."""
_ATTRIBUTES = _READ_BY_PEOPLE | {
    *("style", "class", "id", "dir", "lang", "xml:lang", "role", "align", "valign", "vertical-align", "bgcolor"),
    *("width", "height", "border", "cellpadding", "cellspacing", "colspan", "rowspan", "scope", "start", "aria-hidden"),
    *("xmlns", "xmlns:v", "xmlns:o", "xmlns:w"),
}
_ATTRIBUTES_OF = {
    "a": frozenset({"href", "target", "rel", "name"}),
    "img": frozenset({"src"}),
    "style": frozenset({"type", "media"}),
    "meta": frozenset({"name", "content", "http-equiv", "charset"}),
    "v:rect": frozenset({"fill", "stroke", "fillcolor", "strokecolor", "inset", "stroked", "filled"}),
    "v:roundrect": frozenset({"arcsize", "fill", "stroke", "fillcolor", "strokecolor", "stroked", "filled"}),
    "v:fill": frozenset({"origin", "position", "src", "color", "type", "size", "aspect"}),
    "v:image": frozenset({"src"}),
    "v:textbox": frozenset({"inset"}),
}
_HTTP_EQUIV = frozenset({"x-ua-compatible", "content-type"})
_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla", "calc"})
_AT_RULES = frozenset({"media"})
_CSS_FUNCTION, _CSS_RULE = re.compile(r"([\w-]+)\("), re.compile(r"@([\w-]+)")
BARE_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S*|\bwww\.\S*", re.IGNORECASE)
"""What mail programs make a link of by themselves."""
_JINJA_TEXT, _NAME = re.compile(r"\"[^\"]*\"|'[^']*'"), re.compile(r"[A-Za-z_]\w*")
_JINJA_WORDS = frozenset({"if", "elif", "else", "endif", "and", "or", "not", *FILTERS})
_CONDITIONAL = re.compile(r"\[if [^\]]*\]>(?:<!)?|<!\[endif\]")
_DECLARATION = "doctype html"


class RefusedHtml(ValueError):
    """What must not stand in a mail; the text says what and what to write instead."""


def check_html(html: str, pieces: Sequence[str], image_hosts: Collection[str], embedded: Collection[str] = ()) -> None:
    """Hold compiled HTML, with marks for the `pieces` of Jinja, against the rules. Raises RefusedHtml.

    `embedded`: addresses of the pictures that travel with the mail.
    """
    rules = _HtmlRules(pieces, image_hosts, embedded)
    rules.feed(html)
    rules.close()


def check_bare_urls(text: str, known: Collection[str]) -> None:
    """Raises RefusedHtml if a text that people read has a URL but the known ones: mail programs make links of it."""
    for url in sorted(known, key=len, reverse=True):
        text = text.replace(url, "")
    found = BARE_URL.search(text)
    if found:
        raise RefusedHtml(
            f"The text holds the address {found[0]!r}, of which mail programs make a link that is not counted and may "
            "hold what is personal. Name it under `links` in medium.yaml and write {{ link_<name> }}"
        )


class _HtmlRules(HTMLParser):
    def __init__(
        self, pieces: Sequence[str], image_hosts: Collection[str], embedded: Collection[str], *, outlook: bool = False
    ) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces, self._image_hosts, self._embedded, self._outlook = pieces, image_hosts, embedded, outlook
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ELEMENTS and not (self._outlook and tag in _FOR_OUTLOOK):
            raise RefusedHtml(
                f"The element <{tag}> is not wanted in a mail. Allowed are {', '.join(sorted(_ELEMENTS))}"
            )
        self._in_style = tag == "style"
        for name, value in attrs:
            if name not in _ATTRIBUTES and name not in _ATTRIBUTES_OF.get(tag, ()):
                raise RefusedHtml(f"The attribute {name} of <{tag}> is not wanted in a mail. Leave it out")
            self._check_value(tag, name, value or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._check_css("<style>", data)
        else:
            check_bare_urls(sources.unmarked(data, self._pieces), ())

    def handle_comment(self, data: str) -> None:
        within = _HtmlRules(self._pieces, self._image_hosts, self._embedded, outlook=True)
        within.feed(_CONDITIONAL.sub("", data))
        within.close()

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != _DECLARATION:
            raise RefusedHtml(f"The declaration <!{decl}> is not wanted in a mail. Leave it out")

    def unknown_decl(self, data: str) -> None:
        if data.lower() != "endif":  # the end of a conditional comment
            raise RefusedHtml(f"<![{data}]> is not wanted in a mail. Leave it out")

    def handle_pi(self, data: str) -> None:
        raise RefusedHtml(f"<?{data}> is not wanted in a mail. Leave it out")

    def _check_value(self, tag: str, name: str, value: str) -> None:
        said = sources.unmarked(value, self._pieces)
        if name == "href":
            if not sources.is_link(said):
                raise RefusedHtml(f"href={said!r} is no link of this medium. {sources.LINK_CURE}")
        elif name == "src":
            self._check_image(said)
        elif name in _READ_BY_PEOPLE:
            check_bare_urls(said, ())
        else:
            self._check_names(tag, name, value)
        if name == "style":
            self._check_css(f"style of <{tag}>", said)
        if name == "http-equiv" and value.lower() not in _HTTP_EQUIV:
            raise RefusedHtml(f"<meta http-equiv={value!r}> is not wanted in a mail. Leave it out")

    def _check_image(self, address: str) -> None:
        if address.replace(" ", "") == "{{Zaehlpixel}}" or address in self._embedded:
            return
        host = urlsplit(address).hostname or ""
        is_ours = any(host == known or host.endswith(f".{known}") for known in self._image_hosts)
        if "{" in address or not address.startswith("https://") or not is_ours:
            raise RefusedHtml(
                f'src={address!r}: an image is a file beside the mail, as <mj-image src="name.png" />, or comes by '
                f"https:// from a domain of the bank ({', '.join(self._image_hosts)}), without any placeholder, since "
                "whoever serves it learns who reads"
            )

    def _check_names(self, tag: str, name: str, value: str) -> None:
        for number in sources.marks_in(value):
            piece = self._pieces[number]
            names = {*_NAME.findall(_JINJA_TEXT.sub("", piece))} - _JINJA_WORDS
            if _JINJA_TEXT.search(piece) or not names <= {*BANK}:
                raise RefusedHtml(
                    f"{piece!r} stands in the attribute {name} of <{tag}>, where only {', '.join(BANK)} may stand"
                )

    def _check_css(self, where: str, css: str) -> None:
        wrong = [found for found in _CSS_FUNCTION.findall(css) if found.lower() not in _FUNCTIONS]
        wrong += [f"@{found}" for found in _CSS_RULE.findall(css) if found.lower() not in _AT_RULES]
        if "\\" in css:
            wrong.append("\\")
        if wrong:
            raise RefusedHtml(f"The {where} holds {wrong[0]!r}, which may fetch something. Leave it out")
