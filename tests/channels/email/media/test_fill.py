"""A filled mail says to any mail program what it should, whatever names and values are delivered."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import getaddresses

import idna
import pytest
from email_validator import EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES
from hypothesis import example, given
from hypothesis import strategies as st

from reku.catalogue import institutes, media
from reku.catalogue.links import link_target
from reku.channels.email.media import headers
from reku.channels.email.media.compile import CompiledMedium, compile_medium
from reku.channels.email.media.fill import Mail, MailFault, fill
from reku.channels.email.media.links import Links, SharedLinks, links_for
from reku.channels.email.media.placeholders import DELIVERED_AS, OPTIONAL, person_values
from reku.foundation import clock, mail_proof, tokens
from reku.foundation.settings import INCLUDE

BLZ = "99990001"
PERSON = {
    "Referenz": "R0004711-000017-00001",
    "Personennummer": "0001234567",
    "Anlass_Datum": "24.11.2026",
    "Anlass_Wert": "50",
    "Anrede": "2",
    "Titel": "Dr.",
    "Vorname": "Jördis",
    "Nachname": "Beispiel-Müßig",
    "EMail": "Joerdis@Kunde.example",
}
ADVISOR = {"Berater_Absendername": "Ole Muster", "Berater_E-Mail": "ole.muster@sparkasse-musterstadt.example"}

FIELDS = ["Vorname", "Nachname", "Titel", "Anlass_Wert", *(DELIVERED_AS.get(name, name) for name in OPTIONAL)]
MEDIA = sorted(media(INCLUDE))

pytestmark = pytest.mark.usefixtures("reku_settings")


def our_links(*, tracking: bool) -> Links:
    return links_for(4711, SharedLinks(17, "SCOM_GEBURTSTAG"), tracking=tracking)


def mail_for(person: dict[str, str], *, tracking: bool = False, medium: str = "SCOM_GEBURTSTAG") -> Mail:
    compiled = compile_medium(media()[medium], institutes()[BLZ])
    return fill(compiled, person, our_links(tracking=tracking), order_number="R0004711", delivery_number=17)


def read(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.data, policy=policy.default)


def people(data: bytes, field: str) -> list[tuple[str, str]]:
    """Name and address as RFC 2047 has them.

    Not by `policy.default`: its parser leaves a blank between two encoded words of one name.
    """
    raw = message_from_bytes(data, policy=policy.compat32)[field]
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([str(raw)])]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    assert part is not None
    return part.get_content()


def test_the_head_of_a_mail(clock_at) -> None:
    clock_at(datetime(2026, 11, 24, 8, 0, tzinfo=UTC))
    mail = mail_for(PERSON)
    message = read(mail)
    return_path, message_id = (
        tokens.make(purpose, tokens.Target(4711)) for purpose in (tokens.Purpose.BOUNCE, tokens.Purpose.MESSAGE_ID)
    )
    unsubscribe = tokens.make(tokens.Purpose.UNSUBSCRIBE, tokens.Target(4711))
    assert message["From"] == "Sparkasse Musterstadt <service@sparkasse-musterstadt.example>"
    assert message["Reply-To"] == "kontakt@sparkasse-musterstadt.example"
    assert message["To"] == "Jördis Beispiel-Müßig <Joerdis@kunde.example>"
    assert message["Subject"] == "Herzlichen Glückwunsch zum 50. Geburtstag!"
    assert message["Date"].startswith("Tue, 24 Nov 2026 09:00:0")
    assert message["Date"].endswith("+0100")
    assert message["Message-ID"] == mail.message_id == f"<{message_id}@sparkasse-musterstadt.example>"
    assert message["List-Unsubscribe"] == f"<http://127.0.0.1:8091/u/{unsubscribe}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Feedback-ID"] == "000017:R0004711:99990001:reku"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] is None
    assert message.get_content_type() == "multipart/related"
    texts, picture = message.iter_parts()
    assert [part.get_content_type() for part in texts.iter_parts()] == ["text/plain", "text/html"]
    assert picture.get_content() == (INCLUDE / "templates" / "scom" / "geburtstag" / "kopf.png").read_bytes()
    assert f"cid:{picture['Content-ID'].strip('<>')}" in body(message, "html")
    assert picture.get_content_disposition() == "inline"
    assert not message.defects
    assert mail.envelope_from == f"b+{return_path}@bounce.example"
    assert return_path.encode() not in mail.data  # who sees the mail cannot report a bounce of it
    assert mail.envelope_to == "Joerdis@kunde.example"
    assert not mail.smtputf8


def test_the_proof_covers_the_texts_whatever_becomes_of_the_pictures() -> None:
    data = mail_for(PERSON).data
    texts, _, pictures = data.partition(f"--{mail_proof.BOUNDARY}--".encode())
    whole = texts + f"--{mail_proof.BOUNDARY}--".encode()
    assert b"image/png" in pictures
    for returned in (data, whole, whole + pictures[: len(pictures) // 2]):
        assert list(mail_proof.proven_messages(returned)) == [4711]
    assert list(mail_proof.proven_messages(data.replace(b"Geburtstag", b"Todestag", 1))) == []


def test_it_is_made_for_smtp() -> None:
    assert_made_for_smtp(mail_for(PERSON | {"Nachname": "ü" * 60}, tracking=True).data)
    assert_made_for_smtp(mail_for(PERSON | {"Nachname": "x" * 200, "EMail": "y" * 64 + "@kunde.example"}).data)


def test_a_mail_sent_again_keeps_its_message_id() -> None:
    compiled = compile_medium(media()["SCOM_GEBURTSTAG"], institutes()[BLZ])
    mail = fill(
        compiled,
        PERSON,
        our_links(tracking=False),
        order_number="R0004711",
        delivery_number=17,
        message_id="<abc@bank.example>",
    )
    assert mail.message_id == read(mail)["Message-ID"] == "<abc@bank.example>"


@pytest.mark.parametrize("field", ["order_number", "message_id"])
def test_no_line_break_comes_in_by_our_own_values(field: str) -> None:
    compiled = compile_medium(media()["SCOM_GEBURTSTAG"], institutes()[BLZ])
    values = {"order_number": "R0004711", "message_id": "<a@b.example>"} | {field: "x\r\nBcc: y@z.example"}
    with pytest.raises(ValueError, match="control character"):
        fill(compiled, PERSON, our_links(tracking=False), delivery_number=17, **values)


def test_the_same_mail_twice_has_the_same_message_id() -> None:
    assert mail_for(PERSON).message_id == mail_for(PERSON | {"Vorname": "Ada"}).message_id


def test_tracking_only_with_consent() -> None:
    with_consent, without = read(mail_for(PERSON, tracking=True)), read(mail_for(PERSON))
    pixel = tokens.make(tokens.Purpose.OPEN, tokens.Target(4711))
    click = tokens.make(tokens.Purpose.CLICK, tokens.Target(4711, 1))
    everybodys = tokens.make(tokens.Purpose.ANONYMOUS, tokens.Target(17, 1, "SCOM_GEBURTSTAG"))
    target = link_target("SCOM_GEBURTSTAG", 1, institutes()[BLZ])
    assert target == "https://www.sparkasse-musterstadt.example/geburtstag"
    assert f"/o/{pixel}.gif" in body(with_consent, "html")
    assert not re.search(r'src="(?!cid:)', body(without, "html"))
    for kind in ("html", "plain"):
        assert f"http://127.0.0.1:8091/c/{click}" in body(with_consent, kind)
        assert f"http://127.0.0.1:8091/a/{everybodys}" in body(without, kind)
        assert "/c/" not in body(without, kind)
        assert "/o/" not in body(without, kind)
        for message in (with_consent, without):
            assert target not in body(message, kind)
        for message in (with_consent, without):
            assert message["List-Unsubscribe"].strip("<>") in body(message, kind)


def test_without_consent_only_the_unsubscribe_link_and_the_head_tell_one_mail_from_another() -> None:
    compiled = compile_medium(media()["SCOM_GEBURTSTAG"], institutes()[BLZ])
    shared_links = SharedLinks(17, "SCOM_GEBURTSTAG")
    mails = [
        read(
            fill(compiled, PERSON, links_for(id_, shared_links, tracking=False), order_number="R1", delivery_number=17)
        )
        for id_ in (4711, 4712)
    ]
    for kind in ("html", "plain"):
        one, other = (body(mail, kind).replace(mail["List-Unsubscribe"].strip("<>"), "") for mail in mails)
        assert one == other


@pytest.mark.parametrize(
    ("number", "target"),
    [(0, None), (1, "https://www.lbs.example/bausparen"), (2, None), (-1, None)],
)
def test_a_link_number_that_is_none_leads_nowhere(number: int, target: str | None) -> None:
    assert link_target("LBS_GEBURTSTAG", number, institutes()[BLZ]) == target
    assert link_target("LBS_GIBT_ES_NICHT", 1, institutes()[BLZ]) is None


@pytest.mark.parametrize(
    ("advisor", "sender", "reply_to", "shown"),
    [
        (ADVISOR, "Ole Muster <ole.muster@sparkasse-musterstadt.example>", ADVISOR["Berater_E-Mail"], True),
        ({"Berater_Absendername": "Ole Muster"}, None, None, False),  # docs/domain.md, rule 13
        ({"Berater_E-Mail": ADVISOR["Berater_E-Mail"]}, None, None, False),
        (ADVISOR | {"Berater_Absendername": "  "}, None, None, False),
        (ADVISOR | {"Berater_E-Mail": "ole@andere-bank.example"}, None, None, True),
        (ADVISOR | {"Berater_E-Mail": "ole muster@sparkasse-musterstadt.example"}, None, None, True),
        (ADVISOR | {"Berater_E-Mail": "x@y@sparkasse-musterstadt.example"}, None, None, True),
    ],
)
def test_the_advisor_sends_only_whole_and_from_the_banks_domain(
    advisor: dict[str, str], sender: str | None, reply_to: str | None, shown: bool
) -> None:
    message = read(mail_for(PERSON | advisor))
    assert message["From"] == (sender or "Sparkasse Musterstadt <service@sparkasse-musterstadt.example>")
    assert message["Reply-To"] == (reply_to or "kontakt@sparkasse-musterstadt.example")
    for kind in ("html", "plain"):
        assert ("Ole Muster" in body(message, kind)) is shown
        assert ("Ihre Sparkasse Musterstadt" in body(message, kind)) is not shown


@pytest.mark.parametrize(
    ("person", "expected"),
    [
        ({"Anrede": "1", "Titel": "Dr.", "Nachname": "Muster"}, "Sehr geehrter Herr Dr. Muster"),
        ({"Anrede": "2", "Vorname": "Ada", "Nachname": "Muster"}, "Sehr geehrte Frau Muster"),
        ({"Anrede": "3", "Vorname": "Ada", "Nachname": "Muster"}, "Guten Tag Ada Muster"),
        ({"Anrede": "3", "Nachname": "Muster"}, "Guten Tag Muster"),
        (
            {"Anrede": "3", "Titel": "Prof. Dr.", "Vorname": "Kim", "Nachname": "Muster-von Beispiel"},
            "Guten Tag Prof. Dr. Kim Muster-von Beispiel",
        ),
        ({"Anrede": "3", "Titel": "Dr.", "Nachname": "Muster"}, "Guten Tag Dr. Muster"),
        ({"Anrede": "3", "Titel": "Dr.", "Vorname": "Kim"}, "Guten Tag Kim"),
        ({"Anrede": "3", "Titel": "Dr."}, "Sehr geehrte Damen und Herren"),
        ({"Anrede": "4", "Firma": "Muster GmbH"}, "Sehr geehrte Damen und Herren"),
        ({"Anrede": "4", "Firma": "Muster GmbH", "Nachname": "Muster"}, "Sehr geehrte Damen und Herren"),
        ({"Anrede": "1", "Vorname": "Bernd"}, "Guten Tag Bernd"),
        ({"Anrede": "2"}, "Sehr geehrte Damen und Herren"),
        ({"Anrede": "3"}, "Sehr geehrte Damen und Herren"),
        ({"Anrede": "1", "Nachname": "M", "Briefanrede": "Liebe Frau Ada,"}, "Liebe Frau Ada"),
        ({"Anrede": "1", "Nachname": "M", "Briefanrede": "  "}, "Sehr geehrter Herr M"),
    ],
)
def test_salutation(person: dict[str, str], expected: str) -> None:
    assert person_values(person, {})["briefanrede"] == expected
    bare = {"Referenz": "1", "Personennummer": "1", "Anlass_Datum": "24.11.2026", "EMail": "a@b.example"}
    text = body(read(mail_for(bare | person)), "plain")
    assert text.splitlines()[0] == f"{expected},"


@pytest.mark.parametrize(
    "bad", ["\r\nBcc: x@y.example", "\n", "\r", "\x00", "\t", "\x1b", "\x7f", "\x85", "\u2028", "\ud800"]
)
@pytest.mark.parametrize(
    "field",
    ["Vorname", "Nachname", "EMail", "Anlass_Wert", "Berater_Absendername", "Berater_E-Mail", "Geschaeftsstelle"],
)
def test_control_characters_are_refused_and_not_repeated(field: str, bad: str) -> None:
    person = PERSON | ADVISOR
    person[field] = f"{person.get(field, 'Geheim')}{bad}x"
    with pytest.raises(MailFault) as caught:
        mail_for(person)
    assert field in str(caught.value)
    assert "R0004711-000017-00001" in str(caught.value)
    assert bad not in str(caught.value)
    assert person[field][:5] not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    "address", ["", "ohne-at", "a@b@c.example", "a b@c.example", "<a@b.example>", "a@b.example, c@d.example"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(MailFault, match="EMail of R0004711-000017-00001 is not a mail address"):
        mail_for(PERSON | {"EMail": address})


def test_addresses_beyond_ascii() -> None:
    domain = mail_for(PERSON | {"EMail": "info@müller.example"})
    assert domain.envelope_to == "info@xn--mller-kva.example"
    assert not domain.smtputf8
    local = mail_for(PERSON | {"EMail": "jürgen@müller.example"})
    assert local.envelope_to == "jürgen@xn--mller-kva.example"
    assert local.smtputf8
    assert "<jürgen@xn--mller-kva.example>\r\n".encode() in local.data


def taken_by_the_library(address: str) -> str | None:
    try:
        valid = validate_email(address.strip(), check_deliverability=False, globally_deliverable=False, strict=True)
    except EmailNotValidError:
        return None
    return f"{valid.local_part}@{valid.ascii_domain}"


def taken_by_us(address: str) -> str | None:
    try:
        return mail_for(PERSON | {"EMail": address}).envelope_to
    except MailFault:
        return None


local_parts = st.one_of(
    st.sampled_from([*CASE_INSENSITIVE_MAILBOX_NAMES, "Postmaster", "NEWS", "x" * 64, "x" * 65, "JMuster", "123"]),
    st.text(st.sampled_from("abzAZ09.-_+'!\"() \\ü@"), max_size=12),
)
domains = st.one_of(
    st.sampled_from(["Kunde.Example", "local", "a.test", "xn--mller-kva.example", "xn--x.example", "ab--c.example"]),
    st.sampled_from(["x" * 63 + ".de", "x" * 64 + ".de", ".".join(["x" * 49] * 5), "müller.de", "[127.0.0.1]", "1.2"]),
    st.text(st.sampled_from("abzAZ09.-_ü。"), max_size=12),
)


@given(address=st.builds("{}@{}".format, local_parts, domains) | st.emails())
@example("Postmaster@kunde.example")
@example("x" * 65 + "@kunde.example")
@example("x" * 64 + "@" + ".".join(["x" * 61] * 4))
@example("x" * 64 + "@" + ".".join(("中" * 42, "中" * 20, "example")))
@example("x" * 64 + "@" + idna.encode(".".join(("中" * 42, "中" * 20, "example"))).decode())
def test_an_address_is_taken_as_the_library_takes_it(address: str) -> None:
    assert taken_by_us(address) == taken_by_the_library(address)


nasty = st.text(
    st.one_of(
        st.sampled_from("\",;:<>@()[]\\.=?_ 'äöüßÄÖÜé"),
        st.sampled_from("🎂👩\u200d💼łşЖ中"),
        st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    ),
    min_size=1,
    max_size=60,
).filter(lambda text: text == text.strip())
long_words = st.builds(lambda start, count: start + "o" * count, nasty, st.integers(0, 200))


@st.composite
def anybody(draw: st.DrawFn) -> dict[str, str]:
    """A person with any delivered values: empty, blank, short, long, of all scripts."""
    value = st.one_of(nasty | long_words, st.sampled_from(["", "  ", " . ", "=20", "Dr."]))
    given_fields = draw(st.dictionaries(st.sampled_from(FIELDS), value))
    whole_advisor = draw(st.fixed_dictionaries({"Berater_Absendername": nasty}) | st.just({}))
    return PERSON | given_fields | (ADVISOR | whole_advisor if whole_advisor else {})


def by_the_standard_library(compiled: CompiledMedium, person: dict[str, str], links: Links) -> EmailMessage:
    """The mail as anybody would build it with `email` from the same values."""
    urls = {name: links.click_url(number, url) for number, (name, url) in enumerate(compiled.links.items(), 1)}
    content = compiled.render(person, links=urls, unsubscribe=links.unsubscribe_url, pixel=links.open_pixel_url or "")
    bank = compiled.institute.sender
    advisor, address = (person.get(field, "").strip() for field in ADVISOR)
    by_advisor = bool(advisor) and address == ADVISOR["Berater_E-Mail"]
    sender = Address(advisor, addr_spec=address) if by_advisor else Address(bank.name, addr_spec=bank.address)
    names = [person[field].strip() for field in ("Vorname", "Nachname") if person[field].strip()]
    message = EmailMessage(policy.SMTP)
    message["From"] = sender
    message["Reply-To"] = Address(addr_spec=address if by_advisor else bank.reply_to or bank.address)
    message["To"] = Address(" ".join(names) or person.get("Firma", "").strip(), addr_spec="Joerdis@kunde.example")
    message["Subject"] = content.subject
    message["Date"] = clock.berlin(clock.now())
    message["Message-ID"] = f"<{links.message_id}@{sender.domain}>"
    message["List-Unsubscribe"] = f"<{links.unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["Feedback-ID"] = "000017:R0004711:99990001:reku"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.text)
    message.add_alternative(content.html, subtype="html")
    return message


@given(person=anybody(), medium=st.sampled_from(MEDIA), tracking=st.booleans())
def test_a_mail_is_what_the_standard_library_makes_of_the_same_values(
    person: dict[str, str], medium: str, tracking: bool
) -> None:
    compiled = compile_medium(media()[medium], institutes()[BLZ])
    links = our_links(tracking=tracking)
    mail = fill(compiled, person, links, order_number="R0004711", delivery_number=17)
    expected, message = by_the_standard_library(compiled, person, links), read(mail)
    assert not [defect for part in message.walk() for defect in part.defects]
    assert sorted(message.keys()) == sorted([*expected.keys(), mail_proof.FIELD])
    for field in set(expected.keys()) - {"From", "To", "Reply-To", "Date", "Subject", "Content-Type"}:
        assert message[field] == expected[field]
    assert unfolded(mail.data, "Subject") == expected["Subject"]
    for field in ("From", "To", "Reply-To"):
        assert people(mail.data, field) == [(a.display_name, a.addr_spec) for a in expected[field].addresses]
        assert without_blanks(message[field].addresses) == without_blanks(expected[field].addresses)
    assert abs(message["Date"].datetime - expected["Date"].datetime) <= timedelta(seconds=60)
    assert message["Date"].datetime.utcoffset() == expected["Date"].datetime.utcoffset()
    ours, theirs = ([part for part in one.walk() if not part.is_multipart()] for one in (message, expected))
    assert [part.get_content() for part in ours[2:]] == [picture.content for picture in compiled.pictures]
    assert [part.get_content_type() for part in ours[:2]] == [part.get_content_type() for part in theirs]
    for our_part, their_part in zip(ours[:2], theirs, strict=True):
        assert our_part.get_content().replace("\r\n", "\n") == their_part.get_content().replace("\r\n", "\n")
    assert_made_for_smtp(mail.data)


def without_blanks(addresses: tuple[Address, ...]) -> list[tuple[str, str]]:
    """Names and addresses; of the blanks in a name see `people`."""
    return [(address.display_name.replace(" ", ""), address.addr_spec) for address in addresses]


def unfolded(data: bytes, field: str) -> str:
    """A header's text as RFC 2047 has it, decoded by the older of the standard library's two ways."""
    return str(make_header(decode_header(message_from_bytes(data, policy=policy.compat32)[field])))


def assert_made_for_smtp(data: bytes) -> None:
    """RFC 5321 4.5.2 and 4.5.3.1.6, RFC 5322 2.1.1, RFC 2045 6.7."""
    assert data.isascii()
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert not re.search(rb"(?m)^\.", data)
    assert not re.search(rb"[ \t]\r\n", data)
    head, _, parts = data.partition(b"\r\n\r\n")
    assert max(map(len, parts.split(b"\r\n"))) <= 76
    for line in head.split(b"\r\n"):
        assert len(line) <= 78 or (len(line) <= 998 and len(line.split()) <= 2)  # a field's name and one word


@given(value=nasty | long_words | st.sampled_from(["=?utf-8?b?w7w=?=", "a" * 76, "ü" * 300, '"' * 60]))
def test_header_fields_fold_and_read_back(value: str) -> None:
    for line in (headers.text("Subject", value), headers.mailbox("To", value, "a@b.example")):
        assert line.isascii()
        assert all(len(part) <= 78 for part in line.split("\r\n"))
        assert all(part.startswith(" ") for part in line.split("\r\n")[1:])
    parsed = message_from_bytes(headers.text("Subject", value).encode() + b"\r\n\r\n", policy=policy.default)
    assert parsed["Subject"] == value
    line = headers.mailbox("To", value, "a@b.example") + "\r\n\r\n"
    assert people(line.encode(), "To") == [(value, "a@b.example")]


@pytest.mark.parametrize("value", ["x\r\nBcc: y", "x\ny", "\x00"])
def test_header_fields_refuse_line_breaks(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        headers.text("Subject", value)
    with pytest.raises(ValueError, match="control character"):
        headers.mailbox("To", value, "a@b.example")
    with pytest.raises(ValueError, match="control character"):
        headers.mailbox("To", "x", value)


def test_no_unsafe_character_counts_as_printable() -> None:
    """Only values that are not printable are searched for unsafe characters."""
    every = map(chr, range(0x110000))
    assert [hex(ord(one)) for one in every if headers.UNSAFE.match(one) and headers.is_safe(one)] == []


def test_no_line_of_a_mail_is_taken_for_its_boundary() -> None:
    mail = mail_for(PERSON | {"Anlass_Wert": "--=_reku--"})
    texts, _ = read(mail).iter_parts()
    assert len(list(texts.iter_parts())) == 2
    assert len(re.findall(rb"(?m)^--=_reku\b(?!-pictures)", mail.data)) == 3
    assert len(re.findall(rb"(?m)^--=_reku-pictures", mail.data)) == 3
