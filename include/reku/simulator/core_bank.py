"""The core banks: write control files, deliveries and data into the institutes' inboxes, complete ones only.

A file appears under a `.tmp` name, is renamed when it is whole, and gets an empty `.ok` marker.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping

import fsspec

from reku.catalogue import institutes
from reku.foundation.bank_folders import MARKER, Folder
from reku.foundation.clock import berlin
from reku.foundation.settings import settings
from reku.foundation.storage import DRAFT
from reku.records import Head, contracts, format_date, write
from reku.simulator.world import (
    DeliveryStep,
    DemoWorld,
    PlannedControlFile,
    PlannedData,
    PlannedDelivery,
    PlannedFile,
    PlannedRow,
)

_PARTIES = {"AGREE21": ("AGREE21", "MF")}
"""Partner of a contract → sender and receiver of its files, where it is not the savings banks' computing centre."""


def deliver(world: DemoWorld, step: DeliveryStep, files_url: str) -> list[str]:
    """Write all files of a step to `<files_url>/<BLZ>/eingang/`; returns their names."""
    system, root = fsspec.core.url_to_fs(files_url)
    names = []
    for file in world.files(step):
        inbox = f"{root}/{file.institute}/{Folder.INBOX}"
        name = file_name(file)
        system.makedirs(inbox, exist_ok=True)
        system.pipe_file(f"{inbox}/{name}{DRAFT}", content(file))
        system.mv(f"{inbox}/{name}{DRAFT}", f"{inbox}/{name}")
        system.touch(f"{inbox}/{name}{MARKER}")
        names.append(name)
    return names


def file_name(file: PlannedFile) -> str:
    """The name by the contract of its kind."""
    stamp = berlin(file.created_at).strftime("%Y%m%d%H%M%S")
    if isinstance(file, PlannedData):
        return f"{file.kind.lower()}_{file.institute}_{stamp}.csv"
    stem = f"{kind(file).lower()}_{file.institute}_{file.order.number}"
    if isinstance(file, PlannedControlFile):
        return f"{stem}_{stamp}.csv"
    return f"{stem}_{file.number:06d}_{stamp}.csv{'.gz' if file.packed else ''}"


def kind(file: PlannedFile) -> str:
    """The Dateiart: REKU, IAMW, or VREKU, VIAM of their control files; of data their own."""
    if isinstance(file, PlannedData):
        return file.kind
    if isinstance(file, PlannedDelivery):
        return file.order.kind
    return "VREKU" if file.order.kind == "REKU" else "VIAM"


def content(file: PlannedFile) -> bytes:
    """The bytes of the file, packed if it is a packed one; the same for the same file."""
    contract = contracts()[kind(file)]
    columns = tuple(column.name for column in contract.columns)
    parties = _PARTIES.get(contract.partner, ("FI", "EMMA"))
    head = Head(
        kind=contract.kind,
        version=contract.version,
        institute=file.institute,
        order_number="" if isinstance(file, PlannedData) else file.order.number,
        delivery_number=f"{file.number:06d}" if isinstance(file, PlannedDelivery) else "0",
        created_at=file.created_at,
        sender=parties[0],
        receiver=parties[1],
        environment=settings().environment,
    )
    rows = [[record.get(name, "") for name in columns] for record in _records(file)]
    data = write(contract.model_copy(update={"frame": "vkdn"}), head, columns, rows)
    return gzip.compress(data, mtime=0) if isinstance(file, PlannedDelivery) and file.packed else data


def _records(file: PlannedFile) -> Iterator[Mapping[str, str]]:
    if isinstance(file, PlannedData):
        yield from file.rows
    elif isinstance(file, PlannedControlFile):
        yield _control_record(file)
    else:
        yield from map(_record, file.rows)


def _control_record(file: PlannedControlFile) -> dict[str, str]:
    order = file.order
    shared = {
        "Ereignis": file.event,
        "BLZ": order.institute,
        "Anlass_Code": order.occasion,
        "Ausfuehrungsrhythmus": order.rhythm.value,
        "Vertriebsweg": "EMMA",
        "Gueltig_ab": format_date(file.valid_from),
        "Response_Umfang": order.response_scope,
        "Erwartet_bis": "06:00",
        "Herkunft": order.origin,
    }
    if order.kind == "REKU":
        return shared | {"Auftrags_Nr": order.number, "Auftrags_Bezeichnung": file.name, "Beraterbilder": "N"}
    return shared | {
        "Ansprache_Nr": order.number,
        "Ansprache_Bezeichnung": file.name,
        "Ansprache_Typ": "STANDARD",
        "Content_Art": "STANDARD",
        "Ausfuehrung": "MEHRFACH",
    }


def _record(row: PlannedRow) -> dict[str, str]:
    customer = row.customer
    record = {
        "Referenz": row.reference,
        "Personennummer": customer.person_number,
        "Anlass_Code": row.order.occasion,
        "Anlass_Datum": format_date(row.occasion_date),
        "Anlass_Wert": row.value,
        "Anrede": customer.salutation,
        "Titel": customer.title,
        "Vorname": customer.first_name,
        "Nachname": customer.last_name,
        "Firma": customer.firm,
        "Briefanrede": customer.greeting,
        "EMail": customer.address,
        "Einwilligung_EMail": row.consent,
        "Tracking_Einwilligung": customer.tracking,
        "Produkt_Text": row.product,
        "Geschaeftsstelle": "Filiale Marktplatz",
    }
    if row.order.kind == "IAMW":
        record |= {
            "Ansprache_Nr": row.order.number,
            "Impuls_ID": f"IMP-{row.reference}",
            "Content_Schluessel": row.content,
            "Prioritaet": "3",
            "Gueltig_bis": format_date(row.valid_until) if row.valid_until else "",
        }
    return {**record, **_advisor(row), **row.broken}


def _advisor(row: PlannedRow) -> dict[str, str]:
    """One customer in five has an advisor with an address, another one only the advisor's name."""
    number = int(row.customer.person_number) % 5
    if number > 1:
        return {}
    advisor = {"Berater_Nr": "B0042", "Berater_Absendername": "Ole Muster", "Berater_Telefon": "+49 99 000000"}
    domain = institutes()[row.order.institute].sender.domains[0]
    return advisor if number else advisor | {"Berater_E-Mail": f"ole.muster@{domain}"}
