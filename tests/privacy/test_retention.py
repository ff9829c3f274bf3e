"""What has had its time leaves, and nothing before: a moved clock, and a search of every table and file.

Told in docs/domain.md, rule 22.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.contact import MOST_DAYS_AFTER
from reku.foundation import clock
from reku.foundation.bank_folders import BankFolders
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.mailbox import SEEN, UNCLEAR
from reku.privacy.old_rows import whole_deliveries
from reku.privacy.retention import STEPS, apply
from reku.records import Head, contracts, write
from reku.responses import links
from reku.responses.hit_journal import HitJournal
from reku.responses.hits import take_in
from reku.responses.unsubscribe import UnsubscribeWay, Wish, unsubscribe
from reku.store.bounce_series import retained_addresses
from reku.store.events import Event, record
from reku.store.kinds import DeliverySource, EventKind, UnsubscribedFrom
from reku.store.states import MessageState
from reku.store.tables import (
    appointments,
    audit,
    claims,
    contacts,
    deliveries,
    feedback_files,
    files,
    messages,
    rate_limits,
    reactivations,
    responses,
    subscribers,
    suppressions,
)
from reku.store.unreported import hold_exports
from reku.views.funnel import funnel
from reku_testing import hostile, sessions, world
from reku_testing.dispatching import BANK, ORDER, change_settings, configure
from reku_testing.steps import allow_any_step
from tests.privacy.conftest import NOON, Chain, person
from tests.privacy.searching import files as all_files
from tests.privacy.searching import in_files, in_tables

SENT, WITHHELD, LATER, REJECTED, UNSUBSCRIBED, PARKED, REFUSED, BOUNCED = range(1, 9)
FOR_EVER = 10_000


def _number(who: int) -> str:
    return f"{who:010d}"


def _words(who: int) -> tuple[str, str, str]:
    """What nobody else is called: name, address, person number."""
    return f"Nachname{who}x", f"adresse{who}x@", _number(who)


def _mail(box: str, text: str) -> Path:
    """A mail in the return mailbox."""
    mail = EmailMessage()
    mail["Subject"] = "Undelivered"
    mail.set_content(text)
    maildir = settings().bounce_maildir
    assert maildir is not None
    file = maildir / box / "1700000000.M1P1.mailhost"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(mail.as_bytes())
    return file


def _age(days: float) -> None:
    """Let the times of all files be so many days further back, as if those days had passed."""
    for file in all_files():
        changed = file.stat().st_mtime - days * 86_400
        os.utime(file, (changed, changed))


def _kind(file: Path) -> str:
    """What a file is, by its place."""
    parts = file.parts
    for folder in ("archiv", "fehler", "geparkt", "ausgang", ".gesehen", ".ungeklaert", "mailbox"):
        if folder in parts:
            return folder
    return file.name


def _found(chain: Chain, who: int) -> dict[str, set[str]]:
    """Word → tables and kinds of files in which it stands."""
    words = _words(who)
    tables, kept = in_tables(chain.engine, words), in_files(words)
    return {word: tables[word] | {_kind(file) for file in kept[word]} for word in words}


def _world(chain: Chain) -> None:
    """One day: somebody for each way that a row can take."""
    people = [
        person(SENT),
        person(WITHHELD, Einwilligung_EMail="N"),
        person(LATER, Anlass_Datum="27.11.2026"),
        person(REJECTED, Anlass_Datum="31.02.2026"),
        person(UNSUBSCRIBED, Tracking_Einwilligung="J"),
        person(BOUNCED),
        *(person(n) for n in range(100, 120)),  # so that one rejected row is not too many
    ]
    chain.whole_day(1, people)
    chain.put("unbekannt.txt", b"Nachname4x")
    chain.put(f"reku_{BANK}_R0009999_000001_20261124120000.csv", _of("R0009999", PARKED))
    chain.put(
        f"reku_{BANK}_{ORDER}_000002_20261124120000.csv",
        _of(ORDER, REFUSED, 2).replace(b"Nachname7x", b"\xffachname7x", 1),
    )
    chain.take_in()
    (mail,) = (row for row in chain.rows(messages) if row.person_number == _number(UNSUBSCRIBED))
    unsubscribe(chain.engine, [Wish(mail.id, UnsubscribeWay.LINK)])
    journal = HitJournal(settings().hit_journals())
    journal.note("OPENED", mail.id, agent="a mail program")
    journal.close()
    take_in(chain.engine)
    chain.report()
    _mail(f".{SEEN}/cur", "adresse8x@kunde.example does not exist")
    logs = settings().home / "logs"
    logs.mkdir(parents=True)
    (logs / "tracker.log").write_text("served")
    assert Counter(row.state for row in chain.rows(deliveries)) == {"LOADED": 1, "PARKED": 1, "REFUSED": 1}


def _of(order: str, who: int, number: int = 1) -> bytes:
    head = Head("REKU", "1", BANK, order, f"{number:06d}", clock.now(), "FI", "EMMA", "T")
    row = person(who) | {"Referenz": f"{order}-{number}-{who}"}
    return write(contracts()["REKU"], head, world.REKU_COLUMNS, [list(row.values())])


NAMES = {
    # who → place → the first day on which name and address are gone from there
    SENT: {"delivery_rows": 1, "archiv": 30, "subscribers": 60},
    WITHHELD: {"delivery_rows": 1, "archiv": 30, "subscribers": 60},
    LATER: {"delivery_rows": 4, "archiv": 30, "subscribers": 63},
    REJECTED: {"archiv": 30},
    UNSUBSCRIBED: {"delivery_rows": 1, "archiv": 30, "subscribers": 60},
    PARKED: {"geparkt": FOR_EVER},
    REFUSED: {"fehler": 30},
    BOUNCED: {"delivery_rows": 1, "archiv": 30, "subscribers": 60},
}
NUMBERS = {
    # the same for the person number, besides the places of the name
    SENT: {"messages": 399, "ausgang": 30},
    WITHHELD: {"messages": 399, "ausgang": 30},
    LATER: {"messages": 399, "ausgang": 33},
    UNSUBSCRIBED: {"messages": 399, "ausgang": 30, "suppressions": FOR_EVER},
    BOUNCED: {"messages": 399, "ausgang": 30},
}
DAYS = (1, 2, 3, 4, 5, 28, 29, 30, 31, 32, 33, 34, 59, 60, 61, 62, 63, 64, 395, 396, 397, 398, 399, 400)


def _expected(who: int, day: int) -> dict[str, set[str]]:
    name, address, number = _words(who)
    names = {place for place, gone in NAMES[who].items() if day < gone}
    told: dict[str, set[str]] = {name: set(names), address: set(names), number: names}
    told[number] = names | {place for place, gone in NUMBERS.get(who, {}).items() if day < gone}
    if who == BOUNCED and day < 30:
        told[address].add(".gesehen")
    if who == REJECTED and day < 30:
        told[name].add("fehler")
    if who == LATER and day < 3:
        told[number].remove("ausgang")
    if who == REFUSED:
        told[name] = set()  # its first letter is what the file was refused for
    return told


def test_day_by_day(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(monkeypatch, keep_subscribers_days=60)
    _world(chain)
    chain.move(NOON + timedelta(minutes=30))
    assert apply(chain.engine, clock.now()) == {}, "within the grace nothing goes"
    last = 0
    for day in (0, *DAYS):
        _age(day - last)
        if day == 3:
            chain.move(NOON + timedelta(days=day))
            chain.send()
            chain.report()
            assert "adresse3x@kunde.example" in chain.sink.recipients, "what is needed was kept"
        chain.move(NOON + timedelta(days=day, minutes=30))
        if day:
            # the mail of the day went out a moment ago: within the grace
            apply(chain.engine, clock.now())
        for who in NAMES:
            assert _found(chain, who) == _expected(who, day), f"person {who} on day {day}"
        assert all(row.adds_up for row in funnel(chain.engine)), day
        last = day
    left = {row.state for row in chain.rows(deliveries)}
    assert left == {"PARKED"}
    assert chain.rows(responses) == []
    assert [row.verdict for row in chain.rows(files)] == ["PROCESSED", "PARKED"], "orders and what waits are kept"
    assert not (settings().home / "logs" / "tracker.log").exists()
    assert apply(chain.engine, clock.now()) == {}, "again there is nothing to do"


@pytest.mark.parametrize(
    ("setting", "of_bank", "last"),
    [
        (None, None, 396),
        ("", None, FOR_EVER),
        ("", 60, 60),
        (60, 800, 800),
    ],
)
def test_people_leave_a_list_so_long_after_the_last_that_was_about_them(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: object, of_bank: int | None, last: int
) -> None:
    """`last`: the days after their last mail on which they are still there."""
    if setting is not None:
        change_settings(monkeypatch, keep_subscribers_days=setting)
    if of_bank is not None:
        configure(tmp_path, monkeypatch, bank=[("\nstate:", f"\nkeep_subscribers_days: {of_bank}\nstate:")])
    chain.whole_day(1, [person(1), person(2), person(3)])
    # some time later the second is delivered again, and nothing about him is new; the third unsubscribes
    (third,) = (row for row in chain.rows(messages) if row.person_number == _number(3))
    unsubscribe(chain.engine, [Wish(third.id, UnsubscribeWay.LINK)])
    chain.report()
    step = min(last - 10, 300) // 7 * 7  # a Tuesday as well
    chain.move(NOON + timedelta(days=step))
    chain.whole_day(2, [person(2, Anlass_Datum=f"{clock.today():%d.%m.%Y}")])
    for day in (4000,) if last == FOR_EVER else (last, last + 1, last + step, last + step + 1):
        chain.move(NOON + timedelta(days=day, hours=-1))
        apply(chain.engine, clock.now())
        expected = [_number(1)] * (day <= last) + [_number(2)] * (day <= last + step) + [_number(3)] * (day <= last)
        assert [row.person_number for row in sorted(chain.rows(subscribers), key=_by_number)] == expected, day
    barred = chain.rows(suppressions)
    assert [(row.kind, bool(row.recipient_key)) for row in barred] == [("UNSUBSCRIBED", True)], "it holds for good"
    if last < FOR_EVER:
        gone = _words(1)[:2] + _words(3)[:2]
        assert not any(in_tables(chain.engine, gone).values())


def _by_number(row: sa.Row[Any]) -> str:
    return str(row.person_number)


def test_what_was_delivered_leaves_with_the_mail_and_the_list_keeps_who_it_is(chain: Chain) -> None:
    told = {"Geschaeftsstelle": "Filiale Zuckerbrot", "Berater_Absendername": "Ottokar Beispiel-Zuckerbrot"}
    chain.whole_day(1, [person(1, **told)])
    assert {table for found in in_tables(chain.engine, told.values()).values() for table in found} == {"delivery_rows"}
    chain.move(NOON + timedelta(hours=4))
    apply(chain.engine, clock.now())
    assert not any(in_tables(chain.engine, told.values()).values())
    (left,) = chain.rows(subscribers)
    assert set(left.fields) <= {"Anrede", "Titel", "Vorname", "Nachname", "Firma", "Briefanrede"}
    assert (left.fields["Nachname"], left.address) == ("Nachname1x", "adresse1x@kunde.example")


def test_a_list_forgets_who_is_written_to_by_other_lists_only(chain: Chain) -> None:
    chain.whole_day(1, [person(1)])
    elsewhere = world.subscriber_list(chain.engine, chain.rows(deliveries)[0].order_id, order_name="before")
    with chain.engine.begin() as connection:
        connection.execute(
            sa.insert(subscribers).from_select(
                ["list_id", *(column.name for column in subscribers.columns if column.name != "list_id")],
                sa.select(
                    sa.literal(elsewhere), *(column for column in subscribers.columns if column.name != "list_id")
                ),
            )
        )
        connection.execute(sa.update(subscribers).values(updated_at=clock.now() - timedelta(days=400)))
    apply(chain.engine, clock.now())
    assert {row.list_id for row in chain.rows(subscribers)}.isdisjoint({elsewhere})
    assert len(chain.rows(subscribers)) == 1


@pytest.fixture
def old(chain: Chain) -> Chain:
    """A delivery of one person whose mail was sent and reported, a day before its time is over."""
    chain.whole_day(1, [person(1)])
    chain.move(NOON + timedelta(days=396))
    assert apply(chain.engine, clock.now()).get("deliveries") is None
    assert len(chain.rows(messages)) == 1
    chain.move(NOON + timedelta(days=398))
    return chain


def _change(chain: Chain, **values: object) -> None:
    with chain.engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).values(**values))


@pytest.mark.parametrize("state", [MessageState.OPEN, MessageState.CLAIMED, MessageState.IN_DOUBT])
def test_what_has_not_ended_is_kept(old: Chain, state: MessageState) -> None:
    _change(old, state=state)
    assert "messages" not in apply(old.engine, clock.now())
    _change(old, state=MessageState.SENT)
    assert apply(old.engine, clock.now())["messages"] == 1


def test_what_is_not_reported_is_kept(old: Chain) -> None:
    message = old.rows(messages)[0].id
    with old.engine.begin() as connection:
        record(connection, [Event(message, EventKind.CLICKED, clock.now(), link_number=1)])
        record(connection, [Event(message, EventKind.UNSUBSCRIBED, clock.now(), "LINK", UnsubscribedFrom.INSTITUTE)])
    assert "messages" not in apply(old.engine, clock.now())
    old.report()
    assert apply(old.engine, clock.now())["responses"] == 3, "a click that late is never reported"


def test_a_response_file_begun_and_not_written_is_kept(old: Chain) -> None:
    with old.engine.begin() as connection:
        connection.execute(sa.update(feedback_files).values(written_at=None))
    assert "messages" not in apply(old.engine, clock.now())


def test_nothing_leaves_while_an_export_assigns_events(old: Chain) -> None:
    """Or an event could be assigned that is just being removed."""
    impatient = sa.create_engine(old.engine.url, connect_args={"options": "-c lock_timeout=200ms"})
    with old.engine.begin() as exporting:
        hold_exports(exporting, BANK)
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            whole_deliveries(impatient, clock.now(), settings())
    assert whole_deliveries(impatient, clock.now(), settings())[0]["deliveries"] == 1
    impatient.dispose()


def test_a_bank_that_has_never_exported_is_held_as_well(database: sa.Engine) -> None:
    impatient = sa.create_engine(database.url, connect_args={"options": "-c lock_timeout=200ms"})
    with database.begin() as holding:
        hold_exports(holding, BANK)
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"), impatient.begin() as other:
            hold_exports(other, BANK)
    impatient.dispose()


def test_nothing_leaves_while_somebody_unsubscribes(old: Chain) -> None:
    """Retention waits before it asks what is still needed: what is answered as saved meanwhile, it sees."""
    (mail, *_) = old.rows(messages)
    with ThreadPoolExecutor(1) as pool:
        with old.engine.begin() as unsubscribing:
            held = sa.select(messages.c.id).where(messages.c.id == mail.id)
            unsubscribing.execute(held.with_for_update(key_share=True, read=True))
            leaving = pool.submit(whole_deliveries, old.engine, clock.now(), settings())
            hostile.until(lambda: sessions.waiting(unsubscribing) == 1)
            record(unsubscribing, [Event(mail.id, EventKind.UNSUBSCRIBED, clock.now(), "LINK", UnsubscribedFrom.ORDER)])
        assert "deliveries" not in leaving.result(timeout=60)[0]
    assert [row.kind for row in old.rows(responses) if row.kind == "UNSUBSCRIBED"] == ["UNSUBSCRIBED"]


@pytest.mark.parametrize(("until", "kept"), [(date(2029, 1, 1), True), (date(2027, 1, 1), False)])
def test_a_blocking_period_outlasts_its_message(old: Chain, until: date, kept: bool) -> None:
    values = {"institute": BANK, "person_number": _number(1), "medium": "X", "day": date(2026, 11, 24)}
    values |= {"blocked_until": until, "mandatory": False}
    with old.engine.begin() as connection:
        for message in (None, old.rows(messages)[0].id):
            connection.execute(sa.insert(contacts).values(values | {"message_id": message}))
    apply(old.engine, clock.now())
    assert len(old.rows(contacts)) == 2 * kept
    assert len(old.rows(messages)) == kept


def test_an_unsubscribe_link_works_for_good(chain: Chain) -> None:
    """Also when its message has left, and whoever is delivered again is not written to."""
    chain.whole_day(1, [person(1, 1, Anlass_Datum="24.11.2026")])
    (mail,) = chain.rows(messages)
    chain.report()
    chain.move(NOON + timedelta(days=450))
    assert apply(chain.engine, clock.now())["deliveries"] == 1
    assert chain.rows(messages) == []
    assert links.linked_message(chain.engine, mail.id).institute == BANK, "the page is shown"
    for _ in range(2):
        assert unsubscribe(
            chain.engine, [Wish(mail.id, UnsubscribeWay.ONE_CLICK), Wish(mail.id + 1, UnsubscribeWay.LINK)]
        ) == [
            BANK,
            None,
        ]
    (bar,) = chain.rows(suppressions)
    assert (bar.kind, bar.recipient_key, bar.person_number) == ("UNSUBSCRIBED", mail.recipient_key, "")
    assert chain.rows(responses) == []
    chain.whole_day(2, [person(1, 2, Anlass_Datum=f"{clock.today():%d.%m.%Y}")])
    assert [row.reason for row in chain.rows(messages)] == ["ABGEMELDET"]


def test_who_was_retained_stays_barred(chain: Chain) -> None:
    """The series of hard bounces is derived from messages that leave: only a person lets the address be written to."""
    for day in range(3):
        chain.move(NOON + timedelta(days=day))
        chain.whole_day(day + 1, [person(1, day + 1, Anlass_Datum=f"{24 + day}.11.2026")])
        with chain.engine.begin() as connection:
            newest = connection.scalar(sa.select(sa.func.max(messages.c.id)))
            assert newest is not None
            record(connection, [Event(newest, EventKind.BOUNCED_HARD, clock.now(), "5.1.1")])
        chain.report()
    chain.move(NOON + timedelta(days=450))
    with chain.engine.connect() as connection:
        assert len(connection.scalars(retained_addresses(BANK)).all()) == 1
    assert apply(chain.engine, clock.now())["deliveries"] == 3
    (bar,) = chain.rows(suppressions)
    assert (bar.kind, bar.source, bar.person_number) == ("BLACKLISTED", "BOUNCE", "")
    chain.whole_day(4, [person(1, 4, Anlass_Datum=f"{clock.today():%d.%m.%Y}")])
    assert [row.reason for row in chain.rows(messages)] == ["BLACKLIST"]


@pytest.mark.parametrize("state", ["REGISTERED", "VALIDATED", "RELEASED", "PARKED"])
def test_an_original_still_needed_is_kept(chain: Chain, state: str) -> None:
    chain.deliver(1, [person(1)])
    chain.take_in()
    with chain.engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(deliveries).values(state=state))
    chain.move(NOON + timedelta(days=500))
    apply(chain.engine, clock.now())
    assert list(chain.originals().values()) == [[_number(1)]]
    assert len(chain.rows(deliveries)) == 1


def test_what_is_over_by_itself(chain: Chain) -> None:
    chain.order()
    chain.take_in()
    past = NOON - timedelta(days=1500)
    world.delivery(chain.engine, 1, source=DeliverySource.SELECTION, file_id=None)
    world.file(chain.engine, institute=BANK, received_at=past)
    with chain.engine.begin() as connection:
        row = {"institute": BANK, "person_number": _number(1)}
        kept = clock.today() - timedelta(days=MOST_DAYS_AFTER)
        for day in (kept - timedelta(days=1), kept):
            connection.execute(sa.insert(appointments).values(row | {"day": day}))
        entry = {"institute": BANK, "actor": "a", "action": "b", "subject": "c"}
        for at in (past, NOON):
            connection.execute(sa.insert(audit).values(entry | {"at": at}))
            connection.execute(sa.insert(reactivations).values(institute=BANK, recipient_key="a" * 64, at=at))
        old, new = (sa.func.clock_timestamp() - timedelta(days=days) for days in (2, 0))
        for domain, at in (("familie.example", old), ("busy.example", new), ("", old)):
            connection.execute(sa.insert(rate_limits).values(institute=BANK, domain=domain, next_at=at))
    removed = apply(chain.engine, clock.now())
    assert removed == {"appointments": 1, "audit": 1, "files": 1, "reactivations": 1, "rate_limits": 1}
    assert {row.domain for row in chain.rows(rate_limits)} == {"busy.example", ""}
    assert [row.day for row in chain.rows(appointments)] == [kept]


def test_mails_and_journals_and_logs(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", raising=False)  # other tests have an Airflow of their own
    chain.whole_day(1, [person(1)])
    delivery, journal = chain.rows(deliveries)[0].id, settings().journals()
    journal.mkdir(exist_ok=True)
    with chain.engine.begin() as connection:
        held = {"delivery_id": delivery, "fence": 8, "institute": BANK, "lease_until": NOON}
        connection.execute(sa.insert(claims).values(held))
    for name in (f"{delivery}-7", f"{delivery}-8", f"{delivery}-9"):
        (journal / f"{name}.journal").write_bytes(b"[]\n")
    (journal / f"{delivery}-6.draft").touch()  # killed before it had a name
    waiting = _mail("new", "not taken in")
    seen, unclear = _mail(f".{SEEN}/cur", "seen"), _mail(f".{UNCLEAR}/new", "unclear")
    task_log = settings().home / "airflow" / "logs" / "dag_id=x" / "attempt=1.log"
    task_log.parent.mkdir(parents=True)
    task_log.write_text("said")
    link = task_log.with_name("latest")
    link.symlink_to(tmp_path / "elsewhere")
    _age(29)
    assert not {"bounce_mails", "logs", "journals"} & apply(chain.engine, clock.now()).keys()
    _age(1.1)
    fresh = task_log.with_name("attempt=2.log")
    fresh.write_text("said")
    with (journal / f"{delivery}-9.journal").open("rb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        removed = apply(chain.engine, clock.now())
    assert {name: removed[name] for name in ("bounce_mails", "logs", "journals")} == {
        "bounce_mails": 2,
        "logs": 1,
        "journals": 2,
    }
    assert waiting.exists()
    assert fresh.exists()
    assert link.is_symlink()
    assert not seen.exists()
    assert not unclear.exists()
    assert sorted(file.name for file in journal.iterdir()) == [f"{delivery}-8.journal", f"{delivery}-9.journal"]


def test_drafts_of_what_died_are_removed_after_a_day(chain: Chain) -> None:
    chain.whole_day(1, [person(1)])
    (archived,) = chain.root.glob(f"{BANK}/archiv/*/*/reku_*")
    drafts = [archived.with_name("x.csv.abc.tmp"), chain.root / BANK / "ausgang" / "response.csv.abc.tmp"]
    arriving = chain.root / BANK / "eingang" / "reku.csv.tmp"
    for file in (*drafts, arriving):
        file.write_bytes(b"half")
    apply(chain.engine, clock.now())
    assert all(file.exists() for file in drafts)
    _age(2)
    apply(chain.engine, clock.now())
    assert not any(file.exists() for file in drafts)
    assert arriving.exists(), "what arrives is the bank's"
    assert archived.exists()


def test_one_banks_link_in_the_place_of_a_folder_does_not_keep_the_others_files(chain: Chain, tmp_path: Path) -> None:
    for blz in ("99990009", BANK):
        for folder in ("fehler", "ausgang"):
            (chain.root / blz / folder).mkdir(parents=True)
            (chain.root / blz / folder / "alt").write_bytes(b"of nobody")
    for folder in ("archiv", "ausgang"):
        there = chain.root / "99990009" / folder
        if there.exists():
            there.rename(tmp_path / folder)
        there.symlink_to(tmp_path)
    _age(FOR_EVER)
    with pytest.raises(StageError, match="2 things could not be removed") as told:
        apply(chain.engine, clock.now())
    assert "99990009/archiv below REKU_FILES_URL is a link" in str(told.value)
    assert "99990009/ausgang below REKU_FILES_URL is a link" in str(told.value)
    assert [path.name for path in (chain.root / BANK).rglob("*") if path.is_file()] == []
    assert (tmp_path / "ausgang" / "alt").exists()


def test_a_file_that_cannot_be_removed_is_named_and_the_rest_goes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chain.put("Nachname1x.txt", b"of nobody")
    chain.whole_day(1, [person(1)])
    chain.move(NOON + timedelta(days=31))
    remove = BankFolders.remove

    def only_some(self: BankFolders, path: str) -> None:
        if "/fehler/" in path or "/reku_" in path:
            raise PermissionError(13, "Permission denied")
        remove(self, path)

    monkeypatch.setattr(BankFolders, "remove", only_some)
    with caplog.at_level(logging.INFO), pytest.raises(StageError, match="2 things could not be removed") as told:
        apply(chain.engine, clock.now())
    assert re.search(r"archiv/2026/11/reku_\d+_\w+\.csv: Permission denied", str(told.value))
    assert "Nachname1x" not in str(told.value) + caplog.text, "names of unknown files may hold anything"
    assert "2 outbox files removed" in caplog.text
    assert "1 delivered rows removed" in caplog.text
    assert [row.levelname for row in caplog.records].count("WARNING") == 2
    monkeypatch.setattr(BankFolders, "remove", remove)
    assert apply(chain.engine, clock.now()) == {"originals": 2}


def test_a_step_that_fails_does_not_keep_the_others(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any step, the next run does the rest; an error of the database is told without its values."""
    chain.whole_day(1, [person(1)])
    chain.move(NOON + timedelta(days=400))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    done: Counter[str] = Counter()
    for at in range(len(STEPS)):
        broken = list(STEPS)
        broken[at] = killed  # type: ignore[call-overload]
        monkeypatch.setattr("reku.privacy.retention.STEPS", tuple(broken))
        with pytest.raises(KeyboardInterrupt):
            apply(chain.engine, clock.now())
    monkeypatch.setattr("reku.privacy.retention.STEPS", STEPS)
    done += apply(chain.engine, clock.now())
    assert chain.rows(messages) == []
    assert chain.rows(deliveries) == []
    assert list(chain.root.glob(f"{BANK}/archiv/*/*/*")) == []

    def fails(engine: sa.Engine, *_: object) -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT CAST('Nachname1x' AS integer)"))

    monkeypatch.setattr("reku.privacy.retention.STEPS", (fails, *STEPS))
    with pytest.raises(StageError, match="InvalidTextRepresentation") as told:
        apply(chain.engine, clock.now())
    assert "Nachname1x" not in str(told.value)
