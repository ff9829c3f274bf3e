"""The database puts a response file into words: the same bytes as if Python had written every row."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reku.catalogue.loader import institutes
from reku.records import Contract, FileRefused, Head, contracts, format_moment, write
from reku.records.writer import write_csv
from reku.reporting import export as exporting
from reku.reporting.feedback_format import Stamp
from reku.reporting.formats.osplus import KIND, OsplusResponses
from reku.store.bulk import copy_csv
from reku.store.kinds import UnsubscribedFrom
from reku.store.states import MessageState
from reku.store.tables import feedback_files, feedback_rows, messages, orders, responses
from reku_testing import banks, world
from reku_testing.reported import BEGUN, NOW, K, World

AD_2000, AD_2090 = (datetime(year, 1, 1) for year in (2000, 2090))  # noqa: DTZ001 # hypothesis adds the zone itself
# The fixtures only set up what every example may share.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
ENCODINGS = ("utf-8", "iso-8859-15")
AWKWARD = st.sampled_from(list(";\"'\\|= ,äßłŁ€„“\t\n\r\x01\x7f\x85\u2028\u0301e.N")) | st.characters(
    exclude_characters="\0", exclude_categories=("Cs",)
)
CELLS = st.text(AWKWARD, max_size=6) | st.sampled_from(["", "\\.", "\\N", '"', '""', ";", " x ", "=1+1"])


def contract(**changes: Any) -> Contract:
    """A contract of three columns: one may be transliterated, one has codes."""
    columns = [
        {"name": "A", "type": "AN(40)", "obligation": "M"},
        {"name": "B", "type": "AN(40)", "obligation": "O", "transliterate": True},
        {"name": "C", "type": "AN(40)", "obligation": "O"} | changes,
    ]
    known = {"kind": "TEST", "title": "x", "direction": "out", "version": "1", "file_name": "x", "columns": columns}
    return Contract.model_validate(known | {"file_name_example": "x", "encodings": [*ENCODINGS]})


HEAD = Head("TEST", "1", world.BLZ, "", "000001", NOW, "EMMA", "FI", "T")


def outcome(made: Callable[[], bytes]) -> Any:
    """The bytes, or what was refused."""
    try:
        return made()
    except FileRefused as refused:
        return [(fault.code, fault.line, fault.field) for fault in refused.faults]


@settings(SHARED, max_examples=60)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=5),
    encoding=st.sampled_from(ENCODINGS),
    codes=st.sampled_from([{}, {"x": "01"}]),
    batch=st.sampled_from([1, 2, 4096]),
)
@example(rows=[("a", "b", "c"), ("ł", "ł", "x")], encoding="iso-8859-15", codes={}, batch=1)
@example(rows=[("a", "e\u0301ł", "c"), ("a", "ł", "c")], encoding="iso-8859-15", codes={}, batch=1)
@example(rows=[("a", "b", "c"), ("a", "b\nc", "d")], encoding="utf-8", codes={}, batch=2)
@example(rows=[("a", "b", "c"), ("x" * 40_000, "y", "c")], encoding="utf-8", codes={}, batch=2)
@example(rows=[("a", "b", "c"), ("x" * 40_000, "y" * 200_000, "c")], encoding="utf-8", codes={}, batch=2)
def test_any_row(
    database: sa.Engine, rows: list[tuple[str, str, str]], encoding: str, codes: dict[str, str], batch: int
) -> None:
    layout = contract(codes=codes)
    names = [column.name for column in layout.columns]
    numbered = [(number, *row) for number, row in enumerate(rows)] or [(0, "", "", "")]
    of = sa.values(sa.column("number", sa.Integer), *(sa.column(name, sa.Text) for name in names), name="v")
    of = of.data(numbered)
    wanted = sa.select(sa.literal_column("'D'"), *(of.c[name] for name in names)).order_by(of.c.number)
    with database.connect() as connection:
        batches = copy_csv(connection, wanted.limit(len(rows)), delimiter=layout.delimiter, batch=batch)
        ours = outcome(lambda: b"".join(write_csv(layout, HEAD, names, batches, encoding=encoding)))
        batches.close()
    theirs = outcome(lambda: write(layout, HEAD, names, rows, encoding=encoding))
    # Of several faults the first batch that has one tells its own.
    assert ours == theirs or (batch < len(rows) and isinstance(ours, list) and isinstance(theirs, list))


MANY = (K.DELIVERED, K.OPENED, K.CLICKED)
CODES = dict(
    zip(K, ["VERS", "ZUGE", "OEFF", "KLIC", "ABME", "BESC", "HBOU", "SBOU", "UBOU", "ZRUE", "NVER"], strict=True)
)
MOMENTS = st.datetimes(AD_2000, AD_2090, timezones=st.just(UTC)) | (
    st.sampled_from([datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 3, 29, 0, 30, tzinfo=UTC)]).flatmap(
        lambda start: st.timedeltas(timedelta(0), timedelta(hours=2)).map(lambda late: start + late)
    )
)  # hypothesis wants them without a zone
TEXTS = st.text(st.sampled_from(list('abc;" äß€')), max_size=8)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(K),
            "at": MOMENTS,
            "reason": TEXTS,
            "scope": st.none() | st.sampled_from(UnsubscribedFrom),
            "link_number": st.none() | st.integers(0, 2**31 - 1),
            "link_target": TEXTS | st.just("ä" * 201),
            "bounce_series": st.none() | st.integers(1, 9),
        }
    ),
    max_size=6,
    unique_by=lambda event: _what_makes_it_one(event),
)


def _what_makes_it_one(event: dict[str, Any]) -> tuple[Any, ...]:
    """Of a link one click in an hour, of other kinds that come many times one at a moment."""
    at = event["at"] if event["kind"] in MANY else None
    if event["kind"] == K.CLICKED:
        at = event["at"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return event["kind"], event["link_number"], at


def test_the_contract_has_a_code_for_every_kind_of_event() -> None:
    assert contracts()[KIND].words("Ereignis_Art") == {code: kind for kind, code in CODES.items()}
    assert set(contracts()[KIND].words("Abmelde_Umfang").values()) == set(UnsubscribedFrom)


def event_id(event: dict[str, Any], message: dict[str, Any]) -> str:
    """docs/file-contracts.md, "Response files", in the words of the contract: an id must stay what it was for ever."""
    at = event["at"].astimezone(UTC).isoformat() if event["kind"] in MANY else ""
    link = "" if event["link_number"] is None else str(event["link_number"])
    number = f"{message['delivery_number']:06d}"
    parts = ("REKU", world.BLZ, world.ORDER, number, message["reference"], CODES[event["kind"]], at, link)
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def by_hand(bank: Any, stamp: Stamp, events: list[dict[str, Any]], message: dict[str, Any]) -> bytes:
    """The same file, row by row in Python: what is asked for, in its plainest words."""
    layout = contracts()[KIND]
    rows = [
        [
            event_id(event, message),
            bank.response.codes.get(CODES[event["kind"]], CODES[event["kind"]]),
            format_moment(event["at"]),
            message["reference"],
            message["person_number"],
            world.ORDER,
            f"{message['delivery_number']:06d}",
            "MCAG002",
            event["reason"],
            {None: "", "ORDER": "LISTE", "INSTITUTE": "ALLE"}[event["scope"]],
            "" if event["link_number"] is None else str(event["link_number"]),
            event["link_target"][:200],
            "" if event["bounce_series"] is None else str(event["bounce_series"]),
            message["medium"],
        ]
        for event in sorted(events, key=lambda event: (event["at"].replace(microsecond=0), event_id(event, message)))
    ]
    head = Head(KIND, "1", stamp.institute, "", f"{stamp.number:06d}", stamp.stamped_at, "EMMA", "FI", "T")
    return write(layout, head, [column.name for column in layout.columns], rows, encoding=bank.response.encoding)


@settings(SHARED, max_examples=30)
@given(
    events=EVENTS,
    number=st.integers(0, 999_999),
    medium=TEXTS,
    response=st.sampled_from([{}, {"codes": {"OEFF": "1%", "VERS": "'\\"}, "encoding": "iso-8859-15"}]),
)
def test_any_event(
    database: sa.Engine,
    tmp_path: Path,
    events: list[dict[str, Any]],
    number: int,
    medium: str,
    response: dict[str, Any],
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        banks.configure(patched, tmp_path / "include", response=response)
        bank = institutes()[world.BLZ]
        with database.connect() as connection:
            _put(connection, events, number, medium)
            found = connection.execute(sa.select(feedback_files)).one()
            file, order_number = exporting._file(connection, found.id)
            with exporting._files(connection, bank, OsplusResponses(), file, order_number, Counter()) as made:
                (ours,) = (b"".join(one.blocks) for one in made)
            message = connection.execute(sa.select(messages)).one()._asdict()
            connection.rollback()
        stamp = Stamp(file.institute, order_number, file.number, file.stamped_at, file.file_name)
        assert ours == by_hand(bank, stamp, events, message)


def _put(connection: sa.Connection, events: list[dict[str, Any]], number: int, medium: str) -> None:
    """Events of one message, assigned to a file; nothing of it is committed."""
    of = World(connection.engine) if connection.scalar(sa.select(sa.func.count()).select_from(orders)) == 0 else None
    if of is not None:
        of.message(state=MessageState.SENT)
    message = connection.execute(sa.select(messages)).one()
    connection.execute(sa.update(messages).values(medium=medium, delivery_number=number))
    new = sa.insert(feedback_files).values(
        institute=world.BLZ, number=1, file_name="x", stamped_at=BEGUN, rows=len(events)
    )
    file_id = connection.execute(new.returning(feedback_files.c.id)).scalar_one()
    for event in events:
        known = {"institute": world.BLZ, "message_id": message.id, "order_id": message.order_id, "recorded_at": NOW}
        made = connection.execute(sa.insert(responses).values(**event, **known).returning(responses.c.id)).scalar_one()
        connection.execute(sa.insert(feedback_rows).values(response_id=made, file_id=file_id, institute=world.BLZ))
