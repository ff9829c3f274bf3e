"""A corpus of made mails: servers' answers × forms × faults × encodings; each with the class that is right and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.catalogue.bounce_rules import BounceClass
from reku.foundation import tokens
from reku.foundation.settings import settings
from reku.responses.reports import ReportKind, Understood, understand
from reku_testing.returned_mails import BEGIN, END, FAULTS, FORMS, MadeMail, compared, made_mails

DOCS = Path(__file__).parents[2] / "docs" / "responses.md"

Read = list[tuple[MadeMail, Understood]]


@pytest.fixture(scope="module", autouse=True)
def _keys() -> Iterator[None]:
    """Keys for the whole module, so that mails are made once."""

    def forget() -> None:
        settings.cache_clear()
        tokens._hashed_keys.cache_clear()

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REKU_TOKEN_KEYS", "a key of the made mails long enough")
        forget()
        yield
    forget()


@pytest.fixture(scope="module")
def read(_keys: None) -> Read:
    """All mails with what is made of them; each answer in two forms and with two faults."""
    return [(mail, understand(mail.data)) for mail in made_mails()]


def test_the_corpus_holds_every_form_fault_and_kind(read: Read) -> None:
    assert len(read) >= 400
    made_of = Counter(piece for mail, _ in read for piece in mail.name[5:].split(", "))
    assert {made.__name__.strip("_") for made in (*FORMS, *FAULTS)} <= set(made_of)
    assert {mail.reply.bounce_class for mail, _ in read} == {"HARD", "SOFT", "BLOCK", "UNKNOWN"}
    assert len({mail.data for mail, _ in read}) == len(read)
    assert all(mail.reply.why for mail, _ in read)


def test_none_is_dropped_and_none_is_about_another_message(read: Read) -> None:
    """Each says what happened to a mail of ours: an event, never ignored."""
    assert [mail.name for mail, found in read if (found.kind, found.message) != (ReportKind.BOUNCE, mail.number)] == []


def test_no_good_address_is_hard(read: Read) -> None:
    hard = {mail.name for mail, found in read if found.bounce.bounce_class is BounceClass.HARD}
    assert [mail.name for mail, _ in read if not mail.reply.is_dead and mail.name in hard] == []


def test_dead_addresses_are_hard(read: Read) -> None:
    """At least 97 of 100."""
    dead = [found.bounce.bounce_class for mail, found in read if mail.reply.is_dead]
    assert dead.count(BounceClass.HARD) >= 0.97 * len(dead)


def test_the_classes_are_those_of_the_table(read: Read) -> None:
    """A form may hide a code or a word, so that a block is told as soft; at most one of 100."""
    wrong = [mail.name for mail, found in read if found.bounce.bounce_class != mail.reply.bounce_class]
    assert len(wrong) <= 0.01 * len(read), wrong


def test_every_pair_of_form_and_fault_is_understood() -> None:
    """Each answer in five forms: 1,400 mails, with the same three demands."""
    dead: list[bool] = []
    for mail in made_mails(5):
        found = understand(mail.data)
        assert (found.kind, found.message) == (ReportKind.BOUNCE, mail.number), mail.name
        is_hard = found.bounce.bounce_class is BounceClass.HARD
        assert mail.reply.is_dead or not is_hard, mail.name
        if mail.reply.is_dead:
            dead.append(is_hard)
    assert sum(dead) >= 0.97 * len(dead)


def test_the_table_of_the_docs_is_what_comes_out() -> None:
    """`make docs` writes it anew."""
    table = DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert table.strip().splitlines() == compared()
