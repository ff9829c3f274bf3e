"""What the simulated customers read with: the names that their mail programs and browsers send."""

from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """User-Agents of who shows the mail's pictures and of who opens its links."""

    mail_program: str
    browser: str


_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0"

DEVICES = (
    Device(f"{_IPHONE} Mobile/15E148", f"{_IPHONE} Version/18.6 Mobile/15E148 Safari/604.1"),
    Device(
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
        f"Mozilla/5.0 (Linux; Android 10; K) {_CHROME} Mobile Safari/537.36",
    ),
    Device(
        "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
        f"{_WINDOWS}) {_CHROME} Safari/537.36 Edg/141.0.0.0",
    ),
    Device(
        f"{_WINDOWS}; rv:140.0) Gecko/20100101 Thunderbird/140.3.0",
        f"{_WINDOWS}; rv:143.0) Gecko/20100101 Firefox/143.0",
    ),
    Device(
        "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
        f"{_WINDOWS}) {_CHROME} Safari/537.36",
    ),
)


def device_of(person_number: str) -> Device:
    """The device of a person: always the same one."""
    return DEVICES[zlib.crc32(person_number.encode()) % len(DEVICES)]
