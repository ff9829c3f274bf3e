"""Random worlds: who has a reason gets no mail, who has none gets one, and all reasons on record are the model's."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes, media
from reku.catalogue.campaign import Campaign
from reku.catalogue.contact import ContactRules
from reku.catalogue.institute import Institute
from reku.channels.email.channel import EMAIL
from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.contact.reasons import Reason
from reku.dispatch.claim import claim
from reku.dispatch.ledger import Due
from reku.dispatch.plan import SendPlan
from reku.foundation.addresses import address_hmac
from reku.store.events import Event, record
from reku.store.kinds import EventKind, SuppressionKind
from reku.store.states import MessageState
from reku.store.tables import (
    EVERY_INSTITUTE,
    appointments,
    barred_domains,
    claims,
    contacts,
    delivery_rows,
    messages,
    orders,
    reactivations,
    responses,
    stops,
    suppressions,
)
from reku_testing import contacting, world
from reku_testing.contacting import BIRTHDAY, DAY, ELSEWHERE, LOAN, MEDIUM, NOW, PARTY, PASSIVE, Bank
from tests.contact import model
from tests.contact.conftest import Rules

ORDERS = {LOAN: 1, BIRTHDAY: 3, PARTY: 3}
"""Order → priority of its occasion."""
PERSONS = ("0000000001", "0000000002")
ADDRESSES = {
    "one@kunde.example": ("one@k", "k"),
    "One@KUNDE.Example": ("one@k", "k"),
    "two@kunde.example": ("two@k", "k"),
    "one@müller.example": ("one@m", "m"),
    "one@xn--mller-kva.example": ("one@m", "m"),
}
"""Spelling → the address and the domain that are meant."""
SPELT = {"one@k": "one@kunde.example", "two@k": "two@kunde.example", "one@m": "one@müller.example"}
DOMAINS = {"k": "kunde.example", "m": "xn--mller-kva.example"}

# What a world is drawn from: little of everything, so that people meet one another, and every edge of a period.
some = st.sampled_from


def often(value: Any, *others: Any) -> st.SearchStrategy[Any]:
    """Mostly `value`, so that several things seldom stand against one mail at once."""
    return some((*[value] * 12, *others))


def seldom(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """In most worlds none, else one or two."""
    return st.just([]) | st.just([]) | st.lists(one, min_size=1, max_size=2)


DAYS = some([DAY + timedelta(days=days) for days in (-15, -14, -7, -6, -2, -1, 0, 1)])
MOMENTS = st.builds(lambda days, hours: NOW - timedelta(days=days, hours=hours), st.integers(0, 8), some([0, 1, 11]))
RULES = st.builds(
    ContactRules,
    unsubscribes=some(["none", "list", "global"]),
    refusal=some([{}, {"Werbesperre": ("J", "X")}]),
    estate=some([{}, {"Nachlass": ("J",), "Werbesperre": ("N",)}]),
    blocking_days=often({MEDIUM: 1}, {}, {MEDIUM: 0}, {MEDIUM: 14}, {MEDIUM: 1, PASSIVE: 7}),
    appointment_days=some([None, 0, 3]),
    appointment_days_after=some([None, None, 2]),
)
CAPS = some([None, {"contacts": 1, "days": 7}, {"contacts": 2, "days": 15}])
CAMPAIGN = st.builds(
    lambda media, active, mandatory: {"media": media, "active": active, "mandatory": mandatory},
    some([(MEDIUM,), (MEDIUM, PASSIVE), (PASSIVE, MEDIUM)]),
    often(True, False),
    often(False, True),
)
ORDER = st.fixed_dictionaries(
    {
        "campaign": CAMPAIGN,
        "ended": often(False, True),
        "valid_until": often(None, DAY, DAY - timedelta(days=1)),
        "stopped": often(False, True),
    }
)
MAIL = st.fixed_dictionaries(
    {
        "order": some(list(ORDERS)),
        "which": some([0, 1]),
        "person": some(PERSONS),
        "address": some(list(ADDRESSES)),
        "occasion_date": some([DAY, DAY - timedelta(days=1), DAY - timedelta(days=365)]),
        "fields": st.fixed_dictionaries(
            {
                "Nachlass": often("", "J", "N"),
                "Werbesperre": often("", "J", "N", "X"),
                "Content_Schluessel": often("", MEDIUM),
            }
        ),
        "consent": often(True, False),
        "mailable": often(True, False),
        "second": often(False, True),
        "last_day": often(DAY, DAY - timedelta(days=1), DAY + timedelta(days=9)),
        "due": some(
            [
                NOW - timedelta(hours=1),
                NOW,
                NOW + timedelta(hours=3),
                NOW - timedelta(hours=10),
                NOW - timedelta(days=1),
            ]
        ),
        "state": some([*[MessageState.OPEN] * 12, *MessageState]),
        "begun": st.none() | MOMENTS,
        "answers": some(
            [
                (),
                (),
                ("BOUNCED_HARD",),
                ("BOUNCED_HARD",),
                ("BOUNCED_SOFT",),
                ("BOUNCED_UNKNOWN",),
                ("OPENED",),
                ("CLICKED", "BOUNCED_SOFT"),
                ("BOUNCED_HARD", "OPENED"),
            ]
        ),
    }
)
SENT = st.tuples(MOMENTS, often(("BOUNCED_HARD",), ("BOUNCED_SOFT",), (), ("OPENED",)))
WORLD = st.fixed_dictionaries(
    {
        "orders": st.fixed_dictionaries(dict.fromkeys(ORDERS, ORDER)),
        "mails": st.lists(MAIL, min_size=1, max_size=9),
        "bounced": some(list(SPELT)),
        "sent": st.just([]) | st.lists(SENT, min_size=3, max_size=5),
        "bars": seldom(st.tuples(some(list(SuppressionKind)), some(list(SPELT)), some(PERSONS), some([*ORDERS, ""]))),
        "domains": seldom(st.tuples(some([world.BLZ, EVERY_INSTITUTE, ELSEWHERE]), some(list(DOMAINS)))),
        "contacts": st.lists(
            st.tuples(st.integers(0, 8) | st.none(), some(PERSONS), DAYS, some([0, 1, 14])), max_size=4
        ),
        "appointments": seldom(
            st.tuples(some(PERSONS), some([DAY + timedelta(days=days) for days in (-3, -2, -1, 0, 1, 3, 4)]))
        ),
        "reactivated": st.dictionaries(some(list(SPELT)), MOMENTS, max_size=1),
        "claimed": st.permutations(list(product(ORDERS, (0, 1)))),
    }
)


class Worlds:
    """Puts one random world after the other into the database, beside the model's."""

    def __init__(self, bank: Bank, whole: Institute, journals: Path) -> None:
        self.bank, self.whole, self.journals = bank, whole, journals
        self.deliveries = {key: bank.delivery(key[0]) for key in product(ORDERS, (0, 1))}
        self.history = [bank.delivery(LOAN) for _ in range(5)]
        with bank.engine.connect() as connection:
            numbers = connection.execute(sa.text("SELECT id, delivery_number FROM reku.deliveries"))
            self.numbers: dict[int, int] = dict(map(tuple, numbers))

    def build(self, drawn: dict[str, Any], rules: ContactRules) -> model.World:
        """The world in the database, and as the model has it."""
        with self.bank.engine.begin() as connection:
            self._clear(connection)
            ordered = {number: self._order(connection, number, told) for number, told in drawn["orders"].items()}
            made = model.World(NOW, rules, self._mails(connection, drawn, ordered))
            self._what_bars(connection, drawn, made)
            self._contacts(connection, drawn, made)
        return made

    def institute(self, made: model.World) -> Institute:
        """The bank's file."""
        campaigns = {mail.order.number: mail.order.campaign for mail in made.mails}
        found = tuple(campaign for campaign in campaigns.values() if campaign is not None)
        return self.whole.model_copy(update={"contact": made.rules, "campaigns": found})

    def _clear(self, connection: sa.Connection) -> None:
        of_mails = (responses, contacts, claims, messages, delivery_rows)
        for table in (*of_mails, suppressions, barred_domains, appointments, reactivations, stops):
            connection.execute(sa.delete(table))

    def _order(self, connection: sa.Connection, number: str, told: dict[str, Any]) -> model.Order:
        ends = {"ended": told["ended"], "valid_until": told["valid_until"]}
        connection.execute(sa.update(orders).where(orders.c.order_number == number).values(**ends))
        if told["stopped"]:
            stop = {"institute": self.bank.blz, "order_number": number, "since": NOW, "actor": "anna", "note": ""}
            connection.execute(sa.insert(stops).values(stop))
        campaign = Campaign.model_validate(contacting.campaign(number, **told["campaign"]))
        return model.Order(number, ORDERS[number], campaign, **ends, stopped=told["stopped"])

    def _mails(
        self, connection: sa.Connection, drawn: dict[str, Any], ordered: dict[str, model.Order]
    ) -> list[model.Mail]:
        told = [one | {"delivery": self.deliveries[one["order"], one["which"]]} for one in drawn["mails"]]
        for delivery, (begun, answers) in zip(self.history, drawn["sent"], strict=False):
            came_back = {"delivery": delivery, "address": SPELT[drawn["bounced"]], "begun": begun, "answers": answers}
            told.append(_BOUNCED | came_back)
        _leave_once(told)
        rows = [self._row(one, line) for line, one in enumerate(told)]
        row_ids = connection.scalars(
            sa.insert(delivery_rows).returning(delivery_rows.c.id, sort_by_parameter_order=True), rows
        ).all()
        entries = [self._entry(one, row, id_) for one, row, id_ in zip(told, rows, row_ids, strict=True)]
        ids = connection.scalars(
            sa.insert(messages).returning(messages.c.id, sort_by_parameter_order=True), entries
        ).all()
        mails = [_mail(one, id_, ordered) for one, id_ in zip(told, ids, strict=True)]
        answered = [(mail, kind) for mail in mails for kind in mail.answers]
        record(connection, [Event(mail.id, kind, NOW - timedelta(minutes=1), "5.1.1") for mail, kind in answered])
        return mails

    def _row(self, told: dict[str, Any], line: int) -> dict[str, Any]:
        return {
            "institute": self.bank.blz,
            "delivery_id": told["delivery"],
            "line": line,
            **world.typed(world.reku_fields() | told["fields"], "IAMW"),
            "reference": f"row {line}",
            "person_number": told["person"],
            "address": told["address"],
            "occasion_date": told["occasion_date"],
        }

    def _entry(self, told: dict[str, Any], row: dict[str, Any], row_id: int) -> dict[str, Any]:
        kept = ("institute", "delivery_id", "reference", "person_number", "occasion_date")
        said = ("consent", "mailable", "second", "last_day", "state")
        return (
            {name: row[name] for name in kept}
            | {name: told[name] for name in said}
            | {
                "order_id": self.bank.order(told["order"]),
                "delivery_number": self.numbers[told["delivery"]],
                "row_id": row_id,
                "recipient_key": address_hmac(self.bank.blz, told["address"]),
                "tracking": False,
                "due_at": told["due"],
                "begun_at": told["begun"],
            }
        )

    def _what_bars(self, connection: sa.Connection, drawn: dict[str, Any], made: model.World) -> None:
        blz = self.bank.blz
        for kind, address, person, order in drawn["bars"]:
            # only unsubscribes can be from one order
            from_order = order if kind == SuppressionKind.UNSUBSCRIBED else ""
            made.bars.append(model.Bar(kind, address, person, from_order))
            hashed = address_hmac(blz, SPELT[address])
            row = {"institute": blz, "kind": kind, "recipient_key": hashed, "person_number": person, "source": "LINK"}
            of_order = self.bank.order(from_order) if from_order else None
            _insert(connection, suppressions, row | {"order_id": of_order, "since": NOW})
        for institute, domain in drawn["domains"]:
            if institute != ELSEWHERE:
                made.domains.add(domain)
            _insert(connection, barred_domains, {"institute": institute, "domain": DOMAINS[domain], "since": NOW})
        for person, day in drawn["appointments"]:
            made.appointments.add((person, day))
            _insert(connection, appointments, {"institute": blz, "person_number": person, "day": day})
        for address, moment in drawn["reactivated"].items():
            made.reactivated[address] = moment
            hashed = address_hmac(blz, SPELT[address])
            _insert(connection, reactivations, {"institute": blz, "recipient_key": hashed, "at": moment})

    def _contacts(self, connection: sa.Connection, drawn: dict[str, Any], made: model.World) -> None:
        mails = made.mails[: len(drawn["mails"])]
        for index, person, day, days in drawn["contacts"]:
            mail = None if index is None else mails[index % len(mails)]
            if mail is not None and any(contact.mail is mail for contact in made.contacts):
                continue
            of = person if mail is None else mail.person
            made.contacts.append(model.Contact(of, mail, day, day + timedelta(days=days)))
            row = {"institute": self.bank.blz, "person_number": of, "message_id": mail and mail.id, "medium": MEDIUM}
            until = {"day": day, "blocked_until": day + timedelta(days=days), "mandatory": False}
            _insert(connection, contacts, row | until)

    def claim(self, delivery: int, order: model.Order, institute: Institute) -> None:
        """Claim what is due of a delivery."""
        assert order.campaign is not None
        known = media()
        keys = {key: known[key] for key in order.campaign.send_media}
        number, occasion = self.numbers[delivery], contacting.OCCASIONS[order.number]
        plan = SendPlan(
            institute, order.campaign, delivery, self.bank.order(order.number), order.number, occasion, number, keys
        )
        due, lease = Due(delivery, DAY), timedelta(minutes=5)
        batch = claim(self.bank.engine, plan, EMAIL, due, limit=100, journals=self.journals, lease=lease)
        if batch is not None:
            batch.journal.close()

    def states(self) -> dict[int, str]:
        """State of every message."""
        with self.bank.engine.connect() as connection:
            return dict(map(tuple, connection.execute(sa.select(messages.c.id, messages.c.state))))

    def told(self) -> dict[int, tuple[list[str], str, str]]:
        """All reasons, kind of event and Grund_Code of every withheld message that has a reason."""
        of = messages.c
        wanted = (
            sa.select(of.id, of.reasons, responses.c.kind, responses.c.reason)
            .join(responses, responses.c.message_id == of.id)
            .where(of.reason != "", responses.c.kind.in_((EventKind.NOT_SENT, EventKind.RETAINED)))
        )
        with self.bank.engine.connect() as connection:
            return {row.id: (row.reasons, row.kind, row.reason) for row in connection.execute(wanted)}

    def contacts(self) -> set[tuple[str, int | None, date, date]]:
        of = contacts.c
        wanted = sa.select(of.person_number, of.message_id, of.day, of.blocked_until)
        with self.bank.engine.connect() as connection:
            return {tuple(row) for row in connection.execute(wanted)}


_BOUNCED: dict[str, Any] = {
    "order": LOAN,
    "person": "0000000009",  # nobody else's number
    "occasion_date": DAY - timedelta(days=99),
    "fields": {},
    "consent": True,
    "mailable": True,
    "second": False,
    "last_day": DAY,
    "due": NOW - timedelta(days=30),
    "state": MessageState.SENT,
}


def _leave_once(told: list[dict[str, Any]]) -> None:
    """The ledger itself keeps two mails for the same from being handed over: the second has not been."""
    seen: set[tuple[Any, ...]] = set()
    for one in told:
        if one["begun"] is None:
            one["answers"] = ()
        person = (one["order"], one["person"], ADDRESSES[one["address"]][0])
        keys = {(*person, one["occasion_date"]), (*person, "delivery", one["delivery"])}
        if one["state"] in model.LEFT and keys & seen:
            one["state"] = MessageState.WITHHELD
        if one["state"] in model.LEFT:
            seen |= keys


def _mail(told: dict[str, Any], id_: int, ordered: dict[str, model.Order]) -> model.Mail:
    address, domain = ADDRESSES[told["address"]]
    said = {name: told[name] for name in told.keys() & model.Mail.__dataclass_fields__.keys()}
    answers = frozenset(EventKind(kind) for kind in told["answers"])
    return model.Mail(
        **said | {"id": id_, "order": ordered[told["order"]], "address": address, "domain": domain, "answers": answers}
    )


def _insert(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    connection.execute(insert(table).values(row).on_conflict_do_nothing())


@pytest.fixture
def worlds(bank: Bank, rules: Rules, tmp_path: Path) -> Worlds:
    rules()
    return Worlds(bank, institutes()[bank.blz], tmp_path / "journals")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=WORLD, rules=RULES, cap=CAPS)
def test_the_reasons_are_those_of_the_model(
    worlds: Worlds, drawn: dict[str, Any], rules: ContactRules, cap: dict[str, int] | None
) -> None:
    if rules.blocking_days and cap:
        rules = ContactRules.model_validate(rules.model_dump() | {"at_most": cap})
    made = worlds.build(drawn, rules)
    sending = [mail for mail in made.mails if mail.order.campaign.is_complete and not mail.order.stopped]
    asked = {mail.id: made.reasons(mail) for mail in sending if mail.state == MessageState.OPEN}
    institute = worlds.institute(made)
    with worlds.bank.engine.connect() as connection:
        against = reasons(connection, Policy.of(institute), list(asked), DAY)
    for found in asked.values():
        event("+".join(sorted(found)) if len(found) < 2 else "several")
    assert {id_: set(against.get(id_, ())) for id_ in asked} == asked

    withheld: dict[int, set[str]] = {}
    for order, which in drawn["claimed"]:
        delivery = worlds.deliveries[order, which]
        mail = next((mail for mail in sending if mail.delivery == delivery), None)
        if mail is not None:
            withheld |= made.claim(delivery)
            worlds.claim(delivery, mail.order, institute)
    assert worlds.states() == {mail.id: mail.state for mail in made.mails}
    firsts = {id_: next(reason for reason in Reason if reason in found) for id_, found in withheld.items()}
    assert worlds.told() == {
        id_: ([reason for reason in Reason if reason in withheld[id_]], first.event, first.code)
        for id_, first in firsts.items()
    }
    assert worlds.contacts() == {(one.person, one.mail and one.mail.id, one.day, one.until) for one in made.contacts}
