"""Who has what: which core system has which source and which feedback format, and the channels there are.

Another core system or channel is entered here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.catalogue.institute import CoreSystem
from reku.channels.agree_mailing.jobs import AGREE_MAILING, AGREE_MAILING_JOBS
from reku.channels.bap.bap_file import BAP_STATE
from reku.channels.bap.channel import SHOWN_CHANNELS
from reku.channels.email.channel import EMAIL
from reku.channels.emma.channel import EMMA
from reku.channels.letter.letter_files import LETTER_CHANNEL, LetterFiles
from reku.dispatch.channel import Channel
from reku.foundation.errors import ConfigError, StageError, suggest
from reku.foundation.settings import settings
from reku.pickup.fe3053.core_file import CORE_FIELDS
from reku.pickup.file_format import FileFormat
from reku.reporting.feedback_format import FeedbackFormat
from reku.reporting.formats.osplus import OsplusResponses
from reku.reporting.formats.vtm import VtmActivities
from reku.sources.agree21.source import Selections
from reku.sources.osplus.source import OsplusFiles
from reku.sources.source import Source
from reku.store.delivery import load_delivery
from reku.store.kinds import PreparedKind
from reku.store.tables import messages


@dataclass(frozen=True)
class System:
    """One core system: where its banks' deliveries come from, and how it is told what came back."""

    source: Source
    feedback: FeedbackFormat


SYSTEMS: dict[CoreSystem, System] = {
    CoreSystem.OSPLUS: System(OsplusFiles(), OsplusResponses()),
    CoreSystem.AGREE21: System(Selections(), VtmActivities()),
}
"""Every core system that is served."""

_CHANNELS: tuple[Channel, ...] = (EMAIL, AGREE_MAILING, LETTER_CHANNEL, *SHOWN_CHANNELS.values(), EMMA)
CHANNELS: dict[str, Channel] = {channel.name: channel for channel in _CHANNELS}
"""Every channel by its name."""

_FORMATS: tuple[FileFormat, ...] = (AGREE_MAILING_JOBS, LetterFiles(), BAP_STATE, CORE_FIELDS)
FILE_FORMATS: dict[PreparedKind, FileFormat] = {one.kind: one for one in _FORMATS}
"""How each kind of prepared file looks."""


def channel_named(name: str) -> Channel:
    """The channel of that name. Raises StageError for a name that no channel has."""
    if name not in CHANNELS:
        near = suggest(name, CHANNELS)
        hint = f" Did you mean {near}?" if near else ""
        raise StageError(f"There is no channel {name!r}.{hint} Those there are: {', '.join(CHANNELS)}.")
    return CHANNELS[name]


def channels_of(engine: sa.Engine, delivery: int) -> Iterator[Channel]:
    """The channels of a delivery's messages; e-mail where it has none.

    Raises StageError for one that there is not, once all others have been given: they are not held up by it.
    """
    of_delivery = sa.select(messages.c.channel).where(messages.c.delivery_id == delivery).distinct()
    with engine.connect() as connection:
        names = connection.scalars(of_delivery.order_by(messages.c.channel)).all()
    yield from map(channel_named, sorted(names or [EMAIL.name], key=lambda name: name not in CHANNELS))


def channel_faults() -> list[ConfigError]:
    """Channels that campaigns name and that there are not yet: their messages would stay open."""
    return [
        ConfigError(
            f"campaign {campaign.name!r}, block send: the channel {channel.value} is not served yet.",
            file=settings().config_dir / "institutes" / f"{bank.blz}.yaml",
            value=channel.value,
            valid=CHANNELS,
        )
        for bank in institutes().whole.values()
        for campaign in bank.campaigns
        for channel in campaign.channels
        if channel not in CHANNELS
    ]


def bank_named(institute: str) -> Institute:
    """The bank with that BLZ. Raises StageError if there is none, ConfigError if its file is broken."""
    bank = institutes().get(institute)
    if bank is None:
        raise StageError(f"There is no institute {institute}. Add institutes/{institute}.yaml, or correct the BLZ.")
    return bank


def is_served(bank: Institute) -> bool:
    """Whether the core system of a bank is entered here."""
    return bank.core_system in SYSTEMS


def system_of(bank: Institute) -> System:
    """The core system of a bank. Raises StageError if it is not served yet."""
    if not is_served(bank):
        raise StageError(
            f"Institute {bank.blz} has core system {bank.core_system}, which is not served yet: there are no deliveries"
            f" from it and no response files for it. Served: {', '.join(SYSTEMS)}."
        )
    return SYSTEMS[bank.core_system]


def system_of_delivery(engine: sa.Engine, delivery: int) -> System:
    """The core system that a delivery has come from. Raises StageError if there is no such delivery."""
    with engine.connect() as connection:
        return system_of(bank_named(load_delivery(connection, delivery).institute))


def served_banks(which: Callable[[Institute], bool] = lambda _bank: True) -> list[str]:
    """The BLZ of each bank whose core system is served, and of those whose file is broken: their own work says so.

    `which`: only those for which this holds.
    """
    known = institutes()
    return [blz for blz in known if blz not in known.whole or (is_served(known.whole[blz]) and which(known.whole[blz]))]


def data_bank_named(institute: str) -> Institute:
    """The bank with that BLZ, which must deliver data.

    Raises StageError if there is none or it delivers none, ConfigError if its file is broken.
    """
    bank = bank_named(institute)
    if not bank.delivers_data:
        raise StageError(f"Institute {institute} is on {bank.core_system}, whose data are not imported.")
    return bank
