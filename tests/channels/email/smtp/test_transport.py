"""How a connection is opened: TLS, login, what the relay offers, and what is said when there is none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from reku.channels.email.smtp.answers import LoginRefused, SessionError
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
        with pytest.raises(SessionError, match="certificate"):
            _open(server, tls=True)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))  # as an operator does for a relay of the house
        assert _open(server, tls=True).offers.pipelining
        with pytest.raises(SessionError, match="certificate"):  # it is for 127.0.0.1 only
            open_transport(Relay("localhost", server.port), lambda: None)


def test_a_relay_without_tls_is_refused_where_tls_is_demanded() -> None:
    with (
        hostile.running(hostile.Hostile()) as server,
        pytest.raises(SessionError, match=r"SMTPNotSupportedError.*REKU_SMTP_HOST"),
    ):
        _open(server, tls=True, user="us", password="secret")
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


def test_login() -> None:
    with hostile.running(hostile.Hostile(offers=("AUTH PLAIN",))) as server:
        _open(server, user="us", password="secret")
        assert base64.b64decode(server.commands[1].removeprefix("AUTH PLAIN ")) == b"\0us\0secret"


@pytest.mark.parametrize(
    ("answer", "kind"), [(b"535 5.7.8 us: no\r\n", LoginRefused), (b"454 4.7.0 later\r\n", SessionError)]
)
def test_a_refused_login_is_told_from_one_put_off(answer: bytes, kind: type[StageError]) -> None:
    script = {(1, "auth", 1): Act(answer)}
    with (
        hostile.running(hostile.Hostile(script, offers=("AUTH PLAIN",))) as server,
        pytest.raises(kind, match=r"SMTPAuthenticationError with [45].*_USER and _PASSWORD") as refused,
    ):
        _open(server, user="us", password="secret")
    assert isinstance(refused.value, PassingError) is (kind is SessionError)  # is it worth trying again?
    assert "secret" not in str(refused.value)
    assert "5.7.8" not in str(refused.value)
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
        Act(b"421 4.7.0 person@kunde.example\r\n", Then.CLOSE),
        "(with 421|closed the connection)",
    ),  # after EHLO smtplib tries HELO
    "554": (Act(b"554 5.7.1 person@kunde.example\r\n"), "with 554"),
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
