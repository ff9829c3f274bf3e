"""A new medium from the pattern in `include/pattern`, or like one that is there: complete, and sent by nobody yet."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import yaml

from reku.catalogue import medium_folder
from reku.catalogue.medium import Link, Medium, folder_of, provider_of
from reku.catalogue.questions import Question, problem_of
from reku.channels.email.media.preview import known_medium
from reku.foundation.errors import ConfigError
from reku.foundation.settings import configured, settings
from reku.foundation.yaml_source import load

PATTERN = "pattern"
_PICTURE = "Eine Landschaft mit Hügeln, Bäumen und aufgehender Sonne"
QUESTIONS = (
    Question("title", "Titel, wie ihn die Bank nennt", Medium, "title", "Unser Sommerfest"),
    Question("subject", "Betreff, am besten unter 50 Zeichen", Medium, "subject", "Sie sind herzlich eingeladen"),
    Question("preheader", "Vorschautext, den Postfächer neben dem Betreff zeigen", Medium, "preheader", "", True),
    Question("headline", "Überschrift im Bild der Mail", example="Feiern Sie mit uns!"),
    Question("button", "Was auf dem Knopf steht", example="Platz reservieren"),
    Question("url", "Wohin er führt; {domain} ist die der Bank", Link, "url", "https://www.{domain}/sommerfest"),
)
"""In the order in which they are asked."""
QUESTIONS_OF_A_LIKE = QUESTIONS[:3]
"""What is asked where the medium is like another: its mail says the rest."""
_KEY = re.compile(r"(SCOM|LBS|SKP|DEKA|VOEV|SV|EIGEN)(_[A-Z0-9]+)+")


def write_medium(key: str, answers: Mapping[str, str], like: str = "") -> Path:
    """Write the folder of a medium and return where it is.

    `like`: key of a medium whose mail, letter and pictures are taken over; none: those of the pattern. It is made for
    no occasion: a campaign names it. Raises ConfigError for a key that is none or taken, and for an answer that is
    none; nothing is written then.
    """
    folder = settings().config_dir / "templates" / (folder_of(key) if _KEY.fullmatch(key) else "eigen")
    _check(key, folder, answers, like)
    told = {question.key: answers.get(question.key, "").strip() for question in QUESTIONS}
    values: dict[str, object] = {
        "key": key,
        "provider": provider_of(key).value,
        "title": told["title"],
        "occasions": [],
        "subject": told["subject"],
        "preheader": told["preheader"],
    }
    if like:
        of_like = known_medium(like)
        links = [{"name": link.name, "url": link.url} for link in of_like.links]
        values |= {"fallbacks": dict(of_like.fallbacks)} if of_like.fallbacks else {}
        shutil.copytree(medium_folder(like), folder, ignore=shutil.ignore_patterns("medium.yaml"))
    else:
        links = [{"name": "angebot", "url": told["url"]}]
        _write_pattern(folder, told | {"folder": folder.parent.name, "alt": _PICTURE})
    text = yaml.safe_dump(values | {"links": links}, allow_unicode=True, sort_keys=False, width=110)
    (folder / "medium.yaml").write_text(text, encoding="utf-8")
    load(folder / "medium.yaml", Medium)
    return folder


def _check(key: str, folder: Path, answers: Mapping[str, str], like: str) -> None:
    if not _KEY.fullmatch(key) or len(key) > 60:
        raise ConfigError(
            f"{key!r} is no key of a medium. Write the provider and a title in capitals, at most 60 characters, such "
            "as EIGEN_SOMMERFEST.",
            file=folder.parent,
        )
    if folder.exists():
        raise ConfigError(f"There is a folder of {key} already; edit its files, or take another key.", file=folder)
    if like:
        known_medium(like)
    for question in QUESTIONS_OF_A_LIKE if like else QUESTIONS:
        if problem := problem_of(question, answers.get(question.key, "").strip()):
            raise ConfigError(f"{question.key}: {problem}", file=folder)


def _write_pattern(folder: Path, answers: Mapping[str, str]) -> None:
    pattern = configured(PATTERN)
    folder.mkdir(parents=True)
    for file in sorted(pattern.iterdir()):
        if file.suffix in (".png", ".svg"):
            shutil.copyfile(file, folder / file.name)
            continue
        text = file.read_text(encoding="utf-8")
        for name, value in answers.items():
            written = escape(value, {'"': "&quot;"}) if file.suffix == ".mjml" else value
            text = text.replace(f"[[{name}]]", written)
        (folder / file.name).write_text(text, encoding="utf-8")
