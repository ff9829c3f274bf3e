"""One page that shows a mail as people get it: on a phone and at a desk, light and dark, and its text part.

A browser shows one mode only, so the rules of the mail for the other are switched on or off in what each frame shows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from reku.channels.email.media.compile import RenderedMail
from reku.foundation.errors import ConfigError, SetupError

_PHONE, _DESK = 375, 640
_HEIGHT = 1_900
_WINDOW = (2 * (_PHONE + _DESK) + 160, _HEIGHT + 1_100)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE = 60
_PAINTED = ("--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process", "--virtual-time-budget=5000")
"""The frames are drawn by the page's own process, and before the picture is taken: else, on a busy machine, they are
empty in it.
"""
_DARK_RULE = re.compile(r"\(prefers-color-scheme:\s*dark\)")
_STYLE = """
body { margin: 0; padding: 20px; background: #dde1e6; color: #1b1f23; font: 15px/1.5 sans-serif; }
h1 { font-size: 20px; margin: 0; } h2 { font-size: 15px; margin: 0 0 6px; }
.views { display: flex; flex-wrap: wrap; gap: 20px; margin: 20px 0; align-items: flex-start; }
iframe { border: 1px solid #8a949e; background: #fff; } .dark { background: #14171a; }
pre { background: #fff; padding: 16px; white-space: pre-wrap; max-width: 640px; font: 14px/1.5 monospace; }
.fault { background: #fff; border-left: 6px solid #b00020; padding: 12px 16px; white-space: pre-wrap; }
"""


def overview_page(key: str, mail: RenderedMail, preheader: str = "", *, script: str = "", note: str = "") -> str:
    """The page as HTML; `script` is run in it, `note` stands at its head."""
    frames = "".join(
        _frame(f"{where}, {mode}", width, in_mode(mail.html, dark=mode == "dark"), mode)
        for mode in ("light", "dark")
        for where, width in (("phone", _PHONE), ("desktop", _DESK))
    )
    return _page(
        key,
        f"<p><strong>{escape(mail.subject)}</strong> <span>{escape(preheader)}</span></p>{note}"
        f'<div class="views">{frames}</div><h2>Text part</h2><pre>{escape(mail.text)}</pre>',
        script,
    )


def fault_page(key: str, faults: Sequence[ConfigError], script: str = "") -> str:
    """The page in place of a mail that cannot be made: what is wrong, and what would be right."""
    return _page(key, fault_list(faults), script)


def fault_list(faults: Sequence[ConfigError]) -> str:
    """Faults as HTML."""
    return "".join(f'<p class="fault">{escape(str(fault))}</p>' for fault in faults)


def in_mode(html: str, *, dark: bool) -> str:
    """A mail that shows itself in one mode, whatever the browser prefers."""
    return _DARK_RULE.sub("all" if dark else "not all", html)


def picture_of(page: str, file: Path) -> None:
    """Have a browser of this machine write the page as a PNG. Raises SetupError without one, or if it fails."""
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        raise SetupError("A picture needs Chromium or Chrome. On Debian and Ubuntu: apt install chromium")
    with tempfile.TemporaryDirectory(prefix="reku-preview-") as folder:
        source, shot = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page, encoding="utf-8")
        flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", *_PAINTED)
        size = f"--window-size={_WINDOW[0]},{_WINDOW[1]}"
        try:
            subprocess.run(  # noqa: S603 - the browser of this machine, with a page of ours
                (program, *flags, size, f"--user-data-dir={folder}/profile", f"--screenshot={shot}", source.as_uri()),
                timeout=_PATIENCE,
                capture_output=True,
                check=True,
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise SetupError(f"{program} took no picture: {error}") from None
        shutil.copyfile(shot, file)


def _frame(title: str, width: int, html: str, mode: str) -> str:
    return (
        f'<div><h2>{title}</h2><iframe class="{mode}" title="{title}" sandbox width="{width}" height="{_HEIGHT}" '
        f'srcdoc="{escape(html)}"></iframe></div>'
    )


def _page(key: str, body: str, script: str) -> str:
    run = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(key)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(key)}</h1>{body}{run}</body></html>"
    )
