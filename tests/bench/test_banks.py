"""The benchmark of many banks measures what it says: the work of all of them, and a scan that finds nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.bench import banks
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings

SIZES = banks.Sizes(banks=5, orders=3, earlier=2)


@pytest.mark.processes
def test_both_figures_are_of_all_banks() -> None:
    before = dict(os.environ)
    with banks.many_banks(SIZES) as engine:
        listed, scanned = banks.listing(engine, SIZES, rounds=1), banks.scanning(engine, SIZES, rounds=1)
        with pytest.raises(SetupError, match="5 pieces of work were found for 4 banks"):
            banks.listing(engine, banks.Sizes(banks=4), rounds=1)
        for name in ("unbekannt.txt", "unbekannt.txt.ok"):
            (Path(settings().files_url) / SIZES.blz(0) / "eingang" / name).write_bytes(b"")
        with pytest.raises(SetupError, match=r"5 banks were scanned: .*fehler"):
            banks.scanning(engine, SIZES, rounds=1)
        with engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM reku.deliveries"))
            connection.execute(sa.text("DELETE FROM reku.osplus_orders WHERE institute = '90000003'"))
            connection.execute(sa.text("DELETE FROM reku.orders WHERE institute = '90000003'"))
        with pytest.raises(SetupError, match="4 pieces of work were found for 5 banks"):
            banks.listing(engine, SIZES, rounds=1)
    assert listed.pop("ratio") > 0
    assert listed == {
        "stage": "banks",
        "what": "a day's work of one occasion of 5 banks listed, 15 orders",
        "against": "one bare statement for the same rows",
        "at_least": 0.33,
        "rounds": 1,
        "rows": 5,
    }
    assert scanned.pop("ratio") > 0
    assert scanned["what"] == "intake scan of 5 empty local inboxes, CPU"
    assert dict(os.environ) == before
