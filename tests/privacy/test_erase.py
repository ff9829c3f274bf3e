"""Erasure: the person is nowhere any more, the numbers add up, objections hold, and nothing is ever half done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.contact.reasons import Reason
from reku.dispatch.doubt import resolve_all
from reku.foundation.bank_folders import BankFolders
from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.privacy import erase as erasing
from reku.privacy.erase import Receipt, erase
from reku.privacy.person import look_up
from reku.records import contracts, read
from reku.responses.hit_journal import HitJournal
from reku.responses.hits import take_in
from reku.responses.unsubscribe import UnsubscribeWay, Wish, unsubscribe
from reku.sources.osplus.retry import retry
from reku.store.states import DeliveryState, MessageState
from reku.store.tables import (
    appointments,
    audit,
    contacts,
    deliveries,
    delivery_rows,
    files,
    hits,
    messages,
    metadata,
    response_counts,
    responses,
    subscribers,
    suppressions,
)
from reku.views.funnel import funnel
from reku_testing.dispatching import BANK, ORDER, change_settings
from reku_testing.steps import allow_any_step
from tests.privacy.conftest import NOON, Chain, person
from tests.privacy.searching import places_with

NUMBER = f"{2:010d}"
OWN = (NUMBER, "Vorname2x", "Nachname2x", "adresse2x@")
PEOPLE = [person(n) for n in (1, 2, 3)]


def _erase(chain: Chain, number: str = NUMBER) -> Receipt:
    return erase(chain.engine, BANK, number, actor="anna", note="asked by letter")


def _state(chain: Chain) -> dict[str, Any]:
    """All that an erasure may change: tables and files."""
    tables = {table.name: [tuple(row) for row in chain.rows(table)] for table in metadata.sorted_tables}
    return tables | {str(path): path.read_bytes() for path in chain.root.rglob("*") if path.is_file()}


def _refused(chain: Chain, *words: str) -> None:
    """An erasure is refused with these words, and has changed nothing."""
    before = _state(chain)
    with pytest.raises(StageError) as refused:
        _erase(chain)
    for word in (*words, "Nothing is erased"):
        assert word in str(refused.value)
    assert not any(word in str(refused.value) for word in OWN)
    assert _state(chain) == before


def _message(chain: Chain, number: int = 2) -> Any:
    reference = f"{ORDER}-000001-{number:05d}"
    return next(row for row in chain.rows(messages) if row.reference == reference)


@pytest.mark.parametrize("packed", [False, True])
def test_whoever_is_erased_is_found_nowhere_but_in_what_was_sent_to_the_bank(chain: Chain, packed: bool) -> None:
    chain.whole_day(1, PEOPLE, packed=packed)
    with chain.engine.begin() as connection:
        row = {"institute": BANK, "person_number": NUMBER}
        connection.execute(sa.insert(appointments).values(row | {"day": date(2027, 1, 1)}))
        until = {"medium": "X", "day": date(2026, 11, 1), "blocked_until": date(2027, 1, 1), "mandatory": False}
        connection.execute(sa.insert(contacts).values(row | until))
    receipt = _erase(chain)
    left = places_with(chain, OWN)
    assert {place.rpartition("/")[2][:8] for place in left} == {"response"}
    ((_, numbers),) = chain.originals().items()
    assert numbers == [f"{n:010d}" for n in (1, 3)], "the original reads well, without the person"
    assert all(row.adds_up for row in funnel(chain.engine))
    assert {row["place"] for row in receipt.removed} >= {
        "table subscribers",
        "table delivery_rows",
        "table contacts",
        "table appointments",
    }
    told = json.dumps(receipt.as_dict(), default=str)
    assert not any(word in told for word in OWN)
    assert "it leaves by retention" in told
    (entry,) = [row for row in chain.rows(audit) if row.action == erasing.ACTION]
    assert (entry.actor, entry.note, entry.subject) == ("anna", "asked by letter", f"person:{receipt.person}")
    erased = _message(chain)
    assert (erased.state, erased.tracking) == ("SENT", False)
    assert len(erased.person_number) <= 20, "it has to fit the Personennummer of a response file"
    others = {row.person_number for row in chain.rows(messages)} - {erased.person_number}
    assert others == {f"{n:010d}" for n in (1, 3)}
    assert len(chain.rows(subscribers)) == 2


def test_erasing_again_changes_nothing_more(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    first = _erase(chain)
    before = _state(chain)
    second = _erase(chain)
    after = _state(chain)
    assert {name for name in after if after[name] != before[name]} == {"audit"}
    assert (second.person, second.removed, second.stopped) == (first.person, [], 0)


def test_a_person_nobody_knows(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    for number in (f"{7:010d}", "2"):
        with pytest.raises(StageError, match="leading zeros"):
            _erase(chain, number)
        with pytest.raises(StageError, match="leading zeros"):
            look_up(chain.engine, BANK, number)


def test_the_repeated_delivery_is_recognised_all_the_same(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    (file,) = chain.root.glob(f"{BANK}/archiv/*/*/reku_*")
    arrived = file.read_bytes()
    _erase(chain)
    chain.put(file.name, arrived)
    chain.take_in()
    assert [row.verdict for row in chain.rows(files) if row.kind == "REKU"] == ["REGISTERED", "DUPLICATE"]


def test_open_mails_are_stopped_and_reported_by_their_reference(chain: Chain) -> None:
    chain.deliver(1, [person(1), person(2, Anlass_Datum="26.11.2026", Tracking_Einwilligung="J")])
    chain.take_in()
    chain.send()
    assert len(chain.sink.recipients) == 1
    receipt = _erase(chain)
    assert receipt.stopped == 1
    ended = _message(chain)
    assert (ended.state, ended.reason, list(ended.reasons)) == ("WITHHELD", erasing.STOPPED, [erasing.STOPPED])
    assert Reason.GESTOPPT.code == erasing.STOPPED
    chain.move(NOON + timedelta(days=2))
    chain.send()
    assert len(chain.sink.recipients) == 1
    assert all(row.adds_up for row in funnel(chain.engine))
    chain.report()
    (file,) = chain.root.glob(f"{BANK}/ausgang/response_*")
    told = read(contracts()["RESPONSE"], file.read_bytes(), environment="T").as_dicts()
    (row,) = (one for one in told if one["Referenz"] == ended.reference)
    assert (row["Ereignis_Art"], row["Grund_Code"]) == ("NVER", "GESTOPPT")
    assert row["Personennummer"] == ended.person_number != NUMBER


@pytest.mark.parametrize("address", ["adresse2x@kunde.example", "neue.adresse@kunde.example"])
def test_who_had_unsubscribed_is_not_mailed_when_delivered_again(chain: Chain, address: str) -> None:
    chain.whole_day(1, PEOPLE)
    unsubscribe(chain.engine, [Wish(_message(chain).id, UnsubscribeWay.LINK)])
    chain.report()
    receipt = _erase(chain)
    assert any(row["place"] == "table suppressions" for row in receipt.kept)
    chain.move(NOON + timedelta(days=1))
    chain.whole_day(2, [person(2, 2, EMail=address, Anlass_Datum="25.11.2026")])
    assert len(chain.sink.recipients) == 3, "the three of the first day"
    assert [row.reason for row in chain.rows(messages, messages.c.delivery_number == 2)] == ["ABGEMELDET"]


def test_who_is_delivered_and_mailed_again_can_be_erased_again(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    _erase(chain)
    chain.move(NOON + timedelta(days=1))
    chain.whole_day(2, [person(2, 2)])
    _erase(chain)
    assert {place.rpartition("/")[2][:8] for place in places_with(chain, OWN)} == {"response"}


def test_an_old_mail_unsubscribes_from_nobody_by_name(chain: Chain) -> None:
    """The link goes on working; what it writes names nobody, and bars the address."""
    chain.whole_day(1, PEOPLE)
    _erase(chain)
    unsubscribe(chain.engine, [Wish(_message(chain).id, UnsubscribeWay.LINK)])
    _opened(_message(chain).id)
    assert take_in(chain.engine) == 0
    assert chain.rows(hits) == []
    assert [row.count for row in chain.rows(response_counts)] == [1]
    assert [row.person_number for row in chain.rows(suppressions)] == [_message(chain).person_number]
    assert "OPENED" not in {row.kind for row in chain.rows(responses)}


def test_opens_and_clicks_are_shown_and_erased(chain: Chain) -> None:
    chain.whole_day(1, [person(n, Tracking_Einwilligung="J") for n in (1, 2)])
    for number in (1, 2):
        _opened(_message(chain, number).id)
    take_in(chain.engine)
    shown = look_up(chain.engine, BANK, NUMBER).contents()
    assert [row["agent"] for row in shown["tables"]["hits"]] == ["a mail program"]
    receipt = _erase(chain)
    assert {"place": "table hits", "rows": 1} in receipt.removed
    assert [row.message_id for row in chain.rows(hits)] == [_message(chain, 1).id]


def _opened(message: int) -> None:
    journal = HitJournal(settings().hit_journals())
    journal.note("OPENED", message, agent="a mail program")
    journal.close()


def test_not_while_a_file_is_still_to_be_taken_in(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    chain.move(NOON + timedelta(days=1))
    chain.deliver(2, [person(2, 2)])
    _refused(chain, "still to be taken in", "eingang/reku_")


def test_not_while_a_delivery_is_parked(chain: Chain) -> None:
    chain.deliver(1, PEOPLE)
    chain._order = True
    chain.take_in()
    assert [row.state for row in chain.rows(deliveries)] == ["PARKED"]
    _refused(chain, "(PARKED)")


@pytest.mark.parametrize("state", [DeliveryState.REGISTERED, DeliveryState.VALIDATED, DeliveryState.RELEASED])
def test_not_while_a_delivery_is_on_its_way(chain: Chain, state: DeliveryState) -> None:
    chain.deliver(1, PEOPLE)
    chain.take_in()
    if state != DeliveryState.REGISTERED:
        chain.load()
        with chain.engine.begin() as connection:
            allow_any_step(connection)
            connection.execute(sa.delete(messages))
            connection.execute(sa.update(deliveries).values(state=state))
    _refused(chain, f"({state})")


def test_not_before_all_is_reported(chain: Chain) -> None:
    chain.deliver(1, PEOPLE)
    chain.take_in()
    chain.send()
    _refused(chain, "1 events", "response file")
    chain.report()
    _erase(chain)


def test_not_while_a_response_file_is_half_made(chain: Chain) -> None:
    chain.deliver(1, PEOPLE)
    chain.take_in()
    chain.send()
    shutil.rmtree(chain.root / BANK / "ausgang")
    (chain.root / BANK / "ausgang").write_bytes(b"in the way")
    with pytest.raises(Exception, match="ausgang"):
        chain.report()
    _refused(chain, "1 events")


@pytest.mark.parametrize("state", [MessageState.CLAIMED, MessageState.IN_DOUBT])
def test_not_while_a_mail_is_in_hand_or_in_doubt(chain: Chain, state: MessageState) -> None:
    chain.deliver(1, PEOPLE)
    chain.take_in()
    chain.load()
    with chain.engine.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).where(messages.c.person_number == NUMBER).values(state=state, fence=1))
    _refused(chain, "dispatch" if state == MessageState.CLAIMED else "in doubt")
    if state == MessageState.IN_DOUBT:
        delivery = chain.rows(deliveries)[0].id
        with chain.engine.begin() as connection:
            connection.execute(sa.update(messages).values(begun_at=NOON))
        resolve_all(chain.engine, BANK, delivery, sent=True, actor="anna", note="in the log")
        chain.report()
        _erase(chain)


def test_in_the_middle_of_a_dispatch(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail that is on the wire right now: refused; one not yet claimed: stopped, and the dispatch goes on without."""
    change_settings(monkeypatch, dispatch_batch=1, smtp_connections=1)
    chain.deliver(1, [person(n) for n in range(1, 7)])
    chain.take_in()
    chain.load()
    tried: dict[str, str] = {}

    def at(point: str, recipient: str) -> str | None:
        if point == "data" and recipient.startswith("adresse1x") and not tried:
            for number in (1, 6):
                try:
                    _erase(chain, f"{number:010d}")
                    tried[f"{number}"] = "erased"
                except StageError as error:
                    tried[f"{number}"] = str(error)
        return None

    chain.sink.say = at
    chain.send()
    assert "is being dispatched" in tried["1"]
    assert tried["6"] == "erased"
    assert sorted(chain.sink.recipients) == [f"adresse{n}x@kunde.example" for n in range(1, 6)]
    assert [row.state for row in chain.rows(messages)] == ["SENT"] * 5 + ["WITHHELD"]
    assert all(row.adds_up for row in funnel(chain.engine))


def test_a_refused_original_is_cut_too_and_cannot_be_retried(chain: Chain) -> None:
    wrong = [person(n, Anlass_Code="MCAG008") for n in (1, 2, 3)]
    chain.deliver(1, wrong)
    chain.take_in()
    chain.load()
    (refused,) = chain.rows(deliveries)
    assert refused.state == "REFUSED"
    found = look_up(chain.engine, BANK, NUMBER)
    assert len(found.tables["rejects"]) == 1
    assert {one.kept.folder for one in found.files} == {"fehler", "ausgang"}, "receipts are found by the Referenz"
    _erase(chain)
    assert places_with(chain, OWN) == []
    with pytest.raises(StageError, match="no longer what arrived"):
        retry(chain.engine, refused.id, "anna")


def test_an_unknown_file_loses_the_persons_lines(chain: Chain) -> None:
    chain.put("kunden.txt", f"1;{NUMBER};Nachname2x\n2;{NUMBER}0;other\n".encode())
    chain.put("kunden.bin", b"\x1f\x8b" + NUMBER.encode())
    chain.take_in()
    receipt = _erase(chain)
    assert (chain.root / BANK / "fehler" / "kunden.txt").read_text() == f"2;{NUMBER}0;other\n"
    assert any("broken archive" in row["why"] for row in receipt.kept)


def test_an_original_that_cannot_be_written_is_done_by_the_next_run(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.whole_day(1, PEOPLE)
    whole = BankFolders.write

    def full(self: BankFolders, path: str, blocks: list[bytes]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BankFolders, "write", full)
    with pytest.raises(StageError, match=r"not yet from .*archiv.*No space left"):
        _erase(chain)
    assert chain.rows(delivery_rows, delivery_rows.c.person_number == NUMBER) == []
    monkeypatch.setattr(BankFolders, "write", whole)
    receipt = _erase(chain)
    assert [row["rows"] for row in receipt.removed] == [1]
    assert list(chain.originals().values()) == [[f"{n:010d}" for n in (1, 3)]]
    assert list(chain.root.rglob("*.tmp")) == []


def test_the_note_names_nobody(chain: Chain) -> None:
    chain.whole_day(1, PEOPLE)
    with pytest.raises(StageError, match="note"):
        erase(chain.engine, BANK, NUMBER, actor="anna", note=f"asked for {NUMBER}")


def test_show_and_write(chain: Chain, reku: Callable[..., Any], tmp_path: Path) -> None:
    chain.whole_day(1, PEOPLE)
    target = tmp_path / "auskunft.json"
    said = reku("person", "show", BANK, NUMBER, "--to", target)
    assert said.exit_code == 0, said.output
    assert not any(word in said.output.replace(str(target), "") for word in OWN)
    for place in ("table subscribers", "table delivery_rows", "table messages", "table responses", "/archiv/2026/11/"):
        assert place in said.output
    assert target.stat().st_mode & 0o777 == 0o600
    told = json.loads(target.read_text(encoding="utf-8"))
    assert told["tables"]["subscribers"][0]["fields"]["Nachname"] == "Nachname2x"
    assert {row["Nachname"] for file in told["files"] if "/archiv/" in file["path"] for row in file["rows"]} == {
        "Nachname2x"
    }
    assert "Nachname1x" not in target.read_text(encoding="utf-8")
    again = reku("person", "show", BANK, NUMBER, "--to", target)
    assert (again.exit_code, "not overwritten" in again.output) == (1, True)
    assert json.loads(reku("person", "show", BANK, NUMBER, "--json").output)["institute"] == BANK
    assert reku("person", "show", BANK, "7").exit_code == 1


def test_erase_by_command(chain: Chain, reku: Callable[..., Any], tmp_path: Path) -> None:
    chain.whole_day(1, PEOPLE)
    target = tmp_path / "quittung.json"
    done = reku("person", "erase", BANK, NUMBER, "--note", "letter of today", "--receipt", target)
    assert done.exit_code == 0, done.output
    told = json.loads(target.read_text(encoding="utf-8"))
    assert told["person"] in done.output
    assert not any(word in done.output + target.read_text(encoding="utf-8") for word in OWN)
    again = reku("person", "erase", BANK, NUMBER, "--note", "letter of today", "--receipt", target)
    assert (again.exit_code, "Nothing is erased" in again.output) == (1, True)
    assert json.loads(reku("person", "erase", BANK, NUMBER, "--note", "again", "--json").output)["stopped"] == 0
