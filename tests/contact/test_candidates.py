"""Random worlds of people whom we select: against whom what speaks, as candidates and as messages, is the model's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from reku.catalogue.contact import ContactRules
from reku.contact.candidates import FIRST_ID, Candidate
from reku.contact.decide import reasons, reasons_of_candidates
from reku.contact.policy import Policy
from reku.foundation.addresses import address_hmac
from reku.store.states import MessageState
from reku.store.tables import persons
from reku_testing.contacting import DAY, MEDIUM, NOW
from tests.contact import model
from tests.contact.test_property import (
    ADDRESSES,
    CAPS,
    DOMAINS,
    MAIL,
    ORDERS,
    PERSONS,
    WORLD,
    Worlds,
    often,
    some,
    worlds,
)
from tests.contact.test_property import RULES as RULES_OF_DELIVERIES

__all__ = ["worlds"]  # a fixture

RULES = st.builds(
    lambda rules, refusal, estate: rules.model_copy(update={"refusal": refusal, "estate": estate}),
    RULES_OF_DELIVERIES,
    some([{}, {"Werbesperre_KZ": ("W", "X")}]),
    some([{}, {"Nachlass_KZ": ("J",)}]),
)
IMPORTED = st.builds(
    model.Imported,
    household=some(["one", "one", "another"]),
    consent=often(True, False),
    estate=often(False, True),
    flags=often((), ("W",), ("V",), ("V", "X")),
    missing=often(False, True),
)
ASKED = st.lists(st.tuples(MAIL, some([None, 1, 2, 9])), min_size=1, max_size=3, unique_by=lambda one: one[0]["person"])


def tell(connection: sa.Connection, institute: str, imported: dict[str, model.Imported]) -> None:
    """The bank's newest customers in the table."""
    connection.execute(sa.delete(persons))
    for number, one in imported.items():
        told = {"household": one.household, "consent": one.consent, "estate": one.estate, "flags": list(one.flags)}
        plain = {"institute": institute, "person_number": number, "household_rank": 1, "tracking": False}
        missing = {"missing_since": DAY if one.missing else None}
        connection.execute(sa.insert(persons).values(plain | told | missing))


def candidate(mail: dict[str, Any], priority: int | None, place: int, order: model.Order) -> model.Mail:
    """One as the model has it: a message to be, of no delivery yet, after all that are open."""
    address, domain = ADDRESSES[mail["address"]]
    own = {name: mail[name] for name in ("person", "occasion_date", "last_day", "due")}
    nothing = {"fields": {}, "consent": True, "mailable": True, "second": False, "begun": None, "answers": frozenset()}
    return model.Mail(
        FIRST_ID + place,
        order,
        -1,
        address=address,
        domain=domain,
        state=MessageState.OPEN,
        priority=priority,
        is_candidate=True,
        **own,
        **nothing,
    )


def together(drawn: dict[str, Any]) -> dict[str, Any]:
    """The world with nothing against its campaigns, people and mails, all due on one day, so that they compete."""
    plain = {"campaign": {"media": (MEDIUM,), "active": True, "mandatory": False}, "ended": False, "valid_until": None}
    orders = {number: plain | {"stopped": False} for number in drawn["orders"]}
    fine = {
        "fields": dict.fromkeys(drawn["mails"][0]["fields"], ""),
        "consent": True,
        "mailable": True,
        "second": False,
    }
    mails = [mail | fine | {"due": NOW, "last_day": DAY} for mail in drawn["mails"]]
    nothing = dict.fromkeys(("sent", "bars", "domains", "contacts", "appointments"), ())
    return drawn | nothing | {"orders": orders, "mails": mails}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    drawn=WORLD | WORLD.map(together) | WORLD.map(together),
    rules=RULES,
    cap=CAPS,
    people=st.fixed_dictionaries(dict.fromkeys(PERSONS, IMPORTED)),
    unknown=often(None, *PERSONS),
    order=some(list(ORDERS)),
    asked=ASKED,
)
def test_the_reasons_against_candidates_are_those_of_the_model(
    worlds: Worlds,
    drawn: dict[str, Any],
    rules: ContactRules,
    cap: dict[str, int] | None,
    people: dict[str, model.Imported],
    unknown: str | None,
    order: str,
    asked: list[tuple[dict[str, Any], int | None]],
) -> None:
    if rules.blocking_days and cap:
        rules = ContactRules.model_validate(rules.model_dump() | {"at_most": cap})
    if all(mail["due"] == NOW for mail in drawn["mails"]):  # one of those asked about competes with the first mail
        rival = drawn["mails"][0]["person"]
        (first, wanted_by), *others = [(mail | {"due": NOW}, priority) for mail, priority in asked]
        asked = [(first | {"person": rival}, wanted_by), *(one for one in others if one[0]["person"] != rival)]
        rules = rules.model_copy(update={"blocking_days": {MEDIUM: 1}})
    made = worlds.build(drawn, rules)
    of = next((mail.order for mail in made.mails if mail.order.number == order), None)
    assume(of is not None and of.campaign is not None and of.campaign.is_complete)
    assert of is not None
    imported = made.imported = {number: one for number, one in people.items() if number != unknown}
    bank = worlds.bank
    with bank.engine.begin() as connection:
        tell(connection, bank.blz, imported)
    policy = replace(Policy.of(worlds.institute(made)), imported=True)

    sending = [mail for mail in made.mails if mail.order.campaign.is_complete and not mail.order.stopped]
    open_ones = {mail.id: made.reasons(mail) for mail in sending if mail.state == MessageState.OPEN}
    candidates = [
        Candidate(
            mail["person"],
            address_hmac(bank.blz, mail["address"]),
            DOMAINS[ADDRESSES[mail["address"]][1]],
            mail["occasion_date"],
            mail["due"],
            mail["last_day"],
            priority,
        )
        for mail, priority in asked
    ]
    made.mails += [candidate(mail, priority, place, of) for place, (mail, priority) in enumerate(asked)]
    wanted = {place: made.reasons(mail) for place, mail in enumerate(made.mails[-len(asked) :])}
    with bank.engine.connect() as connection:
        against = reasons(connection, policy, list(open_ones), DAY)
        of_candidates = reasons_of_candidates(connection, policy, bank.order(order), candidates, DAY)
    for found in wanted.values():
        event("+".join(sorted(found)) if len(found) < 2 else "several")
    assert {id_: set(against.get(id_, ())) for id_ in open_ones} == open_ones
    assert {place: set(of_candidates.get(place, ())) for place in wanted} == wanted
