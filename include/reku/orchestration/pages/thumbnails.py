"""Small pictures of media, to stand in a page: the drawing at the head of the mail."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from reku.catalogue.loader import media, medium_folder
from reku.foundation.errors import ConfigError

LARGEST = 100_000
"""Bytes of a picture that is put into a page."""


@dataclass(frozen=True)
class Thumbnail:
    """A medium's key, its title, and its picture as an address of data; both empty where they cannot be had."""

    key: str
    title: str = ""
    picture: str = ""


def thumbnail(key: str) -> Thumbnail:
    """What to show of a medium, whatever is wrong with its files."""
    try:
        title, folder = media()[key].title, medium_folder(key)
    except (ConfigError, KeyError):
        return Thumbnail(key)
    for file in sorted(folder.glob("*.png")):
        data = file.read_bytes()
        if len(data) <= LARGEST:
            return Thumbnail(key, title, f"data:image/png;base64,{base64.b64encode(data).decode()}")
    return Thumbnail(key, title)
