"""How far each bank is on its way to its first mail and the first file that reports it (docs/onboarding.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from reku.catalogue import Institute, institutes
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.foundation.words import Words
from reku.store.states import WAS_TAKEN_IN, WENT_THROUGH_THE_GATE, MessageState
from reku.store.tables import deliveries, feedback_files, messages, orders


class OnboardingStep(StrEnum):
    """What has to be there, in the order in which it comes."""

    FILE = "FILE"  # the bank's file can be read
    INTERFACE = "INTERFACE"  # the core system has switched the interface on
    CAMPAIGN = "CAMPAIGN"  # a campaign is active
    ORDER = "ORDER"  # an order is known
    DELIVERY = "DELIVERY"  # a delivery was taken in
    GATE = "GATE"  # one went through the gate
    SENT = "SENT"  # somebody was written to
    REPORTED = "REPORTED"  # a response file was written

    @property
    def words(self) -> Words:
        """What is done then."""
        return _WORDS[self]

    @property
    def cure(self) -> Words:
        """What to do while it is not."""
        return _CURES[self]


_WORDS = {
    OnboardingStep.FILE: Words("Bankdatei", "bank file"),
    OnboardingStep.INTERFACE: Words("Schnittstelle", "interface"),
    OnboardingStep.CAMPAIGN: Words("Kampagne", "campaign"),
    OnboardingStep.ORDER: Words("Auftrag", "order"),
    OnboardingStep.DELIVERY: Words("Lieferung", "delivery"),
    OnboardingStep.GATE: Words("Prüfung", "gate"),
    OnboardingStep.SENT: Words("erste Mail", "first mail"),
    OnboardingStep.REPORTED: Words("Rückmeldung", "feedback"),
}
_CURES = {
    OnboardingStep.FILE: Words("`reku check` nennt den Fehler der Bankdatei.", "`reku check` names the file's fault."),
    OnboardingStep.INTERFACE: Words(
        "Das Rechenzentrum schaltet die Schnittstelle frei; dann `interface_active_from` eintragen.",
        "The data centre switches the interface on; then set `interface_active_from`.",
    ),
    OnboardingStep.CAMPAIGN: Words(
        "In der Bankdatei eine Kampagne eintragen und aktivieren (`active: true`).",
        "Enter a campaign in the bank's file and activate it (`active: true`).",
    ),
    OnboardingStep.ORDER: Words(
        "Die Bank legt den Auftrag an: mit einer Steuerungsdatei, oder die Kampagne kündigt ihn an (`announces`).",
        "The bank makes the order: by a control file, or by a campaign with `announces`.",
    ),
    OnboardingStep.DELIVERY: Words(
        "Auf die erste Lieferung warten, oder eine Testdatei schicken lassen.",
        "Wait for the first delivery, or have a test file sent.",
    ),
    OnboardingStep.GATE: Words(
        "Der nächste Lauf des Anlasses prüft die Lieferung; was abgewiesen ist, steht unter „Zu tun“.",
        "The occasion's next run judges the delivery; what was refused stands in the list.",
    ),
    OnboardingStep.SENT: Words(
        "Die erste Lieferung freigeben; versandt wird zur Zeit der Kampagne.",
        "Approve the first delivery; mails go out at the campaign's time.",
    ),
    OnboardingStep.REPORTED: Words(
        "Die Rückmeldedatei entsteht nach dem Antwortfenster, spätestens am Abend.",
        "The response file follows the response window, in the evening at the latest.",
    ),
}


@dataclass(frozen=True)
class BankProgress:
    """One bank and the steps that it has done; `next` is the first that is missing, None when it is through."""

    institute: str
    bank: str
    done: frozenset[OnboardingStep]

    @property
    def next(self) -> OnboardingStep | None:
        """The first step that is not done."""
        return next((step for step in OnboardingStep if step not in self.done), None)


def onboarding(engine: sa.Engine) -> list[BankProgress]:
    """Each bank of the configuration, those that are on their way first, the least far first of all."""
    with engine.connect() as connection:
        seen = {step: set(connection.scalars(of)) for step, of in _of_tables().items()}
    found = []
    for blz in institutes():
        try:
            bank: Institute | None = institutes().get(blz)
        except ConfigError:
            bank = None
        done = {step for step, banks in seen.items() if blz in banks} | _of_file(bank)
        found.append(BankProgress(blz, bank.name if bank else blz, frozenset(done)))
    return sorted(found, key=lambda one: (one.next is None, len(one.done), one.bank))


def _of_file(bank: Institute | None) -> set[OnboardingStep]:
    if bank is None:
        return set()
    active = bank.interface_active_from
    return {
        step
        for step, is_done in (
            (OnboardingStep.FILE, True),
            (OnboardingStep.INTERFACE, active is not None and active <= clock.now()),
            (OnboardingStep.CAMPAIGN, any(campaign.active for campaign in bank.campaigns)),
        )
        if is_done
    }


def _of_tables() -> dict[OnboardingStep, sa.Select[str]]:
    """The banks that have done each of the steps that tables tell of."""
    of = deliveries.c
    bank = sa.select(orders.c.institute).distinct().subquery()
    # one look for each bank, not one at each message
    was_sent = sa.exists().where(messages.c.institute == bank.c.institute, messages.c.state == MessageState.SENT)
    return {
        OnboardingStep.ORDER: sa.select(bank.c.institute),
        OnboardingStep.DELIVERY: sa.select(of.institute).where(of.state.in_(WAS_TAKEN_IN)).distinct(),
        OnboardingStep.GATE: sa.select(of.institute).where(of.state.in_(WENT_THROUGH_THE_GATE)).distinct(),
        OnboardingStep.SENT: sa.select(bank.c.institute).where(was_sent),
        OnboardingStep.REPORTED: sa.select(feedback_files.c.institute)
        .where(feedback_files.c.written_at.is_not(None))
        .distinct(),
    }
