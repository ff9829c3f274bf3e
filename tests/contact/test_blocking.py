"""Blocking periods, caps, appointments, flags and barred domains, by the rules of a bank's file.

Told in docs/contact.md, "A bank's rules".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.decide import barred_among
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.contact.suppressions import bar
from reku.dispatch import ledger
from reku.store.kinds import SuppressionKind
from reku.store.states import MessageState
from reku.store.tables import EVERY_INSTITUTE, appointments, barred_domains, messages, responses, suppressions
from reku_testing import world
from reku_testing.contacting import ACCOUNT, BIRTHDAY, DAY, ELSEWHERE, LOAN, MEDIUM, NOW, PASSIVE, Bank, campaign
from tests.contact.conftest import Rules

BLOCKED = (Reason.SPERRZEIT,)
ACTIVE = {MEDIUM: 14}


def ago(days: int) -> date:
    return DAY - timedelta(days=days)


# Blocking periods


def each(bank: Bank, count: int) -> list[tuple[Reason, ...]]:
    """What speaks against one message each to people 1, 2, 3 …"""
    ids = [bank.message(person=person) for person in range(1, count + 1)]
    against = bank.against(*ids)
    return [against.get(id_, ()) for id_ in ids]


def test_both_ends_of_a_blocking_period_are_included(bank: Bank, rules: Rules) -> None:
    rules(blocking_days=ACTIVE)
    periods = [
        (ago(14), DAY, BLOCKED),  # its last day
        (ago(15), ago(1), ()),
        (DAY, DAY, BLOCKED),  # Sperrtage 0: the same day
        (ago(1), ago(1), ()),
        (DAY, DAY + timedelta(14), BLOCKED),
        (DAY + timedelta(1), DAY + timedelta(15), ()),  # not yet: a clock was wrong
    ]
    for person, (day, until, _) in enumerate(periods, 1):
        bank.contact(day, until, person=person)
    assert each(bank, len(periods)) == [expected for *_, expected in periods]


def test_a_contact_counts_while_a_mail_left_or_may_have_left(bank: Bank, rules: Rules) -> None:
    """None: by letter or telephone."""
    rules(blocking_days=ACTIVE)
    states = [*MessageState, None]
    for person, state in enumerate(states, 1):
        bank.contact(DAY, DAY, state, person=person)
    counting = (MessageState.CLAIMED, MessageState.PREPARED, MessageState.SENT, MessageState.IN_DOUBT, None)
    assert each(bank, len(states)) == [BLOCKED if state in counting else () for state in states]


def test_contacts_of_others_do_not_block(bank: Bank, rules: Rules, database: sa.Engine) -> None:
    rules(blocking_days=ACTIVE)
    rules(blocking_days=ACTIVE, blz=ELSEWHERE)
    bank.contact(DAY, DAY, person=2)
    Bank(database, ELSEWHERE).contact(DAY, DAY, None)
    assert bank.reasons(bank.message()) == ()


def test_only_active_media_obey(bank: Bank, rules: Rules) -> None:
    """The medium is the campaign's first one, unless the row names another."""
    rules([campaign(LOAN, (PASSIVE, MEDIUM)), campaign(BIRTHDAY, (MEDIUM, PASSIVE))], blocking_days=ACTIVE)
    bank.contact(DAY, DAY)
    assert bank.reasons(bank.message(LOAN)) == ()
    assert bank.reasons(bank.message(LOAN, fields={"Content_Schluessel": MEDIUM})) == BLOCKED
    assert bank.reasons(bank.message(BIRTHDAY)) == BLOCKED
    assert bank.reasons(bank.message(BIRTHDAY, fields={"Content_Schluessel": ""})) == BLOCKED
    assert bank.reasons(bank.message(BIRTHDAY, fields={"Content_Schluessel": PASSIVE})) == ()


def test_a_bank_without_active_media_knows_no_blocking_periods(bank: Bank, rules: Rules) -> None:
    rules()
    bank.contact(DAY, DAY)
    assert bank.reasons(bank.message()) == ()


def test_a_claim_reserves_the_contact_and_blocks_the_next_occasion(bank: Bank, rules: Rules, tmp_path: Path) -> None:
    rules([campaign(ACCOUNT, (PASSIVE,))], blocking_days={MEDIUM: 3, "LBS_HEIRAT": 9})
    first, later, passive = bank.delivery(BIRTHDAY), bank.delivery(LOAN), bank.delivery(ACCOUNT)
    sent = bank.message(BIRTHDAY, delivery=first)
    other_day = {"due_at": NOW - timedelta(days=1)}  # so that it is no rival
    blocked = bank.message(LOAN, delivery=later, **other_day)
    goes = bank.message(ACCOUNT, delivery=passive)
    for delivery in (first, later, passive):
        bank.claim(delivery, tmp_path)
    assert bank.contacts() == [(sent, MEDIUM, DAY, DAY + timedelta(3), False)]
    assert bank.outcome(sent)[0] == MessageState.CLAIMED
    assert bank.outcome(blocked) == (MessageState.WITHHELD, "SPERRZEIT", ["SPERRZEIT"])
    assert bank.outcome(goes)[0] == MessageState.CLAIMED  # a medium that is not active neither obeys nor is recorded


@pytest.mark.parametrize("days", [0, 3])
def test_a_blocking_period_ends_with_its_last_day(
    bank: Bank, rules: Rules, tmp_path: Path, clock_at: Callable[[datetime], None], days: int
) -> None:
    """Sperrtage 0: the same day only. Days are Berlin's: at 23:30 UTC the next one has begun."""
    rules(blocking_days={MEDIUM: days})
    clock_at(datetime(2026, 11, 23, 23, 30, tzinfo=UTC))
    first = bank.delivery()
    bank.message(delivery=first)
    bank.claim(first, tmp_path)
    assert [contact[2:4] for contact in bank.contacts()] == [(DAY, DAY + timedelta(days))]
    other = bank.message(ACCOUNT)
    assert bank.reasons(other, DAY + timedelta(days)) == BLOCKED
    assert bank.reasons(other, DAY + timedelta(days + 1)) == ()


def test_what_is_opened_again_frees_its_contact_and_is_reserved_anew(
    bank: Bank, rules: Rules, tmp_path: Path, clock_at: Callable[[datetime], None]
) -> None:
    rules(blocking_days=ACTIVE)
    first = bank.delivery()
    mail = bank.message(delivery=first)
    batch = bank.claim(first, tmp_path)
    assert batch is not None
    other = bank.message(ACCOUNT, due_at=NOW - timedelta(days=1))
    assert bank.reasons(other) == BLOCKED
    with bank.engine.begin() as connection:
        ledger.reopen(connection, {batch.fence: [mail]})
    assert bank.reasons(other) == ()
    clock_at(NOW + timedelta(days=1))
    bank.claim(first, tmp_path)
    tomorrow = DAY + timedelta(days=1)
    assert bank.reasons(other, tomorrow) == BLOCKED
    assert bank.contacts() == [(mail, MEDIUM, tomorrow, tomorrow + timedelta(days=14), False)]


def test_a_mandatory_campaign_goes_out_and_starts_a_new_period(bank: Bank, rules: Rules, tmp_path: Path) -> None:
    """docs/domain.md, rule 21."""
    rules(
        [campaign(LOAN, mandatory=True)], blocking_days=ACTIVE, at_most={"contacts": 1, "days": 30}, appointment_days=5
    )
    bank.contact(ago(1), DAY)
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(appointments).values(institute=bank.blz, person_number="0000000001", day=DAY))
    delivery = bank.delivery(LOAN)
    mail = bank.message(LOAN, delivery=delivery)
    bank.claim(delivery, tmp_path)
    assert bank.outcome(mail)[0] == MessageState.CLAIMED
    assert bank.contacts()[-1] == (mail, MEDIUM, DAY, DAY + timedelta(14), True)
    assert bank.reasons(bank.message(), DAY + timedelta(14)) == (Reason.SPERRZEIT, Reason.OBERGRENZE)


def test_a_mandatory_campaign_overrides_nothing_that_the_person_has_said(bank: Bank, rules: Rules) -> None:
    rules([campaign(LOAN, mandatory=True)], blocking_days=ACTIVE, refusal={"Werbesperre": ["J"]})
    assert bank.reasons(bank.message(LOAN, consent=False, fields={"Werbesperre": "J"})) == (
        Reason.WERBEVERWEIGERER,
        Reason.KEINE_EINWILLIGUNG,
    )


def test_several_addresses_of_a_person_in_one_delivery_are_one_contact(
    bank: Bank, rules: Rules, tmp_path: Path
) -> None:
    rules(blocking_days=ACTIVE, at_most={"contacts": 2, "days": 30})
    delivery = bank.delivery()
    for address in ("work@kunde.example", "home@kunde.example"):
        bank.message(delivery=delivery, fields={"EMail": address})
    batch = bank.claim(delivery, tmp_path)
    assert batch is not None
    assert (len(batch.messages), batch.withheld) == (2, 0)
    late = bank.message(delivery=delivery, fields={"EMail": "late@kunde.example"})
    assert bank.reasons(late) == ()
    assert bank.reasons(bank.message(ACCOUNT, due_at=NOW - timedelta(days=1))) == BLOCKED  # not OBERGRENZE: one contact


# At most so many contacts


def test_cap(bank: Bank, rules: Rules) -> None:
    rules(blocking_days={MEDIUM: 0}, at_most={"contacts": 2, "days": 7})
    capped = (Reason.OBERGRENZE,)
    cases: list[tuple[tuple[date, ...], tuple[Reason, ...]]] = [
        ((ago(6), ago(1)), capped),
        ((ago(7), ago(1)), ()),  # seven days, today included
        ((ago(6),), ()),
        ((DAY, ago(3), ago(5)), capped),
        ((DAY + timedelta(1), ago(1)), ()),
    ]
    for person, (days, _) in enumerate(cases, 1):
        for day in days:
            bank.contact(day, ago(1), person=person)
    assert each(bank, len(cases)) == [expected for _, expected in cases]
    bank.contact(ago(7), DAY, person=9)  # too long ago to be counted, though it still blocks
    bank.contact(ago(1), ago(1), person=9)
    assert bank.reasons(bank.message(person=9)) == BLOCKED


def test_cap_counts_deliveries_and_contacts_by_other_ways(bank: Bank, rules: Rules) -> None:
    rules(blocking_days={MEDIUM: 0}, at_most={"contacts": 3, "days": 7})
    delivery = bank.delivery(ACCOUNT)
    for number in range(3):
        sent = {"delivery": delivery, "state": MessageState.SENT, "fields": {"EMail": f"a{number}@kunde.example"}}
        bank.contact(ago(1), ago(1), message=bank.message(ACCOUNT, **sent))  # one delivery to three addresses
    bank.contact(ago(2), ago(2), MessageState.REJECTED)
    bank.contact(ago(3), ago(3), None)
    about = bank.message()
    assert bank.reasons(about) == ()
    bank.contact(ago(3), ago(3), None)
    assert bank.reasons(about) == (Reason.OBERGRENZE,)


def test_cap_is_for_active_media(bank: Bank, rules: Rules) -> None:
    rules([campaign(BIRTHDAY, (PASSIVE,))], blocking_days={MEDIUM: 0}, at_most={"contacts": 1, "days": 7})
    bank.contact(ago(1), ago(1))
    assert bank.reasons(bank.message(BIRTHDAY)) == ()
    assert bank.reasons(bank.message(ACCOUNT)) == (Reason.OBERGRENZE,)


# Appointments


@pytest.mark.parametrize("within", [None, 0, 5])
def test_appointments(bank: Bank, rules: Rules, within: int | None) -> None:
    rules(appointment_days=within)
    days = (-1, 0, 1, 5, 6)
    with bank.engine.begin() as connection:
        for person, day in enumerate(days, 1):
            row = {"institute": bank.blz, "person_number": f"{person:010d}", "day": DAY + timedelta(day)}
            connection.execute(sa.insert(appointments).values(row))
            connection.execute(sa.insert(appointments).values(row | {"institute": ELSEWHERE, "day": DAY}))
    near = [within is not None and 0 <= day <= within for day in days]
    assert each(bank, len(days)) == [(Reason.TERMIN,) if is_near else () for is_near in near]


# Flags of the delivery


def test_flags_mean_what_the_bank_says(bank: Bank, rules: Rules) -> None:
    rules(estate={"Nachlass": ["J"], "Status": ["7", "8"]}, refusal={"Status": ["6", "9"]})
    cases: list[tuple[dict[str, str], tuple[Reason, ...]]] = [
        ({}, ()),
        ({"Nachlass": "J"}, (Reason.NACHLASS,)),
        ({"Nachlass": "N"}, ()),
        ({"Nachlass": ""}, ()),
        ({"Status": "7"}, (Reason.NACHLASS,)),
        ({"Status": "6"}, (Reason.WERBEVERWEIGERER,)),
        ({"Status": "J"}, ()),  # a value of another field
        ({"Status": "9", "Nachlass": "J"}, (Reason.NACHLASS, Reason.WERBEVERWEIGERER)),
    ]
    expected = {bank.message(person=person, fields=fields): told for person, (fields, told) in enumerate(cases, 1)}
    assert bank.against(*expected) == {id_: told for id_, told in expected.items() if told}


def test_flags_that_a_bank_does_not_name_mean_nothing(bank: Bank, rules: Rules) -> None:
    rules()
    assert bank.reasons(bank.message(fields={"Nachlass": "J", "Werbesperre": "J"})) == ()


# Unsubscribes


@pytest.mark.parametrize("mode", ["none", "list", None, "global"])
def test_comparison_of_unsubscribes(bank: Bank, rules: Rules, mode: str | None) -> None:
    """By the address, and by the person when the address has changed. None: a bank that says nothing."""
    rules(**({} if mode is None else {"unsubscribes": mode}))
    unsubscribed = (Reason.ABGEMELDET,)
    for person, address in enumerate(({}, {"recipient_key": "f" * 64}), 1):
        own, other = bank.message(BIRTHDAY, person), bank.message(ACCOUNT, person)
        _bar(bank, own, SuppressionKind.UNSUBSCRIBED, order_id=bank.order(BIRTHDAY), **address)
        assert bank.reasons(own) == unsubscribed
        assert bank.reasons(other) == (unsubscribed if mode == "global" else ())
        _bar(bank, own, SuppressionKind.UNSUBSCRIBED, order_id=None, **address)
        assert bank.reasons(other) == unsubscribed  # from everything, whatever is compared


def test_who_complained_stays_barred_under_a_new_address(bank: Bank, rules: Rules) -> None:
    """Also at an address that somebody else has; a blacklisted address says nothing of a person."""
    rules()
    mine, neighbours = bank.message(), bank.message(person=2, fields={"EMail": "person1@kunde.example"})
    _bar(bank, mine, SuppressionKind.COMPLAINED)
    moved = bank.message(ACCOUNT, fields={"EMail": "new@kunde.example"})
    assert bank.against(mine, neighbours, moved) == dict.fromkeys((mine, neighbours, moved), (Reason.BESCHWERDELISTE,))
    with bank.engine.begin() as connection:
        connection.execute(sa.update(suppressions).values(kind=SuppressionKind.BLACKLISTED))
    assert bank.against(mine, neighbours, moved) == dict.fromkeys((mine, neighbours), (Reason.BLACKLIST,))


def test_an_order_renamed_is_the_same_order(bank: Bank, rules: Rules) -> None:
    """An unsubscribe holds through all lists that the order has had or will have."""
    rules()
    _bar(bank, bank.message(), SuppressionKind.UNSUBSCRIBED, order_id=bank.order())
    world.subscriber_list(bank.engine, bank.order(), order_name="Neuer_Name", created_at=NOW)
    assert bank.reasons(bank.message()) == (Reason.ABGEMELDET,)


# Barred domains


def test_barred_domains(bank: Bank, rules: Rules) -> None:
    """On the list stands what mail servers write: A-labels in lower case. Addresses are spelt as they like."""
    rules()
    for domain in ("kunde.example", "xn--mller-kva.example", "xn--strae-oqa.example"):
        _bar_domain(bank, domain, bank.blz)
    spelt = {
        "person@kunde.example": True,
        "Person@KUNDE.Example": True,
        "person@mail.kunde.example": False,
        "person@meinkunde.example": False,
        "kunde.example@other.example": False,
        "person@ｋｕｎｄｅ.example": True,  # wide letters, which mean the same
        "person@xn--mller-kva.example": True,
        "person@müller.example": True,
        "person@MÜLLER.example": True,
        "person@mu\u0308ller.example": True,  # the same letter, written as two
        "person@muller.example": False,
        "person@straße.example": True,
        "person@strasse.example": False,
        "müßig@other.example": False,
    }
    ids = {bank.message(person=person, fields={"EMail": to}): to for person, to in enumerate(spelt, 1)}
    assert {ids[id_]: told for id_, told in bank.against(*ids).items()} == {
        to: (Reason.BLACKLIST,) for to, bars in spelt.items() if bars
    }
    with bank.engine.connect() as connection:
        asked = barred_among(connection, policy_of(bank.blz), list(ids))
    assert {ids[id_] for id_ in asked} == {to for to, bars in spelt.items() if bars}, "in a running dispatch as well"


def test_a_domain_that_a_person_bars_is_barred_in_every_spelling(bank: Bank, rules: Rules) -> None:
    rules()
    assert bar(bank.engine, bank.blz, ["straße.example", "@MÜLLER.example"], actor="anna", note="") == 2
    spelt = ["person@straße.example", "person@müller.example", "person@xn--mller-kva.example", "person@strasse.example"]
    ids = {bank.message(person=person, fields={"EMail": to}): to for person, to in enumerate(spelt, 1)}
    assert [ids[id_] for id_ in sorted(bank.against(*ids))] == spelt[:3]


def test_domains_are_barred_for_one_bank_or_everywhere(bank: Bank, rules: Rules) -> None:
    rules()
    domains = {"kunde.example": "kunde.example", "kündin.example": "xn--kndin-kva.example"}
    ids = [bank.message(fields={"EMail": f"person@{spelt}"}) for spelt in domains]
    for domain in domains.values():
        _bar_domain(bank, domain, ELSEWHERE)
    assert bank.against(*ids) == {}
    for domain in domains.values():
        _bar_domain(bank, domain, EVERY_INSTITUTE)
    assert bank.against(*ids) == dict.fromkeys(ids, (Reason.BLACKLIST,))


# Precedence, and the record


def test_all_reasons_are_kept_and_the_first_is_reported(bank: Bank, rules: Rules, tmp_path: Path) -> None:
    rules(
        blocking_days=ACTIVE,
        at_most={"contacts": 1, "days": 7},
        appointment_days=5,
        estate={"Nachlass": ["J"]},
        refusal={"Werbesperre": ["J"]},
    )
    bank.contact(ago(1), DAY)
    delivery = bank.delivery()
    flags = {"Nachlass": "J", "Werbesperre": "J", "EMail": "person1@sperre.example"}
    of_itself = {"consent": False, "mailable": False, "second": True}
    mail = bank.message(delivery=delivery, fields=flags, **of_itself)
    for kind in SuppressionKind:
        _bar(bank, mail, kind)
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(appointments).values(institute=bank.blz, person_number="0000000001", day=DAY))
    bank.message(LOAN)  # a rival of higher priority; but this person gets nothing any more, so it goes nowhere either
    bank.claim(delivery, tmp_path)
    expected = [
        "NACHLASS",
        "WERBEVERWEIGERER",
        "KEINE_EINWILLIGUNG",
        "ABGEMELDET",
        "BESCHWERDELISTE",
        "BLACKLIST",
        "ADRESSE_UNGUELTIG",
        "DUBLETTE",
        "SPERRZEIT",
        "OBERGRENZE",
        "TERMIN",
    ]
    assert bank.outcome(mail) == (MessageState.WITHHELD, "NACHLASS", expected)
    assert bank.contacts()[-1][0] != mail
    with bank.engine.connect() as connection:
        told = connection.execute(sa.select(responses.c.kind, responses.c.reason)).all()
    assert told == [("NOT_SENT", "NACHLASS")]


def _bar(bank: Bank, message: int, kind: SuppressionKind, **values: Any) -> None:
    with bank.engine.begin() as connection:
        about = connection.execute(sa.select(messages).where(messages.c.id == message)).one()
        row = {
            "institute": bank.blz,
            "kind": kind,
            "recipient_key": about.recipient_key,
            "person_number": about.person_number,
            "source": "LINK",
            "since": NOW,
        }
        connection.execute(sa.insert(suppressions).values(row | values))


def _bar_domain(bank: Bank, domain: str, institute: str) -> None:
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(barred_domains).values(institute=institute, domain=domain, since=NOW))
