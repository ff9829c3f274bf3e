"""The gallery of media shows what is sent: its page by its words, its pictures by what they were made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from reku_testing import gallery

CURE = "run `python -m reku_testing.gallery`"


def test_the_gallery_is_up_to_date() -> None:
    assert [medium.key for medium in gallery.outdated()] == [], CURE
    assert gallery.PAGE.read_text(encoding="utf-8") == gallery.page(), CURE
    pictures = list(gallery.FOLDER.glob("*.png"))
    assert len(pictures) == gallery.page().count("![")
    assert sum(picture.stat().st_size for picture in pictures) < 6_000_000


def test_a_changed_medium_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(gallery.page().replace("<!-- LBS_HEIRAT ", "<!-- LBS_HEIRAT 0"), encoding="utf-8")
    monkeypatch.setattr(gallery, "PAGE", page)
    assert [medium.key for medium in gallery.outdated()] == ["LBS_HEIRAT"]
