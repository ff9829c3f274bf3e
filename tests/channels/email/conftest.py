"""A medium of mails, written and compiled with one change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reku.catalogue import institutes, media
from reku.channels.email.media.compile import CompiledMedium, compile_medium

BLZ = "99990001"

GOOD = {
    "medium.yaml": """\
key: EIGEN_PROBE
provider: Eigene
title: Probe
occasions: []
subject: "Guten Tag {% if Nachname %}{{ Nachname }}{% else %}zusammen{% endif %}"
preheader: "Ein Gruß zum {{ Anlass_Datum }}"
fallbacks:
  Produkt_Text: Ihr Konto
links:
  - name: angebot
    url: "https://www.{domain}/angebot"
""",
    "mail.mjml": """\
<mjml lang="de">
  <mj-head>
    <mj-include path="shared/head.mjml" />
  </mj-head>
  <mj-body>
    <mj-section>
      <mj-column>
        <mj-text>{{ briefanrede }}, {{ Produkt_Text }}</mj-text>
        <mj-raw>{% if Anlass_Wert %}</mj-raw><mj-text>Wert {{ Anlass_Wert }}</mj-text><mj-raw>{% endif %}</mj-raw>
        <mj-button href="{{ link_angebot }}">Zum Angebot</mj-button>
      </mj-column>
    </mj-section>
    <mj-include path="shared/footer.mjml" />
  </mj-body>
</mjml>
""",
    "mail.txt": """\
{{ briefanrede }}, {{ Produkt_Text }}
{% if Anlass_Wert %}Wert {{ Anlass_Wert }}{% endif %}
{{ link_angebot }}
{% include "shared/footer.txt" %}
""",
}

Probe = Callable[..., CompiledMedium]


@pytest.fixture
def probe(config: Path) -> Probe:
    """Writes the medium EIGEN_PROBE and compiles it: `probe()`, or `probe("mail.txt", old, new)` with one change."""

    def write_and_compile(file: str = "", old: str = "", new: str = "") -> CompiledMedium:
        folder = config / "templates" / "eigen" / "probe"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in GOOD.items():
            if name == file:
                assert old in text, "the change must change something"
                text = text.replace(old, new, 1)
            (folder / name).write_text(text, encoding="utf-8")
        return compile_medium(media()["EIGEN_PROBE"], institutes()[BLZ])

    return write_and_compile
