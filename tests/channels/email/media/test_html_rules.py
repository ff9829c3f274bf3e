"""What a mail may hold is decided on what MJML makes of it: known elements, attributes, forms of URLs, and a size."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.channels.email.media.compile import LARGEST
from reku.channels.email.media.html_rules import RefusedHtml, check_bare_urls, check_html
from reku.foundation.errors import ConfigError
from tests.channels.email.conftest import Probe
from tests.channels.email.media.test_compile import sent, shown

TEXT = "<mj-text>{{ briefanrede }}, {{ Produkt_Text }}</mj-text>"
LINK = "{{ link_angebot }}"
IMAGE = "https://bilder.sparkasse-musterstadt.example/haus.png"


@pytest.mark.parametrize(
    "written",
    [
        '<mj-text>x <a HREF="javascript:alert(1)">x</a></mj-text>',
        '<mj-text>x <a href="java&#115;cript:alert(1)">x</a></mj-text>',
        '<mj-text>x <a href="https://x.example/?p=joerdis@kunde.example">x</a></mj-text>',
        '<mj-text>x <a href="https://x.example/?p={{ EMail }}">x</a></mj-text>',
        '<mj-text>x <a href="mailto:a@b.example?subject={{ Personennummer }}">x</a></mj-text>',
        '<mj-text>x <a href="{{ link_angebot }}?p={{ EMail }}">x</a></mj-text>',
        f'<mj-text>x <a href="{LINK}" ping="https://x.example">x</a></mj-text>',
        f'<mj-text>x <a href="{LINK}" onclick="x()">x</a></mj-text>',
        '<mj-text>x <img SRC="https://x.example/0001234567.gif" /></mj-text>',
        '<mj-text>x <img src="http://bilder.sparkasse-musterstadt.example/haus.png" /></mj-text>',
        '<mj-text>x <img src="https://sparkasse-musterstadt.example.evil.example/haus.png" /></mj-text>',
        '<mj-text>x <img src="https://sparkasse-musterstadt.example@evil.example/haus.png" /></mj-text>',
        f'<mj-text>x <img src="{IMAGE}?p={{{{ EMail }}}}" /></mj-text>',
        f'<mj-text>x <img src="{IMAGE}" srcset="https://x.example/{{{{ EMail }}}}.gif 2x" /></mj-text>',
        '<mj-text>x <img src="data:image/svg+xml,x" /></mj-text>',
        '<mj-image src="https://x.example/open.gif" />',
        f'<mj-image src="{IMAGE}" href="https://x.example/{{{{ EMail }}}}" />',
        f'<mj-image src="{IMAGE}" srcset="https://x.example/a.png 2x" />',
        '<mj-text>x <table><tr><td background="https://x.example/a.gif">x</td></tr></table></mj-text>',
        '<mj-text>x <span style="background:url(https://x.example/{{ EMail }})">x</span></mj-text>',
        '<mj-text>x <span style="background:u\\72l(https://x.example/a)">x</span></mj-text>',
        '<mj-text>x <span style="width:expression(x)">x</span></mj-text>',
        '<mj-text>x <span style="color:{{ Nachname|default }}">x</span></mj-text>',
        '<mj-text>x <span style="color:{{ Personennummer }}">x</span></mj-text>',
        '<mj-text>x <span class="{{ EMail }}">x</span></mj-text>',
        "<mj-text>x <span style=\"{{ 'background:url(//x.example)' }}\">x</span></mj-text>",
        '<mj-text>x <form action="https://x.example/{{ EMail }}"><input name="x" /></form></mj-text>',
        '<mj-text>x <iframe src="https://x.example"></iframe></mj-text>',
        "<mj-text>x <script>x()</script></mj-text>",
        '<mj-text>x <svg><a href="#x">x</a></svg></mj-text>',
        '<mj-text>x <object data="https://x.example"></object></mj-text>',
        '<mj-text>x <video src="https://x.example"></video></mj-text>',
        '<mj-text>x <style>@import "https://x.example/a.css";</style></mj-text>',
        '<mj-raw><meta http-equiv="refresh" content="0;url=https://x.example" /></mj-raw>',
        '<mj-raw><base HREF="https://x.example/" /></mj-raw>',
        '<mj-raw><link rel="stylesheet" href="#x" /></mj-raw>',
        "<mj-text>x <![CDATA[<script>x()</script>]]></mj-text>",
        "<mj-text>https://x.example/?p={{ EMail }}</mj-text>",
        "<mj-text>{{ 'https://x.example/?p=' ~ EMail }}</mj-text>",
        "<mj-text>{{ 'ht' ~ 'tps://x.example/?p=' ~ EMail }}</mj-text>",
        "<mj-text>www.x.example/{{ Personennummer }}</mj-text>",
        "<mj-text>https:&#47;&#47;x.example</mj-text>",
        f'<mj-text>x <img src="{IMAGE}" alt="https://x.example/{{{{ EMail }}}}" /></mj-text>',
        '<mj-text>{{ Personennummer|replace("0", "0000000000") }}</mj-text>',
        '<mj-text>{{ Personennummer|replace("", "0") }}</mj-text>',
        "<mj-text>{{ Personennummer" + '|replace("0", "00")' * 4 + " }}</mj-text>",
        f"<mj-text>{'x' * LARGEST}</mj-text>",
        "<mj-text>" + "{{ Produkt_Text }} " * 400 + "</mj-text>",
    ],
)
def test_what_a_mail_must_not_hold(probe: Probe, written: str) -> None:
    with pytest.raises(ConfigError) as refused:
        probe("mail.mjml", TEXT, f"{TEXT}{written}")
    assert refused.value.file is not None
    assert refused.value.file.name == "mail.mjml"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<mj-section>", '<mj-section background-url="https://x.example/a.gif">'),
        ("<mj-column>", '<mj-column css-class="{{ EMail }}">'),
        ("<mj-head>", '<mj-head><mj-style>@import url("https://x.example/a.css");</mj-style>'),
        ("<mj-head>", "<mj-head><mj-style>.a { background: url(//x.example) }</mj-style>"),
        ('<mjml lang="de">', '<mjml lang="{{ Anrede }}">'),
    ],
)
def test_what_the_frame_of_a_mail_must_not_hold(probe: Probe, old: str, new: str) -> None:
    """MJML makes styles, and elements for Outlook in comments, of it."""
    with pytest.raises(ConfigError):
        probe("mail.mjml", old, new)


@pytest.mark.parametrize(
    "written", ["https://x.example/?p={{ EMail }}", "www.x.example", "{{ 'htt' ~ 'ps://x.example' }}"]
)
def test_a_bare_address_in_the_text(probe: Probe, written: str) -> None:
    with pytest.raises(ConfigError, match="of which mail programs make a link"):
        probe("mail.txt", "{{ link_angebot }}", f"{{{{ link_angebot }}}} {written}")


@pytest.mark.parametrize(
    ("written", "shows"),
    [
        (
            "<mj-text>Guten&nbsp;Tag &ndash; M&uuml;ller &amp; S&ouml;hne</mj-text>",
            "Guten\N{NO-BREAK SPACE}Tag – Müller",
        ),
        (f'<mj-image src="{IMAGE}" alt="Das Haus von {{{{ briefanrede }}}}" />', IMAGE),
        (f'<mj-button href="{LINK}" background-color="{{{{ Bank_Farbe }}}}">x</mj-button>', "/angebot"),
        ('<mj-text><a href="mailto:post@bank.example?subject=Frage">x</a></mj-text>', "mailto:post@bank.example"),
        ('<mj-text><a href="tel:+4999000000">x</a> <a href="#oben">x</a></mj-text>', "tel:+4999000000"),
        (
            '<mj-text>{% if Berater_E_Mail %}<a href="mailto:{{ Berater_E_Mail }}">x</a>{% endif %}</mj-text>',
            "mailto:berater@bank.example",
        ),
        ('<mj-text><span style="color:rgb(1, 2, 3);width:calc(1px + 1px)">x</span></mj-text>', "rgb(1, 2, 3)"),
        ("<mj-divider /><mj-spacer /><mj-table><tr><td>x</td></tr></mj-table>", "<td"),
        ('<mj-text>{{ Produkt_Text|replace("ß", "ss") }}</mj-text>', "Ihr Konto"),
    ],
)
def test_what_a_mail_may_hold(probe: Probe, written: str, shows: str) -> None:
    made = probe("mail.mjml", TEXT, f"{TEXT}{written}")
    person = {"Nachname": "Beispiel", "Berater_E-Mail": "berater@bank.example"}
    assert shows in shown(made, **person).html
    assert sent(made, **person).html.rstrip() == shown(made, **person).html.rstrip()


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=200))
def test_any_text_is_judged_in_words(text: str) -> None:
    for check in (lambda: check_html(text, [], ()), lambda: check_bare_urls(text, ())):
        with suppress(RefusedHtml):
            check()


def test_no_font_is_fetched(probe: Probe) -> None:
    made = probe("mail.mjml", "<mj-head>", '<mj-head><mj-font name="X" href="#https://x.example/font.css" />')
    assert "x.example" not in shown(made).html
