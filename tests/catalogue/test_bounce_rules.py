"""Classes of returned mails and refusals (docs/domain.md, "Classes of a bounce")."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reku.catalogue.bounce_rules import BounceClass, bounce_rules, classify_bounce, load_bounce_rules
from reku.foundation.errors import ConfigError
from reku_testing.returned_mails import Reply, replies

HARD, SOFT, BLOCK, UNKNOWN, NONE = BounceClass

CASES = [
    # status, diagnostic, action, class
    ("5.1.1", "", "failed", HARD),
    ("5.1.0", "", "failed", HARD),
    ("5.1.2", "", "failed", HARD),
    ("5.1.3", "", "failed", HARD),
    ("5.1.6", "", "failed", HARD),
    ("5.1.10", "", "failed", HARD),
    ("5.2.1", "", "failed", HARD),
    ("5.1.1", "550 5.1.1 blocked using a blacklist", "failed", BLOCK),  # careful words go before a code
    ("5.1.1", "550 5.7.1 <x@kunde.example>", "failed", BLOCK),  # and so does a careful code within the text
    ("5.1.1", "550 5.1.1 the moon is full of cheese", "failed", SOFT),
    ("5.1.1", "550 5.1.1 the moon is made of cheese", "failed", UNKNOWN),  # words that nobody knows: not HARD
    ("5.1.1", "smtp; 550 5.1.1 <x@kunde.example>", "failed", HARD),  # no words: the code decides
    ("5.1.1", "550 5.1.1 <b+1f.00ff@bounce.example> unknown", "failed", BLOCK),  # a return path of ours is the sender
    ("5.1.100", "", "failed", UNKNOWN),  # not 5.1.10
    ("5.1.8", "", "failed", BLOCK),  # about our sender address
    ("", "550 User unknown", "failed", HARD),
    ("", "551 no such user here", "failed", HARD),
    ("", "553 Requested mailbox  does\n not exist", "failed", HARD),
    ("5.0.0", "550 user unknown", "failed", HARD),  # 5.0.0 says nothing
    ("5.0.0", "550 5.1.1 <x>: Recipient", "failed", HARD),
    ("5.4.1", "550 5.4.1 Recipient address rejected: Access denied", "failed", HARD),
    ("5.2.0", "550 5.2.0 mailbox unavailable", "failed", HARD),
    ("5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable", "failed", HARD),
    ("", "550 mailbox unavailable", "failed", HARD),
    ("4.2.1", "", "failed", SOFT),
    ("4.1.1", "450 4.1.1 user unknown", "failed", SOFT),  # greylisting says so too
    ("4.0.0", "550 user unknown", "failed", SOFT),
    ("5.2.2", "", "failed", SOFT),  # docs/domain.md, rule 16
    ("5.3.0", "", "failed", SOFT),
    ("5.4.1", "no route", "failed", SOFT),
    ("5.4.7", "", "failed", SOFT),
    ("5.5.2", "", "failed", SOFT),
    ("", "421 try again", "failed", SOFT),
    ("", "450 busy", "failed", SOFT),
    ("", "452 too many", "failed", SOFT),
    ("", "552 mailbox full", "failed", SOFT),
    ("5.7.1", "", "failed", BLOCK),  # docs/domain.md, rule 16
    ("5.7.1", "550 5.7.1 user unknown", "failed", HARD),  # clear words, whatever the 5xx
    ("5.7.1", "550 5.7.1 user unknown to our spam filter", "failed", BLOCK),
    ("5.1.1", "550 5.1.1 unknown@spam.kunde.example: user unknown", "failed", HARD),  # addresses are no words
    ("", "550 5.7.1 full@kunde.example is refused", "failed", BLOCK),
    ("", "host spam-filter.kunde.example said: 550 no such user", "failed", HARD),  # and hosts are none
    ("5.1.1", "Exim 4.92.3: user unknown", "failed", HARD),  # no version of a program is a code
    ("", "am 5.1.26 gescheitert", "failed", UNKNOWN),  # and no day is one
    ("5.6.0", "", "failed", BLOCK),
    ("5.2.3", "", "failed", BLOCK),
    ("5.3.4", "", "failed", BLOCK),
    ("", "550 looks like SPAM", "failed", BLOCK),
    ("", "550 blocked using dnsbl; no such user", "failed", BLOCK),  # a good address must not be barred
    ("", "554 your host is on a blacklist", "failed", BLOCK),
    ("", "", "failed", UNKNOWN),
    ("", "550 no", "failed", UNKNOWN),
    ("", "554 transaction failed", "failed", UNKNOWN),
    ("nonsense", "\x00ÿ", "failed", UNKNOWN),
    ("", "connected to 5.1.1.9 and 10.5.1.1", "failed", UNKNOWN),  # IP addresses are no status
    ("", "sorry, no mailbox here by that name. (#5.1.1)", "failed", HARD),
    ("2.0.0", "", "failed", NONE),
    ("2.0.0", "550 5.1.1 user unknown", "failed", HARD),
    ("2.1.5", "250 2.1.5 Ok", "", NONE),
    ("4.4.7", "", "delayed", NONE),
    ("5.1.1", "", "Delayed", NONE),
    ("2.1.5", "", "delivered", NONE),
    ("2.1.9", "", "relayed", NONE),
    ("2.1.5", "", "expanded", NONE),
]


@pytest.mark.parametrize(("status", "diagnostic", "action", "expected"), CASES)
def test_class(status: str, diagnostic: str, action: str, expected: BounceClass) -> None:
    assert classify_bounce(status, diagnostic, action).bounce_class is expected


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "expected"),
    [
        (550, "5.1.1", "5.1.1 unknown", HARD),
        (550, "", "No such user", HARD),
        (554, "5.7.1", "5.7.1 rejected", BLOCK),
        (452, "4.2.2", "4.2.2 full", SOFT),
        (552, "", "quota", SOFT),
        (554, "", "no", UNKNOWN),
    ],
)
def test_answer_of_a_server(code: int, enhanced: str, text: str, expected: BounceClass) -> None:
    assert classify_bounce(enhanced, f"{code} {text}").bounce_class is expected


@pytest.mark.parametrize(
    ("status", "diagnostic", "reported"),
    [
        ("5.1.1 (user unknown)", "", "5.1.1"),
        ("5.0.0", "550 5.2.1 off", "5.2.1"),
        ("", "550 user unknown", "5.0.0"),
        ("", "452 full", "4.0.0"),
        ("", "", "5.0.0"),
        ("5.0.0", "5.1.0 - Unknown address error 550-'5.2.2 full'", "5.2.2"),  # the one that decided
    ],
)
def test_reported_status_is_never_empty(status: str, diagnostic: str, reported: str) -> None:
    assert classify_bounce(status, diagnostic).status == reported


@given(st.text(max_size=200), st.text(max_size=300), st.text(max_size=20))
def test_any_text_gets_a_verdict(status: str, diagnostic: str, action: str) -> None:
    verdict = classify_bounce(status, diagnostic, action)
    assert verdict.status.count(".") == 2


def test_kinds_of_events() -> None:
    assert [each.event for each in BounceClass] == [
        "BOUNCED_HARD",
        "BOUNCED_SOFT",
        "BOUNCED_SOFT",
        "BOUNCED_UNKNOWN",
        "",
    ]


@pytest.mark.parametrize("reply", replies(), ids=lambda reply: f"{reply.kind}: {reply.text[:60]}")
def test_what_servers_answer(reply: Reply) -> None:
    """Each by itself, as a refusal in the dialogue and as a report's Diagnostic-Code; the reason stands in the file."""
    text = reply.text.replace("{recipient}", "erika@kunde.example").replace("{sender}", "b+1f.00ff@bounce.example")
    assert classify_bounce(reply.status, text).bounce_class == reply.bounce_class
    assert classify_bounce(reply.status, f"smtp; {text}").bounce_class == reply.bounce_class
    shouted = classify_bounce(reply.status, text.upper()).bounce_class
    assert (shouted is HARD) == (reply.bounce_class == HARD)


def test_every_shipped_rule_gives_its_reason_and_its_source() -> None:
    assert all(rule.why and rule.source for rule in bounce_rules().rules)
    assert len({rule.why for rule in bounce_rules().rules}) == len(bounce_rules().rules)


def test_no_rule_of_hard_speaks_of_the_sender() -> None:
    """Every word that names a sender, put in the place of the recipient: never HARD."""
    rules = bounce_rules()
    for sender in rules.words["sender"]:
        for gone in rules.words["gone"]:
            found = classify_bounce("5.1.1", f"550 5.1.1 {sender} {gone}")
            assert found.bounce_class is not HARD, (sender, gone)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("rules: []\nno_bounce_actions: []\n", "rules"),
        ("rules: [{class: HART, status: [5.1.1], why: x}]\nno_bounce_actions: []\n", "HARD"),
        ("rules: [{class: HARD, status: [5.1], why: x}]\nno_bounce_actions: []\n", "status"),
        ("rules: [{class: HARD, why: x}]\nno_bounce_actions: []\n", "at least one"),
        ("rules: [{class: HARD, text: ['{nobody} is'], why: x}]\nno_bounce_actions: []\n", "nobody"),
        ("rules: [{class: HARD, text: ['* unknown'], why: x}]\nno_bounce_actions: []\n", "begins with"),
        ("rules: [{class: HARD, status: [5.1.1], reply: ['550'], why: x}]\nno_bounce_actions: []\n", "not both"),
        ("rules: {", ""),
        ("", ""),
    ],
)
def test_broken_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "bounces.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_bounce_rules(file)
    assert str(file) in str(caught.value)
    assert named in str(caught.value)
