"""What readers would stumble over is told with file and line; a medium from the pattern has none of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import compile_medium
from reku.channels.email.media.content_rules import content_faults
from reku.channels.email.media.contrast import contrast, pale_texts
from reku.channels.email.media.medium_check import medium_faults
from reku.channels.email.media.new_medium import write_medium
from reku.foundation.errors import ConfigError
from reku.foundation.settings import INCLUDE
from tests.channels.email.conftest import BLZ

KEY = "EIGEN_SOMMERFEST"
ANSWERS = {
    "title": "Unser Sommerfest",
    "subject": "Sie sind herzlich eingeladen",
    "headline": "Feiern Sie mit uns & „allen“!",
    "button": "Platz reservieren",
    "url": "https://www.{domain}/sommerfest",
}


@pytest.fixture
def looks(config: Path) -> Path:
    """The configuration with what a bank's own media look like, and one other medium."""
    shutil.copytree(INCLUDE / "templates/eigen", config / "templates/eigen")
    shutil.copytree(INCLUDE / "templates/skp/umzug", config / "templates/skp/umzug")
    shutil.copy(INCLUDE / "templates/skp/look.mjml", config / "templates/skp")
    return config


@pytest.fixture
def folder(looks: Path) -> Path:
    return write_medium(KEY, ANSWERS)


def told(folder: Path) -> list[str]:
    """Faults of the medium as `file:line: problem`, without the folder."""
    return [str(fault).replace(f"{folder}/", "") for fault in medium_faults([KEY], [BLZ])]


def test_the_pattern_is_whole(folder: Path) -> None:
    assert told(folder) == []
    assert {file.name for file in folder.iterdir()} == {"kopf.png", "kopf.svg", "mail.mjml", "mail.txt", "medium.yaml"}
    assert "Feiern Sie mit uns &amp; „allen“!" in (folder / "mail.mjml").read_text(encoding="utf-8")


def test_a_copy_is_whole(looks: Path) -> None:
    folder = write_medium(KEY, ANSWERS, like="SKP_UMZUG")
    assert (folder / "kopf.png").read_bytes() == (looks / "templates/skp/umzug/kopf.png").read_bytes()
    # links of another provider are the one thing that a copy cannot take along
    assert [one.partition(". Links of")[0] for one in told(folder)] == [
        "medium.yaml:9: The link 'angebot' leads to https://www.skp.example/umzug"
    ]


@pytest.mark.parametrize(
    ("key", "changes", "said"),
    [
        ("SOMMERFEST", {}, "'SOMMERFEST' is no key of a medium"),
        ("EIGEN_../x", {}, "is no key of a medium"),
        ("SKP_UMZUG", {}, "There is a folder of SKP_UMZUG already"),
        (KEY, {"title": ""}, "title: Das wird gebraucht"),
        (KEY, {"url": "javascript:x"}, "url: "),
    ],
)
def test_answers_that_are_none(looks: Path, key: str, changes: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        write_medium(key, ANSWERS | changes)
    assert not (looks / "templates/eigen/sommerfest").exists()


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("mail.mjml", ' lang="de"', "", "mail.mjml:1: The mail names no language"),
        ("mail.mjml", "h1>", "h2>", "mail.mjml: The mail has 0 headings <h1>"),
        ("mail.mjml", "h2>", "h1>", "mail.mjml:15: The mail has 2 headings <h1>"),
        ("mail.mjml", "h2>", "h4>", "mail.mjml:23: A heading <h4> follows <h1>"),
        ("mail.mjml", 'alt="Eine', 'title="Eine', "mail.mjml:9: A picture has the alt text ''"),
        ("mail.mjml", "Platz reservieren", "hier", "mail.mjml:18: A link reads 'hier'"),
        ("mail.mjml", "was zuerst", "was bald", "mail.mjml:27: Only the HTML part says 'Ein Satz, der sagt"),
        ("mail.txt", "was zuerst", "was bald", "mail.txt:11: Only the text part says 'Ein Satz, der sagt"),
        (
            "mail.txt",
            "{{ link_angebot }}",
            "auf unserer Seite",
            "mail.txt: The link 'angebot' stands in mail.mjml only",
        ),
        (
            "mail.txt",
            "Gut zu",
            "Gut zu {% if Titel %}x{% endif %} , ja",
            "mail.txt:8: A value is missing and leaves ' , '",
        ),
        ("mail.mjml", "<mj-text>hier", '<mj-text color="#999999">hier', "mail.mjml:17: 'hier steht in ein oder zwei"),
        ("mail.mjml", 'mj-class="card"', 'background-color="#FFFFFF"', "hard to read in dark mode: #F1F3F4 on #FFFFFF"),
        ("medium.yaml", "https://www.{domain}", "https://boese.example", "medium.yaml:9: The link 'angebot' leads to"),
        ("medium.yaml", "https://www", "http://www", "medium.yaml:9: The link 'angebot' leads to http://www"),
    ],
)
def test_each_fault_has_its_place(folder: Path, file: str, old: str, new: str, said: str) -> None:
    whole = (folder / file).read_text(encoding="utf-8")
    assert old in whole
    (folder / file).write_text(whole.replace(old, new, 2 if old.startswith("h") else 1), encoding="utf-8")
    assert any(said in one for one in told(folder)), told(folder)


@pytest.mark.parametrize("name", ["Kopf neu.png", "kopf.gif", "notizen.docx", "zweites.png"])
def test_files_that_do_not_belong_there(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / "kopf.png").read_bytes())
    (fault,) = told(folder)
    assert fault.startswith(f"{name}: ")


def test_a_link_below_the_banks_domain_is_allowed_and_one_that_ends_like_it_is_not(folder: Path) -> None:
    compiled = compile_medium(media()[KEY], institutes()[BLZ])
    assert content_faults(compiled) == []
    file = folder / "medium.yaml"
    file.write_text(file.read_text("utf-8").replace("www.{domain}", "boese-{domain}"), encoding="utf-8")
    assert "boese-sparkasse-musterstadt.example" in told(folder)[0]


def test_contrast_is_that_of_wcag() -> None:
    assert round(contrast("#000000", "#FFFFFF"), 2) == 21
    assert round(contrast("#767676", "#FFFFFF"), 2) == 4.54
    page = "<p style='color:#777'>klein</p><p style='color:#777;font-size:24px'>groß</p><p bgcolor='#000'>x</p>"
    assert [pale.words for pale in pale_texts(page)] == ["klein", "x"]


def test_dark_rules_are_followed_by_their_weight() -> None:
    rules = ".a td { color: #222222 !important; } .a > table > td { color: #EEEEEE !important; } .b { color: #111111; }"
    style = f"<style>@media (prefers-color-scheme: dark) {{ body {{ background: #000000; }} {rules} }}</style>"
    page = f"{style}<body><div class='a'><table><td>hell</td></table><p><table><td>dunkel</td></table></p></div></body>"
    assert [pale.words for pale in pale_texts(page, dark=True)] == ["dunkel"]
    assert pale_texts(page) == []
