"""A template that is quoted-printable already says, once decoded, what the template says, for any values."""

from __future__ import annotations

import itertools
import quopri
import re
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import escape

from reku.channels.email.media.language import environment
from reku.channels.email.media.partial_template import PartialTemplate, partial_template
from reku.channels.email.media.placeholders import Imprint
from reku.channels.email.media.quoted_printable import ended, quoted_printable, without_gaps

CONSTANTS = {"Bank_Name": "Sparkasse Köln & Söhne", "Bank_Impressum": Imprint("Köln\n.Punkt <1>\n\nEnde = gut")}
LINE = re.compile(r"(?:[ -<>-~\t]|=[0-9A-F]{2})*(?:=?)")

words = st.text(
    st.one_of(
        st.sampled_from("\n\n ..==\t&<>\"'-_?"),
        st.sampled_from("äöüßÄé łşЖ中🎂👩\u200d💼\u202e\u05d0\u0301\u00a0\u00ad"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\r{}"),
    ),
    max_size=90,
)
values = st.one_of(
    words,
    st.text(st.sampled_from("ab .=ü"), min_size=60, max_size=300),
    st.sampled_from(["", ".", "=", " ", "From x", "a" * 75, "a" * 76, "." * 80, "ü" * 40, "🎂" * 30]),
)
names = st.sampled_from(["Vorname", "Nachname", "Titel", "Bank_Name", "Bank_Impressum"])
shown = st.one_of(
    names,
    st.builds("{}|{}".format, names, st.sampled_from(["upper", "lower", "trim", 'replace("a", "\n\n=ß")'])),
    st.builds("{} ~ {}".format, names, names),
    st.builds("({} if {} else {})".format, names, names, names),
    st.sampled_from(['"a=<ü> "', '"\n.\n"']),
)
templates = st.recursive(
    st.one_of(words, st.builds("{{{{ {} }}}}".format, shown)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6).map("".join),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, names, inner, inner),
        st.builds("{{% if {} == {} %}}{}{{% elif {} %}}{}{{% endif %}}".format, names, names, inner, names, inner),
    ),
    max_leaves=12,
)


def decoded(body: str) -> str:
    return quopri.decodestring(body.encode("ascii")).decode().replace("\r\n", "\n")


def filled(template: PartialTemplate, person: Mapping[str, str], *, html: bool = False) -> str:
    show = escape if html else str
    return template.fill(person, {name: quoted_printable(str(show(person[name]))) for name in template.shown})


def assert_ready_for_smtp(body: str) -> None:
    """RFC 2045 section 6.7 and what we promise beyond: no dot at the start, no character torn apart."""
    assert body.endswith("\r\n")
    lines = body.removesuffix("\r\n").split("\r\n")
    for line in lines:
        assert len(line) <= 76
        assert LINE.fullmatch(line)
        assert not line.startswith(".")
        assert not line.endswith((" ", "\t"))
        quopri.decodestring(line.removesuffix("=").encode()).decode("utf-8", errors="strict")
    assert not lines[-1].endswith("=")


@given(text=values)
@example("=" * 30)
@example("x" * 74 + "ü" + " ")
def test_a_text_is_quoted_in_pieces(text: str) -> None:
    piece = quoted_printable(text)
    assert piece == "" or piece.endswith("\r\n")
    assert decoded(ended(piece)) == text.rstrip("\n") + "\n"
    assert_ready_for_smtp(ended(piece))
    assert decoded(ended(piece * 2 + quoted_printable("."))) == text * 2 + ".\n"


@given(source=templates, first=values, last=values, title=values)
@example(source="{{ Vorname }}\n\n\n\n{% if Titel %}x{% endif %}\n\nEnde", first="a ", last="", title="")
@example(source="\n\n{{ Titel }}{{ Titel }}\n\n{{ Vorname }}\n\n\n", first="b", last="", title="")
def test_a_prefilled_template_says_what_the_template_says(source: str, first: str, last: str, title: str) -> None:
    person = {**CONSTANTS, "Vorname": first, "Nachname": last, "Titel": title}
    for html in (True, False):
        plain = environment(escape if html else str).from_string(source).render(person)
        for constants in ({}, CONSTANTS, person):
            body = filled(partial_template(source, constants, html=html), person, html=html)
            assert decoded(ended(body)) == plain.rstrip("\n") + "\n"
            assert_ready_for_smtp(ended(body))
            assert decoded(without_gaps(body)) == re.sub("\n{3,}", "\n\n", plain).strip("\n") + "\n"
            assert_ready_for_smtp(without_gaps(body))


@pytest.mark.parametrize(
    ("source", "values", "text"),
    [
        ("Hallo\n{% if Titel %}{{ Titel }}\n{% endif %}\n\nEnde\n", {"Titel": ""}, "Hallo\n\nEnde\n"),
        ("Hallo {{ Titel }}\n\n\n\nEnde", {"Titel": "Dr."}, "Hallo Dr.\n\nEnde\n"),
        ("{% if Titel %}{{ Titel }}{% endif %}\n\n\nHallo\n\n\n", {"Titel": ""}, "Hallo\n"),
        ("{{ Titel }}\n\nEnde", {"Titel": "x" * 200}, "x" * 200 + "\n\nEnde\n"),
    ],
)
def test_an_empty_condition_leaves_no_heap_of_empty_lines(source: str, values: Mapping[str, str], text: str) -> None:
    assert decoded(without_gaps(filled(partial_template(source, {}), values))) == text


def test_what_is_the_same_for_everybody_is_not_asked_for_again() -> None:
    source = "{% if Bank_Name %}{{ Bank_Name }}{% endif %} {% if Bank_Name and Titel %}{{ Bank_Name|upper }}{% endif %}"
    body = filled(partial_template(source, CONSTANTS), {"Titel": "x"})  # without the bank's values
    assert decoded(ended(body)) == "Sparkasse Köln & Söhne SPARKASSE KÖLN & SÖHNE\n"
    body = filled(
        partial_template("{{ Titel ~ Bank_Name }}{% if Titel == Bank_Name %}!{% endif %}", CONSTANTS), {"Titel": "x "}
    )
    assert decoded(ended(body)) == "x Sparkasse Köln & Söhne\n"


def test_many_conditions_take_no_more_memory_with_more_people() -> None:
    names = [f"name_{number}" for number in range(10)]
    template = partial_template("".join(f"{{% if {name} %}}{name} {{% endif %}}" for name in names), {}, encode=str)
    for answers in itertools.product(("", "x"), repeat=len(names)):
        person = dict(zip(names, answers, strict=True))
        assert template.fill(person, {}).split() == [name for name in names if person[name]]
    assert template.course.cache_info().currsize < 2 ** len(names)


def test_the_lines_of_an_imprint_stay_lines() -> None:
    for constants in (CONSTANTS, {}):
        body = filled(partial_template("{{ Bank_Impressum }}", constants, html=True), CONSTANTS, html=True)
        assert decoded(ended(body)) == "Köln<br>.Punkt &lt;1&gt;<br><br>Ende = gut\n"
