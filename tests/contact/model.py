"""A plain model of who may be contacted, written from docs/contact.md: no SQL, no sets, one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from reku.catalogue.campaign import Campaign
from reku.catalogue.contact import ContactRules, UnsubscribeComparison
from reku.foundation.clock import berlin
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.states import MessageState

LEFT = (MessageState.CLAIMED, MessageState.PREPARED, MessageState.SENT, MessageState.IN_DOUBT)
"""A mail has left, may have, or is about to."""
GRACE = timedelta(hours=72)
BOUNCES = (EventKind.BOUNCED_HARD, EventKind.BOUNCED_SOFT, EventKind.BOUNCED_UNKNOWN)
SEEN = (EventKind.OPENED, EventKind.CLICKED)


@dataclass
class Order:
    """`campaign` None: there is none."""

    number: str
    priority: int
    campaign: Campaign | None
    ended: bool
    valid_until: date | None
    stopped: bool


@dataclass
class Mail:
    """`address` is what two spellings of one address have in common, `domain` the same of its domain."""

    id: int
    order: Order
    delivery: int
    person: str
    address: str
    domain: str
    occasion_date: date
    fields: dict[str, str]
    consent: bool
    mailable: bool
    second: bool
    last_day: date
    due: datetime
    state: MessageState
    begun: datetime | None
    answers: frozenset[EventKind]
    priority: int | None = None
    is_candidate: bool = False

    @property
    def medium(self) -> str:
        """The row's own medium, else the first of the campaign; empty without any."""
        media = self.order.campaign.send_media if self.order.campaign else ()
        return self.fields.get("Content_Schluessel") or next(iter(media), "")

    @property
    def mandatory(self) -> bool:
        return self.order.campaign is not None and self.order.campaign.mandatory


@dataclass(frozen=True)
class Imported:
    """What the bank's newest customers say of a person."""

    household: str
    consent: bool
    estate: bool
    flags: tuple[str, ...]
    missing: bool


@dataclass(frozen=True)
class Bar:
    """`order` empty: all orders."""

    kind: SuppressionKind
    address: str
    person: str
    order: str


@dataclass
class Contact:
    """`mail` None: not by mail."""

    person: str
    mail: Mail | None
    day: date
    until: date


@dataclass
class World:
    """All that is known of a bank's people at `now`.

    `imported`: person → what its data say, where we select the people ourselves; None: its deliveries say it.
    """

    now: datetime
    rules: ContactRules
    mails: list[Mail]
    bars: list[Bar] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
    contacts: list[Contact] = field(default_factory=list)
    appointments: set[tuple[str, date]] = field(default_factory=set)
    reactivated: dict[str, datetime] = field(default_factory=dict)
    imported: dict[str, Imported] | None = None

    @property
    def day(self) -> date:
        return berlin(self.now).date()

    def reasons(self, mail: Mail) -> set[str]:
        """Everything that speaks against an open mail."""
        return self.own_reasons(mail) | ({"ANDERE_KAMPAGNE"} if self.is_kept_back(mail) else set())

    def own_reasons(self, mail: Mail) -> set[str]:
        """What speaks against it whoever else is about to write to the person."""
        rules, order = self.rules, mail.order
        found = {
            "AUFTRAG_BEENDET": order.ended or (order.valid_until is not None and order.valid_until < self.day),
            "ABGELAUFEN": mail.last_day < self.day,
            "NACHLASS": any(mail.fields.get(name) in values for name, values in rules.estate.items()),
            "WERBEVERWEIGERER": any(mail.fields.get(name) in values for name, values in rules.refusal.items()),
            "KEINE_EINWILLIGUNG": not mail.consent,
            "ABGEMELDET": any(self._has_unsubscribed(mail, bar) for bar in self.bars),
            "BESCHWERDELISTE": any(self._has_complained(mail, bar) for bar in self.bars),
            "BLACKLIST": mail.domain in self.domains
            or any(bar.kind == SuppressionKind.BLACKLISTED and bar.address == mail.address for bar in self.bars),
            "ZURUECKGEHALTEN": self.hard_bounces_in_a_row(mail.address) >= 3,
            "ADRESSE_UNGUELTIG": not mail.mailable,
            "DUBLETTE": mail.second or any(self._is_the_same(mail, other) for other in self.mails),
        }
        if self.is_active(mail) and not mail.mandatory:
            counting = [contact for contact in self.contacts if self._counts(contact, mail)]
            found["SPERRZEIT"] = any(contact.day <= self.day <= contact.until for contact in counting)
            found["OBERGRENZE"] = self._is_capped(counting)
        before, after = rules.appointment_days, rules.appointment_days_after
        if not (before is None and after is None) and not mail.mandatory:
            near = [self.day + timedelta(days=ahead) for ahead in range(-(after or 0), (before or 0) + 1)]
            found["TERMIN"] = any((mail.person, day) in self.appointments for day in near)
        if self.imported is not None:
            found |= self._as_imported(mail, self.imported)
            found["DUBLETTE"] = found["DUBLETTE"] or any(self._has_had_it(mail, other) for other in self.mails)
        return {reason for reason, holds in found.items() if holds}

    def _as_imported(self, mail: Mail, imported: dict[str, Imported]) -> dict[str, bool]:
        """What the newest data say, instead of the delivery; both have to consent."""
        known = imported.get(mail.person)
        rules = self.rules
        return {
            "BESTAND": known is None or known.missing,
            "NACHLASS": known is not None and known.estate and "J" in rules.estate.get("Nachlass_KZ", ()),
            "WERBEVERWEIGERER": known is not None
            and any(flag in rules.refusal.get("Werbesperre_KZ", ()) for flag in known.flags),
            "KEINE_EINWILLIGUNG": not mail.consent or (known is not None and not known.consent),
        }

    def _has_had_it(self, mail: Mail, other: Mail) -> bool:
        """Whether somebody else of the household has had the mail at this address; a candidate waits for open ones."""
        if self.imported is None or mail.person == other.person:
            return False
        own, others = self.imported.get(mail.person), self.imported.get(other.person)
        if own is None or others is None or own.household != others.household or other.is_candidate:
            return False
        if (mail.order, mail.address, mail.occasion_date) != (other.order, other.address, other.occasion_date):
            return False
        return other.state in LEFT or (mail.is_candidate and other.state == MessageState.OPEN)

    def _has_unsubscribed(self, mail: Mail, bar: Bar) -> bool:
        """By the address or in person; from this order, from everything, or from whatever if the bank says so."""
        if bar.kind != SuppressionKind.UNSUBSCRIBED or not self._is_about(mail, bar):
            return False
        return bar.order in ("", mail.order.number) or self.rules.unsubscribes is UnsubscribeComparison.GLOBAL

    def _has_complained(self, mail: Mail, bar: Bar) -> bool:
        return bar.kind == SuppressionKind.COMPLAINED and self._is_about(mail, bar)

    def _is_about(self, mail: Mail, bar: Bar) -> bool:
        return bar.address == mail.address or bar.person == mail.person

    def _is_the_same(self, mail: Mail, other: Mail) -> bool:
        """Whether another mail was for the same, so that this one would be a second."""
        if other is mail or other.state not in LEFT:
            return False
        same_person = (other.order, other.person, other.address) == (mail.order, mail.person, mail.address)
        return same_person and (other.delivery == mail.delivery or other.occasion_date == mail.occasion_date)

    def hard_bounces_in_a_row(self, address: str) -> int:
        """Mailings that came back hard since something got through, or since a person has checked the address."""
        checked = self.reactivated.get(address)
        sent = [mail for mail in self.mails if mail.address == address and mail.begun is not None]
        bounced: set[int] = set()
        for mail in sorted(sent, key=lambda one: (one.begun, one.id)):
            if checked is not None and mail.begun is not None and mail.begun <= checked:
                continue
            if self._got_through(mail):
                bounced.clear()
            elif EventKind.BOUNCED_HARD in mail.answers:
                bounced.add(mail.delivery)
        return len(bounced)

    def _got_through(self, mail: Mail) -> bool:
        if mail.answers.intersection(SEEN):
            return True
        silent = mail.begun is not None and mail.begun <= self.now - GRACE and not mail.answers.intersection(BOUNCES)
        return silent and mail.state == MessageState.SENT

    def is_active(self, mail: Mail) -> bool:
        return mail.medium in self.rules.blocking_days

    def _counts(self, contact: Contact, mail: Mail) -> bool:
        """Several addresses of one person in one delivery are one contact."""
        if contact.person != mail.person:
            return False
        return contact.mail is None or (contact.mail.state in LEFT and contact.mail.delivery != mail.delivery)

    def _is_capped(self, counting: list[Contact]) -> bool:
        cap = self.rules.at_most
        if cap is None:
            return False
        recent = [one for one in counting if self.day - timedelta(days=cap.days) < one.day <= self.day]
        deliveries = {one.mail.delivery for one in recent if one.mail is not None}
        return len(deliveries) + sum(one.mail is None for one in recent) >= cap.contacts

    # Several campaigns on one day

    def is_kept_back(self, mail: Mail) -> bool:
        """Whether a mail of another order that is due on the same day goes before it, and does go."""
        if not self._competes(mail) or mail.mandatory:
            return False
        return any(
            self._goes_before(other, mail) and not self.own_reasons(other) and not self.is_kept_back(other)
            for other in self.mails
            if self._competes(other)
        )

    def _competes(self, mail: Mail) -> bool:
        """Only what can be sent at all, with active media."""
        order = mail.order
        can_be_sent = order.campaign is not None and order.campaign.is_complete and not order.stopped
        return mail.state == MessageState.OPEN and can_be_sent and self.is_active(mail)

    def _goes_before(self, other: Mail, mail: Mail) -> bool:
        if other.person != mail.person or other.order is mail.order:
            return False
        if berlin(other.due).date() != berlin(mail.due).date():
            return False
        return self._turn(other) < self._turn(mail)

    def _turn(self, mail: Mail) -> tuple[int, datetime, int]:
        """By the priority of its impulse, else of its occasion."""
        return mail.priority or mail.order.priority, mail.due, mail.id

    # A claim

    def claim(self, delivery: int) -> dict[int, set[str]]:
        """Take in hand what is due of a delivery. Returns why which mail was withheld; all else is claimed."""
        due = [
            mail
            for mail in self.mails
            if mail.delivery == delivery and mail.state == MessageState.OPEN and berlin(mail.due).date() <= self.day
        ]
        against = {mail.id: self.reasons(mail) for mail in due}
        withheld = {}
        for mail in sorted(due, key=lambda one: one.id):
            why = against[mail.id] or ({"DUBLETTE"} if any(self._is_the_same(mail, one) for one in due) else set())
            if why:
                withheld[mail.id], mail.state = why, MessageState.WITHHELD
                continue
            mail.state = MessageState.CLAIMED
            if self.is_active(mail):
                self.contacts = [one for one in self.contacts if one.mail is not mail]
                until = self.day + timedelta(days=self.rules.blocking_days[mail.medium])
                self.contacts.append(Contact(mail.person, mail, self.day, until))
        return withheld
