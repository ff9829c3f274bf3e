"""The pictures of a medium: files beside its mail, checked once, made ready once for every mail of an institute.

How they reach the reader is the bank's choice (`images` of its file): docs/media.md, "Pictures". Embedded ones are the
same bytes in every mail, so they are encoded when the medium is compiled, and a person's mail only has them appended.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reku.catalogue.institute import Images
from reku.catalogue.medium_pictures import LARGEST, picture_address, picture_digest
from reku.channels.email.media.sources import Source
from reku.foundation import picture_sides
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings

MOST_PIXELS = 2_400
"""Pixels of a side: a mail is 600 wide, sharp screens take twice as many."""
BOUNDARY = "=_reku-pictures"
"""Around a mail's parts and its pictures; like `mail_proof.BOUNDARY` nothing that an encoding could write."""

_IMAGE = re.compile(r"""<mj-image\b(?:[^>"']|"[^"]*"|'[^']*')*?\bsrc="([^":/{]*)"(?:[^>"']|"[^"]*"|'[^']*')*?/>""")
_NAME = re.compile(r"[a-z0-9_-]+\.(?:png|jpg)")


@dataclass(frozen=True)
class Picture:
    """One picture of a medium. `content_id`: what a mail that it travels with calls it by, without angle brackets
    (RFC 2392). `address`: what stands in the mail for it.
    """

    file: Path
    content: bytes
    content_id: str
    address: str

    @property
    def kind(self) -> str:
        """The media type."""
        return "image/png" if self.content.startswith(picture_sides.PNG) else "image/jpeg"


def files(folder: Path) -> Iterator[Path]:
    """The pictures that lie beside a mail, whether it shows them or not."""
    yield from (file for file in sorted(folder.iterdir()) if _NAME.fullmatch(file.name))


def placed(mail: Source, text: str, images: Images, domain: str, medium_key: str) -> tuple[str, tuple[Picture, ...]]:
    """MJML with its own pictures as the bank wants them, and the pictures that it shows.

    `text`: the mail with its includes in place; a picture of its own is `<mj-image src="name.png" … />`. `domain`: the
    right side of content ids. Raises ConfigError with file and line for a picture that is missing, none, or too large.
    """
    found: dict[str, Picture] = {}

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if name not in found:
            picture = _picture(mail, name, domain)
            if images is Images.TRACKER:
                base = settings().tracker_url.rstrip("/")
                picture = replace(picture, address=picture_address(base, medium_key, name, picture.content))
            found[name] = picture
        if images is Images.NONE:
            return ""
        start, end = (place - match.start() for place in match.span(1))
        return f"{match[0][:start]}{found[name].address}{match[0][end:]}"

    text = _IMAGE.sub(place, text)
    size = sum(len(picture.content) for picture in found.values())
    if size > LARGEST:
        raise ConfigError(
            f"The pictures of the mail have {size:,} bytes together. At most {LARGEST:,} travel with each mail: "
            "save them with fewer colours, or smaller.",
            file=mail.file,
        )
    return text, () if images is Images.NONE else tuple(found.values())


def _picture(mail: Source, name: str, domain: str) -> Picture:
    file = mail.file.parent / name
    line = mail.text[: mail.text.find(f'"{name}"')].count("\n") + 1 if f'"{name}"' in mail.text else 1
    if not _NAME.fullmatch(name):
        raise mail.fault(
            f"The picture {name!r} needs a plain name: small letters, digits, - and _, then .png or .jpg.", line
        )
    try:
        if file.is_symlink():
            raise mail.fault(f"The picture {name!r} is a link. Put the file itself beside the mail.", line)
        if file.stat().st_size > LARGEST:
            raise mail.fault(
                f"The picture {name!r} has {file.stat().st_size:,} bytes. All pictures of a mail have at most "
                f"{LARGEST:,} together: save it with fewer colours, or smaller.",
                line,
            )
        content = file.read_bytes()
    except OSError:
        known = tuple(path.name for path in files(mail.file.parent))
        raise mail.fault(f"The picture {name!r} is not beside the mail.", line, value=name, valid=known) from None
    sides = picture_sides.sides(content)
    if sides is None:
        raise mail.fault(f"The picture {name!r} is no whole PNG or JPEG. Save it as one of these.", line)
    if not all(0 < side <= MOST_PIXELS for side in sides):
        raise mail.fault(
            f"The picture {name!r} has {sides[0]} x {sides[1]} pixels. A side has 1 to {MOST_PIXELS}.", line
        )
    content_id = f"{file.stem}-{picture_digest(content)}@{domain}"
    return Picture(file, content, content_id, f"cid:{content_id}")


def attachments(pictures: Sequence[Picture]) -> bytes:
    """The pictures as parts of a `multipart/related` mail (RFC 2387), with what ends it; empty without pictures."""
    if not pictures:
        return b""
    return b"".join(_part(picture) for picture in pictures) + f"--{BOUNDARY}--\r\n".encode()


def _part(picture: Picture) -> bytes:
    name = picture.file.name
    head = (
        f"--{BOUNDARY}\r\n"
        f'Content-Type: {picture.kind}; name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{picture.content_id}>\r\n"
        f'Content-Disposition: inline; filename="{name}"\r\n'
        "\r\n"
    )
    return head.encode() + encodebytes(picture.content).replace(b"\n", b"\r\n")


def addresses(pictures: Collection[Picture]) -> frozenset[str]:
    """What an `src` of the compiled mail calls these pictures."""
    return frozenset(picture.address for picture in pictures)
