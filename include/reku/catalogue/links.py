"""Where the links of a medium lead: both the mail and the tracker ask here.

Mails on their way know a link by its number only: a new link goes to the end of `links`, and none is taken out.
"""

from __future__ import annotations

from reku.catalogue.institute import Institute
from reku.catalogue.loader import media
from reku.catalogue.medium import Medium

DOMAIN = "{domain}"
"""Stands in a link's URL for the bank's first sender domain, so that one medium serves all banks."""


def link_targets(medium: Medium, institute: Institute) -> dict[str, str]:
    """The medium's links in the order of their numbers: name → URL for this bank."""
    return {link.name: link.url.replace(DOMAIN, institute.sender.domains[0]) for link in medium.links}


def link_target(medium_key: str, link_number: int, institute: Institute) -> str | None:
    """The URL of link `link_number` (Link_Nr, from 1) of a medium, or None if there is none (any more)."""
    known = media()
    if medium_key not in known:
        return None
    targets = list(link_targets(known[medium_key], institute).values())
    return targets[link_number - 1] if 1 <= link_number <= len(targets) else None
