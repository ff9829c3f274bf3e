"""Whether the text of a mail stands out from its ground, light and dark (WCAG 2.1, 1.4.3).

Looked at is what mail programs look at: styles and `bgcolor` of the elements, and for dark mode the rules of
`@media (prefers-color-scheme: dark)`, of which simple selectors (tags, classes, blanks, `>`) are understood. Colours
are #rgb and #rrggbb; others are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

LEAST, LEAST_OF_LARGE = 4.5, 3.0
_LARGE, _LARGE_BOLD = 24.0, 18.66
_VOID = frozenset({"br", "img", "hr", "meta", "link", "input", "col"})
_UNSHOWN = frozenset({"head", "style", "title"})
_NAMED = {"white": "#FFFFFF", "black": "#000000"}
_DARK = re.compile(r"@media\s*\(prefers-color-scheme:\s*dark\)\s*\{((?:[^{}]*\{[^{}]*\})*)[^{}]*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_COMPOUND = re.compile(r"([a-z][a-z0-9]*)?((?:\.[\w-]+)*)")


@dataclass(frozen=True)
class PaleText:
    """Text that is hard to read: its first words, colours and contrast, and the one that it needs."""

    words: str
    colour: str
    ground: str
    contrast: float
    needed: float


def contrast(one: str, other: str) -> float:
    """The contrast of two colours #rrggbb, from 1 (the same) to 21 (black and white)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def pale_texts(html: str, *, dark: bool = False) -> list[PaleText]:
    """All text of a mail with too little contrast, each kind once; `dark`: as a program in dark mode shows it."""
    walker = _Walker(_dark_rules(html) if dark else [])
    walker.feed(html)
    return list({(pale.colour, pale.ground): pale for pale in reversed(walker.found)}.values())[::-1]


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _colour(value: str) -> str | None:
    value = _NAMED.get(value.lower(), value)
    if re.fullmatch(r"#[0-9a-fA-F]{3}", value):
        return "#" + "".join(2 * digit for digit in value[1:])
    return value if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else None


def _declared(style: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in style.replace("!important", "").split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if value.strip()}


@dataclass(frozen=True)
class _Element:
    tag: str
    classes: frozenset[str]
    colour: str
    ground: str
    size: float
    bold: bool
    hidden: bool


@dataclass(frozen=True)
class _Rule:
    """`steps`: from the element itself to its forebears, each with whether the next must be its parent."""

    steps: tuple[tuple[str, frozenset[str], bool], ...]
    weight: tuple[int, int]
    style: dict[str, str]

    def fits(self, tag: str, classes: frozenset[str], forebears: list[_Element]) -> bool:
        (own_tag, own_classes, is_child), *others = self.steps
        if (own_tag and own_tag != tag) or not own_classes <= classes:
            return False
        rest = forebears[::-1]
        for wanted_tag, wanted_classes, next_is_child in others:
            for number, element in enumerate(rest):
                if wanted_tag in ("", element.tag) and wanted_classes <= element.classes:
                    rest = rest[number + 1 :]
                    break
                if is_child:
                    return False
            else:
                return False
            is_child = next_is_child
        return True


def _dark_rules(html: str) -> list[_Rule]:
    """The rules of dark mode, the weightiest last."""
    blocks = (block for style in _STYLE.findall(html) for block in _DARK.findall(style))
    rules = [
        rule
        for block in blocks
        for selectors, style in _RULE.findall(block)
        for selector in selectors.split(",")
        if (rule := _rule(selector.strip(), _declared(style))) is not None
    ]
    return sorted(rules, key=lambda rule: rule.weight)


def _rule(selector: str, style: dict[str, str]) -> _Rule | None:
    steps: list[tuple[str, frozenset[str], bool]] = []
    is_child = False
    for word in selector.replace(">", " > ").split():
        if word == ">":
            is_child = True
            continue
        compound = _COMPOUND.fullmatch(word)
        if compound is None:
            return None
        steps.insert(0, (compound[1] or "", frozenset(filter(None, compound[2].split("."))), is_child))
        is_child = False
    classes = sum(len(step[1]) for step in steps)
    return _Rule(tuple(steps), (classes, sum(bool(step[0]) for step in steps)), style) if steps else None


class _Walker(HTMLParser):
    def __init__(self, rules: list[_Rule]) -> None:
        super().__init__()
        self.found: list[PaleText] = []
        self._rules = rules
        self._open = [_Element("", frozenset(), "#000000", "#FFFFFF", 16.0, bold=False, hidden=False)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        attributes = {name: value or "" for name, value in attrs}
        classes = frozenset(attributes.get("class", "").split())
        style = {"background": attributes.get("bgcolor", "")} | _declared(attributes.get("style", ""))
        for rule in self._rules:
            if rule.fits(tag, classes, self._open):
                style |= rule.style
        above = self._open[-1]
        grounds = (style.get("background-color", ""), style.get("background", "").partition(" ")[0])
        size = re.match(r"([\d.]+)px", style.get("font-size", ""))
        weight = style.get("font-weight", "")
        self._open.append(
            _Element(
                tag,
                classes,
                _colour(style.get("color", "")) or above.colour,
                next(filter(None, map(_colour, grounds)), above.ground),
                float(size[1]) if size else above.size,
                bold=weight in ("bold", "600", "700", "800", "900")
                or tag in ("b", "strong", "h1", "h2", "h3")
                or (above.bold and not weight),
                hidden=above.hidden or tag in _UNSHOWN or style.get("display") == "none",
            )
        )

    def handle_endtag(self, tag: str) -> None:
        for number in range(len(self._open) - 1, 0, -1):
            if self._open[number].tag == tag:
                del self._open[number:]
                return

    def handle_data(self, data: str) -> None:
        self.found += self._judged(data.strip())

    def _judged(self, words: str) -> Iterator[PaleText]:
        element = self._open[-1]
        if not words or element.hidden:
            return
        is_large = element.size >= _LARGE or (element.bold and element.size >= _LARGE_BOLD)
        needed, has = LEAST_OF_LARGE if is_large else LEAST, contrast(element.colour, element.ground)
        if has < needed:
            yield PaleText(words[:40], element.colour, element.ground, has, needed)
