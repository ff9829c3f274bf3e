"""The gallery of media, `docs/media/`: each as a picture, with its occasions and placeholders.

The page names a digest of what each picture shows, so that a test sees a picture that is out of date without drawing it
anew. Run as `python -m reku_testing.gallery`; it needs a browser and takes pictures of what has changed.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from PIL import Image

from reku.catalogue import institutes, media
from reku.catalogue.medium import Medium
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.preview import preview_mail
from reku.foundation import clock
from reku.foundation.settings import INCLUDE
from reku_testing.browser import Tab, browser

FOLDER = INCLUDE.parent / "docs" / "media"
PAGE = FOLDER / "README.md"
BLZ = "99990001"
_TEMPLATES = INCLUDE / "templates"
_VIEWS = (375, 600)
_SCALE, _HEIGHT, _GAP = 0.6, 1_150, 20
_GROUND, _COLOURS = "#DDE1E6", 128
_PLACEHOLDER = re.compile(r"\{\{ ([A-Z]\w+) \}\}|\{% (?:el)?if ([A-Z]\w+)")
_DIGEST = re.compile(r"<!-- (\w+) ([0-9a-f]{16}) -->")
_GUIDE = "media.md"
_HEAD = f"""\
# Gallery of the media

Each medium as a phone and a desktop show it. Written by `python -m reku_testing.gallery`, not by hand;
how a medium is made: [writing a medium](../{_GUIDE}).
"""


def digest(medium: Medium) -> str:
    """Of all files that a picture of the medium shows something of."""
    folder = _TEMPLATES / medium.folder
    files = (*sorted((_TEMPLATES / "shared").glob("*.mjml")), folder.parent / "look.mjml", folder / "mail.mjml")
    content = b"\0".join(file.read_bytes() for file in (*files, folder / "kopf.png"))
    return sha256(content).hexdigest()[:16]


def page() -> str:
    """The page as it should be."""
    return "\n".join([_HEAD, *(_entry(medium) for _, medium in sorted(media(INCLUDE).items()))])


def _entry(medium: Medium) -> str:
    texts = (medium.subject, (_TEMPLATES / medium.folder / "mail.mjml").read_text(encoding="utf-8"))
    named = {name for text in texts for found in _PLACEHOLDER.findall(text) for name in found if name}
    shown = ", ".join(f"`{name}`" for name in sorted(named) if not name.startswith("Bank_"))
    return (
        f"## {medium.provider}: {medium.title}\n\n"
        f"`{medium.key}` · occasions: {', '.join(medium.occasions) or 'linked by hand'}"
        f" · placeholders: {shown or 'none of its own'}\n\n"
        f"![{medium.title}]({medium.key.lower()}.png)\n<!-- {medium.key} {digest(medium)} -->\n"
    )


def outdated() -> Iterator[Medium]:
    """Media whose picture shows something else than they are now, or is missing."""
    known = dict(_DIGEST.findall(PAGE.read_text(encoding="utf-8"))) if PAGE.exists() else {}
    for key, medium in sorted(media(INCLUDE).items()):
        if known.get(key) != digest(medium) or not (FOLDER / f"{key.lower()}.png").exists():
            yield medium


def main() -> None:
    """Take pictures of what has changed, and write the page."""
    changed = list(outdated())
    FOLDER.mkdir(exist_ok=True)
    bank = institutes(INCLUDE)[BLZ]
    person = sample_person(bank) | {"Anlass_Datum": f"{clock.today() + timedelta(90):%d.%m.%Y}"}
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as tab:
        tab.ask("Emulation.setScrollbarsHidden", hidden=True)
        for medium in changed:
            file = Path(folder, "mail.html")
            file.write_text(preview_mail(medium.key, bank, person).html, encoding="utf-8")
            tab.go("about:blank")
            _picture(tab, file).save(FOLDER / f"{medium.key.lower()}.png", optimize=True)
            sys.stdout.write(f"{medium.key}\n")
    PAGE.write_text(page(), encoding="utf-8")


def _picture(tab: Tab, mail: Path) -> Image.Image:
    views = []
    for width in _VIEWS:
        tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=_HEIGHT, deviceScaleFactor=1, mobile=False)
        tab.go(mail.as_uri())
        shot = base64.b64decode(tab.ask("Page.captureScreenshot")["data"])
        view = Image.open(io.BytesIO(shot)).convert("RGB")
        views.append(view.resize((round(view.width * _SCALE), round(view.height * _SCALE)), Image.Resampling.LANCZOS))
    whole = Image.new("RGB", (sum(view.width + _GAP for view in views) + _GAP, views[0].height + 2 * _GAP), _GROUND)
    left = _GAP
    for view in views:
        whole.paste(view, (left, _GAP))
        left += view.width + _GAP
    return whole.quantize(_COLOURS, kmeans=2, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
