"""Every fault of a configuration is named by file, line, value, valid values and suggestion: a table of broken ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reku.catalogue.check import check_catalogue

OCCASION = "occasions/MCAG002.yaml"
MEDIUM = "templates/scom/geburtstag/medium.yaml"
INSTITUTE = "institutes/99990009.yaml"
ORDERED = "announces: {occasion: MCAG002, "

Edit = Callable[[str, str, str], Path]
Write = Callable[[str, str | bytes], Path]


def only_fault(config: Path) -> tuple[str, int | None, str]:
    """File below the configuration, line and text of its one fault."""
    faults = check_catalogue(config)
    assert len(faults) == 1, [str(fault) for fault in faults]
    return str(faults[0].file.relative_to(config)), faults[0].line, str(faults[0])


def test_a_whole_configuration_has_no_fault(config: Path) -> None:
    assert check_catalogue(config) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "pieces"),
    [
        # values of an occasion
        (
            OCCASION,
            "Geburtstage\np",
            "Geburtstag\np",
            3,
            ["family", "'Geburtstag'", "mean 'Geburtstage'", "Valid: Bausp"],
        ),
        (OCCASION, "priority: 3", "priority: 12", 4, ["priority", "'12'", "less than or equal to 9"]),
        (OCCASION, "priority: 3", "priority: hoch", 4, ["'hoch'", "whole number"]),
        (OCCASION, "priority: 3\n", "", 1, ["'priority' is missing"]),
        (OCCASION, "priority: 3", "prioritaet: 3", 4, ["'prioritaet' is not known", "mean 'priority'", "Valid: code"]),
        (OCCASION, "code: MCAG002", "code: mcag002", 1, ["code 'mcag002'", "must look like"]),
        (OCCASION, "Runde Geburtstage", "", 2, ["title", "must be a text"]),
        (OCCASION, "[SCOM_GEBURTSTAG]", "SCOM_GEBURTSTAG", 5, ["media", "must be a list"]),
        (OCCASION, "[SCOM_GEBURTSTAG]", "[SCOM_GEBURTSTAG, SCOM_GEBURTSTAG]", 5, ["SCOM_GEBURTSTAG stands there more"]),
        (OCCASION, "first_day: 0", "first_day: 5", 6, ["window", "first_day 5 lies after last_day 3"]),
        (OCCASION, "last_day: 3", "last_tag: 3", 6, ["'last_tag' is not known in window", "mean 'last_day'"]),
        (OCCASION, "first_day: 0", "first_day: 0.5", 6, ["window.first_day", "'0.5'", "whole number"]),
        (OCCASION, "6h", "6 Stunden", 7, ["response_window", "'6 Stunden'", "such as 90s, 30m, 4h or 2d"]),
        (OCCASION, "6h", "2d", 7, ["response_window", "40 hours", "0s to 12h"]),
        (OCCASION, "6h", "9999999999999d", 7, ["response_window", "longer than any calendar"]),
        (OCCASION, "6h", "6h\nin_doubt: resent", 8, ["'resent'", "mean 'resend'", "Valid: do_not_resend, resend"]),
        (OCCASION, "6h", "6h\nin_dubio: resend", 8, ["'in_dubio' is not known", "mean 'in_doubt'"]),
        # what YAML itself finds, or lets through
        (OCCASION, "priority: 3", "priority: 3\npriority: 4", 5, ["'priority' stands there twice, first in line 4"]),
        (OCCASION, "[SCOM_GEBURTSTAG]", "[SCOM_GEBURTSTAG", 6, ["Not valid YAML"]),
        (OCCASION, "priority: 3", "\tpriority: 3", 4, ["Not valid YAML", "tab character"]),
        (OCCASION, "priority: 3", "priority: 3\n---\na: b", 5, ["Not valid YAML", "another document"]),
        (OCCASION, "priority: 3", "priority: !!python/name:os.system x", 4, ["tag", "leave it out"]),
        (OCCASION, "window: {", "window: &a {a: *a, ", 6, ["alias contains itself"]),
        (OCCASION, "window: {", "? [a]\n: b\nwindow: {", 6, ["key must be a single word"]),
        # an occasion beside its file's name and the media
        (OCCASION, "code: MCAG002", "code: MCAG003", 1, ["'MCAG003'", "file's name", "'MCAG002'"]),
        # a medium
        (MEDIUM, "key: SCOM_GEBURTSTAG", "key: SCOM_HEIRAT", 1, ["'SCOM_HEIRAT'", "'SCOM_GEBURTSTAG'"]),
        (MEDIUM, "provider: S-Com", "provider: SCom", 2, ["provider", "'SCom'", "mean 'S-Com'", "VöV"]),
        (MEDIUM, "provider: S-Com", "provider: LBS", 1, ["belongs to provider S-Com, not LBS"]),
        (MEDIUM, "subject: Herzlichen Glückwunsch\n", "", 1, ["'subject' is missing"]),
        (MEDIUM, "https:", "javascript:", 7, ["links[1].url", "must look like ^https?"]),
        (MEDIUM, "name: gruss, ", "", 7, ["'name' is missing in links[1]"]),
        (MEDIUM, "[MCAG002]", "[MCAG002, MCAG202]", 4, ["no occasion 'MCAG202'", "mean 'MCAG002'"]),
        # an institute
        (INSTITUTE, "blz: 99990009", "blz: 9999000", 1, ["blz '9999000'", "must look like ^\\d{8}$"]),
        (INSTITUTE, "blz: 99990009", "blz: 99990008", 1, ["'99990008'", "file's name", "'99990009'"]),
        (INSTITUTE, "osplus", "ossplus", 3, ["'ossplus'", "mean 'osplus'", "Valid: osplus, agree21"]),
        (INSTITUTE, "state: NW", "state: NRW", 4, ["state: 'NRW' is not valid", "mean 'NW'", "Valid: BB, BE"]),
        (INSTITUTE, "2026-01-01", "01.01.2026", 5, ["interface_active_from", "such as 2026-01-01"]),
        (INSTITUTE, "service@bank.example", "service", 8, ["sender.address", "'service'", "not a mail address"]),
        (INSTITUTE, "service@bank", "service@andere", 6, ["andere.example", "not among domains: bank.example"]),
        (INSTITUTE, "[bank.example]", "[bank.example, Bank_X]", 9, ["sender.domains[2]", "'Bank_X'"]),
        (INSTITUTE, "[bank.example]", "[]", 9, ["sender.domains", "must not be empty"]),
        (INSTITUTE, '"#CC0000"', "#CC0000", 11, ["colours.primary", "must be a text"]),
        (INSTITUTE, "#CC0000", "rot", 11, ["colours.primary 'rot'", "must look like ^#"]),
        (
            INSTITUTE,
            "imprint:",
            "max_reject_share: 5\nimprint:",
            12,
            ["max_reject_share '5'", "less than or equal to 1"],
        ),
        (INSTITUTE, "imprint:", "orders: {r1: {}}\nimprint:", 12, ["orders.r1", "must look like"]),
        (
            INSTITUTE,
            "imprint:",
            "orders: {R1: {share: 1}}\nimprint:",
            12,
            ["'share' is not known in orders.R1", "max_reject"],
        ),
        (INSTITUTE, "imprint:", "response: {codes: {OFFN: '1'}}\nimprint:", 12, ["'OFFN'", "Valid: VERS"]),
        (INSTITUTE, "imprint:", "response: {encoding: utf8}\nimprint:", 12, ["'utf8'", "mean 'utf-8'"]),
        (INSTITUTE, "imprint:", "control_address: kontrolle\nimprint:", 12, ["'kontrolle'", "not a mail address"]),
        (INSTITUTE, "imprint:", "kontrolladresse: a@b.example\nimprint:", 12, ["not known", "control_address"]),
        (INSTITUTE, "imprint:", "send_until: 8pm\nimprint:", 12, ["send_until '8pm'", "such as 09:30"]),
        (INSTITUTE, "imprint:", "send_until: 24:00\nimprint:", 12, ["send_until '24:00'", "such as 09:30"]),
        (INSTITUTE, "imprint:", "limits: 5\nimprint:", 12, ["limits '5'", "`key: value` lines"]),
        (INSTITUTE, "imprint:", "limits: {per_sec: 5}\nimprint:", 12, ["'per_sec'", "in limits", "mean 'per_second'"]),
        (INSTITUTE, "imprint:", "limits: {per_second: 0}\nimprint:", 12, ["limits.per_second '0'", "equal to 0.001"]),
        (INSTITUTE, "imprint:", "limits: {per_second: 1e-9}\nimprint:", 12, ["'1e-9'", "equal to 0.001"]),
        (INSTITUTE, "imprint:", "limits: {per_second: viele}\nimprint:", 12, ["'viele'", "must be a number"]),
        (INSTITUTE, "imprint:", "limits: {per_second: inf}\nimprint:", 12, ["'inf'", "finite number"]),
        (
            INSTITUTE,
            "imprint:",
            'limits:\n  per_domain:\n    "*": 50\n    gmx.example: -5\nimprint:',
            15,
            ["limits.per_domain.gmx.example '-5'", "equal to 0.001"],
        ),
        (INSTITUTE, "imprint:", "limits: {per_domain: {*: 5}}\nimprint:", 12, ["Not valid YAML", "alias"]),
        (INSTITUTE, "imprint:", "limits: {per_domain: {GMX.example: 5}}\nimprint:", 12, ["write it: gmx.example."]),
        (INSTITUTE, "imprint:", 'limits: {per_domain: {"@gmx.example": 5}}\nimprint:', 12, ["write it: gmx.example."]),
        (INSTITUTE, "imprint:", "limits: {per_domain: {müll.example: 5}}\nimprint:", 12, ["xn--mll-hoa.example."]),
        (
            INSTITUTE,
            "imprint:",
            "limits: {per_domain: {gmx: 5}}\nimprint:",
            12,
            ["limits.per_domain.gmx 'gmx'", "no mail domain", "such as gmx.example", '"*" for all'],
        ),
        (INSTITUTE, "imprint:", 'limits: {per_domain: {"*.gmx.example": 5}}\nimprint:', 12, ["no mail domain"]),
        (INSTITUTE, "imprint:", "daily_on: alltags\nimprint:", 12, ["'alltags'", "all_days, bank_working_days"]),
        # its campaigns
        (INSTITUTE, "order: R0000001", "order: R-1", 14, ["campaigns[1].order 'R-1'", "must look like"]),
        (INSTITUTE, "active: true", "active: ja", 16, ["campaigns[1].active 'ja'", "must be true or false"]),
        (INSTITUTE, "10:30", "10.30", 19, ["campaigns[1].blocks[2].wait.until '10.30'", "such as 09:30"]),
        (INSTITUTE, "10:30", "25:30", 19, ["'25:30'", "such as 09:30"]),
        (
            INSTITUTE,
            "block: wait",
            "block: wiat",
            19,
            ["block 'wiat' is not valid", "mean 'wait'", "start, wait, send"],
        ),
        (INSTITUTE, "block: wait, ", "", 19, ["'block' is missing", "start, wait, send"]),
        (INSTITUTE, "until: 10:30", "bis: 10:30", 19, ["'bis' is not known in campaigns[1].blocks[2].wait", "until"]),
        (
            INSTITUTE,
            "[SCOM_GEBURTSTAG]",
            "[SCOM_GEBURSTAG]",
            20,
            ["no medium 'SCOM_GEBURSTAG'", "mean 'SCOM_GEBURTSTAG'"],
        ),
        (INSTITUTE, "[SCOM_GEBURTSTAG]", "[Geburtstag]", 20, ["media[1] 'Geburtstag'", "must look like"]),
        (INSTITUTE, "active: true", "active: true\n    send_days: [Mo, Mi, Sonntag]", 17, ["'Sonntag'", "Mo, Di, Mi"]),
        (INSTITUTE, "active: true", "active: true\n    send_days: []", 17, ["send_days", "must not be empty"]),
        # the day's send window
        (
            INSTITUTE,
            "10:30",
            "20:00",
            19,
            ["campaigns[1].blocks[2].wait.until '20:00'", "before send_until (20:00)", "no mail would go out"],
        ),
        (INSTITUTE, "imprint:", "send_until: 10:30\nimprint:", 20, ["until '10:30'", "before send_until (10:30)"]),
        (
            INSTITUTE,
            "active: true",
            "active: true\n    canary: {first: 5, pause: 10h}",
            17,
            ["campaigns[1].canary.pause", "(10:30) to send_until (20:00)", "nothing would follow"],
        ),
        # the order that it announces
        (INSTITUTE, "order: R0000001", "order: K2026-014", 14, ["campaigns[1]", "K2026-014", "needs `announces`"]),
        (
            INSTITUTE,
            "active: true",
            f"active: true\n    {ORDERED}rhythm: TAEGLICH, valid_from: 2026-01-01, placeholder: X}}",
            14,
            ["campaigns[1]", "order R0000001", "numbers it like K2026-014"],
        ),
        (
            INSTITUTE,
            "active: true",
            f"active: true\n    {ORDERED}rhythm: TAG, valid_from: 2026-01-01, placeholder: X}}",
            17,
            ["'TAG'", "TAEGLICH"],
        ),
        # its canary
        (INSTITUTE, "active: true", "active: true\n    canary: 5", 17, ["canary '5'", "`key: value` lines"]),
        (INSTITUTE, "active: true", "active: true\n    canary: {first: -1}", 17, ["canary.first '-1'", "equal to 0"]),
        (INSTITUTE, "active: true", "active: true\n    canary: {first: 1.5}", 17, ["'1.5'", "whole number"]),
        (INSTITUTE, "active: true", "active: true\n    canary: {pause: 30}", 17, ["'30'", "such as 90s, 30m"]),
        (INSTITUTE, "active: true", "active: true\n    canary: {pause: 0s}", 17, ["canary.pause '0s'", "1s to 12h"]),
        (INSTITUTE, "active: true", "active: true\n    canary: {pause: 1d}", 17, ["canary.pause '1d'", "1s to 12h"]),
        (
            INSTITUTE,
            "active: true",
            "active: true\n    canary: {max_bounce_share: 5}",
            17,
            ["canary.max_bounce_share '5'", "less than or equal to 1"],
        ),
        (
            INSTITUTE,
            "active: true",
            "active: true\n    canary: {max_complaint: 0}",
            17,
            ["'max_complaint' is not known in campaigns[1].canary", "mean 'max_complaints'"],
        ),
    ],
)
def test_one_broken_value_gives_one_clear_fault(
    config: Path, edit: Edit, file: str, old: str, new: str, line: int, pieces: list[str]
) -> None:
    edit(file, old, new)
    # A file that cannot be read may break what refers to it as well; that is said where it refers to it.
    faults = [fault for fault in check_catalogue(config) if fault.file == config / file]
    assert len(faults) == 1, [str(fault) for fault in check_catalogue(config)]
    text = str(faults[0])
    assert faults[0].line == line, text
    assert text.startswith(f"{config / file}:{line}: ")
    for piece in pieces:
        assert piece in text
    assert "Traceback" not in text
    assert "pydantic" not in text


ANNOUNCES = (
    "active: true\n    announces: {occasion: MCAG002, rhythm: TAEGLICH, valid_from: 2026-02-01, placeholder: MF_01}"
)
RULE = "response_window: 6h\nselection: {row: person, on: born, anniversary: true}\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "piece"),
    [
        (
            INSTITUTE,
            "core_system: agree21",
            "core_system: osplus",
            17,
            "control files announce the orders of this bank",
        ),
        (OCCASION, RULE, "response_window: 6h\n", 17, "no rule that selects people"),
        (INSTITUTE, "occasion: MCAG002", "occasion: MCAG003", 17, "no occasion 'MCAG003'. Did you mean 'MCAG002'"),
        (INSTITUTE, "2026-02-01", "2026-02-01, valid_until: 2026-01-01", 17, "lies before valid_from 2026-02-01"),
        (
            INSTITUTE,
            ", placeholder: MF_01",
            "",
            17,
            "'placeholder' is missing in campaigns[1].announces: Anlassvorlage that is set up for it in VTM",
        ),
        (INSTITUTE, "placeholder: MF_01", "placeholder: MF 01", 17, "placeholder 'MF 01'"),
        (INSTITUTE, "placeholder: MF_01", "placeholder: ''", 17, "placeholder ''"),
        (INSTITUTE, "TAEGLICH", "WOECHENTLICH", 17, "Right would be: TAEGLICH, or a window of"),
        (INSTITUTE, "state:", "daily_on: bank_working_days\nstate:", 18, "Right would be: `daily_on: all_days`, or"),
    ],
)
def test_what_a_campaign_may_announce(
    config: Path, edit: Edit, file: str, old: str, new: str, line: int, piece: str
) -> None:
    edit(OCCASION, "response_window: 6h\n", RULE)
    (config / INSTITUTE).write_text(
        (config / INSTITUTE).read_text(encoding="utf-8").replace("R0000001", "K2026-014").replace("osplus", "agree21"),
        encoding="utf-8",
    )
    edit(INSTITUTE, "active: true", ANNOUNCES)
    assert check_catalogue(config) == []
    edit(file, old, new)
    faults = [fault for fault in check_catalogue(config) if fault.file == config / INSTITUTE]
    assert [fault.line for fault in faults] == [line], [str(fault) for fault in faults]
    assert piece in str(faults[0])


MOVED = "response_window: 6h\nselection: {row: impulse, on: made}\n"
ANSWERS = f"{ANNOUNCES}\n    impulses: [UMZUG, HEIRAT]"


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "piece"),
    [
        (INSTITUTE, "    impulses: [UMZUG, HEIRAT]\n", "", 17, "`impulses: [CODE]`"),
        (INSTITUTE, "impulses: [", "impulse: [", 18, "Did you mean 'impulses'"),
        (INSTITUTE, "[UMZUG, HEIRAT]", "[UMZUG, UMZUG]", 18, "UMZUG stands there more than once"),
        (INSTITUTE, "[UMZUG, HEIRAT]", "[UMZUG, ABCDEFGHIJKLMNOPQRSTU]", 18, "20 characters"),
        (OCCASION, MOVED, RULE, 18, "selects no impulses"),
    ],
)
def test_which_impulses_a_campaign_may_answer(
    config: Path, edit: Edit, file: str, old: str, new: str, line: int, piece: str
) -> None:
    edit(OCCASION, "response_window: 6h\n", MOVED)
    (config / INSTITUTE).write_text(
        (config / INSTITUTE).read_text(encoding="utf-8").replace("R0000001", "K2026-014").replace("osplus", "agree21"),
        encoding="utf-8",
    )
    edit(INSTITUTE, "active: true", ANSWERS)
    assert check_catalogue(config) == []
    edit(file, old, new)
    faults = [fault for fault in check_catalogue(config) if fault.file == config / INSTITUTE]
    assert [fault.line for fault in faults] == [line], [str(fault) for fault in faults]
    assert piece in str(faults[0])


def test_an_impulse_is_answered_by_one_campaign_and_by_an_order_of_its_own(config: Path, edit: Edit) -> None:
    edit(OCCASION, "response_window: 6h\n", MOVED)
    file = config / INSTITUTE
    text = file.read_text(encoding="utf-8").replace("osplus", "agree21")
    campaign = text[text.index("  - order: R0000001") :]
    own = campaign.replace("R0000001", "K2026-014").replace("active: true", ANSWERS)
    file.write_text(text.replace(campaign, own + own.replace("K2026-014", "K2026-015")), encoding="utf-8")
    faults = check_catalogue(config)
    assert [piece in str(faults[0]) for piece in ("campaigns[2].impulses[1]", "order K2026-014 already")] == [True] * 2
    assert len(faults) == 2
    file.write_text(text.replace("active: true", "active: true\n    impulses: [UMZUG]"), encoding="utf-8")
    assert "`announces` its order" in str(check_catalogue(config)[0])


@pytest.mark.parametrize("content", ["", "# only a comment\n", "- a\n- b\n", "Text", "\x00"])
def test_a_file_that_is_no_mapping(config: Path, write: Write, content: str) -> None:
    write("occasions/MCAG003.yaml", content)
    file, _, text = only_fault(config)
    assert file == "occasions/MCAG003.yaml"
    assert any(piece in text for piece in ("is empty", "`key: value`", "Not valid YAML"))


def test_a_file_in_the_wrong_encoding(config: Path, write: Write) -> None:
    write("occasions/MCAG003.yaml", "code: MCAG003\ntitle: Halbrunde für alle\n".encode("iso-8859-15"))
    assert only_fault(config)[:2] == ("occasions/MCAG003.yaml", 2)
    assert "0xfc) is not UTF-8" in only_fault(config)[2]


def test_a_byte_order_mark_does_no_harm(config: Path) -> None:
    file = config / OCCASION
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert check_catalogue(config) == []


def test_a_folder_in_place_of_a_file(config: Path) -> None:
    (config / "occasions/MCAG003.yaml").mkdir()
    assert "cannot be read" in only_fault(config)[2]


def test_all_faults_of_all_files_come_at_once_in_order(config: Path, edit: Edit) -> None:
    edit(OCCASION, "priority: 3", "priority: 0")
    edit(OCCASION, "6h", "lange")
    edit(MEDIUM, "subject: Herzlichen Glückwunsch\n", "")
    edit(INSTITUTE, "state: NW", "state: XX")
    found = [(fault.file.name, fault.line) for fault in check_catalogue(config)]
    assert found == [("99990009.yaml", 4), ("MCAG002.yaml", 4), ("MCAG002.yaml", 7), ("medium.yaml", 1)]


def test_each_campaign_outside_the_send_window_is_named(config: Path, edit: Edit) -> None:
    text = (config / INSTITUTE).read_text(encoding="utf-8")
    first = text[text.index("  - order") :]
    edit(INSTITUTE, first, first + first.replace("R0000001", "R0000002").replace("10:30", "21:15"))
    edit(INSTITUTE, "imprint:", "send_until: 10:00\nimprint:")
    assert [(fault.line, str(fault).partition("until ")[2][:7]) for fault in check_catalogue(config)] == [
        (20, "'10:30'"),
        (27, "'21:15'"),
    ]


def test_all_that_dispatch_needs_can_be_written(config: Path, edit: Edit) -> None:
    edit(
        INSTITUTE,
        "imprint:",
        "control_address: kontrolle@bank.example\nsend_until: 18:30\n"
        'limits: {per_second: 20, per_domain: {"*": 5, gmx.example: 0.5}}\nimprint:',
    )
    edit(
        INSTITUTE,
        "active: true",
        "active: true\n    canary: {first: 50, pause: 30m, max_bounce_share: 0.1, max_complaints: 1}",
    )
    edit(OCCASION, "6h", "6h\nin_doubt: resend")
    assert check_catalogue(config) == []


@pytest.mark.parametrize("missing", ["occasions", "templates", "institutes"])
def test_a_missing_folder_is_named(config: Path, missing: str) -> None:
    (config / missing).rename(config / "elsewhere")
    texts = [str(fault) for fault in check_catalogue(config) if fault.file == config / missing]
    assert len(texts) == 1
    assert "folder does not exist" in texts[0]


@pytest.mark.parametrize("name", ["mail.mjml", "mail.txt"])
def test_a_medium_without_one_of_its_files_is_named_with_the_campaign_that_sends_it(config: Path, name: str) -> None:
    (config / "templates/scom/geburtstag" / name).unlink()
    campaign, medium = check_catalogue(config)
    assert (campaign.file, campaign.line) == (config / INSTITUTE, 20)
    assert "'Geburtstage', block send: SCOM_GEBURTSTAG cannot be mailed" in str(campaign)
    assert medium.file == config / "templates/scom/geburtstag"
    assert f"lacks its {name}" in str(medium)


def test_a_medium_without_its_yaml_is_missed_by_all_who_name_it(config: Path) -> None:
    (config / MEDIUM).unlink()
    texts = [str(fault) for fault in check_catalogue(config)]
    assert len(texts) == 3
    assert "no medium 'SCOM_GEBURTSTAG'" in texts[0]
    assert "no medium 'SCOM_GEBURTSTAG'" in texts[1]
    assert "lacks its medium.yaml" in texts[2]


def test_a_medium_that_its_occasion_does_not_name(config: Path, edit: Edit) -> None:
    edit(OCCASION, "[SCOM_GEBURTSTAG]", "[]")
    assert only_fault(config)[:2] == (MEDIUM, 4)
    assert "made for MCAG002, but `media` of occasions/MCAG002.yaml does not name it" in only_fault(config)[2]


def test_a_standard_occasion_with_a_medium_made_for_others(config: Path, edit: Edit, write: Write) -> None:
    occasion = (config / OCCASION).read_text(encoding="utf-8")
    write("occasions/MCAG003.yaml", occasion.replace("MCAG002", "MCAG003"))
    assert only_fault(config)[:2] == ("occasions/MCAG003.yaml", 5)
    assert "made for MCAG002, not for MCAG003" in only_fault(config)[2]
    edit(MEDIUM, "[MCAG002]", "[MCAG002, MCAG003]")
    assert check_catalogue(config) == []


def test_a_medium_made_for_no_occasion_can_be_linked_by_hand(config: Path, edit: Edit) -> None:
    edit(MEDIUM, "[MCAG002]", "[]")
    assert check_catalogue(config) == []


def test_a_banks_own_occasion_uses_its_own_medium_and_any_other(config: Path, write: Write) -> None:
    occasion = (config / OCCASION).read_text(encoding="utf-8")
    own = occasion.replace("MCAG002", "GOLDHOCHZEIT").replace("[", "[EIGEN_HOCHZEIT, ")
    medium = "key: EIGEN_HOCHZEIT\nprovider: Eigene\ntitle: Hochzeit\noccasions: [GOLDHOCHZEIT]\nsubject: Alles Gute\n"
    write("occasions/GOLDHOCHZEIT.yaml", own)
    write("templates/eigen/hochzeit/medium.yaml", medium)
    write("templates/eigen/hochzeit/mail.mjml", "<mjml/>")
    write("templates/eigen/hochzeit/mail.txt", "Text")
    assert check_catalogue(config) == []


def test_an_occasion_names_an_unknown_medium(config: Path, edit: Edit) -> None:
    edit(OCCASION, "[SCOM_GEBURTSTAG]", "[SCOM_GEBURTSTAG, LBS_GEBURTSTAG]")
    file, line, text = only_fault(config)
    assert (file, line) == (OCCASION, 5)
    assert "no medium 'LBS_GEBURTSTAG'. Did you mean 'SCOM_GEBURTSTAG'?" in text


def test_what_an_operator_forgot_in_a_campaign_stops_dispatch_and_is_no_fault_here(config: Path, edit: Edit) -> None:
    edit(INSTITUTE, ", list: R0000001", "")
    edit(INSTITUTE, ", media: [SCOM_GEBURTSTAG]", "")
    assert check_catalogue(config) == []


@pytest.mark.parametrize("file", ["contracts/reku.yaml", "expectations/reku.yaml"])
def test_files_of_other_rooms_must_be_yaml(config: Path, write: Write, file: str) -> None:
    write(file, "columns: [\n")
    assert only_fault(config)[0] == file


def test_a_file_with_another_ending_is_not_overlooked(config: Path, write: Write) -> None:
    write("occasions/MCAG003.yml", "code: MCAG003\n")
    file, _, text = only_fault(config)
    assert file == "occasions/MCAG003.yml"
    assert "Rename it to MCAG003.yaml" in text
