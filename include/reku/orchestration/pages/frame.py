"""What all pages share: their headers, their language, their templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import Header
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reku.foundation import clock
from reku.foundation.words import Words
from reku.orchestration.reports import MOUNTED_AT, pages_address

GERMAN, ENGLISH = "de", "en"
_HTML = Path(__file__).parent / "html"
HEADERS = {
    # Style and pictures stand in the page, nothing else is fetched, no script ever runs; Airflow shows it in a frame.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
NAV = (
    ("today", Words("Zu tun", "Needs a person")),
    ("matrix", Words("Matrix", "Matrix")),
    ("agenda", Words("Agenda", "Agenda")),
    ("why", Words("Eine Zeile", "One row")),
    ("dispatch", Words("Versand", "Dispatch")),
    ("onboarding", Words("Neue Banken", "New banks")),
    ("media", Words("Werbemittel", "Media")),
)
"""The pages that all others lead to: path and name."""
AcceptLanguage = Annotated[str, Header(alias="Accept-Language")]


def language_of(accepted: str) -> str:
    """German or English, whichever a browser likes better (RFC 9110, Accept-Language); German if neither."""
    liked: dict[str, float] = {}
    for part in accepted.split(","):
        tag, _, weight = part.partition(";q=")
        with_region = tag.strip().lower().partition("-")[0]
        try:
            liked.setdefault(with_region, float(weight or 1))
        except ValueError:
            continue
    return max((GERMAN, ENGLISH), key=lambda language: liked.get(language, 0.0))


def say_in(language: str) -> Callable[[str, str], str]:
    """Which of a German and an English text is meant in this language."""
    return lambda german, english: german if language == GERMAN else english


def page(template: str, accepted: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """A page for a browser that accepts these languages."""
    return HTMLResponse(render(template, language_of(accepted), values), status, headers=HEADERS)


def render(template: str, language: str, values: Mapping[str, Any]) -> str:
    """A template in one language, with what every page has.

    That is `say(german, english)`, `word(Words)`, `people(count)`, addresses of Airflow and of our pages, the style.
    """

    say = say_in(language)

    def word(words: Words) -> str:
        return say(words.german, words.english)

    def people(count: int) -> str:
        return f"{count} {say('Person' if count == 1 else 'Personen', 'person' if count == 1 else 'people')}"

    reku = pages_address()
    return (
        _templates()
        .get_template(template)
        .render(
            language=language,
            say=say,
            word=word,
            people=people,
            style=(_HTML / "pages.css").read_text(encoding="utf-8"),
            now=moment(clock.now()),
            airflow=reku.removesuffix(MOUNTED_AT),
            reku=reku,
            nav=NAV,
            **{"place": "", **values},
        )
    )


def moment(at: datetime) -> str:
    """Berlin time to the minute."""
    return f"{clock.berlin(at):%d.%m.%Y %H:%M}"


def _with_code(text: str) -> Markup:
    """The text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped first


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HTML), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"moment": moment, "with_code": _with_code}
    return environment
