from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.channels.email.smtp.transport import Offers
from reku.channels.email.smtp.wire import content_of, envelope_of, is_sayable, needs_smtputf8
from reku_testing.mail_queues import ProbeMail


@pytest.mark.parametrize(
    ("data", "on_the_line"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b"\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a\r\n.b\r\n..c\r\n", b"a\r\n..b\r\n...c\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"a.\r\nb.c\r\n", b"a.\r\nb.c\r\n.\r\n"),
        (b"a\n.\nb", b"a\n..\nb\r\n.\r\n"),  # servers that take a bare line feed for a line end must not see an end
    ],
)
def test_dots(data: bytes, on_the_line: bytes) -> None:
    assert content_of(data) == on_the_line


@given(st.lists(st.text(alphabet=".a", max_size=4), min_size=1, max_size=6))
def test_a_server_gets_back_what_was_sent(lines: list[str]) -> None:
    data = "".join(f"{line}\r\n" for line in lines).encode()
    content, ended, rest = content_of(data).partition(b"\r\n.\r\n")
    assert (ended, rest) == (b"\r\n.\r\n", b"")
    assert b"".join(line.removeprefix(b".") + b"\r\n" for line in content.split(b"\r\n")) == data


ALL = Offers(pipelining=True, takes_size=True, size=1000, eight_bit=True, smtputf8=True)


@pytest.mark.parametrize(
    ("mail", "offers", "first"),
    [
        (ProbeMail.to(1, data=b"abc"), Offers(), b"MAIL FROM:<b+probe@bounce.example>"),
        (ProbeMail.to(1, data=b"abc"), ALL, b"MAIL FROM:<b+probe@bounce.example> SIZE=3"),
        (ProbeMail.to(1, data=b".bc"), Offers(takes_size=True), b"MAIL FROM:<b+probe@bounce.example> SIZE=3"),
        (ProbeMail.to(1, data=b"\xc3"), ALL, b"MAIL FROM:<b+probe@bounce.example> SIZE=1 BODY=8BITMIME"),
        (ProbeMail.to(1, data=b"\xc3"), Offers(), b"MAIL FROM:<b+probe@bounce.example>"),
        (ProbeMail.to(1, data=b"a", smtputf8=True), ALL, b"MAIL FROM:<b+probe@bounce.example> SIZE=1 SMTPUTF8"),
        (ProbeMail.to(1, data=b"a", envelope_from=""), Offers(), b"MAIL FROM:<>"),
    ],
)
def test_the_envelope_has_the_options_that_are_offered_and_needed(
    mail: ProbeMail, offers: Offers, first: bytes
) -> None:
    assert envelope_of(mail, offers) == first + b"\r\nRCPT TO:<1@kunde.example>\r\nDATA\r\n"


def test_an_address_beyond_ascii_is_said_with_smtputf8_whatever_the_mail_says_of_itself() -> None:
    mail = ProbeMail(1, envelope_to="jördis@kunde.example")
    assert needs_smtputf8(mail)
    assert " SMTPUTF8\r\nRCPT TO:<jördis@kunde.example>" in envelope_of(mail, ALL).decode()


@pytest.mark.parametrize(
    "address",
    [
        "a@b\r\nDATA",
        "a@b\n",
        "a\0@b",
        "a@b>",
        "<a@b",
        "a b@c",
        "a@b\x7f",
        "a@b\x85",
        "a\ud800@b",
        "a@b SIZE=1",
        "a\t@b",
    ],
)
def test_no_address_can_say_a_command(address: str) -> None:
    assert not is_sayable(ProbeMail(1, envelope_to=address))
    assert not is_sayable(ProbeMail.to(1, envelope_from=address))


@pytest.mark.parametrize("address", ["a@b.example", "jördis+x@kunde.example", "o'neil!#$%&*/=?^_`{|}~-@b.example"])
def test_ordinary_addresses_can_be_said(address: str) -> None:
    assert is_sayable(ProbeMail(1, envelope_to=address))
