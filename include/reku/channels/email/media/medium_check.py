"""All that is to be said of media before they are sent: `reku media check`, and the tests of those that are shipped."""

from __future__ import annotations

from collections.abc import Collection

from reku.catalogue import institutes, media, medium_folder
from reku.catalogue.check import check_catalogue
from reku.catalogue.medium import folder_of
from reku.channels.email.media.compile import compile_medium
from reku.channels.email.media.content_rules import content_faults
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings


def medium_faults(keys: Collection[str], banks: Collection[str] = ()) -> list[ConfigError]:
    """What is wrong with these media for these banks (BLZ; none: all), by file and line, each fault once.

    A medium that makes no mail at all is told of that only; the rules of its contents wait until it does.
    """
    root = settings().config_dir
    folders = {root / "templates" / folder_of(key) for key in keys}
    found = [fault for fault in check_catalogue(root) if fault.file in folders or fault.file.parent in folders]
    for key in keys:
        medium = media().whole.get(key)
        if medium is None or any(fault.file == medium_folder(key) for fault in found):
            continue
        for blz, institute in institutes().whole.items():
            if banks and blz not in banks:
                continue
            try:
                found += content_faults(compile_medium(medium, institute))
            except ConfigError as error:
                found.append(error)
    once = {str(fault): fault for fault in found}
    return sorted(once.values(), key=lambda fault: (str(fault.file), fault.line or 0))
