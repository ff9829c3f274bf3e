"""Links as people, mail programs and wrappers of lines give them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reku.foundation.tokens import Purpose, Target, make
from reku.responses.bent_links import LONGEST, read_link

ANY = {"List-Unsubscribe": "One-Click"}

ADDED = [
    *(
        "/",
        ".",
        ")",
        "%3E",
        "%20",
        "&utm_source=wrapper",
        "&amp;utm_source=wrapper",
        "%3Futm_source=x",
        ";jsessionid=1",
    ),
    *("//", "...", ").", "%3E.", "%22", "'", "%5D", "%5D(https:", ",", "!", "*", "**", "_", "__", "-", "=", "%3D", "+"),
    *("%0D%0A", "%0A", "%09", "%C2%A0", "%E2%80%9C", "%E2%80%8B", "%EF%BB%BF", "%252F", "%2520", "%FF", "|x", "%00"),
    *("%20und%20mehr", "/und/mehr", ".%20Danke", "&", "#", "%23oben", "@", "%7D", "%3C/a%3E", ":"),
]
BEFORE = ["/", "%20", "%3C", "%22", "(", "*", "_", "%E2%80%8B", ".", "-"]
BROKEN: list[tuple[str, Callable[[str], str]]] = [
    ("a wrapped line", lambda token: f"{token[:30]}%0D%0A{token[30:]}"),
    ("a wrapped line of quoted-printable", lambda token: f"{token[:30]}=%0D%0A{token[30:]}"),
    ("a blank", lambda token: f"{token[:20]}%20{token[20:]}"),
    ("an escaped blank, escaped again", lambda token: f"{token[:20]}%2520{token[20:]}"),
    ("a soft hyphen", lambda token: f"{token[:20]}%C2%AD{token[20:]}"),
    ("no width", lambda token: f"{token[:20]}%E2%80%8B{token[20:]}/"),
]


@pytest.fixture
def token(sent: Any) -> str:
    return make(Purpose.UNSUBSCRIBE, Target(sent()))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bent_links_unsubscribe(web: httpx.Client, token: str, events: Any, method: str) -> None:
    bent = [f"{token}{added}" for added in ADDED]
    bent += [f"{before}{token}" for before in BEFORE] + [
        f"{before}{token}{added}" for before in BEFORE for added in "/_"
    ]
    bent += [bend(token) for _, bend in BROKEN]
    for path in bent:
        answer = web.request(method, f"/u/{path}", data=ANY if method == "POST" else None)
        assert answer.status_code == 200, path
    assert [event[1] for event in events()] == (["UNSUBSCRIBED"] if method == "POST" else [])


@pytest.mark.parametrize("purpose", [Purpose.CLICK, Purpose.ANONYMOUS])
def test_bent_links_lead_to_their_target(web: httpx.Client, sent: Any, purpose: Purpose) -> None:
    message = sent()
    target = Target(message, 1) if purpose is Purpose.CLICK else Target(1, 1, "SCOM_GEBURTSTAG")
    for added in ADDED:
        answer = web.get(f"/{purpose}/{make(purpose, target)}{added}")
        assert (answer.status_code, answer.headers.get("location")) == (
            302,
            "https://www.sparkasse.example/geburtstag",
        ), added


@pytest.mark.parametrize("more", ["x", "0", "_x", "-x", "x/", "A.", "1"])
def test_what_may_belong_to_a_token_is_not_cut(token: str, more: str) -> None:
    assert read_link(Purpose.UNSUBSCRIBE, token + more) is None
    assert read_link(Purpose.UNSUBSCRIBE, more.strip("/.") + token) is None


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("reku_settings")
@given(text=st.text(st.sampled_from("0123456789abcdefXYZ-_. /=\r\n\u200b%é"), max_size=120))
def test_rubbish_is_no_link(text: str) -> None:
    assert read_link(Purpose.UNSUBSCRIBE, text) is None


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("reku_settings")
@given(
    number=st.integers(1, 2**63 - 1),
    before=st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
    after=st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
)
def test_no_rest_changes_what_is_meant(number: int, before: str, after: str) -> None:
    meant = Target(number)
    assert read_link(Purpose.UNSUBSCRIBE, f"{before}{make(Purpose.UNSUBSCRIBE, meant)}{after}") in (meant, None)


def test_no_other_purpose_is_meant(token: str) -> None:
    assert read_link(Purpose.CLICK, f"{token}/") is None
    assert read_link(Purpose.UNSUBSCRIBE, f"{token}/" + "x" * LONGEST) is None
