"""How a connection is opened: TLS, login, what the relay offers, and what is said when there is none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from reku.channels.email.smtp.answers import LoginRefused, NoSession, SessionError
from reku.channels.email.smtp.transport import LONGEST_ANSWER_SECONDS, Offers, Relay, SmtpTransport, open_transport
from reku.foundation.errors import PassingError, StageError
from reku.foundation.settings import Settings
from reku_testing import certificate, hostile, mail_queues
from reku_testing.hostile import DROP, RESET, STALL, Act, Then
from reku_testing.ports import free_port


def _open(server: hostile.Hostile, **changes: float | str | bool) -> SmtpTransport:
    session = open_transport(mail_queues.relay(server.port, **changes), lambda: None)
    session.close()
    return session


@pytest.mark.parametrize(
    ("offers", "expected"),
    [
        ((), Offers(pipelining=True)),
        (("SIZE 1000", "8BITMIME", "SMTPUTF8"), Offers(True, True, 1000, True, True)),
        (("size 1000", "8bitmime"), Offers(True, True, 1000, True)),
        (("SIZE",), Offers(True, True)),
        (("SIZE 0",), Offers(True, True)),
        (("SIZE many",), Offers(True, True)),
        (("SIZE ٣",), Offers(True, True)),
        (("XSIZE 10", "PIPELINING2"), Offers(True)),
    ],
)
def test_what_the_relay_offers(offers: tuple[str, ...], expected: Offers) -> None:
    with hostile.running(hostile.Hostile(offers=offers)) as server:
        assert _open(server).offers == expected


def test_a_relay_that_knows_only_helo_offers_nothing() -> None:
    with hostile.running(hostile.Hostile({(1, "ehlo", 1): Act(b"502 what?\r\n")})) as server:
        assert _open(server).offers == Offers()
        assert [command[:4] for command in server.commands] == ["ehlo", "helo"]


def test_a_relay_whose_certificate_nobody_vouches_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate.self_signed(tmp_path)
    with hostile.running(hostile.Hostile(tls=certificate.server_context(file))) as server:
        with pytest.raises(SessionError, match="certificate") as refused:
            _open(server, tls=True)
        assert not isinstance(refused.value, NoSession)  # it does not mend itself
        monkeypatch.setenv("SSL_CERT_FILE", str(file))  # as an operator does for a relay of the house
        assert _open(server, tls=True).offers.pipelining
        with pytest.raises(SessionError, match="certificate"):  # it is for 127.0.0.1 only
            open_transport(Relay("localhost", server.port), lambda: None)


def test_a_relay_without_tls_is_refused_where_tls_is_demanded() -> None:
    with (
        hostile.running(hostile.Hostile()) as server,
        pytest.raises(SessionError, match=r"SMTPNotSupportedError.*REKU_SMTP_HOST") as refused,
    ):
        _open(server, tls=True, user="us", password="secret")
    assert not isinstance(refused.value, NoSession)
    assert [command[:4] for command in server.commands] == ["ehlo"]


def test_what_comes_in_clear_behind_the_consent_to_tls_does_not_pass_for_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = certificate.self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    script = {(1, "starttls", 1): Act(b"220 go\r\n250-injected\r\n250 PIPELINING\r\n")}
    with (
        hostile.running(hostile.Hostile(script, tls=certificate.server_context(file))) as server,
        pytest.raises(SessionError, match="said more than was asked"),
    ):
        _open(server, tls=True)


# Our name


def test_our_name_is_a_setting() -> None:
    with hostile.running(hostile.Hostile()) as server:
        _open(server, helo="mail.bank.example")
        assert server.commands == ["ehlo mail.bank.example"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mail.bank.example", "mail.bank.example"),
        ("mail1.xn--bnk-0na.example", "mail1.xn--bnk-0na.example"),
        ("app_server_1.intern", "[127.0.0.1]"),
        ("appserver", "[127.0.0.1]"),
        ("localhost.localdomain", "[127.0.0.1]"),
        ("-x.intern", "[127.0.0.1]"),
        ("10.0.0.7", "[127.0.0.1]"),
        ("", "[127.0.0.1]"),
    ],
)
def test_a_machine_without_a_name_says_its_address(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: name)
    with hostile.running(hostile.Hostile()) as server:
        _open(server)
        assert server.commands == [f"ehlo {said}"]


def test_a_name_that_is_refused_is_shown_with_what_came_back() -> None:
    no = Act(b"501 5.5.4 Syntactically invalid EHLO argument(s)\r\n")
    with (
        hostile.running(hostile.Hostile({(1, "ehlo", 1): no, (1, "ehlo", 2): no})) as server,
        pytest.raises(SessionError, match="REKU_SMTP_HELO sets another") as refused,
    ):
        _open(server, helo="app.intern")
    assert "after `HELO app.intern` »501 5.5.4 Syntactically invalid EHLO argument(s)« came back" in str(refused.value)


def test_where_tls_is_missing_since_ehlo_was_refused_it_is_said() -> None:
    script = {(1, "ehlo", 1): Act(b"501 5.5.4 invalid\r\n")}
    with (
        hostile.running(hostile.Hostile(script)) as server,
        pytest.raises(SessionError, match=r"after `EHLO app\.intern` »5\.5\.4 invalid« came back; REKU_SMTP_HELO"),
    ):
        _open(server, tls=True, helo="app.intern")


# Login

NO_MD5 = ValueError("[digital envelope routines] unsupported")


@pytest.mark.parametrize("way", ["refused", "not computed"])
def test_a_mechanism_that_fails_makes_way_for_the_next(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    challenge = Act(b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+\r\n")

    def no_md5(*_args: object) -> str:
        raise NO_MD5

    script = {(1, "auth", 1): Act(b"504 5.5.4 not that one\r\n")}
    if way == "not computed":
        script = {(1, "auth", 1): challenge, (1, "*", 1): Act(b"501 5.7.0 cancelled\r\n")}
        monkeypatch.setattr("hmac.HMAC", no_md5)
    with hostile.running(hostile.Hostile(script, offers=("AUTH CRAM-MD5 PLAIN",))) as server:
        _open(server, user="us", password="secret")
        assert [command.partition(" ")[0] for command in server.commands] == [
            "ehlo",
            "AUTH",
            *(["*"] if way == "not computed" else []),
            "AUTH",
        ]
        assert base64.b64decode(server.commands[-1].removeprefix("AUTH PLAIN ")) == b"\0us\0secret"


def test_where_all_mechanisms_fail_each_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hmac.HMAC", lambda *_args: (_ for _ in ()).throw(NO_MD5))
    script = {
        (1, "auth", 1): Act(b"334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2U+\r\n"),
        (1, "*", 1): Act(b"501 5.7.0 cancelled\r\n"),
        (1, "auth", 2): Act(b"535 5.7.8 bad\r\n"),
        (1, "auth", 3): Act(b"504 5.5.4 unknown\r\n"),
    }
    with (
        hostile.running(hostile.Hostile(script, offers=("AUTH PLAIN LOGIN CRAM-MD5",))) as server,
        pytest.raises(LoginRefused) as refused,
    ):
        _open(server, user="us", password="secret")
    assert (
        "logins tried: CRAM-MD5 (it cannot be computed here: is MD5 switched off?), "
        "PLAIN (»535 5.7.8 bad« came back), LOGIN (»504 5.5.4 unknown« came back)"
    ) in str(refused.value)
    assert "secret" not in str(refused.value)


def test_where_no_mechanism_is_common_both_sides_are_told() -> None:
    with (
        hostile.running(hostile.Hostile(offers=("AUTH XOAUTH2 SCRAM-SHA-256",))) as server,
        pytest.raises(SessionError, match="it offers XOAUTH2 SCRAM-SHA-256, we have CRAM-MD5 PLAIN LOGIN"),
    ):
        _open(server, user="us", password="secret")


def test_a_connection_that_ends_in_the_login_tells_nothing_of_it() -> None:
    with (
        hostile.running(hostile.Hostile({(1, "auth", 1): DROP}, offers=("AUTH LOGIN",))) as server,
        pytest.raises(SessionError, match="it closed the connection after `AUTH`") as refused,
    ):
        _open(server, user="us", password="secret")
    assert base64.b64encode(b"us").decode() not in str(refused.value)


def test_login() -> None:
    with hostile.running(hostile.Hostile(offers=("AUTH PLAIN",))) as server:
        _open(server, user="us", password="secret")
        assert base64.b64decode(server.commands[1].removeprefix("AUTH PLAIN ")) == b"\0us\0secret"


@pytest.mark.parametrize(
    ("answer", "kind"), [(b"535 5.7.8 us: no\r\n", LoginRefused), (b"454 4.7.0 later\r\n", NoSession)]
)
def test_a_refused_login_is_told_from_one_put_off(answer: bytes, kind: type[StageError]) -> None:
    script = {(1, "auth", 1): Act(answer)}
    with (
        hostile.running(hostile.Hostile(script, offers=("AUTH PLAIN",))) as server,
        pytest.raises(kind, match=r"SMTPAuthenticationError with [45].*_USER and _PASSWORD") as refused,
    ):
        _open(server, user="us", password="secret")
    assert f"PLAIN (»{answer.decode().strip().replace('us', '…')}« came back)" in str(refused.value)
    assert isinstance(refused.value, PassingError) is (kind is NoSession)  # is it worth trying again?
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None  # it quotes the server
    assert refused.value.__suppress_context__


TROUBLE = {
    "drop": (DROP, "it closed the connection"),
    "reset": (RESET, "(it broke the connection off|reset by peer)"),
    "stall": (STALL, "it did not answer in time"),
    "garbage": (Act(b"HTTP/1.1 400 Bad Request\r\n"), "what is no SMTP"),
    "half a line": (Act(b"25", Then.STALL), "it did not answer in time"),
    "half an answer": (Act(b"250-a\r\n", Then.STALL), "it did not answer in time"),
    "endless": (Act(b"250-x\r\n" * 1000), "answered without end"),
    "421": (
        Act(b"421 4.7.0 wait, person@kunde.example\r\n", Then.CLOSE),
        "it closed the connection with »421 4.7.0 wait",
    ),
    "554": (Act(b"554 5.7.1 no, person@kunde.example\r\n"), "with 554: .*»554 5.7.1 no, …« came back"),
}


@pytest.mark.parametrize("point", ["banner", "ehlo"])
@pytest.mark.parametrize(("act", "said"), TROUBLE.values(), ids=TROUBLE)
def test_a_relay_that_opens_no_session(point: str, act: Act, said: str) -> None:
    script = {(1, point, number): act for number in (1, 2)}  # HELO after EHLO
    with (
        hostile.running(hostile.Hostile(script)) as server,
        pytest.raises(SessionError, match=f"No session with the relay 127.0.0.1:.*{said}.*still open.*REKU_SMTP") as no,
    ):
        _open(server, command_seconds=0.2 if act.then is Then.STALL else 5)
    assert "kunde.example" not in str(no.value)


def test_no_relay_at_all() -> None:
    for relay in (mail_queues.relay(free_port()), Relay("relay.invalid", 25), Relay("a..b", 25)):
        with pytest.raises(SessionError, match=r"No session with the relay .*: .+\. Everything.*REKU_SMTP_HOST"):
            open_transport(relay, lambda: None)


def test_time_goes_on_while_a_relay_is_slow_to_greet() -> None:
    ticks: list[int] = []
    with hostile.running(hostile.Hostile({(1, "banner", 1): Act(after=0.5)})) as server:
        open_transport(mail_queues.relay(server.port), lambda: ticks.append(1)).close()
    assert len(ticks) >= 3


def test_an_error_while_a_relay_is_slow_to_greet_leaves_no_connection() -> None:
    def stop() -> None:
        raise RuntimeError("stop")

    with hostile.running(hostile.Hostile({(1, "banner", 1): Act(after=0.2)})) as server:
        with pytest.raises(RuntimeError, match="stop") as held:
            open_transport(mail_queues.relay(server.port), stop)
        hostile.until(lambda: len(server.ends) == 1)
        assert held.tb is not None  # what the error holds on to is not collected: closed it was


def test_the_relay_of_our_settings_never_shows_its_password() -> None:
    settings = Settings(smtp_host="relay", smtp_port=587, smtp_user="us", smtp_password="secret", smtp_tls=True)  # type: ignore[arg-type]
    relay = Relay.from_settings(settings)
    assert relay == Relay("relay", 587, "us", "secret", True)
    assert "secret" not in repr(relay)
    assert relay.answer_seconds == LONGEST_ANSWER_SECONDS
