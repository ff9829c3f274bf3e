"""A broken letter is refused before anything is set, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku.channels.letter.trial import check_letter
from reku.foundation.errors import ConfigError
from tests.channels.letter.conftest import Probe


def test_a_whole_letter_passes(probe: Probe) -> None:
    check_letter(probe())


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("{{ Produkt_Text }}", "{{ Produkttext }}", 3, "Did you mean 'Produkt_Text'"),
        ("{{ Produkt_Text }}", "{{ Nachname }}", 3, "'Nachname' may be empty and has no fallback"),
        ("{{ Produkt_Text }}", "{{ Abmelde_Link }}", 3, "no placeholder 'Abmelde_Link'"),
        ("{{ Produkt_Text }}", "{{ link_angebot }}", 3, "no placeholder 'link_angebot'"),
        ("{{ Produkt_Text }}", "{{- Produkt_Text }}", 3, "Leave out the minus"),
        ("{{ briefanrede }}", '#import "@preview/letter-pro:3.0.0": *', 1, "neither packages (@preview/…) nor files"),
        ("{{ briefanrede }}", '#include "@local/x:1.0.0"', 1, "'include' is not allowed"),
        ("{{ briefanrede }}", '#read("/etc/passwd")', 1, "'read' is not allowed"),
        ("{{ briefanrede }}", '#image("https://x.example/a.png")', 1, "'image' is not allowed"),
        ("{{ briefanrede }}", '#eval("1")', 1, "'eval' is not allowed"),
        ("{{ briefanrede }}", '#dictionary(std).at("re" + "ad")("x")', 1, "'dictionary' is not allowed"),
        ("{{ briefanrede }}", "#set page(margin: 0mm)", 1, "laid out in shared/letter.typ"),
        ("{{ briefanrede }}", "#place(dy: -60mm)[x]", 1, "laid out in shared/letter.typ"),
        ("Guten Tag", "Für 5 $", 3, "Write \\$ for the sign"),
        ("{{ Produkt_Text }}", "`{{ Produkt_Text }}`", 3, "Write \\` for the sign"),
        ("Guten Tag", "Guten 😀", 3, "U+1F600 (GRINNING FACE) is in none of the fonts"),
        ("{% endif %}", "", 4, "Not valid Jinja"),
    ],
)
def test_a_fault_is_found_when_a_letter_is_read(
    probe: Probe, config: Path, old: str, new: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        probe(old, new)
    assert words in str(refused.value)
    assert (refused.value.file, refused.value.line) == (config / "templates/eigen/probe/letter.typ", line)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("Guten Tag", "*Guten Tag", 3, "unclosed delimiter"),
        ("Guten Tag", "Guten @Tag", 3, "does not exist"),
        ("Guten Tag", "#nichts", 3, "unknown variable: nichts"),
        ("Guten Tag", "Guten ] #panic() [Tag", 3, "is not valid in code"),
        ("{{ Produkt_Text }}", '#strong("{{ Produkt_Text }}")', None, "where it is not filled"),
        ("Guten Tag", "Guten Tag. " * 2000, None, "The letter may take"),
    ],
)
def test_a_fault_is_found_when_a_letter_is_tried(
    probe: Probe, config: Path, old: str, new: str, line: int | None, words: str
) -> None:
    compiled = probe(old, new)
    with pytest.raises(ConfigError) as refused:
        check_letter(compiled)
    assert words in str(refused.value)
    assert (refused.value.file, refused.value.line) == (config / "templates/eigen/probe/letter.typ", line)


def test_the_layout_of_all_letters_loads_nothing_either(probe: Probe, config: Path) -> None:
    layout = config / "templates" / "shared" / "letter.typ"
    layout.write_text('#import "@preview/letter-pro:3.0.0": *\n' + layout.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError, match="neither packages") as refused:
        probe()
    assert (refused.value.file, refused.value.line) == (layout, 1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Lindenallee 4, 99997 Musterhausen", "Lindenallee 4", "no line has street, postcode and place"),
        ("Lindenallee 4, 99997 Musterhausen", f"{'Lindenallee ' * 20}, 99997 Musterhausen", "two small lines above"),
        (
            "Bankleitzahl: 99990003",
            "Bankleitzahl: 99990003\n" + "  Noch eine Angabe\n" * 90,
            "does not fit at the foot",
        ),
    ],
)
def test_a_bank_whose_imprint_does_not_fit_a_letter(probe: Probe, config: Path, old: str, new: str, words: str) -> None:
    file = config / "institutes" / "99990003.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as refused:
        check_letter(probe())
    assert refused.value.file == file
