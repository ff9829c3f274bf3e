"""A broken medium is refused before its first mail, with file and line."""

from __future__ import annotations

import quopri
from pathlib import Path

import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import CompiledMedium, RenderedMail, compile_medium, media_faults
from reku.foundation.errors import ConfigError
from tests.channels.email.conftest import BLZ, Probe

NOBODY = {"Referenz": "R1", "Personennummer": "1", "Anlass_Datum": "24.11.2026", "Anrede": "3", "EMail": "a@b.example"}


def shown(compiled: CompiledMedium, **person: str) -> RenderedMail:
    return compiled.render(NOBODY | person, links=compiled.links, unsubscribe="https://weg.example/u")


def sent(compiled: CompiledMedium, **person: str) -> RenderedMail:
    """The same as it stands in a mail, decoded."""
    values = compiled.values(NOBODY | person, links=compiled.links, unsubscribe="https://weg.example/u")
    text, html = (quopri.decodestring(part.encode()).decode() for part in compiled.bodies(values))
    return RenderedMail(values["Betreff"], html.replace("\r\n", "\n"), text.replace("\r\n", "\n"))


def test_a_whole_medium_renders(probe: Probe) -> None:
    content = shown(probe(), Nachname="Beispiel & Söhne", Anlass_Wert="7")
    assert content.subject == "Guten Tag Beispiel & Söhne"
    assert "Guten Tag Beispiel &amp; Söhne, Ihr Konto" in content.html
    assert "Guten Tag Beispiel & Söhne, Ihr Konto\nWert 7\n" in content.text
    assert "Wert 7" in content.html
    assert 'href="https://www.sparkasse-musterstadt.example/angebot"' in content.html
    assert "Ein Gruß zum 24.11.2026" in content.html


def test_a_condition_around_elements_takes_them_away(probe: Probe) -> None:
    content = shown(probe())
    assert "Wert" not in content.html
    assert "Wert" not in content.text
    assert content.subject == "Guten Tag zusammen"


def test_markup_in_values_stays_text(probe: Probe) -> None:
    content = shown(probe(), Nachname="<script>x</script>", Produkt_Text='"><img src=x>')
    assert "<script" not in content.html
    assert "<img src=x" not in content.html
    assert "{{" not in shown(probe(), Nachname="{{ EMail }}").html.replace("{{ EMail }}", "")


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "words"),
    [
        (
            "mail.mjml",
            "{{ Produkt_Text }}",
            "{{ Produkttext }}",
            8,
            "no placeholder 'Produkttext'. Did you mean 'Produkt_Text'?",
        ),
        ("mail.txt", "{{ Produkt_Text }}", "{{ Berater_E-Mail }}", 1, "is written Berater_E_Mail"),
        ("medium.yaml", "{{ Nachname }}", "{{ Nachnahme }}", 5, "'Nachnahme'"),
        ("medium.yaml", "{{ Anlass_Datum }}", "{{ Anlassdatum }}", 6, "'Anlassdatum'"),
        ("mail.mjml", "{{ Produkt_Text }}", "{{ Titel }}", 8, "'Titel' may be empty and has no fallback"),
        ("mail.txt", "{{ link_angebot }}", "{{ Zaehlpixel }}", 3, "'Zaehlpixel' may be empty"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if not Anlass_Wert %}", 2, "'Anlass_Wert' may be empty"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if Anlass_Wert or Titel %}", 2, "'Anlass_Wert' may be empty"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if Anlass_Wert", 2, "Not valid Jinja"),
        ("mail.txt", "{% endif %}", "", 3, "Not valid Jinja"),
        (
            "medium.yaml",
            '"Guten Tag {% if Nachname %}{{ Nachname }}{% else %}zusammen{% endif %}"',
            '"{% if Nachname %}Hallo{% endif %}"',
            5,
            "subject is empty",
        ),
        (
            "medium.yaml",
            "Guten Tag {% if Nachname %}{{ Nachname }}{% else %}zusammen",
            "{% if Titel and not Nachname %}{% else %}Hallo",
            5,
            "subject is empty",
        ),
        ("medium.yaml", "Guten Tag {% if", "{{ Betreff }} {% if", 5, "no placeholder 'Betreff'"),
        ("medium.yaml", "Guten Tag {% if", "{{ Vorschau }} {% if", 5, "no placeholder 'Vorschau'"),
        ("medium.yaml", "{{ Anlass_Datum }}", r"{% include \"shared/footer.txt\" %}", 6, "An include other than"),
        ("medium.yaml", "{{ Anlass_Datum }}", "{{ Vorschau }}", 6, "no placeholder 'Vorschau'"),
        ("medium.yaml", "{{ Anlass_Datum }}", "{{ Anlass_Datum|replace('a') }}", 6, "|replace takes 2 plain arguments"),
        ("medium.yaml", "{{ Anlass_Datum }}", "{{ Anlass_Datum|upper(3) }}", 6, "|upper takes 0 plain arguments"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if Anlass_Wert == 50 %}", 2, "50 is no text"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if Anlass_Wert < '50' %}", 2, "with == and != only"),
        (
            "mail.txt",
            "{{ briefanrede }}",
            "{{ Anrede == '2' }}",
            1,
            "A condition (and, or, not, ==) stands where a text",
        ),
        ("mail.txt", "{{ briefanrede }}", "{{ 'x' ~ (not Anrede) }}", 1, "stands where a text belongs"),
        ("mail.txt", "{{ briefanrede }}", "{{ Nachname or 'Kunde' }}", 1, "stands where a text belongs"),
        ("mail.txt", "{% if Anlass_Wert %}", "{% if (Anrede == '1') == Titel %}", 2, "stands where a text belongs"),
        ("medium.yaml", "Produkt_Text: Ihr Konto", "Produkt: Ihr Konto", 8, "no optional placeholder 'Produkt'"),
        ("medium.yaml", "Produkt_Text: Ihr Konto", 'Produkt_Text: ""', 8, "must be a plain text, not empty"),
        ("medium.yaml", "Produkt_Text: Ihr Konto", 'Produkt_Text: "{{ Titel }}"', 8, "must be a plain text"),
        ("medium.yaml", "{domain}", "{homepage}", 11, "only {domain}"),
        ("mail.mjml", "</mj-column>", "", 12, "Broken MJML: mismatched tag"),
        ("mail.mjml", "Zum Angebot", "Zum & Angebot", 10, "Broken MJML: not well-formed"),
        ("mail.mjml", "Zum Angebot", "Zum&nichts;Angebot", 10, "Broken MJML: undefined entity"),
        ("mail.mjml", "<mj-button href", "<mj-buton href", 10, "no element <mj-buton>. Did you mean 'mj-button'?"),
        ("mail.mjml", "<mj-column>", "<mj-column><mj-section></mj-section>", 7, "<mj-section> stands in <mj-column>"),
        ("mail.mjml", '<mjml lang="de">', "<html></html>", 1, "begins with <mjml>"),
        (
            "mail.mjml",
            "{{ link_angebot }}",
            "https://x.example/?p={{ Personennummer }}",
            10,
            "no personal data gets into a URL",
        ),
        ("mail.mjml", "{{ link_angebot }}", "https://x.example/", 10, "Name it under `links`"),
        ("mail.mjml", "{{ link_angebot }}", "{{ link_angebote }}", 10, "'link_angebote'. Did you mean 'link_angebot'?"),
        ("mail.mjml", "shared/head.mjml", "shared/haed.mjml", 3, "Did you mean 'shared/head.mjml'?"),
        ("mail.mjml", "shared/head.mjml", "../institutes/99990001.yaml", 3, "outside of templates/"),
        ("mail.txt", "shared/footer.txt", "/etc/passwd", 4, "outside of templates/"),
        ("mail.txt", "shared/footer.txt", "eigen/probe/mail.txt", 4, "does 'eigen/probe/mail.txt' include itself?"),
        ("mail.mjml", '    <mj-include path="shared/footer.mjml" />', "", None, "no unsubscribe link"),
        ("mail.txt", '{% include "shared/footer.txt" %}', "{{ Abmelde_Link }}", None, "no imprint"),
        ("mail.mjml", "    <mj-section>", "    {% if Titel %}<mj-section>", 10, "Not valid Jinja"),
    ],
)
def test_a_broken_medium_names_file_and_line(
    probe: Probe, config: Path, file: str, old: str, new: str, line: int | None, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        probe(file, old, new)
    assert words in str(caught.value)
    assert caught.value.file == config / "templates" / "eigen" / "probe" / file
    assert caught.value.line == line


@pytest.mark.parametrize(
    "escape",
    [
        "{{ ''.__class__ }}",
        "{{ Nachname.__class__.__mro__[1].__subclasses__() }}",
        "{{ briefanrede['__class__'] }}",
        "{{ briefanrede|attr('__class__') }}",
        "{{ briefanrede.format(1) }}",
        "{{ self }}",
        "{{ config }}",
        "{{ range(999999999)|join }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ namespace() }}",
        "{% for x in 'abc' %}{{ briefanrede }}{% endfor %}",
        "{% set Nachname = 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% import 'shared/footer.txt' as f %}",
        "{% from 'shared/footer.txt' import f %}",
        "{% extends 'shared/footer.txt' %}",
        "{% include Briefanrede %}",
        "{% include 'shared/footer.txt' %}",
        "{% include 'shared/footer.txt' ignore missing %}",
        "{% call briefanrede() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% raw %}{{ x }}{% endraw %}{{ briefanrede.x }}",
        "{{ 2 ** 99999999 }}",
        "{{ 'x' * 99999999 }}",
        "{{ briefanrede is callable }}",
        "{{ ['x'] }}",
        "{{ briefanrede|pprint }}",
        "{% autoescape false %}{{ briefanrede }}{% endautoescape %}",
        "{{ briefanrede|safe }}",
    ],
)
@pytest.mark.parametrize(
    ("file", "old", "line"),
    [
        ("mail.mjml", "{{ briefanrede }}", 8),
        ("mail.txt", "{{ briefanrede }}", 1),
        ("medium.yaml", "{{ Anlass_Datum }}", 6),
    ],
)
def test_nothing_reaches_out_of_the_sandbox(probe: Probe, file: str, old: str, line: int, escape: str) -> None:
    with pytest.raises(ConfigError) as caught:
        probe(file, old, escape)
    assert caught.value.line == line


@pytest.mark.parametrize("missing", ["", "   ", None])
def test_an_optional_value_that_is_missing_takes_its_fallback(probe: Probe, missing: str | None) -> None:
    person = {} if missing is None else {"Produkt_Text": missing}
    for content in (shown(probe(), **person), sent(probe(), **person)):
        assert "Sehr geehrte Damen und Herren, Ihr Konto" in content.html
        assert "Sehr geehrte Damen und Herren, Ihr Konto\n" in content.text


def test_conditions_may_be_joined(probe: Probe) -> None:
    condition = "{% if Anlass_Wert and not (Anrede == '4' or Titel != 'Dr.') %}"
    compiled = probe("mail.txt", "{% if Anlass_Wert %}", condition)
    assert "Wert 7" in shown(compiled, Anlass_Wert="7", Titel="Dr.").text
    assert "Wert 7" not in shown(compiled, Anlass_Wert="7", Titel="Dr.", Anrede="4").text


def test_what_is_the_same_for_everybody_is_made_once(probe: Probe) -> None:
    compiled = probe("medium.yaml", "{{ Anlass_Datum }}", "{{ Bank_Name }}")
    assert compiled.constants["Vorschau"] == "Ein Gruß zum Sparkasse Musterstadt"
    assert "Betreff" not in compiled.constants
    assert "Ein Gruß zum Sparkasse Musterstadt" in shown(compiled).html


def test_a_file_that_is_no_utf8_names_the_line(probe: Probe, config: Path) -> None:
    probe()
    broken = config / "templates" / "eigen" / "probe" / "mail.txt"
    broken.write_bytes("Grüße\n".encode() + "Grüße\n".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"mail\.txt:2: Not UTF-8"):
        compile_medium(media()["EIGEN_PROBE"], institutes()[BLZ])


def test_a_missing_file_is_named(probe: Probe, config: Path) -> None:
    probe()
    (config / "templates" / "eigen" / "probe" / "mail.txt").unlink()
    with pytest.raises(ConfigError, match=r"mail\.txt: The template cannot be read"):
        compile_medium(media()["EIGEN_PROBE"], institutes()[BLZ])


def test_compiled_once_until_a_file_changes(probe: Probe, config: Path) -> None:
    first = probe()
    medium, institute = first.medium, first.institute
    assert compile_medium(medium, institute) is first
    footer = config / "templates" / "shared" / "footer.txt"
    footer.write_text("Ein anderes Ende.\n" + footer.read_text(encoding="utf-8"), encoding="utf-8")
    second = compile_medium(medium, institute)
    assert second is not first
    assert "Ein anderes Ende." in shown(second).text
    other_links = medium.model_copy(update={"links": ()})
    with pytest.raises(ConfigError, match="link_angebot"):
        compile_medium(other_links, institute)


def test_every_fault_of_every_medium_is_found(probe: Probe) -> None:
    probe()
    assert media_faults() == []
    with pytest.raises(ConfigError):
        probe("mail.txt", "{{ Produkt_Text }}", "{{ Produkt }}")
    assert [fault.line for fault in media_faults()] == [1]
