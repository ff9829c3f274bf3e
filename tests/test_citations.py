"""What comments, docstrings and pages cite is in the repository: pages, headings, numbered rules.

A citation names a page from the project's folder on, and what of it: docs/domain.md, "Deliveries" (or the heading up to
its colon), docs/domain.md, rule 9, or docs/privacy.md#periods. It may be broken at the end of a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FOLDERS = ("include", "tests", "dags", "plugins", "docs", ".ci")
ENDINGS = (".py", ".pyi", ".yaml", ".toml", ".md", ".in", ".css", ".html", ".mjml", ".mako", ".ini")
BAD_CASES = {"tests/test_citations.py", "tests/test_docs.py"}
"""Files that cite in vain on purpose."""

_CITED = re.compile(
    r"""(?P<page>(?:[\w.-]+/)*\w[\w.-]*\.md)\b
        (?:\#(?P<anchor>[\w-]+)
          |,\ ["“](?P<heading>[^"”]+)["”]
          |,\ rules?\ (?P<rules>\d+(?:(?:,\ |\ and\ |\ to\ )\d+)*))?""",
    re.VERBOSE,
)
_RULE = re.compile(r"(?<!domain\.md, )\b[Rr]ules? \d+\b")
_ELSEWHERE = re.compile(
    # papers that are not in the repository, under the names that comments once gave them
    r"\bDESIGN\b|\bdossier\b|\.md \d|(?<![\w-])(?:performance|airflow)-notes|\bFAQ\b|\bseed (?:document )?[12]\b"
    # how the work is organised is nobody's business
    r"|\bissue #?\d+\b|\bworktree\b"
)
_MARKER = re.compile(r"\n[ \t]*(?:#:?[ \t]*)?")


def _sources() -> Iterator[Path]:
    below = (path for folder in FOLDERS for path in (PROJECT / folder).rglob("*"))
    for path in sorted([*PROJECT.glob("*"), *below]):
        if path.is_file() and (path.suffix in ENDINGS or path.name in {"Makefile", "Dockerfile", "run"}):
            yield path


TEXTS = {
    name: path.read_text(encoding="utf-8")
    for path in _sources()
    if (name := str(path.relative_to(PROJECT))) not in BAD_CASES
}


@cache
def _headings(page: Path) -> tuple[str, ...]:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return tuple(heading.replace("`", "") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE))


def _slug(heading: str) -> str:
    """The anchor that git hosts make of a heading."""
    return re.sub(r"[^\w\s-]", "", heading.strip().lower()).replace(" ", "-")


@cache
def _rules() -> dict[int, str]:
    """The numbered rules of the domain's page."""
    section = (PROJECT / "docs/domain.md").read_text(encoding="utf-8").partition("\n## Rules and their tests\n")[2]
    return {int(number): rule for number, rule in re.findall(r"^\| (\d+) \| (.+) \|$", section, re.MULTILINE)}


def _numbers(text: str) -> set[int]:
    """The numbers in `2`, `1 and 2`, `7, 19 and 24`, `2 to 6`."""
    numbers = {int(number) for number in re.findall(r"\d+", text)}
    for first, last in re.findall(r"(\d+) to (\d+)", text):
        numbers |= set(range(int(first), int(last) + 1))
    return numbers


def _page(name: str, cited_in: Path) -> Path | None:
    """The page that a text names, from the project's folder, from its own, or from that of the pages."""
    places = (PROJECT / name, cited_in.parent / name, PROJECT / "docs" / name)
    return next((place.resolve() for place in places if place.is_file()), None)


def _has(page: Path, anchor: str | None, heading: str | None) -> bool:
    """Whether the page has what is cited of it; a heading may be cited up to its colon."""
    headings = _headings(page)
    if anchor:
        return anchor in map(_slug, headings)
    return not heading or any(heading in (one, one.partition(":")[0]) for one in headings)


def dangling(text: str, cited_in: Path) -> Iterator[str]:
    """Every citation in the text that leads nowhere, and every mention of a paper that is not in the repository."""
    text = _MARKER.sub(" ", text)
    for cited in _CITED.finditer(text):
        page = _page(cited["page"], cited_in)
        if page is None:
            yield f"{cited[0]}: there is no such page"
        elif not _has(page, cited["anchor"], cited["heading"]):
            yield f"{cited[0]}: the page has no such heading"
        elif cited["rules"] and not _numbers(cited["rules"]) <= set(_rules()):
            yield f"{cited[0]}: the page has no such rule"
    for pattern in (_ELSEWHERE, _RULE):
        for found in pattern.finditer(text):
            yield f"{found[0]}: say it in words, or cite a page of this repository"


def test_citations_lead_somewhere() -> None:
    lost = {name: faults for name, text in TEXTS.items() if (faults := list(dangling(text, PROJECT / name)))}
    assert lost == {}


@pytest.mark.parametrize(
    "text",
    [
        "see docs/none.md",
        'docs/domain.md, "No such heading"',
        'docs/domain.md,\n    # "No such\n    # heading"',
        "docs/domain.md#no-such-heading",
        "docs/domain.md, rule 99",
        "docs/domain.md, rules 25 to 27",
        "(rule 9)",
        "domain.md 9.6",
        "DESIGN 6.1",
        "the dossier says",
        "performance-notes",
        "the EMMA FAQ",
    ],
)
def test_a_dangling_citation_is_found(text: str) -> None:
    assert list(dangling(text, PROJECT / "include/reku/x.py"))


@pytest.mark.parametrize(
    "text",
    [
        'docs/domain.md, "Control files"',
        'docs/domain.md, "Control\n    files"',
        'docs/file-contracts.md, "REKU"',
        "docs/privacy.md#periods and README.md",
        "docs/domain.md, rules 2 to 6, 7, 19 and 26.",
    ],
)
def test_a_good_citation_is_taken(text: str) -> None:
    assert list(dangling(text, PROJECT / "include/reku/x.py")) == []


def test_every_rule_that_is_built_has_a_test_that_cites_it() -> None:
    """And none that is not built yet."""
    cited = {
        number
        for name, text in TEXTS.items()
        if name.startswith("tests/")
        for found in _CITED.finditer(_MARKER.sub(" ", text))
        if found["rules"] and found["page"].endswith("domain.md")
        for number in _numbers(found["rules"])
    }
    rules = _rules()
    assert len(rules) == 26
    assert cited == set(rules)
