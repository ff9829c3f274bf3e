"""What the banks' core systems are told: the events of all response files, and of all files for advisors (VTM)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fsspec

from reku.catalogue import institutes
from reku.foundation.bank_folders import Folder
from reku.foundation.settings import settings
from reku.records import contracts, read
from reku.simulator.world import BANK_3, DemoWorld, PlannedRow

_ADVISORS_ARE_TOLD = {
    "VERS": "VERSENDET",
    "OEFF": "GEOEFFNET",
    "KLIC": "INTERESSE",
    "ABME": "WIDERSPRUCH",
    "HBOU": "ADRESSE_PRUEFEN",
    "ZRUE": "ADRESSE_PRUEFEN",
    "NVER": "NICHT_VERSENDET",
}
"""Ergebnis of an activity for each kind of event."""


@dataclass(frozen=True, order=True)
class Response:
    """A response event as the core bank sees it.

    `code` is Grund_Code; for clicks it is Link_Ziel; for kinds without a reason it is empty. Advisors are told the
    person instead of the row: `reference` is the clear person number then, `delivery` is 0, and `kind` the result.
    """

    institute: str
    order: str
    delivery: int
    reference: str
    kind: str
    code: str = ""

    def __str__(self) -> str:
        who = self.reference if self.delivery else f"a person of order {self.order}"
        return f"{self.kind} {self.code}".strip() + f" of {who} (institute {self.institute})"


def as_reported(row: PlannedRow, kind: str, code: str) -> Response:
    """An event of a row as its bank's core system is told it."""
    order = row.order
    if order.institute != BANK_3:
        return Response(order.institute, order.number, row.delivery_number, row.reference, kind, code)
    person, why = row.customer.person_number, "" if kind == "KLIC" else code
    return Response(order.institute, order.number, 0, person, _ADVISORS_ARE_TOLD[kind], why)


def reported(world: DemoWorld, files_url: str) -> Iterator[Response]:
    """All events of all files in the outboxes of the world's banks.

    Raises FileRefused for a file that breaks its contract.
    """
    for institute in sorted({order.institute for order in world.orders.values()}):
        if institute == BANK_3:
            yield from _of_advisors(institute, files_url)
        else:
            yield from _of_responses(institute, files_url)


def _of_responses(institute: str, files_url: str) -> Iterator[Response]:
    wishes = institutes()[institute].response
    ours = {theirs: code for code, theirs in wishes.codes.items()}
    for row in _rows(files_url, institute, "RESPONSE", wishes.encoding):
        kind = ours.get(row["Ereignis_Art"], row["Ereignis_Art"])
        yield Response(
            institute,
            row["Auftrags_Nr"],
            int(row["Lieferungs_Nr"]),
            row["Referenz"],
            kind,
            row["Link_Ziel"] if kind == "KLIC" else row["Grund_Code"],
        )


def _of_advisors(institute: str, files_url: str) -> Iterator[Response]:
    seen: set[tuple[str, str]] = set()
    for row in _rows(files_url, institute, "VTM_AKTE"):
        key = (row["Akten_Schluessel"], row["Aktivitaet_ID"])
        if key in seen:
            continue  # the sales system takes an activity once
        seen.add(key)
        person = row["Personennummer"]
        order = row["Akten_Schluessel"].removesuffix(f"-{person}")
        yield Response(institute, order, 0, person, row["Ergebnis"], row["Bemerkung_Code"])


def _rows(files_url: str, institute: str, kind: str, encoding: str | None = None) -> Iterator[Mapping[str, Any]]:
    """The rows of all files of a contract in a bank's outbox, oldest file first."""
    system, root = fsspec.core.url_to_fs(files_url)
    contract = contracts()[kind]
    outbox = f"{root}/{institute}/{Folder.OUTBOX}"
    for path in sorted(system.glob(f"{outbox}/*.csv")):
        name = path.rpartition("/")[2]
        if contract.match(name):
            file = read(
                contract, system.cat_file(path), environment=settings().environment, file_name=name, encoding=encoding
            )
            yield from file.as_dicts()
