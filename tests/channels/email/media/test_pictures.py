"""Pictures of media: what is refused with its cure, what travels with a mail, and that drawings and pictures agree."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest

from reku.catalogue import institutes
from reku.catalogue.medium_pictures import find_picture
from reku.channels.email.media.pictures import attachments
from reku.channels.email.media.preview import preview_mail
from reku.channels.email.media.score import sample_mail
from reku.foundation.errors import ConfigError
from reku.foundation.settings import INCLUDE, settings
from reku_testing import pictures
from tests.channels.email.conftest import BLZ, Probe
from tests.channels.email.media.test_compile import NOBODY

_IMAGE = '<mj-image src="bild.png" alt="Ein Haus" />'
_END = b"\0\0\0\0IEND\xaeB`\x82"

Written = Callable[..., str]


def png(width: int = 10, height: int = 10, more: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + pack(">I4sII", 13, b"IHDR", width, height) + bytes(more) + _END


def jpeg(width: int = 10, height: int = 10) -> bytes:
    return b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08" + pack(">HH", height, width) + b"\x01\x11\0"


@pytest.fixture
def with_picture(config: Path, probe: Probe) -> Callable[..., object]:
    def make(content: bytes | None, image: str = _IMAGE, name: str = "bild.png") -> object:
        folder = config / "templates" / "eigen" / "probe"
        folder.mkdir(parents=True, exist_ok=True)
        if content is not None:
            (folder / name).write_bytes(content)
        return probe("mail.mjml", "<mj-column>", f"<mj-column>\n        {image}")

    return make


@pytest.mark.parametrize(
    ("content", "image", "said"),
    [
        (None, _IMAGE, "'bild.png' is not beside the mail"),
        (png(), _IMAGE.replace("bild.png", "bidl.png"), "Did you mean 'bild.png'"),
        (png(more=20_000_000), _IMAGE, "has 20,000,036 bytes.*100,000"),
        (png(30_000, 30_000), _IMAGE, "30000 x 30000 pixels"),
        (png(0, 10), _IMAGE, "0 x 10 pixels"),
        (png()[:-4], _IMAGE, "no whole PNG or JPEG"),
        (b"", _IMAGE, "no whole PNG or JPEG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', _IMAGE, "no whole PNG or JPEG"),
        (b"GIF89a", _IMAGE, "no whole PNG or JPEG"),
        (b"\xff\xd8\xff", _IMAGE, "no whole PNG or JPEG"),
        (png(), _IMAGE.replace("bild.png", "Bild eins.png"), "needs a plain name"),
        (png(), _IMAGE.replace("bild.png", "bild.svg"), "needs a plain name"),
        (png(), _IMAGE.replace("bild.png", "../probe/bild.png"), "an image is a file beside the mail"),
        (png(), _IMAGE.replace("bild.png", "javascript:alert(1)"), "an image is a file beside the mail"),
        (png(), _IMAGE.replace("bild.png", "data:image/png;base64,AA"), "an image is a file beside the mail"),
        (png(), _IMAGE.replace("bild.png", "http://sparkasse-musterstadt.example/a.png"), "an image is a file"),
    ],
)
def test_bad_pictures_are_refused_with_their_cure(
    with_picture: Callable[..., object], content: bytes | None, image: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        with_picture(content, image)
    assert "mail.mjml" in str(refused.value)


def test_several_are_refused_together(config: Path, with_picture: Callable[..., object]) -> None:
    folder = config / "templates" / "eigen" / "probe"
    folder.mkdir(parents=True)
    (folder / "zwei.png").write_bytes(png(more=60_000))
    with pytest.raises(ConfigError, match=r"120,\d{3} bytes together"):
        with_picture(png(more=60_000), _IMAGE + '<mj-image src="zwei.png" alt="Zwei" />')


def test_a_link_is_no_picture(config: Path, with_picture: Callable[..., object]) -> None:
    folder = config / "templates" / "eigen" / "probe"
    folder.mkdir(parents=True)
    (config / "elsewhere.png").write_bytes(png())
    (folder / "bild.png").symlink_to(config / "elsewhere.png")
    with pytest.raises(ConfigError, match="is a link"):
        with_picture(None)


@pytest.mark.parametrize(("content", "kind", "name"), [(png(), "png", "bild.png"), (jpeg(), "jpeg", "bild.jpg")])
def test_it_travels_with_the_mail(with_picture: Callable[..., object], content: bytes, kind: str, name: str) -> None:
    compiled = with_picture(content, _IMAGE.replace("bild.png", name), name)
    (picture,) = compiled.pictures
    assert (picture.kind, picture.content) == (f"image/{kind}", content)
    assert f"Content-ID: <{picture.content_id}>\r\n".encode() in compiled.attachments
    assert attachments(()) == b""


def test_a_changed_picture_is_seen(config: Path, with_picture: Callable[..., object], probe: Probe) -> None:
    first = with_picture(png())
    again = with_picture(png(20, 20))
    assert first.pictures[0].content_id != again.pictures[0].content_id


def test_a_bank_may_want_none(config: Path, with_picture: Callable[..., object]) -> None:
    file = config / "institutes" / f"{BLZ}.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\nimages: none\n", encoding="utf-8")
    compiled = with_picture(png(), f"<!-- a --> {_IMAGE}")
    assert (compiled.pictures, compiled.attachments) == ((), b"")


def test_a_bank_may_have_them_fetched(
    config: Path, with_picture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKU_TRACKER_URL", "https://mail.bank.example/")
    settings.cache_clear()
    file = config / "institutes" / f"{BLZ}.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\nimages: tracker\n", encoding="utf-8")
    compiled = with_picture(png())
    assert compiled.attachments == b""
    html = compiled.render(NOBODY, links=compiled.links, unsubscribe="https://weg.example/u").html
    (address,) = re.findall(r'src="(https://[^"]*)"', html)
    assert re.fullmatch(r"https://mail\.bank\.example/b/eigen_probe/bild\.[0-9a-f]{12}\.png", address)
    mail = sample_mail(compiled).data
    assert b"multipart/alternative" in mail.partition(b"\r\n\r\n")[0]
    assert "data:image/png" in preview_mail("EIGEN_PROBE", institutes()[BLZ]).html

    medium, name = address.split("/")[-2:]
    assert find_picture(medium, name) == (png(), "image/png", True)
    other = name.replace(name.split(".")[1], "0" * 12)
    assert find_picture(medium, other) == (png(), "image/png", False)  # of a mail from before the picture was changed
    for wrong in (("eigen_nichts", name), (medium.upper(), name), (medium, "bild.png"), (medium, "../x." + name[5:])):
        assert find_picture(*wrong) is None
    (config / "templates/eigen/probe/bild.png").unlink()
    assert find_picture(medium, name) is None


@pytest.mark.parametrize("drawing", pictures.drawings(), ids=lambda file: "/".join(file.parts[-3:-1]))
def test_a_picture_is_made_from_its_drawing(drawing: Path) -> None:
    picture = drawing.with_suffix(".png")
    assert pictures.source_of(picture) == pictures.digest(drawing), "run `python -m reku_testing.pictures`"
    assert picture.stat().st_size <= pictures.LARGEST
    width, height = (int.from_bytes(picture.read_bytes()[start : start + 4]) for start in (16, 20))
    assert (width, height) == (pictures.WIDTH, 540)
    text = drawing.read_text(encoding="utf-8")
    assert not re.search(r"<script|href|<image|<text|url\((?!#)|@import", text)


def test_every_medium_has_a_drawing() -> None:
    folders = {file.parent for file in (INCLUDE / "templates").glob("*/*/medium.yaml")}
    assert {file.parent for file in pictures.drawings()} == folders
