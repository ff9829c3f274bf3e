"""What a bank's file says about contacting people, as the statements of this room take it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reku.catalogue import institutes
from reku.catalogue.campaign import Campaign
from reku.catalogue.contact import ContactRules
from reku.catalogue.fields import ESTATE_FIELD, REFUSAL_FIELD
from reku.catalogue.institute import Institute
from reku.contact.reasons import PASSING, Reason
from reku.records.delivered_row import YES


@dataclass(frozen=True)
class Policy:
    """The rules of one bank (BLZ), and its campaigns that can send.

    `imported`: we select its people from its data, so the newest data count, and who is kept out by a reason that
    passes is selected again.
    """

    institute: str
    rules: ContactRules = field(default_factory=ContactRules)
    campaigns: tuple[Campaign, ...] = ()
    imported: bool = False

    @classmethod
    def of(cls, bank: Institute) -> Policy:
        """The policy that a bank's file holds."""
        complete = tuple(campaign for campaign in bank.campaigns if campaign.is_complete)
        return cls(bank.blz, bank.contact, complete, bank.delivers_data)

    @property
    def untold(self) -> frozenset[Reason]:
        """Reasons that nobody is told of when they end a message: its person is selected again."""
        return PASSING if self.imported else frozenset()

    @property
    def estate_bars(self) -> bool:
        """Whether the flag of an estate in the bank's data keeps it out."""
        return YES in self.rules.estate.get(ESTATE_FIELD, ())

    @property
    def refusing(self) -> list[str]:
        """The flags in the bank's data that mean refusal."""
        return list(self.rules.refusal.get(REFUSAL_FIELD, ()))

    def campaign_arrays(self) -> dict[str, list[Any]]:
        """Order number, first medium and mandatory of each campaign, as parallel arrays for a statement."""
        return {
            "orders": [campaign.order for campaign in self.campaigns],
            "media": [campaign.send_media[0] for campaign in self.campaigns],
            "mandatory": [campaign.mandatory for campaign in self.campaigns],
        }


def policy_of(institute: str) -> Policy:
    """The policy of a BLZ; of a bank that has left the configuration only what the law demands is left."""
    bank = institutes().get(institute)
    return Policy(institute) if bank is None else Policy.of(bank)
