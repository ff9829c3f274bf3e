"""A campaign reaches people by one channel after the other: the wished one, then the first that may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.contact import ContactRules
from reku.catalogue.institute import Institute
from reku.contact.reasons import Reason, reasons_against
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.pickup.file_channel import FileChannel
from reku.pickup.take import fetch
from reku.privacy.retention import apply
from reku.process.daily_feedback import write_daily_feedback
from reku.process.run_day import DayResult
from reku.process.systems import CHANNELS, bank_named, channel_faults
from reku.store import tables
from reku_testing.reported import rows_of
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.pickup.slips import FORMATS, SLIPS
from tests.process.test_announcing import campaign
from tests.process.test_selection_chain import BORN, TODAY, deliver, failed, in_clear, rows
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import work as work  # a fixture
from tests.sources.agree21.conftest import CoopBank, person

Move = Callable[[datetime], None]
Work = Callable[..., DayResult]
MEDIUM = "SCOM_GEBURTSTAG"
BIRTHDAY = {"Geburtsdatum": BORN}
NOWHERE = BIRTHDAY | {"EMail": ""}
ADDRESSES = [ChannelName.EMAIL, ChannelName.AGREE_MAILING]


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters and notes to advisors, each a toy."""
    for name in ("letter", "advisor"):
        monkeypatch.setitem(CHANNELS, name, FileChannel(name, SLIPS, reasons_against(name)))


def by(*channels: str) -> list[dict[str, Any]]:
    """The bank's campaign, by these channels in this order."""
    made = campaign()
    made["blocks"][-1] = {"block": "send", "channels": [{"channel": name, "medium": MEDIUM} for name in channels]}
    return [made]


def reached(database: sa.Engine) -> dict[int, str]:
    """Person (by the order in which they came) → channel and state of each one's message."""
    with database.connect() as connection:
        of = tables.messages.c
        told = connection.execute(sa.select(of.reference, of.channel, of.state).order_by(of.id)).all()
    return {int(row.reference[-5:]): f"{row.channel} {row.state}" for row in told}


def counted(database: sa.Engine) -> dict[str, int]:
    funnel: dict[str, int] = rows(database, tables.selections)[-1]["funnel"]
    pairs = {name: count for name, count in funnel.items() if name not in ("matched", "rows")}
    assert funnel["matched"] == sum(pairs.values())
    return {name: count for name, count in pairs.items() if count}


def channels(database: sa.Engine) -> list[str]:
    return sorted(row["channel"] for row in rows(database, tables.messages))


def test_the_first_that_reaches_a_person_is_taken(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    bank.configure(campaigns=by("email", "letter", "advisor"))
    household = {"Haushalt_ID": "0000077001"}
    deliver(
        bank,
        person(1, **BIRTHDAY),
        person(2, **BIRTHDAY, Einwilligung_EMail="N"),
        person(3, **NOWHERE, **household, Ansprechperson="J"),
        person(4, **NOWHERE, **household, Ansprechperson="N"),
        person(5, **NOWHERE, Strasse=""),
        person(6, **BIRTHDAY, Werbesperre_KZ="W"),
        person(7, **NOWHERE, Nachlass_KZ="J"),
    )
    assert failed(work()) == []
    assert relay.recipients == ["person1@kunde.example"]
    assert channels(database) == ["advisor", "advisor", "email", "letter", "letter"]
    assert sorted(reached(database).values()) == [
        "advisor PREPARED", "advisor PREPARED", "email SENT", "letter PREPARED", "letter PREPARED"
    ]  # fmt: skip
    assert counted(database) == {"selected": 5, "WERBEVERWEIGERER": 1, "NACHLASS": 1}
    assert in_clear(database, "Müßig2", "0000000002", "Prüfweg") == set()
    files = rows(database, tables.prepared_files)
    made = [fetch(database, bank_named(BLZ), FORMATS, row["id"], actor="Erika Beispiel") for row in files]
    lines = b"".join(one.files[one.name] for one in made).decode().splitlines()
    assert sorted(line.split()[1] for line in lines if not line.startswith("slips")) == [
        "0000000002", "0000000003", "0000000004", "0000000005"
    ]  # fmt: skip
    assert "Müßig2" in "".join(lines)
    assert in_clear(database, "Müßig2", "0000000002", "Prüfweg") == set()
    # A second run finds nobody, and after 36 hours nothing of them is left.
    assert failed(work()) == []
    assert len(rows(database, tables.messages)) == 5
    later = clock.now() + timedelta(hours=37)
    clock_at(later)
    apply(database, later)
    assert rows(database, tables.delivery_rows) == []
    assert rows(database, tables.prepared_rows) == []


def test_vtm_hears_by_which_channel(database: sa.Engine, bank: CoopBank, work: Work, relay: Sink) -> None:
    bank.configure(campaigns=by("email", "letter"))
    deliver(bank, person(1, **BIRTHDAY), person(2, **NOWHERE))
    assert failed(work()) == []
    fetch(database, bank_named(BLZ), FORMATS, 1, actor="Erika Beispiel")
    assert write_daily_feedback(database, BLZ)["rows"] == 1
    told = [
        (row["Personennummer"], row["Aktivitaet_Art"], row["Ergebnis"])
        for file in (bank.files / BLZ / "ausgang").glob("vtm_akte_*.csv")
        for row in rows_of(file.read_bytes(), "VTM_AKTE")
    ]
    assert sorted(told) == [("0000000001", "EMAIL", "VERSENDET"), ("0000000002", "BRIEF", "VERSENDET")]


def test_whom_no_channel_reaches_stays_a_candidate(database: sa.Engine, bank: CoopBank, work: Work) -> None:
    bank.configure(campaigns=by("letter"))
    deliver(bank, person(1, **NOWHERE, Ort=""), person(2, **BIRTHDAY, PLZ=""))
    work(stages=())
    assert counted(database) == {"without_address": 1, "on_no_channel": 1}
    assert rows(database, tables.messages) == []


@pytest.mark.parametrize("wished", [ChannelName.LETTER, ChannelName.AGREE_MAILING])
def test_what_is_known_of_addresses_bars_mails_only(wished: ChannelName) -> None:
    assert reasons_against("email") == reasons_against("agree_mailing") == frozenset(Reason)
    barred_by = reasons_against(wished)
    assert {Reason.WERBEVERWEIGERER, Reason.NACHLASS, Reason.SPERRZEIT, Reason.OBERGRENZE} <= barred_by
    assert (Reason.KEINE_EINWILLIGUNG in barred_by) is (wished in ADDRESSES)


@pytest.mark.parametrize("name", ["postfach", "Postbox", "electronic_mailbox"])
def test_the_electronic_mailbox_is_no_channel(bank: CoopBank, name: str) -> None:
    bank.configure(campaigns=by("email", name))
    with pytest.raises(ConfigError, match="a place where documents are kept, not for a way to be written to"):
        bank_named(BLZ)


def test_channels_need_an_order_of_our_own_and_no_second_list_of_media() -> None:
    given = {"announces": None, "order": "R0000101"}
    bad = [by("email")[0] | given, by("email", "email")[0], by("email")[0]]
    bad[2]["blocks"][-1]["media"] = [MEDIUM]
    told = {
        "blz": BLZ, "name": "Bank", "core_system": "agree21", "state": "SN", "imprint": "Bank", "colours": {
            "primary": "#0066B3"}, "contact": ContactRules(),
        "sender": {"name": "Bank", "address": "service@bank.example", "domains": ["bank.example"]},
    }  # fmt: skip
    for one, why in zip(bad, ("announces", "more than once", "but not both"), strict=True):
        with pytest.raises(ValueError, match=why):
            Institute.model_validate(told | {"campaigns": [one]})


def test_contacts_count_across_channels(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, clock_at: Move
) -> None:
    """A letter today keeps a mail of another campaign from going out tomorrow."""
    contact = {"blocking_days": {MEDIUM: 30}}
    other = campaign("K2026-015", "Goldene Runde")
    bank.configure(campaigns=by("letter"), contact=contact)
    deliver(bank, person(1, **BIRTHDAY))
    assert failed(work()) == []
    assert channels(database) == ["letter"]
    tomorrow: date = TODAY + timedelta(days=1)
    clock_at(clock.at(tomorrow, 5, 30))
    bank.configure(campaigns=[*by("letter"), other], contact=contact)
    deliver(bank, person(1, Geburtsdatum="25.11.1976"), at=clock.at(tomorrow, 4, 10))
    assert failed(work(stages=())) == []
    assert [row["funnel"].get("SPERRZEIT", 0) for row in rows(database, tables.selections)][-1] == 1
    assert relay.recipients == []


def test_a_channel_that_is_not_there_holds_up_no_other(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(CHANNELS, "advisor")
    bank.configure(campaigns=by("advisor", "email"))
    (fault,) = channel_faults()
    assert "the channel advisor is not served yet" in str(fault)
    assert str(fault.file).endswith(f"{BLZ}.yaml")
    bank.configure(campaigns=by("email", "advisor"))
    deliver(bank, person(1, **BIRTHDAY), person(2, **NOWHERE))
    assert [why for stage, why in failed(work()) if stage == "dispatch" and "no channel 'advisor'" in why]
    assert relay.recipients == ["person1@kunde.example"]
    assert channels(database) == ["advisor", "email"]
