"""Files whose time is over: originals, receipts, response files, mails of the return mailbox, journals, logs."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from reku.catalogue import institutes
from reku.foundation.append_log import reading
from reku.foundation.bank_folders import BankFolders, Folder, StoredFile, banks_present, receipt_name
from reku.foundation.errors import ConfigError
from reku.foundation.one_by_one import one_by_one
from reku.foundation.settings import Settings
from reku.mailbox import Mailbox, mailboxes
from reku.store.audit import put_on_record
from reku.store.locks import Lock, session_lock
from reku.store.states import DELIVERY_IS_ON_ITS_WAY, FileVerdict
from reku.store.tables import claims, deliveries, feedback_files, files, return_mails
from reku.vault.erasure import ACTION, BY_ITSELF

Done = tuple[Counter[str], list[str]]

WAIT_SECONDS = 60.0
_DAY = 86_400.0
_JOURNAL = re.compile(r"(\d+)-(\d+)\.(?:journal|draft)")


def originals(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Originals in `archiv/` and `fehler/` that are judged and whose delivery goes nowhere any more.

    Of a bank that delivers its data there are only those that were not taken in, and they leave much sooner: they hold
    clear numbers, names and addresses of everybody.
    """
    done, problems = Counter[str](), list[str]()

    def of_bank(institute: str) -> None:
        is_data = _delivers_data(institute, "originals", problems)
        period = timedelta(hours=s.keep_refused_imports_hours) if is_data else timedelta(days=s.keep_files_days)
        before = done["originals"]
        # The lock keeps intake from moving what is looked at.
        with session_lock(engine, Lock.FILES, int(institute), wait_seconds=WAIT_SECONDS) as connection:
            if connection is None:
                problems.append(f"institute {institute}: a scan was at work, its originals were left")
                return
            with connection.begin():
                known = _originals(connection, institute, now - period)
            folders = BankFolders(institute)
            for kept in folders.files(Folder.ARCHIVE, Folder.FAULTY):
                over = known.get(kept.path)
                if over or (over is None and _is_left_over(folders, kept, period)):
                    _remove(folders, kept, "originals", done, problems)
            for kept in folders.files(Folder.AT_WORK, Folder.PARKED):
                if kept.is_draft and _is_left_over(folders, kept, period):
                    _remove(folders, kept, "drafts", done, problems)
            if is_data and (erased := done["originals"] - before):
                with connection.begin():
                    _record(connection, institute, "files", f"{erased} originals erased that were not taken in")

    return done, problems + _of_each_bank(of_bank)


def _delivers_data(institute: str, what: str, problems: list[str]) -> bool:
    """Whether we select a bank's people, so that what is left of them leaves sooner.

    One whose file is broken is told: it may be one.
    """
    try:
        bank = institutes().get(institute)
    except ConfigError as error:
        problems.append(f"{what} of {institute}: {error}")
        return False
    return bank is not None and bank.delivers_data


def _record(connection: sa.Connection, institute: str | None, subject: str, note: str) -> None:
    put_on_record(connection, institute, actor=BY_ITSELF, action=ACTION, subject=subject, note=note)


def _of_each_bank(handle: Callable[[str], None]) -> list[str]:
    """Handle the files of each bank; one bank's trouble must not keep the others'. Returns what went wrong."""
    done = one_by_one(banks_present(), handle, named=lambda institute: f"institute {institute}")
    return [f"{failure.name}: {failure.why}" for failure in done.failures]


def _originals(connection: sa.Connection, institute: str, limit: datetime) -> dict[str, bool]:
    """Where originals lie, and whether their time is over."""
    needed = sa.exists().where(deliveries.c.file_id == files.c.id, deliveries.c.state.in_(DELIVERY_IS_ON_ITS_WAY))
    over = sa.and_(
        files.c.received_at < limit,
        files.c.moving_from.is_(None),
        files.c.verdict != FileVerdict.PARKED,
        ~needed,
    )
    listed = sa.select(files.c.stored_as, over.label("over")).where(files.c.institute == institute)
    return {row.stored_as: row.over for row in connection.execute(listed)}


def outbox(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Receipts and response files in `ausgang/`, and what a crash left of one that was being written."""
    period = timedelta(days=s.keep_outbox_days)
    done, problems = Counter[str](), list[str]()

    def of_bank(institute: str) -> None:
        with engine.connect() as connection:
            known = _in_outbox(connection, institute, now - period)
        folders = BankFolders(institute)
        for kept in folders.files(Folder.OUTBOX):
            over = known.get(kept.name)
            if over or (over is None and _is_left_over(folders, kept, period)):
                _remove(folders, kept, "drafts" if kept.is_draft else "outbox_files", done, problems)

    return done, problems + _of_each_bank(of_bank)


def _in_outbox(connection: sa.Connection, institute: str, limit: datetime) -> dict[str, bool]:
    """Names of receipts and response files, and whether their time is over."""
    told = connection.execute(
        sa.select(feedback_files.c.file_name, feedback_files.c.written_at).where(
            feedback_files.c.institute == institute
        )
    )
    known = {row.file_name: row.written_at is not None and row.written_at < limit for row in told}
    receipts = connection.execute(
        sa.select(files.c.file_name, sa.func.max(files.c.receipt_at).label("at"), sa.func.bool_or(_unsettled()))
        .where(files.c.institute == institute, files.c.receipt_at.is_not(None))
        .group_by(files.c.file_name)
    )
    return known | {receipt_name(name): at < limit and not unsettled for name, at, unsettled in receipts}


def _unsettled() -> sa.ColumnElement[bool]:
    return files.c.moving_from.is_not(None)


def _is_left_over(folders: BankFolders, kept: StoredFile, period: timedelta) -> bool:
    """Whether nobody knows the file, and it is old: a draft, after a day, or what was put there by hand."""
    own = min(period, timedelta(days=1)) if kept.is_draft else period
    with suppress(FileNotFoundError):
        return folders.modified(kept.path) < time.time() - own.total_seconds()
    return False


def _remove(folders: BankFolders, kept: StoredFile, name: str, done: Counter[str], problems: list[str]) -> None:
    try:
        folders.remove(kept.path)
        done[name] += 1
    except FileNotFoundError:
        pass
    except OSError as error:
        # names of unknown files may hold anything
        shown = f"a file in {folders.path(kept.folder)}/" if kept.folder == Folder.FAULTY else kept.path
        problems.append(f"{shown}: {error.strerror or type(error).__name__}")


def bounce_mails(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Mails of the return mailboxes that were taken in, unclear ones too, and the entries that lead to them."""
    done = Counter[str]()

    def remove(mailbox: Mailbox) -> None:
        done["bounce_mails"] += mailbox.remove_old(s.keep_bounce_mails_days)

    problems = _in_each_mailbox(remove)
    if not problems:
        limit = now - timedelta(days=s.keep_bounce_mails_days)
        with engine.begin() as connection:
            connection.execute(sa.delete(return_mails).where(return_mails.c.taken_at < limit))
    return done, problems


def selected_bounce_mails(engine: sa.Engine, now: datetime, s: Settings) -> Done:
    """Mails of the return mailboxes about people whom we have selected, with the entries that lead to them.

    Those of which nothing tells the bank may be about them as well, where there is such a bank.
    """
    problems = list[str]()
    selecting: set[str | None] = {one for one in institutes() if _delivers_data(one, "return mails", problems)}
    if selecting:
        selecting.add(None)
    c = return_mails.c
    with engine.connect() as connection:
        old = connection.execute(
            sa.select(c.institute, c.mail).where(c.taken_at < now - timedelta(hours=s.keep_bounce_mails_hours))
        ).all()
    names = {entry.mail for entry in old if entry.institute in selecting}
    if not names:
        return Counter(), problems
    if failed := _in_each_mailbox(lambda mailbox: mailbox.remove(names)):
        return Counter(), problems + failed  # the entries stay: by them the next run finds what is left
    with engine.begin() as connection:
        gone = connection.scalars(sa.delete(return_mails).where(c.mail.in_(names)).returning(c.institute)).all()
        for institute, number in Counter(gone).items():
            _record(connection, institute, "return_mails", f"{number} mails of the return mailbox erased")
    return Counter({"bounce_mails": len(names)}), problems


def _in_each_mailbox(handle: Callable[[Mailbox], object]) -> list[str]:
    """Do something in each return mailbox. Returns what went wrong."""

    def of_mailbox(opened: AbstractContextManager[Mailbox]) -> None:
        with opened as mailbox:
            handle(mailbox)

    done = one_by_one(mailboxes(), of_mailbox, named=lambda _: "a return mailbox")
    return [failure.why for failure in done.failures]


def logs(_engine: sa.Engine, _now: datetime, s: Settings) -> Done:
    """Logs of the embedded set-up and of Airflow's tasks."""
    airflow = os.environ.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER") or s.home / "airflow" / "logs"
    return _remove_old("logs", [s.home / "logs", Path(airflow)], s.keep_logs_days)


def journals(engine: sa.Engine, _now: datetime, s: Settings) -> Done:
    """Journals on this machine whose batch is closed and which nobody holds."""
    with engine.connect() as connection:
        held = {tuple(row) for row in connection.execute(sa.select(claims.c.delivery_id, claims.c.fence))}
    done = Counter[str]()

    def remove(file: Path) -> None:
        name = _JOURNAL.fullmatch(file.name)
        if name is None or (int(name[1]), int(name[2])) in held:
            return
        with suppress(FileNotFoundError), reading(file) as journal:
            if journal.is_complete:
                journal.remove()
                done["journals"] += 1

    return done, _each_file(_old([s.journals()], s.keep_logs_days), remove)


def _remove_old(name: str, folders: list[Path], days: int) -> Done:
    done = Counter[str]()

    def remove(file: Path) -> None:
        with suppress(FileNotFoundError):
            file.unlink()
            done[name] += 1

    return done, _each_file(_old(folders, days), remove)


def _each_file(files_of_machine: Iterable[Path], handle: Callable[[Path], None]) -> list[str]:
    return [f"{failure.name}: {failure.why}" for failure in one_by_one(files_of_machine, handle, named=str).failures]


def _old(folders: list[Path], days: int) -> Iterator[Path]:
    """Plain files below the folders that nobody has changed for so long; links are not followed."""
    limit = time.time() - days * _DAY
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                file = Path(parent, name)
                with suppress(FileNotFoundError):
                    if not file.is_symlink() and file.stat().st_mtime < limit:
                        yield file
