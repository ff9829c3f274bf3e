"""What people do long after a mail, when its order may have ended (docs/responses.md, "What is reported")."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from reku.contact.decide import reasons
from reku.contact.policy import policy_of
from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.foundation.tokens import Purpose, Target, make
from reku.records import contracts, read
from reku.responses.tracker import app
from reku.store.states import MessageState
from reku.store.tables import orders
from reku_testing import banks, world
from reku_testing.by_blz import export
from reku_testing.serving import served

OTHER = "R0000002"


@pytest.fixture
def web(bank: Path) -> Iterator[httpx.Client]:
    with served(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def _mailed(engine: sa.Engine, ago: timedelta, **values: Any) -> int:
    """A message of the order `world.ORDER`, which has ended since."""
    order = world.order(engine, **({"ended": True} | values))
    row = world.row(engine, world.delivery(engine, order), world.reku_fields())
    begun = clock.now() - ago
    return world.message(engine, row, state=MessageState.SENT, medium="SCOM_GEBURTSTAG", begun_at=begun, ended_at=begun)


def _against_another_mail(engine: sa.Engine, number: str) -> set[Reason]:
    """What speaks against a new mail to the same person, from this order, taken up again if it has ended."""
    with engine.begin() as connection:
        order = connection.scalar(
            sa.update(orders).where(orders.c.order_number == number).values(ended=False).returning(orders.c.id)
        )
    order = order or world.order(engine, number)
    row = world.row(
        engine, world.delivery(engine, order, 18), world.reku_fields(delivery=18, Anlass_Datum="25.11.2026")
    )
    message = world.message(engine, row, occasion_date=date(2026, 11, 25))
    with engine.begin() as connection:
        return set(reasons(connection, policy_of(world.BLZ), [message], clock.today()).get(message, ()))


def _reported(folder: Path) -> list[dict[str, str]]:
    return [
        row
        for path in sorted((folder / world.BLZ / "ausgang").glob("response_*.csv"))
        for row in read(contracts()["RESPONSE"], path.read_bytes(), environment="T").as_dicts()
    ]


@pytest.mark.parametrize("ago", [timedelta(hours=2), timedelta(days=89), timedelta(days=200)], ids=str)
@pytest.mark.parametrize(
    ("ended", "by"),
    [({"ended": True}, "EINKLICK"), ({"ended": False, "valid_until": date(2026, 11, 1)}, "LINK")],
    ids=["by control file", "run out"],
)
def test_an_unsubscribe_of_an_ended_order_counts(
    web: httpx.Client, database: sa.Engine, reku_settings: Path, ago: timedelta, ended: dict[str, Any], by: str
) -> None:
    path = f"/u/{make(Purpose.UNSUBSCRIBE, Target(_mailed(database, ago, **ended)))}"
    assert web.post(path, data={"List-Unsubscribe": "One-Click"} if by == "EINKLICK" else {"k": "1"}).status_code == 200
    export(database, world.BLZ, daily=True)
    (told,) = _reported(reku_settings)
    assert (told["Ereignis_Art"], told["Grund_Code"], told["Abmelde_Umfang"]) == ("ABME", by, "LISTE")
    assert (told["Auftrags_Nr"], told["Referenz"]) == (world.ORDER, "R0004711-000017-00001")
    export(database, world.BLZ, daily=True)
    assert _reported(reku_settings) == [told], "told twice"
    assert Reason.ABGEMELDET in _against_another_mail(database, world.ORDER)
    assert Reason.ABGEMELDET not in _against_another_mail(database, OTHER)


def test_an_unsubscribe_from_all_of_a_bank_counts_beyond_the_ended_order(
    web: httpx.Client, database: sa.Engine, bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    banks.configure(monkeypatch, bank, unsubscribe_scope="institute")
    path = f"/u/{make(Purpose.UNSUBSCRIBE, Target(_mailed(database, timedelta(days=200))))}"
    assert web.post(path).status_code == 200
    assert Reason.ABGEMELDET in _against_another_mail(database, OTHER)
