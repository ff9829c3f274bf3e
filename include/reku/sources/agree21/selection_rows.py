"""The rows of a selection: as the gate wants them, sealed until it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.catalogue.product_texts import product_texts
from reku.foundation import clock
from reku.foundation.addresses import key_of_person
from reku.foundation.errors import StageError
from reku.records import Contract, contracts, format_date
from reku.records.delivered_row import YES
from reku.sources.agree21.channel_choice import CHANNEL, channels_by_code
from reku.sources.agree21.matches import Match, opener
from reku.store.bulk import copy_rows
from reku.store.kinds import SealedKind
from reku.store.states import WAITS_FOR_THE_GATE, WILL_NEVER_BE_LOADED, in_states
from reku.store.tables import deliveries, selected_rows
from reku.vault.day_keys import seal_of_day, seals
from reku.vault.erasure import end_seals

Row = dict[str, str]
_COLUMNS = (
    "delivery_id",
    "line",
    "institute",
    "person_number",
    "occasion_date",
    "recipient_key",
    "domain",
    "data_key_id",
    "sealed",
)
_NO = "N"


@dataclass(frozen=True)
class SelectedRows:
    """A selection's rows as the gate wants them."""

    contract: Contract
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def as_dicts(self) -> Iterator[Row]:
        """Each row by column."""
        for row in self.rows:
            yield dict(zip(self.columns, row, strict=True))


def write_rows(
    connection: sa.Connection,
    bank: Institute,
    order: sa.Row[Any],
    delivery: int,
    number: int,
    rows: Sequence[Match],
    channels: Sequence[ChannelName],
) -> int:
    """Write the rows of a delivery, sealed as wholes; `channels`: of the rows, in their order. Returns how many.

    Raises StageError if the addresses were forgotten meanwhile, SetupError if no key opens them.
    """
    if not rows:
        return 0
    seal = seal_of_day(connection, bank.blz, SealedKind.ADDRESS, clock.today())
    opened, encode = opener(connection, rows), msgspec.json.Encoder().encode
    fields_of = _FieldsOf(bank, order)

    def sealed() -> Iterator[tuple[object, ...]]:
        for line, (row, channel) in enumerate(zip(rows, channels, strict=True), start=1):
            person = row.person_number
            address = opened(row)
            if address is None:
                raise StageError(
                    f"{bank.name}, order {order.order_number}: the addresses were forgotten while people were selected."
                    " Import the bank's data anew, then clear `await_delivery`."
                )
            fields = fields_of(row, channel, address)
            fields["Referenz"] = f"{order.order_number}-{number:06d}-{line:05d}"
            yield (
                delivery,
                line,
                bank.blz,
                person,
                row.occasion_date,
                row.recipient_key or key_of_person(bank.blz, person),
                row.domain or "",
                seal.id,
                seal.seal(person, encode(fields)),
            )

    return copy_rows(connection, selected_rows, _COLUMNS, sealed())


class _FieldsOf:
    """The fields of an order's rows by the contract's names; what all rows share is looked up once."""

    def __init__(self, bank: Institute, order: sa.Row[Any]) -> None:
        self._occasion = order.occasion
        self._product_text = product_texts().text
        self._date = cache(format_date)
        self._refusing = frozenset(bank.contact.refusal.get("Werbesperre_KZ", ()))
        campaign = bank.campaign(order.order_number)
        self._of_channel = {channel: {CHANNEL: code} for code, channel in channels_by_code().items()}
        if campaign is not None and not campaign.is_by_mail_only:
            for channel in campaign.channels:
                self._of_channel[channel]["Werbemittel"] = campaign.media_of(channel)[0]

    def __call__(self, row: Match, channel: ChannelName, address: Mapping[str, str]) -> Row:
        """Those of one row that are not empty; the mail address only where the channel goes there."""
        salutation = row.salutation or "3"
        name = address.get("Nachname", "")
        fields = {
            "Personennummer": row.person_number,
            "Anlass_Code": self._occasion,
            "Anlass_Datum": self._date(row.occasion_date),
            "Anlass_Wert": row.value or (str(row.years) if row.years else ""),
            "Impuls_ID": row.impulse or "",
            "Prioritaet": str(row.priority) if row.priority else "",
            "Gueltig_bis": self._date(row.valid_until) if row.valid_until else "",
            "Kanal_Wunsch": row.wished_channel or "",
            "Anrede": salutation,
            "Titel": address.get("Titel", ""),
            "Vorname": address.get("Vorname", ""),
            "Nachname": "" if salutation == "4" else name,
            "Firma": name if salutation == "4" else "",
            "EMail": address.get("EMail", "") if channel.goes_to_an_address else "",
            "Einwilligung_EMail": YES,
            "Tracking_Einwilligung": YES if row.tracking else _NO,
            "Strasse": address.get("Strasse", ""),
            "PLZ": address.get("PLZ", ""),
            "Ort": address.get("Ort", ""),
            "Haushalt_ID": row.household,
            "Ansprechperson": YES if row.household_rank == 1 else _NO,
            "Werbesperre_KZ": self._flag(row.flags) if row.flags else "",
            "Nachlass_KZ": YES if row.estate else _NO,
            "Produkt_Text": self._product_text(row.product),
            "Berater_Nr": row.told_advisor or row.advisor or "",
        }
        return {field: value for field, value in fields.items() if value} | self._of_channel[channel]

    def _flag(self, flags: Sequence[str]) -> str:
        """Of several flags the one that the bank takes for a refusal, else the first."""
        return next((flag for flag in flags if flag in self._refusing), flags[0])


def read_rows(engine: sa.Engine, delivery: int, kind: str) -> SelectedRows:
    """The rows of a selection, opened in memory.

    Raises StageError if they are gone, SetupError if no key opens them.
    """
    contract = contracts()[kind]
    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(selected_rows).where(selected_rows.c.delivery_id == delivery).order_by(selected_rows.c.line)
        ).all()
        wanted = connection.execute(sa.select(deliveries.c.rows).where(deliveries.c.id == delivery)).scalar_one()
        keys = seals(connection, {row.data_key_id for row in rows})
    if len(rows) != wanted or any(row.data_key_id not in keys for row in rows):
        raise StageError(
            f"The selected rows of delivery {delivery} are gone. Refuse it (`reku deliveries refuse`), then select "
            "them anew (`reku deliveries retry`)."
        )
    columns = [column.name for column in contract.columns]
    defaults = [column.default for column in contract.columns]
    decode = msgspec.json.Decoder(Row).decode
    values = []
    for row in rows:
        fields = decode(keys[row.data_key_id].open(row.person_number, row.sealed))
        values.append([fields.get(name, default) for name, default in zip(columns, defaults, strict=True)])
    return SelectedRows(contract, columns, values, [row.line for row in rows])


def forget_rows(engine: sa.Engine, delivery: int) -> None:
    """Let the rows of a delivery go that waits for the gate no more: what it let through stands in `delivery_rows`."""
    with engine.begin() as connection:
        waiting = sa.exists().where(deliveries.c.id == delivery, in_states(deliveries, WAITS_FOR_THE_GATE))
        gone = connection.execute(
            sa.delete(selected_rows).where(selected_rows.c.delivery_id == delivery, ~waiting)
        ).rowcount
        refused = sa.select(deliveries.c.institute).where(
            deliveries.c.id == delivery, in_states(deliveries, WILL_NEVER_BE_LOADED)
        )
        if gone and (institute := connection.scalar(refused)):
            end_seals(connection, institute, subject=f"deliveries:{delivery}", told=f"{gone} selected rows erased")
