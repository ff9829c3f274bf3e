"""Mails of many mail systems: the verdict that each must get, and what flufl.bounce makes of it (corpus/table.csv)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reku.bench import dsn
from reku.catalogue.bounce_rules import BounceClass, bounce_rules
from reku.foundation.errors import SetupError
from reku.responses.reports import understand
from reku.store.kinds import ReportKind

NAMES = sorted(path.stem for path in dsn.CORPUS.glob("*.eml"))


@pytest.fixture
def samples(reku_settings: Path) -> dict[str, dsn.Sample]:
    return {sample.name: sample for sample in dsn.corpus()}


def test_every_mail_is_in_the_table_and_every_class_is_there(samples: dict[str, dsn.Sample]) -> None:
    assert sorted(samples) == NAMES
    assert len(samples) >= 60
    assert {sample.kind for sample in samples.values()} == set(ReportKind)
    assert {sample.bounce_class for sample in samples.values()} - {""} == set(BounceClass) - {BounceClass.NONE}


@pytest.mark.parametrize("name", NAMES)
def test_mail(samples: dict[str, dsn.Sample], name: str) -> None:
    """As stored, and with the line ends that IMAP gives."""
    dsn.check_sample(samples[name])
    with_crlf = samples[name].data.replace(b"\n", b"\r\n")
    assert understand(with_crlf) == understand(samples[name].data)


def test_each_bounce_that_differs_from_flufl_has_its_rule(samples: dict[str, dsn.Sample]) -> None:
    """flufl.bounce knows permanent and temporary; what else we say of a permanent one comes from a rule."""
    rules = {rule.why: rule.bounce_class for rule in bounce_rules().rules}
    for sample in samples.values():
        if sample.kind == "BOUNCE" and (sample.bounce_class, sample.flufl) != ("UNKNOWN", "permanent"):
            assert rules[sample.why] == sample.bounce_class, sample.name
    assert {sample.kind for sample in samples.values() if sample.flufl == "temporary"} == {"IGNORED"}


def test_the_same_recipients_are_found_but_for_forged_and_forwarded_ones(samples: dict[str, dsn.Sample]) -> None:
    others = {name for name, sample in samples.items() if sample.flufl != "none" and not sample.same}
    assert others == {"forged-recipient", "forged-token-in-text", "several-recipients"}


@pytest.mark.parametrize(
    "change",
    [{"kind": "UNCLEAR"}, {"status": "5.1.2"}, {"number": 99}, {"flufl": "none"}, {"same": False}, {"why": ""}],
)
def test_a_wrong_table_is_noticed(samples: dict[str, dsn.Sample], change: dict[str, object]) -> None:
    with pytest.raises(SetupError, match="postfix-unknown"):
        dsn.check_sample(dataclasses.replace(samples["postfix-unknown"], **change))  # type: ignore[arg-type]


@given(st.data())
@settings(max_examples=150)
def test_a_spoilt_mail_is_about_its_own_message_or_nobodys(data: st.DataObject) -> None:
    """Bytes changed, cut out and doubled: never another message, never an exception."""
    sample = data.draw(st.sampled_from(dsn.corpus()))
    mail = bytearray(sample.data)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(mail) - 1))
        to = data.draw(st.integers(at, min(len(mail), at + 40)))
        mail[at:to] = data.draw(st.sampled_from([b"", b"\n", b"\0", b"\xff", b"--", bytes(mail[at:to]) * 2]))
        mail = mail or bytearray(b"\n")
    assert understand(bytes(mail)).message in (0, sample.number)


@pytest.fixture(autouse=True)
def _keys(reku_settings: Path) -> None: ...
