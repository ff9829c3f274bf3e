"""`reku deliveries`: what is shown of a delivery, and reading a refused one again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.dispatch.canary import CanaryFault
from reku.foundation.settings import settings
from reku.store.states import DeliveryState, FileVerdict, MessageState
from reku.store.tables import audit, deliveries, files, rejects, releases
from reku_testing import banks, smtp, world
from reku_testing.dispatching import dispatch
from tests.cli.conftest import Reku

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _world(clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock_at(NOW)
    banks.configure(monkeypatch, tmp_path / "include")


def _reject(database: sa.Engine, delivery: int) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(rejects).values(
                institute=world.BLZ,
                delivery_id=delivery,
                line=5,
                reference="R0004711-000017-00003",
                field="EMail",
                code="ADRESSE",
                advice="EMail: gültige Mailadresse angeben",
            )
        )


def test_list_is_filtered(reku: Reku, database: sa.Engine) -> None:
    order, other = world.order(database), world.order(database, "R0000002", institute="99950002")
    first = world.delivery(database, order, 17, state=DeliveryState.LOADED)
    second = world.delivery(database, order, 18, state=DeliveryState.PARKED, code="KEINE_STEUERUNG")
    third = world.delivery(database, other, 1)

    def ids(*arguments: str) -> list[int]:
        return [row["id"] for row in json.loads(reku("deliveries", "list", *arguments, "--json").stdout)]

    assert ids() == [third, second, first]
    assert ids("--institute", world.BLZ) == [second, first]
    assert ids("--order", "R0000002") == [third]
    assert ids("--state", "loaded") == [first]
    assert "KEINE_STEUERUNG" in reku("deliveries", "list").stdout


def test_show_counts_and_names_no_one(reku: Reku, database: sa.Engine) -> None:
    delivery = world.delivery(database, world.order(database), state=DeliveryState.LOADED)
    states = [
        {"state": MessageState.SENT},
        {"state": MessageState.WITHHELD, "reason": "ABGEMELDET"},
        {"state": MessageState.WITHHELD, "reason": "DUBLETTE"},
        {"state": MessageState.WITHHELD, "reason": "DUBLETTE"},
    ]
    rows = world.rows(database, delivery, [world.reku_fields(number) for number in (1, 2, 4, 5)])
    for row, state in zip(rows, states, strict=True):
        world.message(database, row, **state)
    _reject(database, delivery)
    found = json.loads(reku("deliveries", "show", delivery, "--json").stdout)
    assert (found["state"], found["rows"], found["accepted"]) == ("LOADED", 4, 4)
    assert found["messages"] == [
        {"state": "SENT", "reason": "", "count": 1},
        {"state": "WITHHELD", "reason": "ABGEMELDET", "count": 1},
        {"state": "WITHHELD", "reason": "DUBLETTE", "count": 2},
    ]
    assert [(row["line"], row["reference"], row["field"], row["code"]) for row in found["rejected_rows"]] == [
        (5, "R0004711-000017-00003", "EMail", "ADRESSE")
    ]
    shown = reku("deliveries", "show", delivery).stdout
    assert "DUBLETTE" in shown
    assert "R0004711-000017-00003" in shown


@pytest.mark.parametrize("command", [("show",), ("retry",), ("go-on", "--note", "looked at")])
def test_an_unknown_delivery(reku: Reku, database: sa.Engine, command: tuple[str, ...]) -> None:
    done = reku("deliveries", *command, 4711)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "There is no delivery 4711. `reku deliveries list` lists those that are known.\n"


def test_go_on_past_a_canary_that_was_taken_badly(
    reku: Reku,
    database: sa.Engine,
    clock_at: Callable[[datetime], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    campaign = {
        "order": world.ORDER,
        "name": "Geburtstage",
        "active": True,
        "blocks": [
            {"block": "start", "list": world.ORDER},
            {"block": "wait", "until": "09:00"},
            {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
        ],
        "canary": {"first": 2, "pause": "10m"},
    }
    banks.configure(monkeypatch, tmp_path / "include", campaigns=[campaign])
    delivery = world.delivery(database, world.order(database), state=DeliveryState.LOADED, released_at=NOW)
    for row in world.rows(database, delivery, [world.reku_fields(number) for number in range(5)]):
        world.message(database, row)
    unknown = smtp.only("rcpt", lambda address: "550 5.1.1 unknown" if address[6] == "0" else None)
    with smtp.running(smtp.Sink(say=unknown)) as sink:
        monkeypatch.setenv("REKU_SMTP_PORT", str(sink.port))
        settings.cache_clear()
        assert dispatch(database, delivery, day=NOW.date()).next_try is not None  # the canary's pause
        assert json.loads(reku("deliveries", "show", delivery, "--json").stdout)["canary_until"]
        clock_at(NOW + timedelta(minutes=11))
        with pytest.raises(CanaryFault, match=f"`reku deliveries go-on {delivery} --note …`"):
            dispatch(database, delivery, day=NOW.date())
        assert sink.recipients == ["person1@kunde.example"]
        done = reku("deliveries", "go-on", delivery, "--note", "a mailbox of ours")
        assert (done.exit_code, done.stderr) == (0, "")
        assert "Clear its `dispatch` task" in done.stdout
        assert dispatch(database, delivery, day=NOW.date()).sent == 3
    with database.connect() as connection:
        noted = connection.execute(sa.select(audit)).one()
    assert (noted.action, noted.subject) == ("go on after canary", f"deliveries:{delivery}")
    assert (noted.note, bool(noted.actor)) == ("a mailbox of ours", True)


def _refused(database: sa.Engine, order: int) -> int:
    delivery = world.delivery_file(database, order, [world.reku_fields(1)], state=DeliveryState.REFUSED, code="WERT")
    with database.begin() as connection:
        file = sa.select(deliveries.c.file_id).where(deliveries.c.id == delivery).scalar_subquery()
        connection.execute(sa.update(files).where(files.c.id == file).values(verdict=FileVerdict.REFUSED))
    return delivery


def test_retry_of_a_refused_one(reku: Reku, database: sa.Engine) -> None:
    delivery = _refused(database, world.order(database))
    done = reku("deliveries", "retry", delivery, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"delivery_id": delivery, "state": "REGISTERED", "code": "", "advice": ""}
    with database.connect() as connection:
        noted = connection.execute(sa.select(audit)).one()
    assert (noted.action, noted.subject) == ("deliveries retry", f"deliveries:{delivery}")
    assert noted.actor
    again = reku("deliveries", "retry", delivery)
    assert (again.exit_code, "not REFUSED" in again.stderr) == (1, True)


def test_retry_that_is_refused_again_is_one(reku: Reku, database: sa.Engine) -> None:
    delivery = _refused(database, world.order(database, ended=True))
    done = reku("deliveries", "retry", delivery)
    assert done.exit_code == 1
    assert done.stdout.startswith(f"Delivery {delivery} is REFUSED ")


def test_retry_for_a_bank_that_is_gone(reku: Reku, database: sa.Engine, tmp_path: Path) -> None:
    delivery = _refused(database, world.order(database))
    (tmp_path / "include" / "institutes" / f"{world.BLZ}.yaml").unlink()
    done = reku("deliveries", "retry", delivery)
    assert done.exit_code == 1
    assert f"Add institutes/{world.BLZ}.yaml" in done.stderr


def test_report_is_made_anew_and_named(reku: Reku, database: sa.Engine) -> None:
    delivery = world.delivery(database, world.order(database), 17, state=DeliveryState.VALIDATED, rows=10)
    _reject(database, delivery)
    file = settings().reports() / world.BLZ / str(delivery) / "index.html"
    assert reku("deliveries", "report", delivery).stdout.split() == [str(file)]
    assert "R0004711-000017-00003" in file.read_text(encoding="utf-8")
    file.unlink()
    assert json.loads(reku("deliveries", "report", delivery, "--json").stdout) == {
        "delivery": delivery,
        "report": str(file),
    }
    assert file.exists()
    unknown = reku("deliveries", "report", 4711)
    assert unknown.exit_code == 1
    assert "There is no delivery 4711" in unknown.stderr


def _asked(database: sa.Engine) -> int:
    """A delivery of two people that a person is asked about."""
    delivery = world.delivery(database, world.order(database), state=DeliveryState.VALIDATED)
    world.rows(database, delivery, [world.reku_fields(number) for number in (1, 2)])
    with database.begin() as connection:
        connection.execute(sa.insert(releases).values(delivery_id=delivery, institute=world.BLZ, asked_at=NOW))
    return delivery


def test_who_waits_for_release_is_listed_until_somebody_approves(reku: Reku, database: sa.Engine) -> None:
    delivery = _asked(database)

    def asked() -> str | None:
        (row,) = json.loads(reku("deliveries", "list", "--json").stdout)
        return row["asked"]

    assert (asked() or "").startswith("2026-11-22")
    done = reku("deliveries", "approve", delivery, "--note", "sender confirms")
    assert "Clear its `release` task" in done.stdout
    assert asked() is None
    found = json.loads(reku("deliveries", "show", delivery, "--json").stdout)
    assert (found["state"], found["decision"]) == ("RELEASED", "APPROVED")
    assert found["decided_by"]
    with database.begin() as connection:
        connection.execute(sa.update(deliveries).values(state=DeliveryState.LOADED))
    assert "nothing is to be done" in reku("deliveries", "approve", delivery, "--note", "once more").stdout
    late = reku("deliveries", "decline", delivery, "--note", "too late")
    assert late.exit_code == 1
    assert "reku stop order" in late.stderr


def test_declining_withholds_every_row_once(reku: Reku, database: sa.Engine) -> None:
    delivery = _asked(database)
    told = json.loads(reku("deliveries", "decline", delivery, "--note", "wrong people", "--json").stdout)
    assert told == {"delivery": delivery, "decision": "DECLINED", "withheld": 2}
    assert "declined before" in reku("deliveries", "decline", delivery, "--note", "again").stdout
    found = json.loads(reku("deliveries", "show", delivery, "--json").stdout)
    assert found["state"] == "DECLINED"
    assert found["messages"] == [{"state": "WITHHELD", "reason": "FREIGABE_VERWEIGERT", "count": 2}]
    late = reku("deliveries", "approve", delivery, "--note", "no, yes")
    assert late.exit_code == 1
    assert "new delivery number" in late.stderr
    with database.connect() as connection:
        assert connection.scalars(sa.select(audit.c.action)).all() == ["delivery declined"]


def test_a_refused_one_that_was_replaced_waits_for_nobody(reku: Reku, database: sa.Engine) -> None:
    order = world.order(database)
    refused = world.delivery(database, order, state=DeliveryState.REFUSED, rows=20)
    waiting = world.delivery(database, order, 18, state=DeliveryState.REFUSED, rows=5)
    corrected = world.delivery(database, order, state=DeliveryState.REGISTERED, rows=21)
    told = {row["id"]: row["replaced_by"] for row in json.loads(reku("deliveries", "list", "--json").stdout)}
    assert told == {refused: corrected, waiting: None, corrected: None}
    (row,) = json.loads(reku("deliveries", "list", "--state", "REFUSED", "--json").stdout)
    assert row["id"] == waiting
    (row,) = json.loads(reku("funnel", "--json").stdout)
    assert row["not_loaded"] == 26
