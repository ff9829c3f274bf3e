"""What a letter will look like, for a person who exists nowhere (`reku preview --letter`)."""

from __future__ import annotations

from collections.abc import Mapping

from reku.catalogue import media, medium_folder
from reku.catalogue.institute import Institute
from reku.catalogue.medium import LETTER
from reku.channels.email.media.people import sample_person
from reku.channels.email.media.preview import known_medium
from reku.channels.letter.address import address_lines
from reku.channels.letter.medium import compile_letter, has_letter
from reku.channels.letter.typesetting import set_letters
from reku.foundation import clock
from reku.foundation.errors import ConfigError

SAMPLE_ADDRESS = {"Strasse": "Prüfweg 1", "PLZ": "99999", "Ort": "Musterstadt"}


def preview_letter(medium_key: str, institute: Institute, person: Mapping[str, str] | None = None) -> bytes:
    """The PDF of a medium's letter for one institute.

    Raises ConfigError for an unknown medium, one without a letter, and for every fault of its letter.
    """
    medium = known_medium(medium_key)
    if not has_letter(medium):
        raise ConfigError(
            f"{medium_key} has no letter. Write its {LETTER}, or look at one of those that have.",
            file=medium_folder(medium_key),
            valid=[key for key, other in media().items() if has_letter(other)],
        )
    shown = dict(sample_person(institute) if person is None else person)
    now = clock.now()
    letter = compile_letter(medium, institute).fill(
        shown, address_lines(SAMPLE_ADDRESS | shown), clock.berlin(now).date()
    )
    return set_letters([letter], now).pdf
