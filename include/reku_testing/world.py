"""A small world for tests: orders, lists, files, deliveries, rows and messages, put straight into the database.

Every function takes what it needs, fills the rest with sound defaults and returns the new id. BLZ, people and
addresses are invented.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from reku.foundation import addresses, clock
from reku.foundation.settings import settings
from reku.records import Head, contracts, write
from reku.records.delivered_row import row_reader
from reku.store import tables
from reku.store.kinds import DeliverySource
from reku.store.states import DeliveryState, FileVerdict, MessageState

BLZ = "99950001"
ORDER = "R0004711"
APPROACH = "I0000815"
CREATED = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
"""Erstellt_am of the example deliveries: 22.11.2026 02:15:00 in Berlin."""

REKU_COLUMNS = (
    "Referenz",
    "Personennummer",
    "Anlass_Code",
    "Anlass_Datum",
    "Anlass_Wert",
    "Anrede",
    "Titel",
    "Vorname",
    "Nachname",
    "Firma",
    "Briefanrede",
    "EMail",
    "Einwilligung_EMail",
    "Tracking_Einwilligung",
    "Produkt_Text",
    "Geschaeftsstelle",
    "Berater_Nr",
    "Berater_Absendername",
    "Berater_E-Mail",
    "Berater_Telefon",
    "Berater_Bild",
    "Berater_Unterschrift",
)
IAMW_COLUMNS = (
    "Referenz",
    "Ansprache_Nr",
    "Personennummer",
    "Impuls_ID",
    "Anlass_Code",
    "Anlass_Datum",
    "Content_Schluessel",
    "Prioritaet",
    "Gueltig_bis",
    "Anrede",
    "Vorname",
    "Nachname",
    "EMail",
    "Einwilligung_EMail",
    "Tracking_Einwilligung",
)


def reku_fields(number: int = 1, delivery: int = 17, order: str = ORDER, **changes: str) -> dict[str, str]:
    """A row of a ReKu delivery that every gate lets through, with some fields changed."""
    fields = dict.fromkeys(REKU_COLUMNS, "") | {
        "Referenz": f"{order}-{delivery:06d}-{number:05d}",
        "Personennummer": f"{number:010d}",
        "Anlass_Code": "MCAG002",
        "Anlass_Datum": "24.11.2026",
        "Anlass_Wert": "50",
        "Anrede": "2",
        "Vorname": "Jördis",
        "Nachname": "Beispiel-Müßig",
        "EMail": f"person{number}@kunde.example",
        "Einwilligung_EMail": "J",
        "Tracking_Einwilligung": "N",
    }
    return fields | changes


def iamw_fields(number: int = 1, delivery: int = 3, order: str = APPROACH, **changes: str) -> dict[str, str]:
    """A row of an IAM.w delivery that every gate lets through, with some fields changed."""
    fields = dict.fromkeys(IAMW_COLUMNS, "") | {
        "Referenz": f"{order}-{delivery:06d}-{number:05d}",
        "Ansprache_Nr": order,
        "Personennummer": f"{number:010d}",
        "Anlass_Code": "MCAC120",
        "Anlass_Datum": "23.11.2026",
        "Anrede": "1",
        "Vorname": "Bernd",
        "Nachname": "Testmann",
        "EMail": f"person{number}@kunde.example",
        "Einwilligung_EMail": "J",
        "Tracking_Einwilligung": "J",
    }
    return fields | changes


def _insert(engine: sa.Engine, table: sa.Table, values: dict[str, Any]) -> int:
    with engine.begin() as connection:
        new: int = connection.execute(sa.insert(table).values(values).returning(table.c.id)).scalar_one()
    return new


def _row(engine: sa.Engine, table: sa.Table, key: int) -> sa.Row[Any]:
    with engine.connect() as connection:
        return connection.execute(sa.select(table).where(table.c.id == key)).one()


def order(engine: sa.Engine, number: str = ORDER, **values: Any) -> int:
    """A processed order: daily round birthdays of BLZ by ReKu, unless `values` say otherwise."""
    of_osplus = {
        "interface": "REKU",
        "origin": "BANK",
        "faulty": False,
        "control_created_at": datetime(2026, 11, 5, 20, 30, tzinfo=UTC),
    }
    for name in of_osplus.keys() & values.keys():
        of_osplus[name] = values.pop(name)
    told = {
        "institute": BLZ,
        "order_number": number,
        "name": "Geburtstag_rund_2026",
        "occasion": "MCAG002",
        "rhythm": "TAEGLICH",
        "valid_from": date(2026, 11, 6),
        "expected_by": time(6),
    } | values
    new = _insert(engine, tables.orders, told)
    with engine.begin() as connection:
        known = {"order_id": new, "institute": told["institute"]}
        connection.execute(sa.insert(tables.osplus_orders).values(known | of_osplus))
    return new


def _interface(engine: sa.Engine, order_id: int) -> str:
    with engine.connect() as connection:
        of = tables.osplus_orders.c
        found: str = connection.execute(sa.select(of.interface).where(of.order_id == order_id)).scalar_one()
    return found


def subscriber_list(engine: sa.Engine, order_id: int, **values: Any) -> int:
    """The reserved list of the order's present name (`created_at` and `frozen_at` empty unless given)."""
    of = _row(engine, tables.orders, order_id)
    name = values.get("order_name", of.name)
    return _insert(
        engine,
        tables.lists,
        {
            "institute": of.institute,
            "order_id": order_id,
            "order_name": name,
            "name": f"{of.occasion}_{name}",
            "reserved_at": datetime(2026, 11, 5, 20, 31, tzinfo=UTC),
        }
        | values,
    )


def file(engine: sa.Engine, **values: Any) -> int:
    """A file that arrived. `stored_as` names no real bytes unless the test puts some there."""
    return _insert(
        engine,
        tables.files,
        {
            "institute": BLZ,
            "file_name": "reku_99950001_R0004711_000017_20261122021500.csv",
            "kind": "REKU",
            "sha256": "0" * 64,
            "received_at": CREATED,
            "verdict": FileVerdict.REGISTERED,
            "stored_as": f"{BLZ}/archiv/2026/11/reku_99950001_R0004711_000017_20261122021500.csv",
        }
        | values,
    )


def delivery(engine: sa.Engine, order_id: int, number: int = 17, **values: Any) -> int:
    """A delivery of the order, REGISTERED unless `state` is given; makes its file unless `file_id` is given."""
    of, kind = _row(engine, tables.orders, order_id), _interface(engine, order_id)
    created = values.get("created_at", CREATED)
    if "file_id" not in values:
        name = f"{kind.lower()}_{of.institute}_{of.order_number}_{number:06d}_{created:%Y%m%d%H%M%S}.csv"
        values["file_id"] = file(
            engine,
            institute=of.institute,
            file_name=name,
            kind=kind,
            stored_as=f"{of.institute}/archiv/{created:%Y/%m}/{name}",
        )
    day = clock.berlin(created).date()
    return _insert(
        engine,
        tables.deliveries,
        {
            "institute": of.institute,
            "source": DeliverySource.OSPLUS_FILE,
            "contract": kind,
            "order_number": of.order_number,
            "order_id": order_id,
            "occasion": of.occasion,
            "delivery_number": number,
            "created_at": created,
            "day": day,
            "period_start": day,
            "state": DeliveryState.REGISTERED,
        }
        | values,
    )


def delivery_file(
    engine: sa.Engine, order_id: int, several: Sequence[dict[str, str]], number: int = 17, **values: Any
) -> int:
    """A delivery with a real file of these rows in the archive; the first row names the columns."""
    of, kind = _row(engine, tables.orders, order_id), _interface(engine, order_id)
    columns = tuple(several[0]) if several else (REKU_COLUMNS if kind == "REKU" else IAMW_COLUMNS)
    head = Head(kind, "1", of.institute, of.order_number, f"{number:06d}", CREATED, "FI", "EMMA", "T")
    data = write(contracts()[kind], head, columns, [list(fields.values()) for fields in several])
    new = delivery(engine, order_id, number, **values)
    file_id = _row(engine, tables.deliveries, new).file_id
    path = Path(settings().files_url) / _row(engine, tables.files, file_id).stored_as
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    with engine.begin() as connection:
        changed = sa.update(tables.files).where(tables.files.c.id == file_id)
        connection.execute(changed.values(sha256=hashlib.sha256(data).hexdigest()))
    return new


def row(engine: sa.Engine, delivery_id: int, fields: dict[str, str], line: int = 3, **values: Any) -> int:
    """An accepted row of a delivery, its columns taken from `fields`."""
    of = _row(engine, tables.deliveries, delivery_id)
    return _insert(
        engine,
        tables.delivery_rows,
        {
            "institute": of.institute,
            "delivery_id": delivery_id,
            "line": line,
            **typed(fields, of.contract),
        }
        | values,
    )


def typed(fields: dict[str, str], kind: str = "REKU") -> dict[str, Any]:
    """The columns of `delivery_rows` that a row's fields fill."""
    contract = contracts()[kind]
    others = {name: value for name, value in fields.items() if name != contract.roles["reference"]}
    return {**row_reader(contract)(fields)._asdict(), "fields": others}


def rows(engine: sa.Engine, delivery_id: int, several: list[dict[str, str]]) -> list[int]:
    """Accepted rows of a delivery, one after another; also sets the delivery's counts."""
    made = [row(engine, delivery_id, fields, line) for line, fields in enumerate(several, start=3)]
    with engine.begin() as connection:
        connection.execute(
            sa.update(tables.deliveries)
            .where(tables.deliveries.c.id == delivery_id)
            .values(rows=len(several), accepted=len(several), rejected=0)
        )
    return made


def message(engine: sa.Engine, row_id: int, **values: Any) -> int:
    """The message of an accepted row: OPEN and due at once unless `values` say otherwise."""
    of = _row(engine, tables.delivery_rows, row_id)
    by = _row(engine, tables.deliveries, of.delivery_id)
    return _insert(
        engine,
        tables.messages,
        {
            "institute": of.institute,
            "order_id": by.order_id,
            "delivery_id": by.id,
            "delivery_number": by.delivery_number,
            "row_id": row_id,
            "reference": of.reference,
            "person_number": of.person_number,
            "recipient_key": addresses.address_hmac(of.institute, of.address),
            "occasion_date": of.occasion_date,
            "consent": of.consent,
            "tracking": of.tracking,
            "due_at": CREATED,
            "last_day": date(2026, 12, 31),
            "state": MessageState.OPEN,
        }
        | values,
    )
