"""A whole small configuration that tests spoil in one place each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str | bytes], Path]

OCCASION = """\
code: MCAG002
title: Runde Geburtstage
family: Geburtstage
priority: 3
media: [SCOM_GEBURTSTAG]
window: {first_day: 0, last_day: 3}
response_window: 6h
"""

MEDIUM = """\
key: SCOM_GEBURTSTAG
provider: S-Com
title: Geburtstag
occasions: [MCAG002]
subject: Herzlichen Glückwunsch
links:
  - {name: gruss, url: "https://bank.example/gruss"}
"""

INSTITUTE = """\
blz: 99990009
name: Sparkasse Prüfstadt
core_system: osplus
state: NW
interface_active_from: 2026-01-01
sender:
  name: Sparkasse Prüfstadt
  address: service@bank.example
  domains: [bank.example]
colours:
  primary: "#CC0000"
imprint: Sparkasse Prüfstadt, Prüfweg 1
campaigns:
  - order: R0000001
    name: Geburtstage
    active: true
    blocks:
      - {block: start, list: R0000001}
      - {block: wait, until: 10:30}
      - {block: send, media: [SCOM_GEBURTSTAG]}
"""

FILES = {
    "occasions/MCAG002.yaml": OCCASION,
    "templates/scom/geburtstag/medium.yaml": MEDIUM,
    "templates/scom/geburtstag/mail.mjml": "<mjml/>",
    "templates/scom/geburtstag/mail.txt": "Text",
    "institutes/99990009.yaml": INSTITUTE,
    "contracts/vreku.yaml": "kind: VREKU\n",
    "expectations/reku.yaml": "rules: []\n",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The folder of a whole configuration: one occasion, one medium, one institute."""
    folder = tmp_path / "config"
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def write(config: Path) -> Write:
    """Write one more file into the configuration."""

    def write(name: str, content: str | bytes) -> Path:
        file = config / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


@pytest.fixture
def edit(config: Path, write: Write) -> Callable[[str, str, str], Path]:
    """Replace a piece of text, which must stand there once, in a file of the configuration."""

    def edit(name: str, old: str, new: str) -> Path:
        text = (config / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        return write(name, text.replace(old, new))

    return edit
