"""Pictures of media from their drawings: `kopf.svg` → `kopf.png`, for whoever changes a drawing.

The pictures are kept in the repository, so that no machine that sends mails needs a renderer. Each names the digest of
the drawing that it was made from; a test holds them together. Run as `python -m reku_testing.pictures`.
"""

from __future__ import annotations

import io
import sys
from hashlib import sha256
from pathlib import Path

from PIL import Image, PngImagePlugin

from reku.foundation.settings import INCLUDE

WIDTH = 1_200
"""Pixels: twice the width of a mail, so that it is sharp on every screen."""
LARGEST = 60_000
"""Bytes of a picture at the head of a mail."""
_SOURCE = "Source"
_COLOURS = 256


def drawings(config_dir: Path = INCLUDE) -> list[Path]:
    """All drawings of media."""
    return sorted((config_dir / "templates").glob("*/*/kopf.svg"))


def digest(drawing: Path) -> str:
    """What a picture made from the drawing, as it is now, names as its source."""
    return sha256(drawing.read_bytes()).hexdigest()


def source_of(picture: Path) -> str:
    """The digest of the drawing that a picture was made from; empty if it names none."""
    with Image.open(picture) as image:
        return str(image.info.get(_SOURCE, ""))


def rendered(drawing: Path) -> bytes:
    """The drawing as PNG of few colours, without dithering, which would make it three times as large."""
    import resvg_py  # only here: no test renders

    raw = bytes(resvg_py.svg_to_bytes(svg_path=str(drawing), width=WIDTH))
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    few = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=6, dither=Image.Dither.NONE)
    source = PngImagePlugin.PngInfo()
    source.add_text(_SOURCE, digest(drawing))
    written = io.BytesIO()
    few.save(written, format="PNG", optimize=True, pnginfo=source)
    return written.getvalue()


def main() -> None:
    """Render what has changed."""
    for drawing in drawings():
        picture = drawing.with_suffix(".png")
        if not picture.exists() or source_of(picture) != digest(drawing):
            picture.write_bytes(rendered(drawing))
            sys.stdout.write(f"{picture.relative_to(INCLUDE)}: {picture.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
