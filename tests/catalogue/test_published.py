"""Our own catalogue holds exactly what is published: 56 occasions and 29 media, with all their links."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import time
from pathlib import Path

from reku.catalogue import institutes, media, occasions
from reku.catalogue.check import check_catalogue
from reku.catalogue.occasion import Family

PROJECT = Path(__file__).resolve().parents[2]
INCLUDE = PROJECT / "include"
HERE = Path(__file__).parent
LETTERS = str.maketrans({"Ä": "AE", "Ö": "OE", "Ü": "UE", "ẞ": "SS", "ß": "SS"})
FAMILIES = {
    "C": {Family.HOME_SAVINGS},
    "D": {Family.DEKA},
    "F": {Family.MATURITY},
    "G": {Family.BIRTHDAY},
    "J": {Family.ANNIVERSARY},
    "K0": {Family.CREDIT_PARTNER},
    "K7": {Family.CANCELLATION},
    "L": {Family.LAST_INSTALMENT},
    "N": {Family.EXEMPTION},
    "P": {Family.CURRENT_ACCOUNT},
    "U": {Family.MOVE},
}


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / f"published_{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def key_of(provider: str, title: str) -> str:
    """The key as the project builds it, written down a second time: capitals, transliterated, joined by `_`."""
    text = f"{provider.replace('-', '')} {title}".upper().translate(LETTERS)
    return "_".join("".join(letter if letter.isalnum() else " " for letter in text).split())


def test_the_reference_is_not_empty() -> None:
    assert (len(rows("occasions")), len(rows("media"))) == (56, 29)


def test_all_occasions_with_their_titles_and_no_other() -> None:
    ours = {occasion.code: occasion.title for occasion in occasions(INCLUDE).values()}
    assert ours == {row["code"]: row["title"] for row in rows("occasions")}
    assert all(occasion.is_standard for occasion in occasions(INCLUDE).values())


def test_two_occasions_share_a_title_so_that_it_is_no_key() -> None:
    titles = Counter(occasion.title for occasion in occasions(INCLUDE).values())
    assert [title for title, times in titles.items() if times > 1] == [occasions(INCLUDE)["MCAC160"].title]


def test_the_family_is_that_of_the_codes_letter() -> None:
    for occasion in occasions(INCLUDE).values():
        letter = next(letter for letter in (occasion.code[3], occasion.code[3:5]) if letter in FAMILIES)
        assert occasion.family in FAMILIES[letter], occasion.code


def test_all_media_with_provider_title_and_occasions_and_no_other() -> None:
    ours = {
        medium.key: (medium.provider.value, medium.title, set(medium.occasions)) for medium in media(INCLUDE).values()
    }
    assert ours == {
        key_of(row["provider"], row["medium"]): (row["provider"], row["medium"], set(row["occasions"].split()))
        for row in rows("media")
    }


def test_every_occasion_names_exactly_the_media_made_for_it() -> None:
    expected: dict[str, list[str]] = {row["code"]: [] for row in rows("occasions")}
    for row in rows("media"):
        for code in row["occasions"].split():
            expected[code].append(key_of(row["provider"], row["medium"]))
    assert {occasion.code: list(occasion.media) for occasion in occasions(INCLUDE).values()} == expected


def test_windows_keep_what_must_never_happen() -> None:
    for occasion in occasions(INCLUDE).values():
        window = (occasion.window.first_day, occasion.window.last_day)
        if occasion.family is Family.BIRTHDAY or "Geburtstag" in occasion.title:
            assert window[0] == 0, f"{occasion.code}: no congratulation comes early"
        if occasion.family is Family.MATURITY:
            assert window == (-60, 0), f"{occasion.code}: after the last day the money has moved on"


def test_the_configuration_has_no_fault() -> None:
    assert [str(fault) for fault in check_catalogue(INCLUDE)] == []


def test_the_demo_banks_run_the_same_seven_orders_in_the_morning() -> None:
    banks = institutes(INCLUDE)
    occasion_of_order = {
        "R0000101": "MCAG002",
        "R0000102": "MCAG008",
        "R0000103": "MCAJ604",
        "R0000104": "MCAK001",
        "R0000105": "MCAC190",
        "R0000106": "MCAU030",
        "I0000201": "MCAC120",
    }
    for blz, state in (("99990001", "NW"), ("99990002", "BY")):
        bank = banks[blz]
        assert bank.state == state
        assert {campaign.order for campaign in bank.campaigns} == set(occasion_of_order)
        for campaign in bank.campaigns:
            assert campaign.active
            assert campaign.start_list == campaign.order
            assert campaign.play_out_time is not None
            assert time(9) <= campaign.play_out_time <= time(10, 30)
            suited = occasions(INCLUDE)[occasion_of_order[campaign.order]].media
            assert campaign.send_media
            assert set(campaign.send_media) <= set(suited)


def test_the_demo_banks_are_invented_and_their_imprint_is_complete() -> None:
    for blz in ("99990001", "99990002"):
        bank = institutes(INCLUDE)[blz]
        assert all(domain.endswith(".example") for domain in bank.sender.domains)
        for piece in (bank.name, "Anstalt des öffentlichen Rechts", "Vorstand:", "Telefon:", "Registergericht:"):
            assert piece in bank.imprint
