"""A throw-away database with a bank of its own, and deliveries of as many invented people as a benchmark wants."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path

import sqlalchemy as sa

from reku.bench.render import configuration
from reku.foundation import clock
from reku.foundation.bank_folders import Folder, path_below
from reku.foundation.settings import settings
from reku.records import contracts
from reku.store import tables
from reku.store.kinds import DeliverySource, SealedKind
from reku.store.migrate import migrate
from reku.store.states import DeliveryState, FileVerdict
from reku.vault.day_keys import seal_of_day
from reku.vault.sealed_rows import close
from reku_testing.throwaway import ThrowawayPostgres

BLZ = "99990009"
ORDER = "R0000901"
OCCASION = "MCAG002"
_BANK = f"""\
blz: {BLZ}
name: Messbank
core_system: osplus
state: NW
interface_active_from: 2025-01-01
sender:
  name: Messbank
  address: service@messbank.example
  domains: [messbank.example]
  reply_to: kontakt@messbank.example
send_until: 23:59
colours: {{primary: "#CC0000", on_primary: "#FFFFFF", text: "#333333", background: "#F2F2F2"}}
imprint: Messbank, Marktplatz 1, 99999 Musterstadt
campaigns:
  - order: {ORDER}
    name: Runde Geburtstage
    active: true
    blocks:
      - {{block: start, list: {ORDER}}}
      - {{block: wait, until: 00:00}}
      - {{block: send, media: [SCOM_GEBURTSTAG]}}
"""
_FIELDS = {
    "Anlass_Code": OCCASION,
    "Anlass_Datum": "24.11.2026",
    "Anlass_Wert": "50",
    "Anrede": "2",
    "Vorname": "Jördis",
    "Nachname": "Beispiel-Müßig",
    "Einwilligung_EMail": "J",
    "Tracking_Einwilligung": "J",
    "Geschaeftsstelle": "Filiale Marktplatz",
    "Berater_Nr": "B0042",
    "Berater_Absendername": "Ole Muster",
    "Berater_E-Mail": "ole.muster@messbank.example",
    "Berater_Telefon": "+49 99 000000",
}

_ROWS = sa.text("""
    INSERT INTO reku.delivery_rows
        (institute, delivery_id, line, reference, person_number, address, occasion_date, consent, tracking, salutation,
            fields)
    SELECT :blz, :delivery, number + 2, reference, lpad(CAST(number AS text), 10, '0'), address, :day, true, true, '2',
        CAST(:fields AS jsonb) || jsonb_build_object('EMail', address,
            'Personennummer', lpad(CAST(number AS text), 10, '0'))
    FROM (
        SELECT number, :order_number || '-' || lpad(CAST(:delivery_number AS text), 6, '0') || '-' ||
            lpad(CAST(number AS text), 7, '0') AS reference,
            'person' || number || '.' || :delivery_number || '@kunde.example' AS address
        FROM generate_series(1, :people) AS number
    ) AS made
""")
_MESSAGES = sa.text("""
    INSERT INTO reku.messages (institute, order_id, delivery_id, delivery_number, row_id, reference, person_number,
        recipient_key, occasion_date, consent, tracking, due_at, last_day)
    SELECT institute, :order, delivery_id, :delivery_number, id, reference, person_number,
        encode(sha256(convert_to(address, 'UTF8')), 'hex'), occasion_date, true, true, :due, :last_day
    FROM reku.delivery_rows WHERE delivery_id = :delivery
""")


@dataclass
class World:
    """The database, and the environment of a process that works on it (database, configuration, keys, journals).

    `folder` is for whatever else belongs to it.
    """

    engine: sa.Engine
    folder: Path
    environment: dict[str, str]
    _order: int = field(init=False)
    _deliveries: int = 0

    def __post_init__(self) -> None:
        moment = clock.now()
        with self.engine.begin() as connection:
            self._order = _insert(
                connection,
                tables.orders,
                institute=BLZ,
                order_number=ORDER,
                name="Messung",
                occasion=OCCASION,
                rhythm="TAEGLICH",
                valid_from=clock.today(),
                expected_by=time(6),
            )
            connection.execute(
                sa.insert(tables.osplus_orders).values(
                    order_id=self._order, institute=BLZ, interface="REKU", origin="BANK", control_created_at=moment
                )
            )

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """The settings of this process are those of the world."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        settings.cache_clear()
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            settings.cache_clear()

    def delivery(self, people: int, *, sealed: bool = False) -> int:
        """A further delivery, loaded and released, with an open message due now for each of so many people.

        The people of each delivery are others. `sealed`: their names and addresses are, as those of people whom we
        select ourselves; REKU_VAULT_KEYS is needed then. Returns its id.
        """
        self._deliveries += 1
        moment, number = clock.now(), self._deliveries
        with self.engine.begin() as connection:
            delivery = _insert(
                connection,
                tables.deliveries,
                institute=BLZ,
                source=DeliverySource.OSPLUS_FILE,
                contract="REKU",
                order_number=ORDER,
                order_id=self._order,
                occasion=OCCASION,
                delivery_number=number,
                created_at=moment,
                day=clock.today(),
                period_start=clock.today(),
                state=DeliveryState.LOADED,
                released_at=moment,
                loaded_at=moment,
                rows=people,
                accepted=people,
                rejected=0,
                file_id=_insert(
                    connection,
                    tables.files,
                    institute=BLZ,
                    file_name=f"reku_{number}.csv",
                    kind="REKU",
                    sha256="0" * 64,
                    received_at=moment,
                    verdict=FileVerdict.REGISTERED,
                    stored_as=path_below(BLZ, Folder.ARCHIVE, f"{number}.csv"),
                ),
            )
            self._people(connection, delivery, number, people)
            if sealed:
                _seal(connection, delivery)
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("ANALYZE"))
        return delivery

    def _people(self, connection: sa.Connection, delivery: int, number: int, people: int) -> None:
        connection.execute(
            _ROWS,
            {
                "blz": BLZ,
                "delivery": delivery,
                "day": clock.today(),
                "fields": json.dumps(_FIELDS),
                "order_number": ORDER,
                "delivery_number": number,
                "people": people,
            },
        )
        connection.execute(
            _MESSAGES,
            {
                "order": self._order,
                "delivery": delivery,
                "delivery_number": number,
                "due": clock.now() - timedelta(minutes=1),
                "last_day": clock.today() + timedelta(days=2),
            },
        )


def _seal(connection: sa.Connection, delivery: int) -> None:
    """Seal what the contract of selected people has sealed."""
    rows, names = tables.delivery_rows, contracts()["AUSWAHL"].sealed
    seal = seal_of_day(connection, BLZ, SealedKind.ADDRESS, clock.today())
    found = connection.execute(sa.select(rows).where(rows.c.delivery_id == delivery)).all()
    closed = {row.id: close(seal, row.person_number, row.address, row.fields, names) for row in found}
    connection.execute(
        sa.update(rows).where(rows.c.id == sa.bindparam("row")).values(data_key_id=seal.id),
        [
            {"row": id_, "address": one.address, "fields": one.fields, "sealed": one.sealed}
            for id_, one in closed.items()
        ],
    )


def _insert(connection: sa.Connection, table: sa.Table, **values: object) -> int:
    new: int = connection.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one()
    return new


@contextmanager
def world(*, durable: bool = False) -> Iterator[World]:
    """A world of its own; nothing of it is left afterwards. `durable`: its commits reach the disk."""
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as name:
        folder = Path(name)
        server = ThrowawayPostgres(folder, durable=durable)
        server.start()
        try:
            server.create_database("bench")
            engine = sa.create_engine(server.url("bench"))
            migrate(engine)
            yield world_in(engine, folder)
            engine.dispose()
        finally:
            server.remove()


def world_in(engine: sa.Engine, folder: Path) -> World:
    """A world in an empty database with our schema, its files in `folder`."""
    return World(engine, folder, _environment(folder, engine.url.render_as_string(hide_password=False)))


def _environment(folder: Path, database_url: str) -> dict[str, str]:
    config = configuration(folder / "config")  # with mails as large as those that rendering is measured with
    (config / "institutes" / f"{BLZ}.yaml").write_text(_BANK, encoding="utf-8")
    return {
        "REKU_CONFIG_DIR": str(config),
        "REKU_DATABASE_URL": database_url,
        "REKU_FILES_URL": str(folder / "files"),
        "REKU_JOURNAL_DIR": str(folder / "journal"),
        "REKU_TRACKER_DIR": str(folder / "tracker"),
        "REKU_SECRET_KEY": "a key of benchmarks, long enough for them",
        "REKU_TOKEN_KEYS": "an older key of benchmarks long enough,a newer key of benchmarks long enough",
        "REKU_SMTP_TLS": "false",
    }
