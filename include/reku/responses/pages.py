"""The pages that people see after following a link of a mail: German, in the bank's name and colours, no script.

No page shows an address, a name or anything else about the person.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reku.catalogue.institute import UnsubscribeScope
from reku.catalogue.loader import institutes, occasions
from reku.foundation import clock
from reku.foundation.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bank:
    """Whose page it is. The neutral default is for links that name no bank, or one whose file cannot be read.

    Its scope is the wide one: if nobody knows how far an unsubscribe reaches, it must not reach less than was meant.
    """

    name: str = ""
    imprint: str = ""
    primary: str = "#404040"
    on_primary: str = "#FFFFFF"
    background: str = "#F2F2F2"
    scope: UnsubscribeScope = UnsubscribeScope.INSTITUTE


@dataclass(frozen=True)
class Button:
    """A button of the page's form: what it says, and the value that it posts."""

    text: str
    value: str
    is_first: bool = False


@dataclass(frozen=True)
class Page:
    """One page: a heading, its paragraphs and, on those that ask, the buttons."""

    title: str
    paragraphs: tuple[str, ...]
    buttons: tuple[Button, ...] = ()


FIELD = "abmelden"
"""The field that the buttons post."""
_PLAIN, _EVERYTHING, _UNDO = "ja", "alles", "zurueck"
EVERYTHING, UNDO = f"{FIELD}={_EVERYTHING}".encode(), f"{FIELD}={_UNDO}".encode()
"""What a browser posts for the button of all mails, and for taking it back."""

_ALL_MAILS = Button("Alle Werbe-E-Mails unseres Hauses abbestellen", _EVERYTHING)
_BEFORE = "Solange Sie auf keine Schaltfläche drücken, ändert sich nichts."
_ON_ITS_WAY = "Eine E-Mail, die bereits unterwegs ist, kann Sie noch erreichen."


def ask(bank: Bank, topic: str) -> Page:
    """The question. `topic`: of the mail's occasion; empty where nobody knows it."""
    if bank.scope is UnsubscribeScope.INSTITUTE:
        return Page(
            "Möchten Sie unsere E-Mails abbestellen?",
            ("Sie erhalten dann keine werblichen E-Mails mehr von uns.", _BEFORE),
            (Button("E-Mails abbestellen", _PLAIN, is_first=True),),
        )
    return Page(
        "Möchten Sie diese E-Mails abbestellen?",
        (f"Sie erhalten dann keine E-Mails {_series(topic)} mehr von uns.", _BEFORE),
        (Button("E-Mails abbestellen", _PLAIN, is_first=True), _ALL_MAILS),
    )


def done(topic: str, scope: UnsubscribeScope, undo_until: datetime | None = None) -> Page:
    """What has been done. `scope`: how far it reaches; `undo_until`: how long it may be taken back here."""
    wide = scope is UnsubscribeScope.INSTITUTE
    of_what = "werblichen E-Mails" if wide else f"E-Mails {_series(topic)}"
    paragraphs = [f"Sie erhalten von uns keine {of_what} mehr.", _ON_ITS_WAY]
    buttons = [] if wide else [_ALL_MAILS]
    if undo_until is not None:
        paragraphs.append(
            f"Ein Versehen? Bis {clock.berlin(undo_until):%d.%m.%Y, %H:%M} Uhr können Sie die Abmeldung hier"
            " zurücknehmen, solange Ihre Bank noch nicht davon unterrichtet ist."
        )
        buttons.append(Button("Abmeldung zurücknehmen", _UNDO))
    return Page("Sie sind abgemeldet", tuple(paragraphs), tuple(buttons))


def taken_back(bank: Bank, topic: str) -> Page:
    """The unsubscribe has been taken back; it may be done again."""
    return Page(
        "Ihre Abmeldung ist zurückgenommen",
        (f"Sie erhalten weiterhin E-Mails {_series(topic)} von uns.", "Sie können sich jederzeit wieder abmelden."),
        ask(bank, topic).buttons,
    )


def _series(topic: str) -> str:
    return f"dieser Reihe zum Thema „{topic}“" if topic else "zu diesem Thema"


TOO_LATE = Page(
    "Das lässt sich hier nicht mehr zurücknehmen",
    (
        "Ihre Abmeldung gilt weiterhin. Ihre Bank ist bereits davon unterrichtet, oder sie liegt zu lange zurück.",
        "Wenn Sie wieder E-Mails erhalten möchten, wenden Sie sich bitte an Ihre Bank.",
    ),
)
INVALID = Page(
    "Dieser Link ist nicht gültig",
    (
        "Der Link ist unvollständig oder gehört nicht zu einer unserer E-Mails. Bitte öffnen Sie ihn noch einmal "
        "direkt aus der E-Mail.",
        "Wenn Sie keine E-Mails mehr erhalten möchten und der Link nicht funktioniert, wenden Sie sich bitte an Ihre "
        "Bank oder Sparkasse.",
    ),
)
NOT_SAVED = Page(
    "Ihre Abmeldung konnte noch nicht gespeichert werden",
    (
        "Sie sind noch nicht abgemeldet. Das liegt an uns, nicht an Ihnen.",
        "Bitte versuchen Sie es in einigen Minuten noch einmal mit demselben Link. Er bleibt gültig.",
    ),
)
UNAVAILABLE = Page(
    "Das hat gerade nicht geklappt",
    ("Das liegt an uns, nicht an Ihnen.", "Bitte versuchen Sie es in einigen Minuten noch einmal mit demselben Link."),
)
TOO_MANY = Page(
    "Zu viele Anfragen",
    (
        "Von Ihrem Anschluss kamen in kurzer Zeit sehr viele ungültige Links.",
        "Bitte versuchen Sie es in einigen Minuten noch einmal mit dem Link aus der E-Mail.",
    ),
)
METHOD = Page(
    "So lässt sich dieser Link nicht öffnen", ("Bitte öffnen Sie den Link noch einmal direkt aus der E-Mail.",)
)


def bank_of(blz: str) -> Bank:
    """The bank's name, colours and unsubscribe scope; the neutral bank when its file is missing or broken.

    A fault in a configuration file must never stand between a person and an unsubscribe.
    """
    try:
        institute = institutes()[blz]
    except (ConfigError, KeyError) as error:
        log.error("The page of bank %s is shown without its name and colours: %s", blz, error)
        return Bank()
    colours = institute.colours
    return Bank(
        institute.name,
        institute.imprint,
        colours.primary,
        readable(colours.on_primary, colours.primary),
        colours.background,
        institute.unsubscribe_scope,
    )


def topic_of(occasion: str) -> str:
    """What mails of an occasion (its code) are about, in words for those who get them; empty if its file is gone."""
    try:
        return occasions()[occasion].topic
    except (ConfigError, KeyError):
        return ""


@lru_cache(256)
def render(page: Page, bank: Bank) -> tuple[str, str]:
    """HTML of a page and the Content-Security-Policy that lets nothing but this page's own style through."""
    style = _templates(False).get_template("page.css").render(bank=bank)
    html = _templates(True).get_template("page.html").render(page=page, bank=bank, style=style, field=FIELD)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return html, policy


def readable(foreground: str, background: str) -> str:
    """The foreground if it can be read on the background (contrast 4.5 of WCAG 2), else black or white."""
    if contrast(foreground, background) >= 4.5:
        return foreground
    return max(("#000000", "#FFFFFF"), key=lambda colour: contrast(colour, background))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two #rrggbb colours, 1 to 21 (WCAG 2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@cache
def _templates(escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "html"),
        autoescape=escape,  # noqa: S701 # off only for the style sheet, whose values are checked colours
        undefined=StrictUndefined,
    )
    environment.filters["whole"] = _whole_words
    return environment


def _whole_words(text: str) -> Markup:
    """The text with words that no line may end in the middle of: "E-" and "Mails" belong together."""
    return Markup(re.sub(r"(\w*-?E-Mails?)", r'<span class="whole">\1</span>', str(escape(text))))  # noqa: S704 - escaped first
