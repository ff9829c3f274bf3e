"""What comes back about a selected person's mail when its row and what was sealed have left: all goes by token."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from reku.foundation.settings import settings
from reku.foundation.tokens import Purpose, Target, make
from reku.process.collecting import collect
from reku.process.daily_feedback import write_daily_feedback
from reku.responses.tracker import app
from reku.store import tables
from reku_testing.reported import rows_of
from reku_testing.serving import served
from reku_testing.smtp import Sink
from reku_testing.world import BLZ
from tests.process.test_announcing import campaign
from tests.process.test_contact_of_selected import Work, appoint
from tests.process.test_selection_chain import BORN, TODAY, deliver, failed, in_clear, rows
from tests.process.test_selection_chain import bank as bank  # a fixture
from tests.process.test_selection_chain import work as work  # a fixture
from tests.responses.conftest import BROWSER
from tests.responses.reports import report
from tests.sources.agree21.conftest import CoopBank, person

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
_LINK = re.compile(r"/([cou])/[\w.-]+")


def _links(mail: str) -> dict[str, str]:
    """Paths of the pixel (o), of a link (c) and of unsubscribing (u) in a mail, by their purpose."""
    return {found[1]: found[0] for found in reversed(list(_LINK.finditer(mail)))}


def _return(maildir: Path, mail: bytes) -> None:
    (maildir / "new").mkdir(parents=True, exist_ok=True)
    (maildir / "new" / "1700000000.M1.host").write_bytes(mail)


def test_opens_clicks_unsubscribes_and_bounces_go_on_by_token(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REKU_HIT_SETTLE_SECONDS", "0")
    monkeypatch.setenv("REKU_BOUNCE_MAILDIR", str(tmp_path / "returned"))
    settings.cache_clear()
    deliver(bank, *(person(number, Geburtsdatum=BORN, Tracking_Einwilligung="J") for number in (1, 2)))
    assert failed(work()) == []
    assert rows(database, tables.delivery_rows) == rows(database, tables.selected_rows) == []
    mail = relay.mails()[0]
    links = _links(mail.get_body(("html",)).get_content() + mail["List-Unsubscribe"])
    assert set(links) == {"c", "o", "u"}
    ids = [row["id"] for row in rows(database, tables.messages)]
    (other,) = [id_ for id_ in ids if make(Purpose.UNSUBSCRIBE, Target(id_)) not in links["u"]]
    headers = {"User-Agent": BROWSER}
    with served(app) as address, httpx.Client(base_url=address, timeout=30, headers=headers) as web:
        answers = [web.get(links["o"]), web.get(links["c"]), web.post(links["u"], data=ONE_CLICK)]
    assert [answer.status_code for answer in answers] == [200, 302, 200]
    _return(tmp_path / "returned", report(other))
    assert collect(database).problems == ()
    assert sorted((row["kind"], row["message_id"] == other) for row in rows(database, tables.responses)) == [
        ("BOUNCED_HARD", True),
        ("CLICKED", False),
        ("OPENED", False),
        ("SENT", False),
        ("SENT", True),
        ("UNSUBSCRIBED", False),
    ]
    assert write_daily_feedback(database, BLZ)["rows"] == 4
    newest = max((bank.files / BLZ / "ausgang").glob("vtm_akte_*.csv"))
    told = {(row["Ergebnis"], row["Personennummer"]) for row in rows_of(newest.read_bytes(), "VTM_AKTE")}
    assert {result for result, _ in told} == {"GEOEFFNET", "INTERESSE", "WIDERSPRUCH", "ADRESSE_PRUEFEN"}
    assert {number for _, number in told} == {"0000000001", "0000000002"}
    assert in_clear(database, "person1@", "person2@", "0000000001", "0000000002") == set()


def test_a_mandatory_campaign_reaches_whom_a_passing_reason_would_keep_out_and_nobody_who_refuses(
    database: sa.Engine, bank: CoopBank, work: Work, relay: Sink
) -> None:
    bank.configure(
        campaigns=[campaign() | {"mandatory": True}, campaign("K2026-015", "Zweite")],
        contact={"appointment_days": 0, "refusal": {"Werbesperre_KZ": ["W"]}},
    )
    deliver(bank, person(1, Geburtsdatum=BORN), person(2, Geburtsdatum=BORN, Werbesperre_KZ="W"))
    appoint(bank, TODAY, 1)
    assert failed(work()) == []
    assert relay.recipients == ["person1@kunde.example"]
    (order,) = {row["order_id"] for row in rows(database, tables.messages)}
    (mandatory,) = [row["id"] for row in rows(database, tables.orders) if row["order_number"] == "K2026-014"]
    assert order == mandatory
    funnels = [row["funnel"] for row in rows(database, tables.selections)]
    assert sorted((one.get("TERMIN", 0), one["selected"], one["WERBEVERWEIGERER"]) for one in funnels) == [
        (0, 1, 1),
        (1, 0, 1),
    ]
