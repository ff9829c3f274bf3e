"""One bank (Institut) with its campaigns: one YAML file named by the BLZ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from reku.catalogue.campaign import Campaign, WaitBlock
from reku.catalogue.contact import ContactRules
from reku.catalogue.core_field import CoreField
from reku.catalogue.fields import (
    OTHER_DOMAINS,
    BerlinMoment,
    ClockTime,
    Domain,
    Duration,
    FieldNumber,
    GermanState,
    HexColour,
    MailAddress,
    Model,
    OrderNumber,
    Rate,
    RecipientDomain,
    ResponseCode,
    RowCount,
    Share,
    Text,
    no_repeats,
)
from reku.catalogue.import_rules import ImportRules


class CoreSystem(StrEnum):
    """The core-banking system that delivers and takes the responses."""

    OSPLUS = "osplus"
    AGREE21 = "agree21"


_DELIVER_DATA = frozenset({CoreSystem.AGREE21})
"""Core systems whose banks deliver the data from which we select."""
_SENDS_CONTROL_FILES = frozenset({CoreSystem.OSPLUS})
"""Core systems that announce orders themselves."""


class UnsubscribeScope(StrEnum):
    """How far an unsubscribe reaches (docs/domain.md, "Unsubscribing with one click")."""

    ORDER = "order"  # the order, through all its renamings
    INSTITUTE = "institute"  # everything the bank sends


class Images(StrEnum):
    """How the pictures of a bank's mails reach the reader (docs/media.md, "Pictures")."""

    EMBEDDED = "embedded"  # they travel with each mail; nothing is fetched
    TRACKER = "tracker"  # fetched from the tracker's host, under an address that names the medium and nobody
    NONE = "none"  # mails without pictures


class Sender(Model):
    """Who a bank's mails come from."""

    name: Text = Field(description="display name in From")
    address: MailAddress = Field(description="address in From when the advisor's may not be used")
    domains: tuple[Domain, ...] = Field(min_length=1, description="the bank's sender domains, lower case")
    reply_to: MailAddress | None = Field(None, description="address for answers; none: the sender's")

    @model_validator(mode="after")
    def _own_domain(self) -> Sender:
        if not self.covers(self.address):
            domain = self.address.rpartition("@")[2]
            raise ValueError(
                f"the sender address has the domain {domain}, which is not among domains: {', '.join(self.domains)}"
            )
        return self

    def covers(self, address: str) -> bool:
        """Whether a mail may be sent from this address: its domain is one of the bank's."""
        local_part, _, domain = address.strip().rpartition("@")
        return bool(local_part) and domain.lower() in self.domains


class Colours(Model):
    """Colours of a bank in its mails, as #rrggbb."""

    primary: HexColour = Field(description="head and buttons")
    on_primary: HexColour = Field("#FFFFFF", description="text on primary")
    text: HexColour = Field("#333333", description="running text")
    background: HexColour = Field("#F2F2F2", description="around the mail")


class OrderSettings(Model):
    """What one order of a bank has different from the others."""

    max_reject_share: Share | None = Field(None, description="own limit of rejected rows; none: the institute's")
    max_rows: RowCount | None = Field(None, description="own limit of rows; none: the institute's")
    max_without_consent: Share | None = Field(None, description="own limit of this share; none: the institute's")
    approve_first: bool | None = Field(None, description="a person approves the first delivery; none: as the institute")


class ResponseFile(Model):
    """How a bank wants its OSPlus response file (docs/responses.md, "What is reported")."""

    codes: dict[ResponseCode, Text] = Field(default_factory=dict, description="our code → the receiver's; others stay")
    encoding: Literal["utf-8", "iso-8859-15"] = Field("utf-8", description="encoding of the file")


class RateLimits(Model):
    """How fast a bank's mails may go out, in mails a second."""

    per_second: Rate | None = Field(None, description="mails a second of all the bank's deliveries; none: no limit")
    per_domain: dict[RecipientDomain, Rate] = Field(
        default_factory=dict, description='recipient domain → mails a second; "*": each domain that is not named'
    )

    def rate(self, domain: str) -> float | None:
        """The limit of one recipient domain (lower case, A-labels) in mails a second, or None for no limit."""
        return self.per_domain.get(domain, self.per_domain.get(OTHER_DOMAINS))


class RefusalLimits(Model):
    """How many refusals are too many, whatever the server's reasons: a list that is kept has a few in a hundred."""

    in_a_row: int = Field(20, ge=5, description="refusals in a row that end a dispatch, or let a domain rest")
    share: Share = Field(0.2, description="share of the last 200 answers; more refusals end a dispatch")
    domain_share: Share = Field(0.4, description="share of a domain's last 200 answers; with more it rests")


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
    control_address: MailAddress | None = Field(
        None, description="Kontrolladresse: gets one uncounted copy of each delivery's mail; none: nobody does"
    )
    test_addresses: tuple[MailAddress, ...] = Field(
        (), description="addresses of people who work on its mails: only these get test mails"
    )
    colours: Colours = Field(description="colours in mails")
    images: Images = Field(Images.EMBEDDED, description="how the pictures of its mails reach the reader")
    imprint: Text = Field(description="full text of the imprint; a link is not enough")
    daily_on: Literal["all_days", "bank_working_days"] = Field("all_days", description="what the rhythm TAEGLICH means")
    due_on_holiday: Literal["next_bank_working_day", "keep"] = Field(
        "next_bank_working_day", description="due dates that are no bank working day"
    )
    file_settle: Duration | None = Field(
        None, description="a file without .ok marker is taken when unchanged so long; none: the setting"
    )
    max_reject_share: Share = Field(0.05, description="share of rejected rows above which a delivery is refused")
    max_rows: RowCount = Field(10_000, description="rows of a delivery above which a person has to approve it")
    max_without_consent: Share = Field(
        0.5, description="share of people without consent to mails above which a person has to approve a delivery"
    )
    max_damaged: Share = Field(
        0.01, description="share of rows with damaged texts above which a person has to approve a delivery"
    )
    approve_first: bool = Field(False, description="whether a person has to approve the first delivery of each order")
    orders: dict[OrderNumber, OrderSettings] = Field(
        default_factory=dict, description="order number → what it has different"
    )
    keep_subscribers_days: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="days that people stay on a list after the last delivery or mail about them; none: the setting "
        "REKU_KEEP_SUBSCRIBERS_DAYS",
    )
    overwrite_empty: tuple[Text, ...] = Field(
        (), description="fields of deliveries whose empty value erases a subscriber's stored one"
    )
    unsubscribe_scope: UnsubscribeScope = Field(UnsubscribeScope.ORDER, description="how far an unsubscribe reaches")
    contact: ContactRules = Field(ContactRules(), description="whom it does not write to, and how often it writes")
    imports: ImportRules = Field(ImportRules(), description="how its data are imported, where we select from them")
    response: ResponseFile = Field(ResponseFile(), description="wishes for the response file")
    send_until: ClockTime = Field(
        time(20, 0), description="end of the day's send window, Europe/Berlin; it begins with the play-out time"
    )
    limits: RateLimits = Field(RateLimits(), description="how fast mails may go out")
    refusals: RefusalLimits = Field(RefusalLimits(), description="how many refusals are too many")
    core_fields: dict[FieldNumber, CoreField] = Field(
        default_factory=dict,
        description="numbers of the bank-individual fields that FE 3053 may write (four digits), each with what stands "
        "there; none: no such files",
    )
    staff: tuple[Text, ...] = Field(
        (), description="people of the bank, by the name they log in with, who upload and fetch its files by hand"
    )
    outbox_url: str = Field(
        "",
        description="folder or sftp:// URL of the bank to which prepared files go by themselves; none: people fetch",
    )
    campaigns: tuple[Campaign, ...] = Field((), description="one for each order that shall send")

    _staff_once = field_validator("staff")(no_repeats)

    @field_validator("core_fields")
    @classmethod
    def _told_once(cls, fields: dict[str, CoreField], info: ValidationInfo) -> dict[str, CoreField]:
        no_repeats(tuple(what.value for what in fields.values()))
        if fields and info.data.get("core_system") not in _DELIVER_DATA:
            raise ValueError("FE 3053 is a function of agree21: leave them out, this bank is on another core system")
        return fields

    @field_validator("outbox_url")
    @classmethod
    def _is_whole_and_without_password(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.password:
            raise PydanticCustomError("password", "leave the password out: it is kept in REKU_SFTP_PASSWORD")
        if url and not parts.scheme and not url.startswith("/"):
            raise PydanticCustomError("relative", "write a whole path, or a URL such as sftp://user@host:22/folder")
        return url

    @field_validator("campaigns")
    @classmethod
    def _one_per_order(cls, campaigns: tuple[Campaign, ...]) -> tuple[Campaign, ...]:
        no_repeats(tuple(campaign.order for campaign in campaigns))
        return campaigns

    @field_validator("campaigns")
    @classmethod
    def _announced_once(cls, campaigns: tuple[Campaign, ...], info: ValidationInfo) -> tuple[Campaign, ...]:
        if info.data.get("core_system") in _SENDS_CONTROL_FILES:
            faults = [
                InitErrorDetails(
                    type=PydanticCustomError(
                        "announced_twice", "leave it out: control files announce the orders of this bank"
                    ),
                    loc=(number, "announces"),
                    input=campaign.order,
                )
                for number, campaign in enumerate(campaigns)
                if campaign.announces
            ]
            if faults:
                raise ValidationError.from_exception_data(cls.__name__, faults)
        return campaigns

    @field_validator("campaigns")
    @classmethod
    def _one_answer_to_an_impulse(cls, campaigns: tuple[Campaign, ...]) -> tuple[Campaign, ...]:
        answered: dict[str, str] = {}
        faults = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "answered_twice", "is answered by order {other} already; an impulse is used once", {"other": other}
                ),
                loc=(number, "impulses", place),
                input=code,
            )
            for number, campaign in enumerate(campaigns)
            for place, code in enumerate(campaign.impulses)
            if (other := answered.setdefault(code, campaign.order)) != campaign.order
        ]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return campaigns

    @field_validator("campaigns")
    @classmethod
    def _within_send_window(cls, campaigns: tuple[Campaign, ...], info: ValidationInfo) -> tuple[Campaign, ...]:
        send_until = info.data.get("send_until")  # missing when it is wrong itself
        faults = list(_outside_send_window(campaigns, send_until)) if send_until else []
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return campaigns

    @property
    def delivers_data(self) -> bool:
        """Whether we select from its data: what it delivers holds all its customers, not those of one order."""
        return self.core_system in _DELIVER_DATA

    def campaign(self, order: str) -> Campaign | None:
        """The campaign of an order number, or None."""
        return next((campaign for campaign in self.campaigns if campaign.order == order), None)

    @property
    def impulse_codes(self) -> frozenset[str]:
        """Codes of impulses that one of its campaigns answers; those with others are parked."""
        return frozenset(code for campaign in self.campaigns for code in campaign.impulses)

    def reject_limit(self, order: str) -> float:
        """The share of rejected rows above which a delivery of this order is refused."""
        own = self._own(order).max_reject_share
        return self.max_reject_share if own is None else own

    def row_limit(self, order: str) -> int:
        """The rows above which a person has to approve a delivery of this order."""
        own = self._own(order).max_rows
        return self.max_rows if own is None else own

    def consent_limit(self, order: str) -> float:
        """The share of people without consent above which a person has to approve a delivery of this order."""
        own = self._own(order).max_without_consent
        return self.max_without_consent if own is None else own

    def asks_first(self, order: str) -> bool:
        """Whether a person has to approve the first delivery of this order."""
        own = self._own(order).approve_first
        return self.approve_first if own is None else own

    def _own(self, order: str) -> OrderSettings:
        return self.orders.get(order, OrderSettings())


def _outside_send_window(campaigns: tuple[Campaign, ...], send_until: time) -> Iterator[InitErrorDetails]:
    """A fault, with its place, for each campaign that could send nothing, or nothing after its canary."""
    for number, campaign in enumerate(campaigns):
        play_out, canary = campaign.play_out_time, campaign.canary
        if play_out is None:
            continue
        times = {"begin": f"{play_out:%H:%M}", "end": f"{send_until:%H:%M}"}
        if play_out >= send_until:
            block = next(index for index, block in enumerate(campaign.blocks) if isinstance(block, WaitBlock))
            yield InitErrorDetails(
                type=PydanticCustomError(
                    "send_window", "must lie before send_until ({end}), when sending ends; no mail would go out", times
                ),
                loc=(number, "blocks", block, "wait", "until"),
                input=times["begin"],
            )
        elif canary.first and _since_midnight(play_out) + canary.pause >= _since_midnight(send_until):
            yield InitErrorDetails(
                type=PydanticCustomError(
                    "send_window",
                    "reaches from the play-out time ({begin}) to send_until ({end}) or beyond, when sending ends; "
                    "nothing would follow the first mails",
                    times,
                ),
                loc=(number, "canary", "pause"),
                input=canary.pause,
            )


def _since_midnight(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)
