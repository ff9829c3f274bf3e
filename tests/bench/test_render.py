"""The render benchmark measures what it says: both sides make one mail, of the size and with the links it names."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from reku.bench import render
from reku.channels.email.media.links import links_for
from reku.foundation import mail_proof
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings


@pytest.fixture
def _configured(reku_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKU_CONFIG_DIR", str(render.configuration(tmp_path / "config")))
    monkeypatch.setenv("REKU_TRACKER_URL", render.TRACKER)
    settings.cache_clear()


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    assert part is not None
    return part.get_content()


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("number", [0, 1, 199])
def test_both_sides_make_the_same_mail(number: int) -> None:
    compiled, person, links = (
        render.compiled_medium(),
        render.person(number),
        links_for(number, render.SHARED_LINKS, tracking=True),
    )
    mails = [side(compiled, person, links) for side in (render.by_us, render.by_email_message)]
    ours, theirs = (message_from_bytes(mail, policy=policy.default) for mail in mails)
    assert sorted(ours.keys()) == sorted([*theirs.keys(), mail_proof.FIELD])
    for name in set(theirs.keys()) - {"Content-Type", "Date"}:
        assert ours[name] == theirs[name].lstrip()  # its folding of a long Message-ID leaves a blank before it
    assert person["Nachname"] in ours["To"]
    pictures = [
        [(part["Content-ID"], part.get_content()) for part in mail.walk() if part.get_content_maintype() == "image"]
        for mail in (ours, theirs)
    ]
    assert pictures[0] == pictures[1] != []
    for kind in ("plain", "html"):
        assert _body(ours, kind) == _body(theirs, kind)
    for mail in mails:
        assert 60_000 <= len(mail) <= 75_000
    links_of = [set(re.findall(r"/([cuo])/([\w.-]+)", _body(ours, kind))) for kind in ("plain", "html")]
    assert links_of[0] < links_of[1]
    assert sorted(kind for kind, _ in links_of[1]) == ["c", "c", "c", "c", "o", "u"]


@pytest.mark.processes
def test_the_figure_is_measured_in_a_process_of_its_own() -> None:
    found = render.measure(1)
    assert found.pop("ratio") > 0
    assert re.fullmatch(r"6\d{4} bytes a mail, 6 signed links, a picture", found.pop("what"))
    assert found == {
        "stage": "render",
        "against": "EmailMessage(policy.SMTP)",
        "at_least": 10,
        "rounds": 1,
        "rows": render.MAILS,
    }


@pytest.mark.processes
def test_what_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(render, "configuration", lambda _folder: tmp_path)
    with pytest.raises(SetupError, match=r"could not be measured: .* folder does not exist"):
        render.measure(1)
