"""Every medium of the project, for every demo bank, with everything known of a person and with nothing."""

from __future__ import annotations

import csv
import quopri
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue import institutes, media
from reku.catalogue.institute import Images, Institute
from reku.catalogue.medium import provider_of
from reku.channels.email.media.compile import RenderedMail, compile_medium
from reku.channels.email.media.contrast import contrast
from reku.channels.email.media.medium_check import medium_faults
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.placeholders import OPTIONAL
from reku.channels.email.media.preview import preview_mail
from reku.channels.email.media.reading import gaps, read_page
from reku.foundation.settings import INCLUDE

MEDIA = sorted(media(INCLUDE))
BANKS = sorted(institutes(INCLUDE))
UNSUBSCRIBE = "https://abmelden.example/u/token"
PIXEL = "https://zaehlen.example/o/token.gif"
BARE = {"Referenz": "R1", "Personennummer": "1", "Anlass_Datum": "24.11.2026", "EMail": "a@b.example"}

pytestmark = pytest.mark.usefixtures("reku_settings")


def everything(bank: Institute) -> dict[str, str]:
    filled = sample_person(bank) | {"Produkt_Text": "Produkt Grün", "Briefanrede": "", "Firma": "Muster & Söhne OHG"}
    names = {name.replace("E_Mail", "E-Mail") for name in OPTIONAL} - {"Briefanrede"}
    return {name: f"Wert {name}" for name in names} | filled


def render(medium: str, bank: Institute, person: dict[str, str], pixel: str = "") -> RenderedMail:
    compiled = compile_medium(media()[medium], bank)
    return compiled.render(person, links=compiled.links, unsubscribe=UNSUBSCRIBE, pixel=pixel)


def test_gaps_are_seen() -> None:
    assert gaps("Ihr  Konto")
    assert gaps("zum . Geburtstag")
    assert gaps("None")
    assert gaps("Ihr Konto („“)")
    assert not gaps("Alles gut, danke. (Ja.) 24.11.2026 – schön")


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("medium", MEDIA)
def test_every_medium_reads_without_a_gap(medium: str, bank: str) -> None:
    institute = institutes()[bank]
    people = [everything(institute), *(BARE | {"Anrede": kind} for kind in "1234")]
    for person in people:
        content = render(medium, institute, person, PIXEL)
        page = read_page(content.html)
        assert content.subject == content.subject.strip() != ""
        for text in (content.subject, content.text, page.text):
            assert gaps(text) == []
        assert "\n\n\n" not in content.text
        salutation = (
            "Sehr geehrte Frau Dr. Beispiel-Müßig," if person is people[0] else "Sehr geehrte Damen und Herren,"
        )
        assert content.text.startswith(f"{salutation}\n\n")
        assert salutation in page.text
        for text in (content.text, page.text):
            for line in filter(None, institute.imprint.splitlines()):
                assert line.strip() in text
            assert "ü" in text
        target = next(iter(compile_medium(media()[medium], institute).links.values()))
        assert UNSUBSCRIBE in content.text
        assert target in content.text
        assert UNSUBSCRIBE in page.links
        assert target in page.links


@given(
    medium=st.sampled_from(MEDIA),
    bank=st.sampled_from(BANKS),
    missing=st.dictionaries(
        st.sampled_from([name.replace("E_Mail", "E-Mail") for name in OPTIONAL]), st.sampled_from("  \u00a0")
    ),
    kind=st.sampled_from("1234"),
    pixel=st.sampled_from(["", PIXEL]),
)
def test_whatever_is_missing_leaves_no_gap(
    medium: str, bank: str, missing: dict[str, str], kind: str, pixel: str
) -> None:
    institute = institutes()[bank]
    content = render(medium, institute, everything(institute) | {"Anrede": kind} | missing, pixel)
    for text in (content.subject, content.text, read_page(content.html).text):
        assert gaps(text) == []
    assert "\n\n\n" not in content.text


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("medium", MEDIA)
def test_what_is_sent_is_what_is_shown(medium: str, bank: str) -> None:
    compiled = compile_medium(media()[medium], institutes()[bank])
    for person in (everything(compiled.institute), *(BARE | {"Anrede": kind} for kind in "1234")):
        for pixel in ("", PIXEL):
            arguments = {"links": compiled.links, "unsubscribe": UNSUBSCRIBE, "pixel": pixel}
            content = compiled.render(person, **arguments)
            bodies = compiled.bodies(compiled.values(person, **arguments))
            text, html = (quopri.decodestring(part.encode()).decode().replace("\r\n", "\n") for part in bodies)
            assert (text, html) == (content.text, content.html)


@pytest.mark.parametrize("medium", MEDIA)
def test_every_medium_can_be_read_by_everybody(medium: str) -> None:
    institute = institutes()[BANKS[0]]
    page = read_page(render(medium, institute, everything(institute), PIXEL).html)
    assert page.lang == "de"
    assert page.headings.count("h1") == 1
    head, pixel = page.images
    assert re.fullmatch(r"cid:kopf-[0-9a-f]{12}@sparkasse-musterstadt\.example", head["src"] or "")
    assert len(head["alt"] or "") > 20
    assert (pixel["src"], pixel["alt"]) == (PIXEL, "")
    without = institute.model_copy(update={"images": Images.NONE})
    assert read_page(render(medium, without, everything(institute)).html).images == []


@pytest.mark.parametrize("medium", MEDIA)
def test_nothing_is_loaded_from_elsewhere_and_links_stay_among_examples(medium: str) -> None:
    content = render(medium, institutes()[BANKS[0]], everything(institutes()[BANKS[0]]), PIXEL)
    hosts = set(re.findall(r"https?://([^/\"'\s<]+)", content.html + content.text))
    assert {host for host in hosts if not host.endswith(".example")} <= {"www.w3.org"}
    assert "@import" not in content.html
    assert "<link" not in content.html
    assert "<script" not in content.html


@pytest.mark.parametrize("bank", BANKS)
def test_the_banks_colours_can_be_read(bank: str) -> None:
    """WCAG 2.1, 1.4.3: contrast of at least 4.5 to 1."""
    colours = institutes()[bank].colours
    assert contrast(colours.on_primary, colours.primary) >= 4.5
    assert contrast(colours.text, colours.background) >= 4.5
    assert contrast(colours.text, "#FFFFFF") >= 4.5
    html = render("SCOM_GEBURTSTAG", institutes()[bank], BARE | {"Anrede": "3"}).html
    assert f"background:{colours.primary}" in html
    assert f"color:{colours.on_primary}" in html


def test_the_media_are_the_published_ones() -> None:
    with (INCLUDE.parent / "tests" / "catalogue" / "published_media.csv").open(encoding="utf-8", newline="") as file:
        published = {
            (row["provider"], row["medium"]): row["occasions"].split() for row in csv.DictReader(file, delimiter=";")
        }
    ours = {(medium.provider, medium.title): list(medium.occasions) for medium in media().values()}
    assert len(published) == 29
    assert ours == published
    for key, medium in media().items():
        assert provider_of(key) == medium.provider


def test_birthday_mails_name_the_age_only_when_it_is_known() -> None:
    bank = institutes()[BANKS[0]]
    for medium in ("SCOM_GEBURTSTAG", "LBS_GEBURTSTAG", "SV_WEITERDENKERBU"):
        known = render(medium, bank, BARE | {"Anrede": "1", "Anlass_Wert": "60"})
        unknown = render(medium, bank, BARE | {"Anrede": "1"})
        assert "zum 60. Geburtstag" in known.subject
        assert "zum Geburtstag" in unknown.subject
        assert "zu Ihrem Geburtstag" in unknown.text


def test_all_media_pass_the_check() -> None:
    assert medium_faults(MEDIA) == []


def test_preview_shows_an_invented_person() -> None:
    content = preview_mail("SCOM_GEBURTSTAG", institutes()[BANKS[0]])
    assert content.subject == "Herzlichen Glückwunsch zum 50. Geburtstag!"
    assert "Sehr geehrte Frau Dr. Beispiel-Müßig," in content.text
    assert "Ole Muster" in content.html


def test_preview_of_an_unknown_medium_suggests_one() -> None:
    with pytest.raises(Exception, match="Did you mean 'SCOM_GEBURTSTAG'"):
        preview_mail("SCOM_GEBURTSTAGE", institutes()[BANKS[0]])
