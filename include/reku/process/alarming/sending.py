"""How messages reach a team, and the heartbeat whoever watches from elsewhere."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from reku.catalogue.alarm_teams import PLATFORM, alarm_teams
from reku.foundation.errors import PassingError, SetupError
from reku.foundation.settings import settings

if TYPE_CHECKING:
    from apprise import NotifyBase

Send = Callable[[str, str, str], None]
"""Sends a title and a body to a team (its name first)."""
_SECONDS = 10
_OF_TEAM = re.compile(r"(?:([a-z][a-z0-9_-]*)=)?(\w+://.*)", re.DOTALL)


def sender() -> Send | None:
    """What sends a message to the addresses of a team in `REKU_ALARM_URLS`; None if there are none at all.

    A team without an address is told at the platform's, and where that has none at those of all teams: somebody hears
    it. Raises SetupError for an address that is none, or of a team that `teams.yaml` does not know.
    """
    receivers = _receivers(settings().alarm_urls.get_secret_value().split())
    if not receivers:
        return None

    def send(team: str, title: str, body: str) -> None:
        """Each address by itself: told all at once, apprise says not which one is away, and leaves threads behind."""
        everybody = [one for of_team in receivers.values() for one in of_team]
        told = receivers.get(team) or receivers.get(PLATFORM) or everybody
        away = [number for number, receiver in told if not receiver.notify(title=title, body=body)]
        if away:
            raise PassingError(
                f"Address {', '.join(map(str, away))} of REKU_ALARM_URLS did not take the message. Check it; the next "
                "run tells it again."
            )

    return send


def _receivers(urls: list[str]) -> dict[str, list[tuple[int, NotifyBase]]]:
    """By team what reaches it, each with its place in the setting."""
    if not urls:
        return {}
    from apprise import Apprise

    known = {team.name for team in alarm_teams().teams}
    found: defaultdict[str, list[tuple[int, NotifyBase]]] = defaultdict(list)
    for number, url in enumerate(urls, start=1):
        parts = _OF_TEAM.fullmatch(url)
        receiver = Apprise.instantiate(parts[2]) if parts else None
        if parts is None or receiver is None:
            raise SetupError(
                f"Address {number} of REKU_ALARM_URLS is none that messages can be sent to. Write it as apprise does: "
                "mailtos://user:password@host?to=team@bank.example, jsons://host/path …, with team= before it for "
                "another team than the platform's."
            )
        team = parts[1] or PLATFORM
        if team not in known:
            raise SetupError(
                f"Address {number} of REKU_ALARM_URLS is for a team {team!r} that teams.yaml does not have; there are "
                f"{', '.join(sorted(known))}."
            )
        found[team].append((number, receiver))
    return dict(found)


def send_heartbeat() -> bool:
    """Tell the watcher at `REKU_HEARTBEAT_URL` that all is alive; False if there is none.

    Whoever watches sounds the alarm when nothing comes any more. Raises PassingError if it cannot be told.
    """
    url = settings().heartbeat_url.get_secret_value()
    if not url:
        return False
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and this one is a secret
    try:
        httpx.get(url, timeout=_SECONDS, follow_redirects=True).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PassingError(
            f"The watcher at REKU_HEARTBEAT_URL cannot be told that all is alive ({type(error).__name__}). Check the "
            "address; the next run tries again."
        ) from None
    return True
