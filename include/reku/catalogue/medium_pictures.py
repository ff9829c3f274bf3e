"""Pictures that mails fetch from the tracker (docs/media.md, "Pictures").

The address names the medium and the picture. It names nobody, and no delivery either: one of a single person would.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple

from reku.catalogue.loader import media, medium_folder

PLACE = "b"
"""First part of the path on the tracker's host."""
LARGEST = 100_000
"""Bytes of all pictures of a medium."""
_KINDS = {"png": "image/png", "jpg": "image/jpeg"}
_NAME = re.compile(r"([a-z0-9_-]{1,100})\.([0-9a-f]{12})\.(png|jpg)")


class FoundPicture(NamedTuple):
    """A picture as it is sent. `is_current`: whether it is still the one that the mail was made with."""

    content: bytes
    kind: str
    is_current: bool


def picture_address(base: str, medium_key: str, name: str, content: bytes) -> str:
    """Where a mail fetches the picture `name` (such as kopf.png) of a medium; it changes with the content."""
    stem, _, kind = name.rpartition(".")
    return f"{base}/{PLACE}/{medium_key.lower()}/{stem}.{picture_digest(content)}.{kind}"


def picture_digest(content: bytes) -> str:
    """Twelve hex digits that stand for a picture's content."""
    return sha256(content).hexdigest()[:12]


def find_picture(medium: str, name: str) -> FoundPicture | None:
    """The picture that an address means, as it is today: mails that lie in mailboxes for years show it. Or None."""
    named, key = _NAME.fullmatch(name), medium.upper()
    if named is None or medium != medium.lower() or key not in media():
        return None
    file = medium_folder(key) / f"{named[1]}.{named[3]}"
    if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
        return None
    content = file.read_bytes()
    return FoundPicture(content, _KINDS[named[3]], picture_digest(content) == named[2])
