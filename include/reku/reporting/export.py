"""Report events to the core-banking system: each once, in numbered files that come out the same however often.

One transaction under a lock per institute draws the number, keeps the time stamp and assigns the events. Only then is
the file written from those rows. What was assigned and not written is finished first by whoever comes next.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.foundation.bank_folders import BankFolders, Folder, path_below
from reku.foundation.errors import SetupError, StageError
from reku.reporting.feedback_format import FeedbackFormat, OutgoingFile, Stamp
from reku.store import bounce_series
from reku.store.audit import put_on_record
from reku.store.bulk import copy_csv
from reku.store.due import on_day
from reku.store.feedback_file import no_such_file
from reku.store.kinds import EventKind
from reku.store.tables import deliveries, feedback_counters, feedback_files, feedback_rows, messages, orders, responses

log = logging.getLogger(__name__)

_MANY = 10_000
"""Events of a file from which on it pays to tell PostgreSQL how many they are."""


@dataclass(frozen=True)
class FeedbackFile:
    """A report: a response file, or what else its format makes of it.

    `rows`: its events, of which `left_out` have no line in it, since nobody can be named any more. `file_name`: of its
    only file or of its first. `sha256`, over the bytes of all of them, is None, and `path` empty, until it is written.
    """

    id: int
    institute: str
    order_id: int | None
    number: int
    file_name: str
    stamped_at: datetime
    rows: int
    left_out: int = 0
    sha256: str | None = None
    path: str = ""

    @property
    def counts(self) -> dict[str, int | str | None]:
        """What a task says of it."""
        counts: dict[str, int | str | None] = {"file": self.number, "rows": self.rows}
        return counts | ({"left_out": self.left_out} if self.left_out else {})


NOTHING_TOLD: dict[str, int | str | None] = {"file": None, "rows": 0}
"""What a task says where there was nothing to report."""


def export(
    engine: sa.Engine,
    bank: Institute,
    feedback: FeedbackFormat,
    *,
    order_id: int | None = None,
    daily: bool = False,
) -> FeedbackFile | None:
    """Write the bank's unreported events, or one order's, into a new response file in the bank's format.

    With nothing to report there is no file (None), except from the daily writer: it writes an empty one, once a Berlin
    day, so that silence is noticed. Raises ValueError for a daily file of one order, SetupError if the
    outbox cannot be written to.
    """
    if daily and order_id is not None:
        raise ValueError("the daily file is of all orders")
    finish_unwritten(engine, bank, feedback)
    file = assign(engine, bank, feedback, order_id=order_id, daily=daily)
    return _write(engine, bank, feedback, file.id) if file else None


def assign(
    engine: sa.Engine,
    bank: Institute,
    feedback: FeedbackFormat,
    *,
    order_id: int | None = None,
    daily: bool = False,
) -> FeedbackFile | None:
    """Fix number, time stamp and rows of a new file in one transaction; None if there is to be none, see `export`.

    From then on it will be written with just these, by whoever comes next.
    """
    with engine.begin() as connection:
        number = _next_number(connection, bank.blz)
        file = _assign(connection, feedback, bank.blz, number, order_id)
        if not file.rows and not (daily and not _daily_file_today(connection, file)):
            connection.rollback()
            return None
    return file


def finish_unwritten(engine: sa.Engine, bank: Institute, feedback: FeedbackFormat) -> list[FeedbackFile]:
    """Write the files of a bank whose events are assigned and which were never written, in order of number."""
    with engine.connect() as connection:
        left = connection.scalars(
            sa.select(feedback_files.c.id)
            .where(feedback_files.c.institute == bank.blz, feedback_files.c.written_at.is_(None))
            .order_by(feedback_files.c.number)
        ).all()
    finished = [_write(engine, bank, feedback, file_id) for file_id in left]
    if finished:
        log.info("Institute %s: %d response files begun earlier are finished.", bank.blz, len(finished))
    return finished


def rebuild(engine: sa.Engine, bank: Institute, feedback: FeedbackFormat, number: int) -> dict[str, bytes]:
    """The files of report `number` by name, made again from its rows; the check sum goes over all of them in order.

    Raises StageError if there is no such file, or if the bytes would not be those that were written: then the codes,
    the encoding or the contract were changed since, a person of it was erased, or rows have left by retention.
    """
    return _made_again(engine, bank, feedback, number)[1]


def send_again(
    engine: sa.Engine, bank: Institute, feedback: FeedbackFormat, number: int, *, actor: str
) -> dict[str, bytes]:
    """Put report `number` into the outbox once more, for a receiver that has lost it; the audit keeps who did.

    Returns its files by their path below the files URL; their bytes are those that were written. Raises StageError as
    `rebuild` does, and for a file that was never written, SetupError if the outbox cannot be written to.
    """
    file, made = _made_again(engine, bank, feedback, number)
    if file.sha256 is None:
        raise StageError(f"{file.file_name} was never written. The next export does it, with the same bytes.")
    sent = {_put(bank.blz, name, [data]): data for name, data in made.items()}
    with engine.begin() as connection:
        subject = f"feedback_files:{file.id}"
        put_on_record(
            connection, bank.blz, actor=actor, action="send response file again", subject=subject, note=file.file_name
        )
    return sent


def _made_again(
    engine: sa.Engine, bank: Institute, feedback: FeedbackFormat, number: int
) -> tuple[FeedbackFile, dict[str, bytes]]:
    with engine.connect() as connection:
        file_id = connection.scalar(
            sa.select(feedback_files.c.id).where(
                feedback_files.c.institute == bank.blz, feedback_files.c.number == number
            )
        )
        if file_id is None:
            raise no_such_file(bank.blz, number)
        file, order_number = _file(connection, file_id)
        with _files(connection, bank, feedback, file, order_number, Counter()) as made:
            data = {one.name: b"".join(one.blocks) for one in made}
    if file.sha256 is not None and hashlib.sha256(b"".join(data.values())).hexdigest() != file.sha256:
        raise StageError(
            f"{file.file_name} would not come out as it was written: the institute's codes, its encoding, the name or "
            "placeholder of a campaign, or the contract of the response file were changed since, or a person of it was "
            "erased or has left the bank's data. Take the original from whom it was sent to."
        )
    return file, data


def _next_number(connection: sa.Connection, institute: str) -> int:
    """Draw the number; its row stays locked to the end of the transaction, so that writers take turns."""
    drawn = (
        insert(feedback_counters)
        .values(institute=institute, last_number=1)
        .on_conflict_do_update(index_elements=["institute"], set_={"last_number": feedback_counters.c.last_number + 1})
        .returning(feedback_counters.c.last_number)
    )
    number: int = connection.execute(drawn).scalar_one()
    return number


def _assign(
    connection: sa.Connection, feedback: FeedbackFormat, institute: str, number: int, order_id: int | None
) -> FeedbackFile:
    stamped_at = _free_moment(connection, feedback, institute, number)
    values = {
        "institute": institute,
        "number": number,
        "order_id": order_id,
        "file_name": feedback.file_name(institute, number, stamped_at),
        "stamped_at": stamped_at,
    }
    new = sa.insert(feedback_files).values(**values, rows=0).returning(feedback_files.c.id)
    file_id: int = connection.execute(new).scalar_one()
    # Gathered into an array before the first row is inserted: otherwise the select may scan what the insert is adding,
    # row by row (seen: 343 s for 100,000 events where the table's statistics said it was empty). In order of the ids,
    # so that the primary key grows at its end.
    found = feedback.unreported(institute, order_id).subquery().c.id
    gathered = sa.select(sa.func.array_agg(aggregate_order_by(found, found)).label("ids")).subquery()
    wanted = sa.select(sa.func.unnest(gathered.c.ids), sa.literal(file_id), sa.literal(institute))
    assigned = sa.insert(feedback_rows).from_select(["response_id", "file_id", "institute"], wanted)
    rows = connection.execute(assigned, execution_options={"preserve_rowcount": True}).rowcount
    connection.execute(sa.update(feedback_files).where(feedback_files.c.id == file_id).values(rows=rows))
    _fill_series(connection, file_id)
    if rows >= _MANY:
        # Otherwise PostgreSQL takes the new file for a small one, and looks its events up one by one.
        connection.execute(sa.text("ANALYZE reku.feedback_rows (file_id)"))
    return FeedbackFile(id=file_id, rows=rows, **values)  # type: ignore[arg-type]  # the values are the table's


def _free_moment(connection: sa.Connection, feedback: FeedbackFormat, institute: str, number: int) -> datetime:
    """Now to the second, or the next one at which no other report has the name: it need not have the number in it."""
    moment = clock.now().replace(microsecond=0)
    while connection.scalar(
        sa.select(
            sa.exists().where(
                feedback_files.c.institute == institute,
                feedback_files.c.file_name == feedback.file_name(institute, number, moment),
            )
        )
    ):
        moment += timedelta(seconds=1)
    return moment


def _fill_series(connection: sa.Connection, file_id: int) -> None:
    """Fix Bounce_Serie of the file's hard bounces and retained addresses, so that a rebuilt file says the same."""
    about = messages.alias("about")
    connection.execute(
        sa.update(responses)
        .where(responses.c.message_id == about.c.id)
        .where(responses.c.kind.in_((EventKind.BOUNCED_HARD, EventKind.RETAINED)))
        .where(sa.exists().where(feedback_rows.c.response_id == responses.c.id, feedback_rows.c.file_id == file_id))
        .values(bounce_series=sa.func.greatest(1, bounce_series.length_at(about)))
    )


def _daily_file_today(connection: sa.Connection, file: FeedbackFile) -> bool:
    """Whether a file of all orders was made earlier on the same Berlin day."""
    earlier = sa.exists().where(
        feedback_files.c.institute == file.institute,
        feedback_files.c.order_id.is_(None),
        feedback_files.c.id != file.id,
        on_day(feedback_files.c.stamped_at, clock.berlin(file.stamped_at).date()),
    )
    return bool(connection.scalar(sa.select(earlier)))


def _write(engine: sa.Engine, bank: Institute, feedback: FeedbackFormat, file_id: int) -> FeedbackFile:
    with engine.begin() as connection:
        # Locked, so that of two who would finish the same file only one does.
        connection.execute(sa.select(feedback_files.c.id).where(feedback_files.c.id == file_id).with_for_update())
        file, order_number = _file(connection, file_id)
        if file.sha256 is not None:
            return file
        check_sum, lines = hashlib.sha256(), Counter[str]()
        with _files(connection, bank, feedback, file, order_number, lines) as made:
            for one in made:
                _put(file.institute, one.name, _summed(one.blocks, check_sum))
        connection.execute(
            sa.update(feedback_files)
            .where(feedback_files.c.id == file_id)
            .values(sha256=check_sum.hexdigest(), written_at=clock.now(), left_out=file.rows - lines["told"])
        )
    if left_out := file.rows - lines["told"]:
        log.warning(
            "%s: %d of %d events are left out, since the numbers of their people are kept no more: they have left the "
            "bank's data, or were erased.",
            file.file_name,
            left_out,
            file.rows,
        )
    with engine.connect() as connection:
        return _file(connection, file_id)[0]


def _put(institute: str, name: str, blocks: Iterable[bytes]) -> str:
    """Write a response file into the outbox. Returns its path below the files URL. Raises SetupError."""
    folders = BankFolders(institute)
    path = folders.path(Folder.OUTBOX, name)
    try:
        folders.write(path, blocks)
    except OSError as error:
        reason = error.strerror or (str(error) if error.errno is None else "") or type(error).__name__
        raise SetupError(
            f"{path} cannot be written below REKU_FILES_URL: {reason}. Its number and rows are kept; the next export "
            "writes it first, with the same bytes, once the place can be written to."
        ) from error
    return path


def _summed(blocks: Iterable[bytes], check_sum: hashlib._Hash) -> Iterator[bytes]:
    for block in blocks:
        check_sum.update(block)
        yield block


@contextmanager
def _files(
    connection: sa.Connection,
    bank: Institute,
    feedback: FeedbackFormat,
    file: FeedbackFile,
    order_number: str,
    lines: Counter[str],
) -> Iterator[Iterator[OutgoingFile]]:
    """The report's files, block by block; `lines` counts what is told. The connection can do nothing else meanwhile."""
    wanted = (
        feedback.records(bank)
        .select_from(feedback_rows)
        .join(responses, responses.c.id == feedback_rows.c.response_id)
        .join(messages, messages.c.id == responses.c.message_id)
        .join(orders, orders.c.id == responses.c.order_id)
        .join(deliveries, deliveries.c.id == messages.c.delivery_id)
        .where(feedback_rows.c.file_id == file.id)
    )
    stamp = Stamp(file.institute, order_number, file.number, file.stamped_at, file.file_name)
    # Closed before the transaction ends, also when the file cannot be written: it cannot end while rows are read.
    connection.execute(sa.text("SET LOCAL work_mem = '64MB'"))  # 100,000 events are put in order without the disk
    with closing(copy_csv(connection, wanted, delimiter=feedback.delimiter())) as batches:
        told = feedback.told(bank, _all_there(batches, file))
        yield feedback.files(bank, stamp, _counted(told, lines))


def _all_there(batches: Iterable[list[bytes]], file: FeedbackFile) -> Iterator[list[bytes]]:
    """The batches. Raises StageError if their lines are not as many as were assigned."""
    found = 0
    for lines in batches:
        found += len(lines)
        yield lines
    if found != file.rows:
        raise StageError(
            f"{file.file_name} has {file.rows} events, of which {found} are in the tables: the others have left by "
            "retention, or were removed by hand. Take the original from whom it was sent to."
        )


def _counted(batches: Iterable[list[bytes]], lines: Counter[str]) -> Iterator[list[bytes]]:
    for batch in batches:
        lines["told"] += len(batch)
        yield batch


def _file(connection: sa.Connection, file_id: int) -> tuple[FeedbackFile, str]:
    """The file and the number of its order ("" for the file of all orders)."""
    row: Any = connection.execute(
        sa.select(feedback_files, sa.func.coalesce(orders.c.order_number, "").label("order_number"))
        .outerjoin(orders, orders.c.id == feedback_files.c.order_id)
        .where(feedback_files.c.id == file_id)
    ).one()
    written = row.written_at is not None
    return (
        FeedbackFile(
            id=row.id,
            institute=row.institute,
            order_id=row.order_id,
            number=row.number,
            file_name=row.file_name,
            stamped_at=row.stamped_at,
            rows=row.rows,
            left_out=row.left_out,
            sha256=row.sha256 if written else None,
            path=path_below(row.institute, Folder.OUTBOX, row.file_name) if written else "",
        ),
        row.order_number,
    )
