"""What joins an order's list to media (Kampagne): blocks start → wait → send (docs/domain.md, "Campaigns")."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.fields import (
    OWN_NUMBER,
    ClockTime,
    Code,
    Duration,
    ImpulseCode,
    MediumKey,
    Model,
    OrderNumber,
    Placeholder,
    Share,
    Text,
    no_repeats,
)
from reku.catalogue.rhythm import Rhythm
from reku.catalogue.variant import Variant, check_variants


class Weekday(StrEnum):
    """Days of the week as people write them; in the order of `date.weekday()`."""

    MONDAY = "Mo"
    TUESDAY = "Di"
    WEDNESDAY = "Mi"
    THURSDAY = "Do"
    FRIDAY = "Fr"
    SATURDAY = "Sa"
    SUNDAY = "So"


class StartBlock(Model):
    """First block: which list the campaign takes its people from."""

    block: Literal["start"] = Field(description="kind of block")
    list: str | None = Field(
        None, description="order number (its current list) or a list's name; missing stops dispatch"
    )


class WaitBlock(Model):
    """Second block: at what time of day mails go out."""

    block: Literal["wait"] = Field(description="kind of block")
    until: ClockTime | None = Field(None, description="play-out time, Europe/Berlin")


class ChannelChoice(Model):
    """One of the channels of a campaign, with what goes out on it."""

    channel: ChannelName = Field(description="how people are reached")
    medium: MediumKey = Field(description="key of the medium that goes out on it")

    @field_validator("channel", mode="before")
    @classmethod
    def _served(cls, value: object) -> object:
        return ChannelName(value) if isinstance(value, str) and value not in list(ChannelName) else value


class EmmaSend(Model):
    """That the bank's EMMA account sends (docs/emma.md)."""

    mailing: int = Field(ge=1, description="number of the mailing in EMMA that sends to the order's list")


class SendBlock(Model):
    """Last block: what is sent."""

    block: Literal["send"] = Field(description="kind of block")
    media: tuple[MediumKey, ...] = Field(
        (), description="media keys; empty stops dispatch; IAM rows choose among several"
    )

    channels: tuple[ChannelChoice, ...] = Field(
        (),
        description="in place of media: channels in the order in which they are tried, each with its medium; the first "
        "that reaches a person is taken. None: e-mail",
    )

    variants: tuple[Variant, ...] = Field(
        (), description="two or three subjects or media that are tried against one another (A/B); none: everybody alike"
    )

    emma: EmmaSend | None = Field(
        None, description="the bank's EMMA account sends, and not we: by which mailing of its; none: we send"
    )

    _media_once = field_validator("media")(no_repeats)

    @field_validator("channels")
    @classmethod
    def _channels_once(cls, value: tuple[ChannelChoice, ...]) -> tuple[ChannelChoice, ...]:
        no_repeats(tuple(choice.channel.value for choice in value))
        return value

    @model_validator(mode="after")
    def _media_or_channels(self) -> Self:
        if self.media and self.channels:
            raise ValueError("give `media` (e-mail) or `channels`, each with its medium, but not both")
        if self.emma and self.channels:
            raise ValueError("where `emma` sends, give `media`, for which the mailing there stands, and no `channels`")
        if any(choice.channel is ChannelName.EMMA for choice in self.channels):
            raise ValueError("EMMA is no choice of a person: name its mailing by `emma: {mailing: …}` beside `media`")
        return self

    @model_validator(mode="after")
    def _variants_of_one_medium(self) -> Self:
        if self.variants:
            check_variants(self.variants)
            if self.emma:
                raise ValueError("`variants` are tried by mails of ours; EMMA has tests of its own: leave them out")
            if len(self.media) != 1:
                raise ValueError("`variants` are variants of one medium: give exactly one under `media`")
        return self


Block = Annotated[StartBlock | WaitBlock | SendBlock, Field(discriminator="block")]
_BLOCK_ORDER = ("start", "wait", "send")


class Canary(Model):
    """The first mails of a delivery go out alone; the others follow only if those were taken well."""

    first: int = Field(0, ge=0, description="how many mails of a delivery go out before the pause; 0: no canary")
    pause: Duration = Field(timedelta(minutes=30), description="how long the dispatch waits for bounces and complaints")
    max_bounce_share: Share = Field(0.05, description="share of the first that may bounce; above it nothing follows")
    max_complaints: int = Field(0, ge=0, description="complaints about the first; above it nothing follows")

    @field_validator("pause")
    @classmethod
    def _within_a_day(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value <= timedelta(hours=12):
            raise ValueError("give 1s to 12h")
        return value


class Announcement(Model):
    """The order that a campaign announces itself, where no control file does."""

    occasion: Code = Field(description="code of the occasion that is ordered")
    rhythm: Rhythm = Field(description="how often people are selected")
    valid_from: date = Field(description="first day of the order")
    valid_until: date | None = Field(None, description="its last day; none: open end")
    placeholder: Placeholder = Field(
        description="Anlassvorlage that is set up for it in VTM, such as MF_PLATZHALTER_01"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError(f"valid_until {self.valid_until} lies before valid_from {self.valid_from}")
        return self


class Campaign(Model):
    """Joins an order's list to media (Kampagne). What an operator forgot is None or empty here and stops dispatch."""

    order: OrderNumber = Field(description="order number, which a renaming keeps")
    name: Text = Field(description="name as people know it")
    active: bool = Field(description="whether it sends at all")
    announces: Announcement | None = Field(
        None, description="the order, where we select the people ourselves; none: a control file announces it"
    )
    impulses: tuple[ImpulseCode, ...] = Field(
        (), description="codes of impulses that it answers, where its occasion is selected by impulses"
    )
    blocks: tuple[Block, ...] = Field(description="start → wait → send")
    send_days: tuple[Weekday, ...] = Field(tuple(Weekday), min_length=1, description="permitted weekdays")
    mandatory: bool = Field(
        False, description="Pflichtkampagne: goes out in spite of blocking periods, other campaigns, caps, appointments"
    )
    canary: Canary = Field(Canary(), description="mails that go out first and decide on the others")

    _days_once = field_validator("send_days")(no_repeats)
    _codes_once = field_validator("impulses")(no_repeats)

    @model_validator(mode="after")
    def _numbered_by_who_announces(self) -> Self:
        if (self.announces is not None) != bool(re.fullmatch(OWN_NUMBER, self.order)):
            raise ValueError(
                f"order {self.order}: a campaign that announces its order numbers it like K2026-014, "
                "and such a number needs `announces`"
            )
        return self

    @model_validator(mode="after")
    def _announced_for_impulses(self) -> Self:
        if self.impulses and self.announces is None:
            raise ValueError(f"order {self.order}: impulses are answered by a campaign that `announces` its order")
        return self

    @model_validator(mode="after")
    def _channels_for_selections(self) -> Self:
        if self._choices and self.announces is None:
            raise ValueError(f"order {self.order}: `channels` are chosen by a campaign that `announces` its order")
        return self

    @model_validator(mode="after")
    def _canary_of_ours(self) -> Self:
        if self.emma and self.canary.first:
            raise ValueError(f"order {self.order}: EMMA sends at once to all who come; leave `canary` out")
        return self

    @field_validator("blocks")
    @classmethod
    def _in_order(cls, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        kinds = [block.block for block in blocks]
        if kinds != [kind for kind in _BLOCK_ORDER if kind in kinds]:
            raise ValueError(f"are {' → '.join(kinds)}, but run start → wait → send, each once")
        return blocks

    @property
    def start_list(self) -> str | None:
        """Order number or list name of the first block, or None where block or list is missing."""
        return next((block.list or None for block in self.blocks if isinstance(block, StartBlock)), None)

    @property
    def play_out_time(self) -> time | None:
        """Berlin time of day of the wait block, or None where block or time is missing."""
        return next((block.until for block in self.blocks if isinstance(block, WaitBlock)), None)

    @property
    def send_media(self) -> tuple[str, ...]:
        """Media keys of the send block, of all its channels and variants; empty where block or media are missing."""
        media = next((block.media for block in self.blocks if isinstance(block, SendBlock)), ())
        others = (variant.medium for variant in self.variants if variant.medium)
        return tuple(dict.fromkeys((*media, *others, *(choice.medium for choice in self._choices))))

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants of its mail; empty where everybody gets the same."""
        return next((block.variants for block in self.blocks if isinstance(block, SendBlock)), ())

    @property
    def channels(self) -> tuple[ChannelName, ...]:
        """Its channels in the order in which they are tried."""
        default = ChannelName.EMMA if self.emma else ChannelName.EMAIL
        return tuple(choice.channel for choice in self._choices) or (default,)

    @property
    def emma(self) -> EmmaSend | None:
        """By which mailing the bank's EMMA account sends; None where we send."""
        return next((block.emma for block in self.blocks if isinstance(block, SendBlock)), None)

    @property
    def is_by_mail_only(self) -> bool:
        """Whether it names no channels: everything goes out by e-mail, ours or EMMA's."""
        return not self._choices

    def media_of(self, channel: str) -> tuple[str, ...]:
        """Media keys of what goes out on a channel; of a campaign that names no channels all."""
        own = tuple(choice.medium for choice in self._choices if choice.channel == channel)
        return own or (() if self._choices else self.send_media)

    @property
    def _choices(self) -> tuple[ChannelChoice, ...]:
        return next((block.channels for block in self.blocks if isinstance(block, SendBlock)), ())

    @property
    def is_complete(self) -> bool:
        """Whether it sends at all: switched on, and no block misses what an operator has to put there."""
        return bool(self.active and self.start_list and self.play_out_time is not None and self.send_media)

    @property
    def permitted_weekdays(self) -> frozenset[int]:
        """The permitted weekdays as numbers, Monday as 0."""
        return frozenset(number for number, day in enumerate(Weekday) if day in self.send_days)
