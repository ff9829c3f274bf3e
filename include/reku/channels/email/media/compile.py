"""A medium made ready for one institute: checked once, compiled once, then only filled per person.

Order of work: the files are checked one by one, includes are put in place, Jinja is replaced by marks that MJML does
not touch, MJML becomes HTML, the marks become Jinja again, and Jinja compiles the result. So MJML never sees Jinja and
a condition may stand around whole elements (inside `<mj-raw>`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import mjml
from jinja2 import Template, TemplateSyntaxError
from markupsafe import escape

from reku.catalogue import institutes, media, medium_folder
from reku.catalogue.institute import Images, Institute
from reku.catalogue.links import DOMAIN, link_targets
from reku.catalogue.medium import Medium
from reku.channels.email.media import language, pictures, placeholders, sources
from reku.channels.email.media.html_rules import BARE_URL, LARGEST, RefusedHtml, check_bare_urls, check_html
from reku.channels.email.media.partial_template import PartialTemplate, partial_template
from reku.channels.email.media.pictures import Picture
from reku.channels.email.media.quoted_printable import ended, quoted_printable, without_gaps
from reku.channels.email.media.sources import Source
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of

_BLANKS = re.compile(r"[ \t\r\n]+")
_TAGS = re.compile(r"<style.*?</style>|<!--.*?-->|<[^>]*>", re.DOTALL)
_LONGEST_VALUE = 254
_HIDDEN = "display:none;font-size:1px;"
_WHITE = f"{_HIDDEN}color:#ffffff;"
"""How MJML hides the preheader. White on white looks like hidden spam to filters (HTML_FONT_LOW_CONTRAST)."""
_EMPTY_LINES = re.compile(r"\n{3,}")
_NOBODY = dict.fromkeys(placeholders.MANDATORY, "1")
_TRIAL_LINK = "https://abmelden.example/probe"
_Stamps = dict[Path, tuple[int, int]]


@dataclass(frozen=True)
class RenderedMail:
    """What a person gets to read."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class CompiledMedium:
    """A medium for one institute.

    `links`: name → target in the order of their numbers (Link_Nr, from 1). `constants`: what is the same for everybody.
    `fields`: placeholder and delivered field of what it shows of a person. `quoted_html` and `quoted_text` are `html`
    and `text` as they stand in a mail, see `partial_template`; `shown`: the placeholders that these show by themselves.
    `counts_days`: whether it shows the days left. `pictures`: those that it shows; `attachments`: these as parts of a
    mail, where they travel with it.
    """

    medium: Medium
    institute: Institute
    links: Mapping[str, str]
    constants: Mapping[str, str]
    fields: tuple[tuple[str, str], ...]
    subject: PartialTemplate
    preheader: PartialTemplate
    html: Template
    text: Template
    quoted_html: PartialTemplate
    quoted_text: PartialTemplate
    shown: frozenset[str]
    counts_days: bool
    pictures: tuple[Picture, ...]
    attachments: bytes

    def render(
        self, person: Mapping[str, str], *, links: Mapping[str, str], unsubscribe: str, pixel: str = ""
    ) -> RenderedMail:
        """What a person gets to read; the arguments as for `values`."""
        values = self.values(person, links=links, unsubscribe=unsubscribe, pixel=pixel)
        text = _EMPTY_LINES.sub("\n\n", self.text.render(values)).strip("\n") + "\n"
        return RenderedMail(values["Betreff"], self.html.render(values).rstrip("\n") + "\n", text)

    def values(
        self, person: Mapping[str, str], *, links: Mapping[str, str], unsubscribe: str, pixel: str = ""
    ) -> dict[str, str]:
        """All placeholders for one person, `Betreff` (the subject) among them.

        `person`: delivered fields by German name. `links`: name → URL as it shall stand in the mail. `pixel`: URL of
        the open pixel, empty for none.
        """
        values = placeholders.person_values(person, self.medium.fallbacks, self.fields)
        values.update(self.constants, Abmelde_Link=unsubscribe, Zaehlpixel=pixel)
        if self.counts_days:
            values[placeholders.DAYS_LEFT] = placeholders.days_left(values["Anlass_Datum"], clock.today())
        for name, url in links.items():
            values[placeholders.LINK + name] = url
        for name, template in (("Betreff", self.subject), ("Vorschau", self.preheader)):
            if name not in values:
                values[name] = _one_line(template.fill(values, values))
        return values

    def bodies(self, values: Mapping[str, str]) -> tuple[str, str]:
        """Text and HTML part in quoted-printable, with a line end at their end; decoded they are what `render` says."""
        in_text = {name: quoted_printable(values[name]) for name in self.shown}
        in_html = in_text
        everything = "".join([values[name] for name in self.shown])
        if escape(everything) != everything:
            in_html = {name: quoted_printable(str(escape(values[name]))) for name in self.shown}
        return without_gaps(self.quoted_text.fill(values, in_text)), ended(self.quoted_html.fill(values, in_html))


def _one_line(text: str) -> str:
    if "  " in text or not text.isprintable():
        text = _BLANKS.sub(" ", text)
    return text.strip(" ")


_compiled: dict[tuple[Path, str, str], tuple[_Stamps, CompiledMedium]] = {}


def compile_medium(medium: Medium, institute: Institute) -> CompiledMedium:
    """The medium ready to be filled for this institute; made anew only when one of its files has changed.

    Raises ConfigError with file and line for everything that would spoil a mail: see `language` and `sources` for the
    rules; further a subject that may be empty, a fallback that is none, MJML that does not compile, Jinja where MJML
    loses it, a mail without unsubscribe link or imprint.
    """
    root = settings().config_dir / "templates"
    folder = medium_folder(medium.key)
    place = (folder, institute.blz, medium.subject)  # variants of one medium differ in their subjects
    stamps, compiled = _compiled.get(place, ({}, None))
    if compiled is None or not _is_current(compiled, stamps, medium, institute):
        files = (*(source.file for source in _sources(folder, root)), *pictures.files(folder))
        stamps = {file: _stamp(file) for file in files}
        compiled = _compile(medium, institute, folder, root)
        _compiled[place] = stamps, compiled
    return compiled


def media_faults() -> list[ConfigError]:
    """What is wrong with any readable medium for any readable institute, each fault once (`reku check`)."""
    faults: dict[str, ConfigError] = {}
    for medium in media().whole.values():
        for institute in institutes().whole.values():
            try:
                compile_medium(medium, institute)
            except ConfigError as error:
                faults[str(error)] = error
    return list(faults.values())


def _is_current(compiled: CompiledMedium, stamps: _Stamps, medium: Medium, institute: Institute) -> bool:
    return (
        (compiled.medium is medium or compiled.medium == medium)
        and (compiled.institute is institute or compiled.institute == institute)
        and all(_stamp(file) == stamp for file, stamp in stamps.items())
    )


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, -1
    return status.st_mtime_ns, status.st_size


def _sources(folder: Path, root: Path) -> Iterable[Source]:
    for name in ("mail.mjml", "mail.txt"):
        yield from sources.with_includes(sources.read(folder / name), root)


def _compile(medium: Medium, institute: Institute, folder: Path, root: Path) -> CompiledMedium:
    yaml_file = folder / "medium.yaml"
    _check_fallbacks(medium, yaml_file)
    names = [link.name for link in medium.links]
    subject = Source(yaml_file, medium.subject, line_of(yaml_file, ("subject",)))
    preheader = Source(yaml_file, medium.preheader, line_of(yaml_file, ("preheader",)))
    language.check_template(subject, names, medium.fallbacks, not_yet=("Betreff", "Vorschau"))
    language.check_never_empty(subject)
    language.check_template(preheader, names, medium.fallbacks, not_yet=("Vorschau",))
    for source in _sources(folder, root):
        language.check_template(source, names, medium.fallbacks)
        if source.file.suffix == ".mjml":
            sources.check_mjml(source, is_mail=source.file.parent == folder)
    text = sources.resolved(sources.read(folder / "mail.txt"), root)
    html, shown_pictures = _html(sources.read(folder / "mail.mjml"), root, institute, medium.key)
    constants = placeholders.bank_values(institute)
    headlines: dict[str, PartialTemplate] = {}
    for name, source in (("Betreff", subject), ("Vorschau", preheader)):
        made = headlines[name] = partial_template(source.text, constants, encode=str)
        if not made.names:
            constants[name] = _one_line(made.fill({}, {}))
    quoted_html, quoted_text = partial_template(html, constants, html=True), partial_template(text, constants)
    parts = (*headlines.values(), quoted_html, quoted_text)
    asked = frozenset().union(*(part.names for part in parts))
    compiled = CompiledMedium(
        medium,
        institute,
        _targets(medium, institute, yaml_file),
        constants,
        fields=placeholders.delivered_fields(asked),
        subject=headlines["Betreff"],
        preheader=headlines["Vorschau"],
        html=_template(escape, html, folder / "mail.mjml"),
        text=_template(str, text, folder / "mail.txt"),
        quoted_html=quoted_html,
        quoted_text=quoted_text,
        shown=quoted_html.shown | quoted_text.shown,
        counts_days=placeholders.DAYS_LEFT in asked,
        pictures=shown_pictures,
        attachments=pictures.attachments(shown_pictures) if institute.images is Images.EMBEDDED else b"",
    )
    _try(compiled, folder)
    return compiled


def _check_fallbacks(medium: Medium, file: Path) -> None:
    for name, fallback in medium.fallbacks.items():
        place = ("fallbacks", name)
        if name not in placeholders.OPTIONAL:
            raise ConfigError(
                f"There is no optional placeholder {name!r} to fall back for.",
                file=file,
                line=line_of(file, place),
                value=name,
                valid=placeholders.OPTIONAL,
            )
        if not fallback.strip() or sources.JINJA.search(fallback):
            raise ConfigError(
                f"The fallback of {name!r} must be a plain text, not empty and without {{{{ or {{%.",
                file=file,
                line=line_of(file, place),
            )


def _targets(medium: Medium, institute: Institute, file: Path) -> dict[str, str]:
    targets = link_targets(medium, institute)
    for index, (name, url) in enumerate(targets.items()):
        if "{" in url:
            raise ConfigError(
                f"The link {name!r} has a placeholder that is not known; only {DOMAIN} (the bank's domain) is.",
                file=file,
                line=line_of(file, ("links", index, "url")),
            )
    return targets


def _html(mail: Source, root: Path, institute: Institute, medium_key: str) -> tuple[str, tuple[Picture, ...]]:
    """The mail as HTML that still holds its Jinja, checked for what may stand in it, and the pictures to go with it."""
    text, pieces = sources.marked(sources.resolved(mail, root))
    text, shown = pictures.placed(mail, text, institute.images, institute.sender.domains[0], medium_key)
    try:
        html = mjml.mjml2html(text, disable_comments=True, fonts={}).replace(_WHITE, _HIDDEN)
    except ValueError as error:
        raise ConfigError(f"Broken MJML: {error}.", file=mail.file) from None
    lost = [piece for number, piece in enumerate(pieces) if number not in sources.marks_in(html)]
    if lost:
        raise ConfigError(
            f"MJML loses {lost[0]!r} where it stands. Put it inside <mj-text>, or inside <mj-raw> around elements.",
            file=mail.file,
            line=_line_of_text(mail, lost[0]),
        )
    try:
        check_html(html, pieces, institute.sender.domains, pictures.addresses(shown))
    except RefusedHtml as refused:
        raise ConfigError(f"{refused}.", file=mail.file) from None
    return sources.unmarked(html, pieces), shown


def _line_of_text(source: Source, text: str) -> int | None:
    before, separator, _ = source.text.partition(text)
    return before.count("\n") + 1 if separator else None


def _template(shown: Callable[[object], str], text: str, file: Path) -> Template:
    try:
        template: Template = language.environment(shown).from_string(text)
    except TemplateSyntaxError as error:  # each file is right by itself, so an `if` is torn apart by an element
        raise ConfigError(f"Not valid Jinja once it is put together: {error.message}", file=file) from None
    return template


def _try(compiled: CompiledMedium, folder: Path) -> None:
    """Fill it for people of whom nothing, something and very much is known, and look at what comes out."""
    fields = [placeholders.DELIVERED_AS.get(name, name) for name in placeholders.OPTIONAL]
    of_imprint = BARE_URL.findall(compiled.constants["Bank_Impressum"])
    known = (*compiled.links.values(), _TRIAL_LINK, *of_imprint)
    for person in (
        _NOBODY,
        _NOBODY | dict.fromkeys(fields, "x"),
        _NOBODY | dict.fromkeys(fields, "W" * _LONGEST_VALUE),
    ):
        content = compiled.render(person, links=compiled.links, unsubscribe=_TRIAL_LINK)
        for name, part in (("mail.mjml", content.html), ("mail.txt", content.text)):
            if len(part) > LARGEST:
                raise ConfigError(
                    f"The mail may have {len(part):,} characters. At most {LARGEST:,} are shown everywhere.",
                    file=folder / name,
                )
            try:
                check_bare_urls(unescape(_TAGS.sub(" ", part)) if name == "mail.mjml" else part, known)
            except RefusedHtml as refused:
                raise ConfigError(f"{refused}.", file=folder / name) from None
            if _TRIAL_LINK not in part:
                raise ConfigError("The mail has no unsubscribe link {{ Abmelde_Link }}.", file=folder / name)
            readable = unescape(part)
            if not all(line in readable for line in compiled.constants["Bank_Impressum"].splitlines()):
                raise ConfigError("The mail has no imprint {{ Bank_Impressum }}.", file=folder / name)
