"""Who has what: the channels there are. Another one is entered here, and nowhere else."""

from __future__ import annotations

from reku.channels.email.channel import EMAIL
from reku.dispatch.channel import Channel
from reku.foundation.errors import StageError, suggest

CHANNELS: dict[str, Channel] = {channel.name: channel for channel in (EMAIL,)}
"""Every channel by its name."""


def channel_named(name: str) -> Channel:
    """The channel of that name. Raises StageError for a name that no channel has."""
    if name not in CHANNELS:
        near = suggest(name, CHANNELS)
        hint = f" Did you mean {near}?" if near else ""
        raise StageError(f"There is no channel {name!r}.{hint} Those there are: {', '.join(CHANNELS)}.")
    return CHANNELS[name]
