"""What a good medium keeps beyond what makes it a mail at all (`compile_medium`): that everybody can read it.

It is filled for invented people and looked at as they would read it; each fault names the file and the line that its
words come from. Operators read of the rules in docs/media.md, "What is checked".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reku.catalogue import link_domains, medium_folder
from reku.catalogue.institute import Images
from reku.catalogue.medium import LETTER
from reku.channels.email.media import sources
from reku.channels.email.media.compile import CompiledMedium, RenderedMail
from reku.channels.email.media.contrast import pale_texts
from reku.channels.email.media.people import PEOPLE, sample_person
from reku.channels.email.media.reading import ReadPage, gaps, read_page
from reku.channels.email.media.sources import Source
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of

MAIL, TEXT, MEDIUM = "mail.mjml", "mail.txt", "medium.yaml"
UNSUBSCRIBE, PIXEL = "https://abmelden.example/u/probe", "https://zaehlen.example/o/probe.gif"
_FILES = frozenset({MAIL, TEXT, MEDIUM, LETTER})
_PLAIN_NAME = re.compile(r"[a-z0-9_-]+\.(?:png|jpg|svg)")
_PICTURE = re.compile(r"[a-z0-9_-]+\.(?:png|jpg)")
_SAYS_NOTHING = frozenset(
    {
        "",
        "hier",
        "hier klicken",
        "klicken sie hier",
        "klick hier",
        "link",
        "mehr",
        "mehr lesen",
        "weiter",
        "weiterlesen",
    }
)
_LIST_MARK = re.compile(r"^(?:[-–•*]|\d+\.) +")
_PARAGRAPH = 60
"""Characters from which on a line is running text, which both parts must have."""
_SHORTEST_ALT = 5
_UNDETERMINED = "und"  # what MJML writes where no language is given
_LOOKED_AT = tuple(who for who in PEOPLE if who != "long")  # whose words would make running text of a headline


@dataclass(frozen=True)
class _ReadMail:
    """The mail of one invented person, and how it is read."""

    medium: CompiledMedium
    folder: Path
    who: str
    mail: RenderedMail
    page: ReadPage
    preheader: str

    def fault(self, file: str, problem: str, *words: str) -> ConfigError:
        """A fault of one part, on the line of the source that the first of `words` comes from that any has."""
        found = (_place(self.folder / file, one) for one in words)
        place, line = next((one for one in found if one[1] is not None), (self.folder / file, None))
        return ConfigError(f"{problem} (seen for {self.who!r})", file=place, line=line)


def content_faults(compiled: CompiledMedium) -> list[ConfigError]:
    """Everything that readers, screen readers and mail programs would stumble over, each once."""
    folder = medium_folder(compiled.medium.key)
    found = [*_files(compiled, folder), *_targets(compiled, folder)]
    for who in _LOOKED_AT:
        person = sample_person(compiled.institute, kind=who)
        mail = compiled.render(person, links=compiled.links, unsubscribe=UNSUBSCRIBE, pixel=PIXEL)
        preheader = compiled.values(person, links=compiled.links, unsubscribe=UNSUBSCRIBE)["Vorschau"]
        shown = _ReadMail(compiled, folder, who, mail, read_page(mail.html), _joined(preheader))
        for rule in _RULES:
            found += rule(shown)
    seen = {(str(fault.file), fault.line, fault.problem.partition(" (seen for")[0]): fault for fault in found[::-1]}
    return sorted(seen.values(), key=lambda fault: (str(fault.file), fault.line or 0, fault.problem))


def _files(compiled: CompiledMedium, folder: Path) -> Iterator[ConfigError]:
    shown = {picture.file.name for picture in compiled.pictures}
    for file in sorted(folder.iterdir()):
        if file.name not in _FILES and not _PLAIN_NAME.fullmatch(file.name):
            yield ConfigError(
                "A file of a medium is one of "
                f"{', '.join(sorted(_FILES))}, or a picture or drawing with a plain name: small letters, digits, - "
                "and _, then .png, .jpg or .svg. Rename it or take it away.",
                file=file,
            )
        elif _PICTURE.fullmatch(file.name) and file.name not in shown and compiled.institute.images is not Images.NONE:
            yield ConfigError(
                f'The mail does not show this picture. Write <mj-image src="{file.name}" alt="…" />, or take it away.',
                file=file,
            )


def _targets(compiled: CompiledMedium, folder: Path) -> Iterator[ConfigError]:
    provider = compiled.medium.provider
    allowed = link_domains.link_domains().allowed(provider, compiled.institute)
    for number, (name, url) in enumerate(compiled.links.items()):
        if not link_domains.leads_to(url, allowed):
            yield ConfigError(
                f"The link {name!r} leads to {url}. Links of {provider} lead by https:// to {', '.join(allowed)} or "
                f"below; another domain of {provider} is entered in {link_domains.FILE}.",
                file=folder / MEDIUM,
                line=line_of(folder / MEDIUM, ("links", number, "url")),
            )


def _no_gaps(shown: _ReadMail) -> Iterator[ConfigError]:
    parts = ((MEDIUM, shown.mail.subject), (TEXT, shown.mail.text), (MAIL, shown.page.text))
    for file, text in parts:
        for line in text.splitlines():
            for gap in gaps(line):
                yield shown.fault(
                    file,
                    f"A value is missing and leaves {gap!r} in {line.strip()[:80]!r}: write an `if` around what "
                    "belongs to it, or give a fallback.",
                    line,
                )
    if "\n\n\n" in shown.mail.text:
        yield shown.fault(TEXT, "The text has two empty lines in a row. Take one away, or put it into the `if`.")


def _both_parts_say_the_same(shown: _ReadMail) -> Iterator[ConfigError]:
    page, text = _joined(shown.page.text), _joined(shown.mail.text)
    for line in _paragraphs(shown.mail.text):
        if line not in page:
            yield shown.fault(TEXT, f"Only the text part says {line[:80]!r}. Write the same words into {MAIL}.", line)
    for line in _paragraphs(shown.page.text):
        if line not in text and line != shown.preheader:
            yield shown.fault(MAIL, f"Only the HTML part says {line[:80]!r}. Write the same words into {TEXT}.", line)
    for name, url in shown.medium.links.items():
        placeholder = f"{{{{ link_{name} }}}}"
        if (url in shown.page.links) != (url in shown.mail.text):
            lacking, other = (MAIL, TEXT) if url in shown.mail.text else (TEXT, MAIL)
            yield shown.fault(lacking, f"The link {name!r} stands in {other} only. Write {placeholder} here as well.")


def _can_be_read_by_everybody(shown: _ReadMail) -> Iterator[ConfigError]:
    page = shown.page
    if page.lang in ("", _UNDETERMINED):
        yield shown.fault(
            MAIL, 'The mail names no language, and screen readers guess one. Begin with <mjml lang="de">.', "<mjml"
        )
    if page.headings.count("h1") != 1:
        yield shown.fault(
            MAIL,
            f"The mail has {page.headings.count('h1')} headings <h1>. It needs exactly one, what it is about.",
            "<h1",
        )
    levels = [int(tag[1]) for tag in page.headings]
    for before, level in zip([0, *levels], levels, strict=False):
        if level > before + 1:
            yield shown.fault(MAIL, f"A heading <h{level}> follows <h{before}>. Write <h{before + 1}>.", f"<h{level}")
    for image in page.images:
        alt, source = image.get("alt"), image.get("src", "")
        if source == PIXEL:
            continue
        if not alt or len(alt) < _SHORTEST_ALT or _PICTURE.search(alt):
            yield shown.fault(
                MAIL,
                f"A picture has the alt text {alt or ''!r}. Write what it shows, for people who do not see it: "
                'alt="Ein Paar trägt Kartons in die neue Wohnung".',
                "<mj-image",
            )
    for anchor in page.anchors:
        if anchor.text.strip(" .!»>→").lower() in _SAYS_NOTHING:
            yield shown.fault(
                MAIL,
                f"A link reads {anchor.text!r}, which does not say where it leads. Write it out: “Termin vereinbaren”.",
                f">{anchor.text}<",
                anchor.text,
            )


def _stands_out(shown: _ReadMail) -> Iterator[ConfigError]:
    if shown.who != "everything":
        return
    for dark in (False, True):
        for pale in pale_texts(shown.mail.html, dark=dark):
            mode = "dark mode" if dark else "light"
            yield shown.fault(
                MAIL,
                f"{pale.words!r} is hard to read in {mode}: {pale.colour} on {pale.ground} has a contrast of "
                f"{pale.contrast:.1f}, and {pale.needed:g} is needed. Take a darker or lighter colour.",
                pale.words,
                pale.colour,
            )


_RULES: tuple[Callable[[_ReadMail], Iterator[ConfigError]], ...] = (
    _no_gaps,
    _both_parts_say_the_same,
    _can_be_read_by_everybody,
    _stands_out,
)


def _joined(text: str) -> str:
    return " ".join(text.split())


def _paragraphs(text: str) -> Iterator[str]:
    """Lines of running text; marks of lists and addresses of links are no part of what is said."""
    for line in text.splitlines():
        words = _joined(_LIST_MARK.sub("", line.strip()))
        if len(words) > _PARAGRAPH and "://" not in words and not words.startswith("---"):
            yield words


def _place(file: Path, words: str) -> tuple[Path, int | None]:
    """The file and line that words come from: the first, includes too, that has four of them in a row, or fewer."""
    if not words:
        return file, None
    if file.suffix == ".yaml":
        return file, line_of(file, ("subject",))
    wanted = words.split()
    sizes = range(min(4, len(wanted)), min(1, len(wanted) - 1), -1)
    runs = [" ".join(wanted[at : at + size]) for size in sizes for at in range(len(wanted) - size + 1)]
    for run in runs:
        for source in _with_includes(file):
            for number, line in enumerate(source.text.splitlines(), 1):
                if run in _joined(line):
                    return source.file, number
    return file, None


def _with_includes(file: Path) -> Iterator[Source]:
    yield from sources.with_includes(sources.read(file), settings().config_dir / "templates")
