"""What a mail will look like, for a person who exists nowhere (`reku preview`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

from reku.catalogue import media
from reku.catalogue.institute import Institute
from reku.catalogue.medium import Medium
from reku.channels.email.media.compile import RenderedMail, compile_medium
from reku.channels.email.media.people import sample_person
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings


def preview_mail(medium_key: str, institute: Institute, person: Mapping[str, str] | None = None) -> RenderedMail:
    """Subject, HTML and text of a medium for one institute; links lead straight to their targets, nothing is counted.

    The HTML holds its pictures itself, as a browser wants them.
    Raises ConfigError for an unknown medium and for every fault that `compile_medium` finds.
    """
    compiled = compile_medium(known_medium(medium_key), institute)
    content = compiled.render(
        sample_person(institute) if person is None else person,
        links=compiled.links,
        unsubscribe=f"{settings().tracker_url.rstrip('/')}/u/vorschau",
    )
    html = content.html
    for picture in compiled.pictures:
        data = f"data:{picture.kind};base64,{b64encode(picture.content).decode()}"
        html = html.replace(picture.address, data)
    return replace(content, html=html)


def known_medium(key: str) -> Medium:
    """The medium of this key. Raises ConfigError if there is none, or if it cannot be read."""
    known = media()
    if key not in known:
        raise ConfigError(
            f"There is no medium {key!r}.", file=settings().config_dir / "templates", value=key, valid=tuple(known)
        )
    return known[key]
