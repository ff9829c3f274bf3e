"""What a person, or his mail program, sees in HTML: images, links with their text, forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Anchor:
    """A link and the text that stands on it."""

    href: str
    text: str = ""


@dataclass
class Form:
    """A form: where it goes and what its fields and its first button send."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)


class Seen(HTMLParser):
    """Images, links and forms of a page or mail, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.links: list[Anchor] = []
        self.forms: list[Form] = []
        self._inside_link = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element; called by the parser."""
        has = {name: value or "" for name, value in attrs}
        if tag == "img" and has.get("src"):
            self.images.append(has["src"])
        elif tag == "a" and has.get("href"):
            self.links.append(Anchor(has["href"]))
            self._inside_link = True
        elif tag == "form":
            self.forms.append(Form(has.get("action", ""), has.get("method", "get").lower()))
        elif tag in ("input", "button") and has.get("name") and self.forms:
            self.forms[-1].values.setdefault(has["name"], has.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a link; called by the parser."""
        if tag == "a":
            self._inside_link = False

    def handle_data(self, data: str) -> None:
        """Note the text on a link; called by the parser."""
        if self._inside_link:
            self.links[-1].text += data
