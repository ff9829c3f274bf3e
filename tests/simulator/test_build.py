"""The demo world: always the same, and with every case that a run has to get right."""

from collections import Counter
from datetime import date, timedelta

import pytest

from reku.catalogue import institutes, occasions
from reku.catalogue.calendar import is_bank_working_day
from reku.catalogue.window import due_window
from reku.foundation.addresses import is_public, is_valid, normalise
from reku.foundation.clock import berlin
from reku.records.times import parse_date
from reku.simulator.build import RENAMED, build
from reku.simulator.cooperative_bank import PEOPLE, SHARED
from reku.simulator.world import (
    BANK_1,
    BANK_2,
    BANK_3,
    DAYS,
    SAVINGS_BANKS,
    Bounce,
    DeliveryStep,
    DemoWorld,
    ExpectedOutcome,
    Unsubscribes,
    calendar_day,
    good_first_day,
    moment,
)
from tests.simulator.conftest import DAY_1


def test_the_same_seed_and_day_give_the_same_world(whole_world: DemoWorld) -> None:
    assert build(1, DAY_1) == whole_world
    assert build(2, DAY_1) != whole_world


def test_a_later_first_day_moves_dates_and_nothing_else(world: DemoWorld) -> None:
    later = build(1, date(2027, 2, 28)).of_banks(*SAVINGS_BANKS)
    assert [row.customer for row in later.rows()] == [row.customer for row in world.rows()]
    assert [row.outcome for row in later.rows()] == [row.outcome for row in world.rows()]
    assert later.deliveries[0].rows[9].occasion_date == date(2027, 2, 28)


def test_a_thousand_customers_of_all_kinds(world: DemoWorld) -> None:
    assert len(world.customers) == 1000
    assert {customer.salutation for customer in world.customers} == {"1", "2", "3", "4"}
    assert {customer.tracking for customer in world.customers} == {"J", "N", ""}
    names = "".join(customer.last_name for customer in world.customers)
    assert set("äöüßÖÜ-") <= set(names)
    assert any(customer.title for customer in world.customers)
    assert any(";" in customer.firm for customer in world.customers)
    assert any('"' in customer.firm for customer in world.customers)


def test_every_address_is_invented_and_belongs_to_one_person_of_a_bank(world: DemoWorld) -> None:
    owners = Counter((customer.institute, normalise(customer.address)) for customer in world.customers)
    assert set(owners.values()) == {1}
    for row in world.rows():
        address = row.customer.address
        assert is_valid(address)
        assert is_public(address) == (row.reason != "ADRESSE_UNGUELTIG")
        assert address.lower().endswith(".example") or row.reason == "ADRESSE_UNGUELTIG"


def test_every_outcome_and_reason_is_there_in_both_banks(world: DemoWorld) -> None:
    for bank in SAVINGS_BANKS:
        found = {(row.outcome, row.reason) for row in world.rows() if row.order.institute == bank}
        withheld = ("KEINE_EINWILLIGUNG", "ADRESSE_UNGUELTIG", "ABGEMELDET", "ZRUE", "ABGELAUFEN", "DUBLETTE")
        assert {(ExpectedOutcome.WITHHELD, reason) for reason in withheld} <= found
        assert {(ExpectedOutcome.REJECTED, code) for code in ("PFLICHTFELD", "ADRESSE", "FORMAT", "WERT")} <= found
        assert {(ExpectedOutcome.SENT, ""), (ExpectedOutcome.REFUSED, "")} <= found


def test_the_second_bank_alone_has_every_kind_of_file(world: DemoWorld) -> None:
    part = world.of_banks(BANK_2)
    assert {row.order.institute for row in part.rows()} == {BANK_2}
    assert {file.event for file in part.control_files} == {"NEU", "AENDERUNG"}
    assert {file.step for step in DeliveryStep for file in part.files(step)} == {
        step for step in DeliveryStep if not step.brings_data
    }
    assert any(delivery.packed for delivery in part.deliveries)
    assert any(not delivery.rows for delivery in part.deliveries)


def test_every_behaviour_is_there(world: DemoWorld) -> None:
    will = [row.behaviour for row in world.rows() if row.outcome is ExpectedOutcome.SENT]
    assert {reaction.bounces for reaction in will} == {None, *Bounce}
    assert {reaction.unsubscribes for reaction in will} == {None, *Unsubscribes}
    assert any(reaction.auto_reply for reaction in will)
    for consent in (True, False):
        rows = [row for row in world.rows() if row.customer.allows_tracking is consent]
        assert any(row.behaviour.clicks for row in rows)
        assert any(row.behaviour.opens for row in rows)


def test_rejects_stay_below_the_limit(world: DemoWorld) -> None:
    for delivery in world.deliveries:
        rejected = sum(row.outcome is ExpectedOutcome.REJECTED for row in delivery.rows)
        assert rejected <= 0.05 * len(delivery.rows)
    assert any(not delivery.rows for delivery in world.deliveries), "an empty delivery is missing"
    assert any(delivery.packed for delivery in world.deliveries)


def test_no_address_stands_twice_in_a_delivery(world: DemoWorld) -> None:
    """Otherwise a mail could not be told to its row."""
    for delivery in world.deliveries:
        addresses = [normalise(row.customer.address) for row in delivery.rows]
        assert len(addresses) == len(set(addresses))


def test_who_is_retained_has_bounced_three_times_before(world: DemoWorld) -> None:
    for row in (row for row in world.rows() if row.reason == "ZRUE"):
        before = [other for other in world.rows() if other.customer == row.customer and other.day < row.day]
        assert len(before) == 3
        assert len({other.order.number for other in before}) == 3
        assert all(
            other.outcome is ExpectedOutcome.REFUSED or other.behaviour.bounces is Bounce.HARD for other in before
        )


def test_who_is_unsubscribed_or_doubled_has_had_a_mail_of_the_order_before(world: DemoWorld) -> None:
    for row in (row for row in world.rows() if row.reason in ("ABGEMELDET", "DUBLETTE")):
        first = [
            other
            for other in world.rows()
            if other.customer == row.customer and other.order == row.order and other.day < row.day
        ]
        assert [other.outcome for other in first] == [ExpectedOutcome.SENT]
        if row.reason == "DUBLETTE":
            assert first[0].occasion_date == row.occasion_date
        else:
            assert first[0].behaviour.unsubscribes
            assert first[0].occasion_date != row.occasion_date


def test_one_order_is_renamed_between_its_deliveries_and_still_knows_who_left(world: DemoWorld) -> None:
    rename = next(file for file in world.control_files if file.event == "AENDERUNG")
    deliveries = [delivery for delivery in world.deliveries if delivery.order == rename.order]
    assert rename.name == RENAMED != rename.order.name
    assert [delivery.created_at < rename.created_at for delivery in deliveries] == [True, True, False]
    assert any(row.reason == "ABGEMELDET" for row in deliveries[-1].rows)


def test_one_delivery_comes_before_its_control_file_and_nobody_else_orders_its_occasion(world: DemoWorld) -> None:
    late = next(file for file in world.control_files if file.step is DeliveryStep.DAY_1_CURE)
    assert (late.order.institute, late.order.origin) == (BANK_2, "AUTKA")
    delivery = next(delivery for delivery in world.deliveries if delivery.order == late.order)
    assert delivery.created_at < late.created_at
    assert [order for order in world.orders.values() if order.occasion == late.order.occasion] == [late.order]


def test_each_row_is_due_on_the_day_that_the_world_says(world: DemoWorld) -> None:
    """By the occasion's window and the campaign's play-out time, seen from the moment of the delivery."""
    for delivery in world.deliveries:
        order = delivery.order
        campaign = institutes()[order.institute].campaign(order.number)
        assert campaign is not None
        assert campaign.play_out_time is not None
        window = occasions()[order.occasion].window
        for row in (row for row in delivery.rows if row.outcome is not ExpectedOutcome.REJECTED):
            due = due_window(
                row.occasion_date,
                window.first_day,
                window.last_day,
                campaign.play_out_time,
                campaign.permitted_weekdays,
                delivery.created_at,
            )
            day = (berlin(due.due_at).date() - DAY_1).days + 1
            if row.reason == "ABGELAUFEN" and row.valid_until is None:
                assert due.last_day < DAY_1
            else:
                assert day == row.day


def test_the_contents_of_the_approach_are_media_of_its_campaign(world: DemoWorld) -> None:
    for bank in SAVINGS_BANKS:
        campaign = institutes()[bank].campaign("I0000201")
        assert campaign is not None
        assert set(campaign.send_media) == set(world.orders[bank, "I0000201"].contents)


def test_every_bank_of_the_world_is_set_up(world: DemoWorld) -> None:
    assert {order.institute for order in world.orders.values()} == {BANK_1, BANK_2} <= set(institutes())
    for file in world.control_files:
        active_from = institutes()[file.order.institute].interface_active_from
        assert active_from is not None
        assert active_from < file.created_at


@pytest.mark.parametrize("not_before", [date(2026, 11, 22), date(2026, 12, 23), date(2027, 5, 26)])
def test_a_good_first_day_begins_three_bank_working_days(not_before: date) -> None:
    day = good_first_day(not_before, ("NW", "BY"))
    assert day >= not_before
    for step in DeliveryStep:
        for state in ("NW", "BY"):
            assert is_bank_working_day(berlin(moment(day, step)).date(), state)


def test_steps_follow_one_another() -> None:
    moments = [moment(DAY_1, step) for step in DeliveryStep]
    assert moments == sorted(moments)
    assert [step.day for step in DeliveryStep] == [1, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("first", [DAY_1, date(2027, 2, 27), date(2028, 2, 28), date(2028, 12, 31)])
def test_the_cooperative_bank_selects_nobody_but_those_who_are_planned(first: date) -> None:
    """Held against the occasions' rules by the letter of their windows: 3 days for birthdays, 7 for jubilees."""
    world = build(1, first).of_banks(BANK_3)
    planned = {(row.order.number, row.customer.person_number) for row in world.rows()}
    files = {file.kind: file for file in world.files(DeliveryStep.DAY_1_DATA)}
    assert len({row["Personennummer"] for row in files["IDA_KUNDEN"].rows}) == PEOPLE
    last = calendar_day(first, 3)
    born = {row["Personennummer"]: row for row in files["IDA_KUNDEN"].rows}
    may_be_written_to = {
        number
        for number, row in born.items()
        if row["Einwilligung_EMail"] == "J" and row["Nachlass_KZ"] == "N" and not row["Werbesperre_KZ"]
    }

    def has_anniversary(text: str, days: int, least: int, every: int) -> bool:
        begun = parse_date(text)
        for back in range(days + len(DAYS)):
            day = last - timedelta(days=back)
            if (day.month, day.day) == (begun.month, begun.day) and day.year > begun.year:
                return day.year - begun.year >= least and (day.year - begun.year) % every == 0
        return False

    birthdays = {n for n in may_be_written_to if has_anniversary(born[n]["Geburtsdatum"], 3, 75, 1)}
    jubilees = {
        row["Personennummer"]
        for row in files["IDA_BESTAND"].rows
        if row["Produktart"] == "GIRO" and has_anniversary(row["Eroeffnung"], 7, 5, 5)
    } & may_be_written_to
    # Of two who share an address only the contact person is written to.
    others = {n for n, row in born.items() if row["Haushalt_ID"] == SHARED and row["Ansprechperson"] == "N"}
    gone = born.keys() - {row["Personennummer"] for row in world.files(DeliveryStep.DAY_2_DATA)[0].rows}
    assert {("K2026-001", n) for n in birthdays - gone - others} | {("K2026-002", n) for n in jubilees} == planned
    assert (len(gone), len(others)) == (1, 1)
