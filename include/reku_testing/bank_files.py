"""Files of the demo banks as their core system would put them into the inbox, and what comes back to it."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

from reku.foundation import clock
from reku.foundation.settings import settings
from reku.records import Head, contracts, read, write
from reku_testing import world

BANK, OTHER = "99990001", "99990002"
ORDER = "R0000101"
"""Both banks have ordered round birthdays (MCAG002) under this number; their mails go out from 09:00 on."""
OCCASION = "MCAG002"


def put(bank: str, name: str, data: bytes) -> None:
    """A file in the bank's inbox."""
    inbox = Path(settings().files_url) / bank / "eingang"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_bytes(data)


def order(bank: str = BANK, *, rhythm: str = "TAEGLICH", name: str = "Geburtstag_rund", event: str = "NEU") -> None:
    """A control file in the bank's inbox, made now."""
    head = Head("VREKU", "1", bank, ORDER, "0", clock.now(), "FI", "EMMA", "T")
    row = {
        "Ereignis": event,
        "BLZ": bank,
        "Auftrags_Nr": ORDER,
        "Auftrags_Bezeichnung": name,
        "Anlass_Code": OCCASION,
        "Ausfuehrungsrhythmus": rhythm,
        "Vertriebsweg": "EMMA",
        "Gueltig_ab": "24.11.2026",
    }
    data = write(contracts()["VREKU"], head, list(row), [list(row.values())])
    put(bank, f"vreku_{bank}_{ORDER}_{_stamp()}.csv", data)


def deliver(number: int, people: list[dict[str, str]], bank: str = BANK, *, packed: bool = False) -> None:
    """A delivery in the bank's inbox, made now."""
    head = Head("REKU", "1", bank, ORDER, f"{number:06d}", clock.now(), "FI", "EMMA", "T")
    data = write(contracts()["REKU"], head, list(world.REKU_COLUMNS), [list(one.values()) for one in people])
    name = f"reku_{bank}_{ORDER}_{number:06d}_{_stamp()}.csv"
    put(bank, f"{name}.gz" if packed else name, gzip.compress(data) if packed else data)


def people(count: int, number: int = 1, **changes: str) -> list[dict[str, str]]:
    """Rows of so many people for delivery `number`: personN@kunde.example."""
    return [world.reku_fields(one, number, ORDER, **changes) for one in range(1, count + 1)]


def reported(bank: str = BANK) -> Counter[tuple[str, str]]:
    """Kind and Grund_Code of every row in the response files of a bank."""
    files = sorted((Path(settings().files_url) / bank / "ausgang").glob("response_*.csv"))
    rows = [
        row for file in files for row in read(contracts()["RESPONSE"], file.read_bytes(), environment="T").as_dicts()
    ]
    return Counter((row["Ereignis_Art"], row["Grund_Code"]) for row in rows)


def _stamp() -> str:
    return f"{clock.berlin(clock.now()):%Y%m%d%H%M%S}"
