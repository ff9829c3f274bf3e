"""What the catalogue holds: frozen models, one line of meaning per field, unknown keys refused (DESIGN section 2).

The models know nothing of files. `yaml_source` turns what pydantic finds wrong into errors with file and line.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reku.catalogue.calendar import STATES
from reku.clock import BERLIN


class Model(BaseModel):
    """Base of all: cannot be changed, and takes no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Family(StrEnum):
    """What kind of event an occasion is about; the letter of the standard codes (domain.md 1.3)."""

    HOME_SAVINGS = "Bausparen"  # C
    DEKA = "Deka"  # D
    MATURITY = "Fälligkeiten"  # F
    BIRTHDAY = "Geburtstage"  # G
    ANNIVERSARY = "Jubiläen"  # J
    CREDIT_PARTNER = "Kreditpartner"  # K0
    CANCELLATION = "Kündigungen"  # K7
    LAST_INSTALMENT = "Letzte Raten und Darlehensende"  # L
    EXEMPTION = "NV-Bescheinigungen"  # N
    CURRENT_ACCOUNT = "Girokonto"  # P
    MOVE = "Umzüge"  # U
    OWN = "Eigene Anlässe"  # a bank's own occasion


class Provider(StrEnum):
    """Who made a medium, as people write it."""

    SCOM = "S-Com"
    LBS = "LBS"
    SKP = "SKP"
    DEKA = "Deka"
    VOEV = "VöV"
    SV = "SV"
    EIGEN = "Eigene"  # the bank's own


class CoreSystem(StrEnum):
    """The core-banking system that delivers and takes the responses."""

    OSPLUS = "osplus"
    AGREE21 = "agree21"


class Weekday(StrEnum):
    """Days of the week as people write them; in the order of `date.weekday()`."""

    MONDAY = "Mo"
    TUESDAY = "Di"
    WEDNESDAY = "Mi"
    THURSDAY = "Do"
    FRIDAY = "Fr"
    SATURDAY = "Sa"
    SUNDAY = "So"


class UnsubscribeScope(StrEnum):
    """How far an unsubscribe reaches (domain.md 2.2 U5)."""

    ORDER = "order"  # the order, through all its renamings
    INSTITUTE = "institute"  # everything the bank sends


_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if not found:
        raise ValueError("give a whole number and a unit, such as 90s, 30m, 4h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _clock_time(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value.strip()):
            raise ValueError("give hour and minute, such as 09:30")
        return time.fromisoformat(value.strip())
    return value


def _berlin_moment(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("give a day or a moment of Berlin, such as 2026-01-01 or 2026-01-01 21:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=BERLIN)).astimezone(UTC)


def _german_state(value: str) -> str:
    if value not in STATES:
        # The type and the list are those of a wrong enum value, so that the error shows the valid ones.
        raise PydanticCustomError("enum", "is no German state", {"expected": ", ".join(map(repr, STATES))})
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
ClockTime = Annotated[time, BeforeValidator(_clock_time)]
BerlinMoment = Annotated[datetime, BeforeValidator(_berlin_moment)]
GermanState = Annotated[str, AfterValidator(_german_state)]
Text = Annotated[str, Field(min_length=1)]
Code = Annotated[str, Field(pattern=r"^[A-Z0-9_]{3,20}$")]
OrderNumber = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]
MediumKey = Annotated[str, Field(pattern=r"^(SCOM|LBS|SKP|DEKA|VOEV|SV|EIGEN)(_[A-Z0-9]+)+$", max_length=60)]
HexColour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
Domain = Annotated[
    str, Field(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$", max_length=253)
]
Share = Annotated[float, Field(ge=0, le=1)]
ResponseCode = Literal["VERS", "ZUGE", "OEFF", "KLIC", "ABME", "BESC", "HBOU", "SBOU", "UBOU", "ZRUE", "NVER"]


def _no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once")
    return values


class Window(Model):
    """The days around Anlass_Datum on which a mail may go out, both included (DESIGN section 3)."""

    first_day: int = Field(ge=-366, le=366, description="first permitted day, counted from Anlass_Datum")
    last_day: int = Field(ge=-366, le=366, description="last permitted day, counted from Anlass_Datum")

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.first_day > self.last_day:
            raise ValueError(f"first_day {self.first_day} lies after last_day {self.last_day}")
        return self


class Occasion(Model):
    """What a mail is about (Anlass): one YAML file, one DAG."""

    code: Code = Field(description="code in files and names: MCA… for standard occasions")
    title: Text = Field(description="German title as published; no key, two occasions share one")
    family: Family = Field(description="kind of event")
    priority: int = Field(ge=1, le=9, description="1 high … 9 low, where contacts compete")
    media: tuple[MediumKey, ...] = Field(description="keys of the media suited to it; may be empty")
    window: Window = Field(description="days around Anlass_Datum on which a mail may go out")
    response_window: Duration = Field(description="how long a run waits for responses after dispatch")

    _media_once = field_validator("media")(_no_repeats)

    @field_validator("response_window")
    @classmethod
    def _not_endless(cls, value: timedelta) -> timedelta:
        if not timedelta(0) <= value <= timedelta(hours=12):
            raise ValueError("a run times out after 40 hours: give 0s to 12h")
        return value

    @property
    def is_standard(self) -> bool:
        """Whether it is one of the central standard occasions; otherwise it is a bank's own."""
        return re.fullmatch(r"MCA[A-Z][0-9]{3}", self.code) is not None

    @property
    def providers(self) -> tuple[Provider, ...]:
        """The providers of its media, each once, in the order of the media."""
        return tuple(dict.fromkeys(provider_of(key) for key in self.media))


class Link(Model):
    """A link of a medium that may be counted."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] = Field(description="name used in the template")
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] = Field(description="target of the link")


class Medium(Model):
    """An advertising medium (Werbemittel): `medium.yaml` beside `mail.mjml` and `mail.txt` in its folder."""

    key: MediumKey = Field(description="provider and title in capitals, such as SCOM_GEBURTSTAG")
    provider: Provider = Field(description="who made it")
    title: Text = Field(description="German title as published")
    occasions: tuple[Code, ...] = Field((), description="codes it is made for; empty: linked by hand")
    subject: Text = Field(description="subject line, a Jinja text")
    preheader: str = Field("", description="short text that mailboxes show beside the subject, a Jinja text")
    fallbacks: dict[str, str] = Field(
        default_factory=dict, description="optional placeholder → text when the field is empty"
    )
    links: tuple[Link, ...] = Field((), description="links in the order of their numbers (Link_Nr, from 1)")

    _occasions_once = field_validator("occasions")(_no_repeats)

    @model_validator(mode="after")
    def _one_provider(self) -> Medium:
        if provider_of(self.key) != self.provider:
            raise ValueError(f"key {self.key} belongs to provider {provider_of(self.key)}, not {self.provider}")
        _no_repeats(tuple(link.name for link in self.links))
        return self

    @property
    def folder(self) -> str:
        """Its folder below `templates/`, such as `scom/geburtstag`."""
        return folder_of(self.key)


def provider_of(key: str) -> Provider:
    """The provider that a medium's key names. Raises KeyError for a key that names none."""
    return Provider[key.partition("_")[0]]


def folder_of(key: str) -> str:
    """The folder of a medium below `templates/`: SCOM_NEUES_GIROKONTO → scom/neues_girokonto."""
    provider, _, title = key.lower().partition("_")
    return f"{provider}/{title}"


class Sender(Model):
    """Who a bank's mails come from."""

    name: Text = Field(description="display name in From")
    address: Text = Field(description="address in From when the advisor's may not be used")
    domains: tuple[Domain, ...] = Field(min_length=1, description="the bank's sender domains, lower case")
    reply_to: str | None = Field(None, description="address for answers; none: the sender's")

    @field_validator("address", "reply_to")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        from reku.addresses import is_valid  # email_validator is loaded for institutes only, not for each DAG parse

        if value is not None and not is_valid(value):
            raise ValueError("is not a mail address")
        return value

    @model_validator(mode="after")
    def _own_domain(self) -> Sender:
        if not self.covers(self.address):
            domain = self.address.rpartition("@")[2]
            raise ValueError(
                f"the sender address has the domain {domain}, which is not among domains: {', '.join(self.domains)}"
            )
        return self

    def covers(self, address: str) -> bool:
        """Whether a mail may be sent from this address: its domain is one of the bank's (domain.md 9.3)."""
        local_part, _, domain = address.strip().rpartition("@")
        return bool(local_part) and domain.lower() in self.domains


class Colours(Model):
    """Colours of a bank in its mails, as #rrggbb."""

    primary: HexColour = Field(description="head and buttons")
    on_primary: HexColour = Field("#FFFFFF", description="text on primary")
    text: HexColour = Field("#333333", description="running text")
    background: HexColour = Field("#F2F2F2", description="around the mail")


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


class SendBlock(Model):
    """Last block: what is sent."""

    block: Literal["send"] = Field(description="kind of block")
    media: tuple[MediumKey, ...] = Field(
        (), description="media keys; empty stops dispatch; IAM rows choose among several"
    )

    _media_once = field_validator("media")(_no_repeats)


Block = Annotated[StartBlock | WaitBlock | SendBlock, Field(discriminator="block")]
_BLOCK_ORDER = ("start", "wait", "send")


class Campaign(Model):
    """Joins an order's list to media (Kampagne). What an operator forgot is None or empty here and stops dispatch."""

    order: OrderNumber = Field(description="order number, which a renaming keeps")
    name: Text = Field(description="name as people know it")
    active: bool = Field(description="whether it sends at all")
    blocks: tuple[Block, ...] = Field(description="start → wait → send")
    send_days: tuple[Weekday, ...] = Field(tuple(Weekday), min_length=1, description="permitted weekdays")

    _days_once = field_validator("send_days")(_no_repeats)

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
        """Media keys of the send block, empty where block or media are missing."""
        return next((block.media for block in self.blocks if isinstance(block, SendBlock)), ())

    @property
    def permitted_weekdays(self) -> frozenset[int]:
        """The permitted weekdays as numbers, Monday as 0."""
        return frozenset(number for number, day in enumerate(Weekday) if day in self.send_days)


class OrderSettings(Model):
    """What one order of a bank has different from the others."""

    max_reject_share: Share | None = Field(None, description="own limit of rejected rows; none: the institute's")


class ResponseFile(Model):
    """How a bank wants its OSPlus response file (domain.md 9.6)."""

    codes: dict[ResponseCode, Text] = Field(default_factory=dict, description="our code → the receiver's; others stay")
    encoding: Literal["utf-8", "iso-8859-15"] = Field("utf-8", description="encoding of the file")


class Institute(Model):
    """One bank with its campaigns; one YAML file named by the BLZ."""

    blz: Annotated[str, Field(pattern=r"^\d{8}$")] = Field(description="eight digits, text")
    name: Text = Field(description="name as people know it")
    core_system: CoreSystem = Field(description="who delivers")
    state: GermanState = Field(description="German state, for bank holidays")
    interface_active_from: BerlinMoment | None = Field(
        None, description="control files made earlier are refused; none: not switched on"
    )
    sender: Sender = Field(description="who mails come from")
    colours: Colours = Field(description="colours in mails")
    imprint: Text = Field(description="full text of the imprint; a link is not enough (domain.md 4.3)")
    daily_on: Literal["all_days", "bank_working_days"] = Field("all_days", description="what the rhythm TAEGLICH means")
    due_on_holiday: Literal["next_bank_working_day", "keep"] = Field(
        "next_bank_working_day", description="due dates that are no bank working day"
    )
    file_settle: Duration | None = Field(
        None, description="a file without .ok marker is taken when unchanged so long; none: the setting"
    )
    max_reject_share: Share = Field(0.05, description="share of rejected rows above which a delivery is refused")
    orders: dict[OrderNumber, OrderSettings] = Field(
        default_factory=dict, description="order number → what it has different"
    )
    overwrite_empty: tuple[Text, ...] = Field(
        (), description="fields of deliveries whose empty value erases a subscriber's stored one"
    )
    unsubscribe_scope: UnsubscribeScope = Field(UnsubscribeScope.ORDER, description="how far an unsubscribe reaches")
    response: ResponseFile = Field(ResponseFile(), description="wishes for the response file")
    campaigns: tuple[Campaign, ...] = Field((), description="one for each order that shall send")

    @field_validator("campaigns")
    @classmethod
    def _one_per_order(cls, campaigns: tuple[Campaign, ...]) -> tuple[Campaign, ...]:
        _no_repeats(tuple(campaign.order for campaign in campaigns))
        return campaigns

    def campaign(self, order: str) -> Campaign | None:
        """The campaign of an order number, or None."""
        return next((campaign for campaign in self.campaigns if campaign.order == order), None)

    def reject_limit(self, order: str) -> float:
        """The share of rejected rows above which a delivery of this order is refused."""
        own = self.orders.get(order)
        return self.max_reject_share if own is None or own.max_reject_share is None else own.max_reject_share
