"""What the models derive and what they refuse by themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from reku.catalogue.campaign import Campaign, Canary
from reku.catalogue.fields import ResponseCode
from reku.catalogue.import_rules import LAST_LOOK, ImportRules
from reku.catalogue.institute import Institute, ResponseFile, Sender
from reku.catalogue.medium import Medium, Provider, folder_of, provider_of
from reku.catalogue.occasion import InDoubt, Occasion
from reku.foundation.addresses import normalise
from reku.foundation.yaml_source import read_plain
from tests.conftest import PROJECT

OCCASION = {
    "code": "MCAG002",
    "title": "Runde Geburtstage",
    "family": "Geburtstage",
    "priority": "3",
    "media": ["SCOM_GEBURTSTAG", "LBS_GEBURTSTAG", "SCOM_HEIRAT"],
    "window": {"first_day": "0", "last_day": "3"},
    "response_window": "4h",
}
BLOCKS = [
    {"block": "start", "list": "R1"},
    {"block": "wait", "until": "10:30"},
    {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
]
INSTITUTE = {
    "blz": "00990001",
    "name": "Sparkasse Prüfstadt",
    "core_system": "osplus",
    "state": "NW",
    "interface_active_from": "2026-07-01",
    "sender": {"name": "Sparkasse", "address": "service@bank.example", "domains": ["bank.example"]},
    "colours": {"primary": "#CC0000"},
    "imprint": "Sparkasse Prüfstadt",
}


def campaign(**changes: object) -> Campaign:
    return Campaign.model_validate({"order": "R1", "name": "x", "active": "true", "blocks": BLOCKS} | changes)


def institute(**changes: object) -> Institute:
    return Institute.model_validate(INSTITUTE | changes)


def test_an_occasion_knows_its_providers_once_and_in_order() -> None:
    occasion = Occasion.model_validate(OCCASION)
    assert occasion.providers == (Provider.SCOM, Provider.LBS)
    assert occasion.is_standard
    assert not Occasion.model_validate(OCCASION | {"code": "HOCHZEIT_GOLD"}).is_standard


def test_nothing_can_be_changed_afterwards() -> None:
    occasion = Occasion.model_validate(OCCASION)
    with pytest.raises(ValidationError, match="frozen"):
        occasion.priority = 1  # type: ignore[misc]  # the point of the test


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        (" 4 h ", timedelta(hours=4)),
    ],
)
def test_durations_are_written_with_their_unit(text: str, meant: timedelta) -> None:
    assert Occasion.model_validate(OCCASION | {"response_window": text}).response_window == meant


@pytest.mark.parametrize("text", ["4", "h", "-4h", "4.5h", "PT4H", "13h", "1d", ""])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Occasion.model_validate(OCCASION | {"response_window": text})


@pytest.mark.parametrize(
    ("key", "folder", "provider"),
    [
        ("SCOM_NEUES_GIROKONTO", "scom/neues_girokonto", "S-Com"),
        ("VOEV_HAUSRAT", "voev/hausrat", "VöV"),
        ("EIGEN_NEUJAHR", "eigen/neujahr", "Eigene"),
    ],
)
def test_a_mediums_key_names_provider_and_folder(key: str, folder: str, provider: str) -> None:
    assert folder_of(key) == folder
    assert provider_of(key) == provider


@pytest.mark.parametrize("key", ["GEBURTSTAG", "SCOM", "SCOM_", "scom_geburtstag", "SCOM_../X", "SCOM_Ä", "X_Y"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        Medium.model_validate({"key": key, "provider": "S-Com", "title": "x", "subject": "y"})


def test_the_links_of_a_medium_have_different_names() -> None:
    link = {"name": "mehr", "url": "https://bank.example/mehr"}
    with pytest.raises(ValidationError, match="more than once"):
        Medium.model_validate(
            {"key": "SCOM_X", "provider": "S-Com", "title": "x", "subject": "y", "links": [link, link]}
        )


def test_a_campaign_reads_its_blocks() -> None:
    whole = campaign(send_days=["Mo", "Fr"])
    assert (whole.start_list, whole.play_out_time, whole.send_media) == ("R1", time(10, 30), ("SCOM_GEBURTSTAG",))
    assert whole.permitted_weekdays == {0, 4}
    assert campaign().permitted_weekdays == set(range(7))


@pytest.mark.parametrize(
    ("blocks", "read"),
    [
        ([], (None, None, ())),
        ([{"block": "start"}, {"block": "wait"}, {"block": "send"}], (None, None, ())),
        ([{"block": "start", "list": None}, {"block": "send", "media": []}], (None, None, ())),
        ([{"block": "start", "list": ""}], (None, None, ())),
        (BLOCKS[1:], (None, time(10, 30), ("SCOM_GEBURTSTAG",))),
        (BLOCKS[:2], ("R1", time(10, 30), ())),
    ],
)
def test_what_an_operator_forgot_is_missing_and_no_fault_of_the_file(
    blocks: list[dict[str, object]], read: tuple[object, ...]
) -> None:
    found = campaign(blocks=blocks)
    assert (found.start_list, found.play_out_time, found.send_media) == read


@pytest.mark.parametrize(
    "blocks", [BLOCKS[::-1], [BLOCKS[0], BLOCKS[0]], [*BLOCKS, {"block": "wait", "until": "11:00"}]]
)
def test_blocks_come_in_order_and_once(blocks: list[dict[str, object]]) -> None:
    with pytest.raises(ValidationError, match="start → wait → send"):
        campaign(blocks=blocks)


@pytest.mark.parametrize("text", ["9:30", "24:00", "09:60", "09.30", "0930", "09:30:00", "morgens"])
def test_times_of_day_are_hour_and_minute(text: str) -> None:
    with pytest.raises(ValidationError, match="such as 09:30"):
        campaign(blocks=[{"block": "wait", "until": text}])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-12-01 21:00", datetime(2026, 12, 1, 20, tzinfo=UTC)),
        ("2026-12-01T21:00:00+00:00", datetime(2026, 12, 1, 21, tzinfo=UTC)),
    ],
)
def test_the_interface_is_active_from_a_moment_of_berlin(text: str, moment: datetime) -> None:
    assert institute(interface_active_from=text).interface_active_from == moment


def test_an_interface_may_be_switched_off() -> None:
    assert institute(interface_active_from=None).interface_active_from is None


@pytest.mark.parametrize(
    ("address", "covered"),
    [
        ("ole.muster@bank.example", True),
        ("ole.muster@BANK.Example ", True),
        ("ole@filiale.bank.example", False),
        ("ole@otherbank.example", False),
        ("ole@bank.example@evil.example", False),
        ("bank.example", False),
        ("", False),
    ],
)
def test_an_advisor_sends_from_the_banks_domains_only(address: str, covered: bool) -> None:
    sender = Sender.model_validate(INSTITUTE["sender"])
    assert sender.covers(address) is covered


def test_the_limit_of_rejects_belongs_to_the_institute_unless_the_order_has_its_own() -> None:
    bank = institute(max_reject_share="0.02", orders={"R1": {"max_reject_share": "0.1"}, "R2": {}})
    assert [bank.reject_limit(order) for order in ("R1", "R2", "R3")] == [0.1, 0.02, 0.02]
    assert institute().reject_limit("R1") == 0.05


def test_what_a_person_must_approve_belongs_to_the_institute_unless_the_order_says_otherwise() -> None:
    own = {"max_rows": "0", "max_without_consent": "0", "approve_first": "false"}
    bank = institute(max_rows="500", max_without_consent="0.2", approve_first="true", orders={"R1": own, "R2": {}})
    for order, limits in (("R1", (0, 0, False)), ("R2", (500, 0.2, True)), ("R3", (500, 0.2, True))):
        assert (bank.row_limit(order), bank.consent_limit(order), bank.asks_first(order)) == limits
    usual = institute()
    assert (usual.row_limit("R1"), usual.consent_limit("R1"), usual.asks_first("R1")) == (10_000, 0.5, False)


def test_sending_ends_at_eight_and_has_no_limit_unless_the_bank_says_so() -> None:
    bank = institute()
    assert (bank.control_address, bank.send_until) == (None, time(20))
    assert (bank.limits.per_second, bank.limits.rate("gmx.example")) == (None, None)


def test_the_limit_of_a_domain_is_its_own_or_that_of_the_others() -> None:
    limits = institute(limits={"per_second": "20", "per_domain": {"*": "5", "gmx.example": "0.5"}}).limits
    assert limits.per_second == 20
    assert [limits.rate(name) for name in ("gmx.example", "sub.gmx.example", "t-online.example")] == [0.5, 5, 5]
    only_gmx = institute(limits={"per_domain": {"gmx.example": "0.5"}}).limits
    assert only_gmx.rate("t-online.example") is None


def test_a_limited_domain_is_written_as_addresses_are_compared() -> None:
    domain = normalise("Zoë.Müller@Bücher.Example").partition("@")[2]
    limits = institute(limits={"per_domain": {domain: "5"}}).limits
    assert limits.rate(domain) == 5


def test_without_a_canary_all_mails_go_out_at_once() -> None:
    assert campaign().canary == Canary(first=0, pause=timedelta(minutes=30), max_bounce_share=0.05, max_complaints=0)
    assert campaign(canary={"first": "50"}).canary == Canary(first=50)


def test_a_campaign_whose_play_out_time_was_forgotten_is_within_every_send_window() -> None:
    forgotten = {"order": "R1", "name": "x", "active": "true", "blocks": [], "canary": {"first": "5", "pause": "12h"}}
    assert institute(send_until="00:01", campaigns=[forgotten]).campaigns[0].play_out_time is None


def test_a_canary_of_nobody_needs_no_time() -> None:
    late = {"order": "R1", "name": "x", "active": "true", "blocks": BLOCKS, "canary": {"first": "0", "pause": "12h"}}
    assert institute(campaigns=[late]).campaigns[0].canary.first == 0


def test_what_the_handbook_shows_can_be_written(tmp_path: Path) -> None:
    text = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(control_address:.*?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "shown.yaml"
    file.write_text(block, encoding="utf-8")
    shown = read_plain(file)
    shown["campaigns"][0] |= {"name": "x", "active": "true", "blocks": BLOCKS}
    bank = institute(**shown)
    assert bank.campaigns[0].canary.first == 50
    assert bank.limits.rate("gmx.example") == 5


def test_mails_in_doubt_are_not_sent_again_unless_the_occasion_says_so() -> None:
    assert Occasion.model_validate(OCCASION).in_doubt is InDoubt.DO_NOT_RESEND
    assert Occasion.model_validate(OCCASION | {"in_doubt": "resend"}).in_doubt is InDoubt.RESEND


def test_a_campaign_is_found_by_its_order() -> None:
    bank = institute(campaigns=[{"order": "R1", "name": "x", "active": "true", "blocks": BLOCKS}])
    assert bank.campaign("R1") == bank.campaigns[0]
    assert bank.campaign("R2") is None


def test_one_order_has_one_campaign() -> None:
    one = {"order": "R1", "name": "x", "active": "true", "blocks": BLOCKS}
    with pytest.raises(ValidationError, match="R1 stands there more than once"):
        institute(campaigns=[one, one])


def test_every_kind_of_response_can_have_a_code_of_the_receiver() -> None:
    codes = {kind: f"{number:02}" for number, kind in enumerate(get_args(ResponseCode))}
    assert ResponseFile.model_validate({"codes": codes}).codes == codes
    with pytest.raises(ValidationError):
        ResponseFile.model_validate({"codes": {"OPEN": "01"}})


def test_leading_zeros_of_a_blz_survive() -> None:
    assert institute().blz == "00990001"


def test_addresses_leave_at_noon_at_the_latest() -> None:
    """No import looks later, so nothing would make them leave before the next morning."""
    assert ImportRules.model_validate({"addresses_until": "12:00"}).addresses_until == LAST_LOOK
    with pytest.raises(ValidationError, match="12:00"):
        ImportRules.model_validate({"addresses_until": "12:01"})
