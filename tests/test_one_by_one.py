"""One bad thing from outside holds up no other: into every loop over such things one is put that raises.

`LOOPS` names each loop that goes by the guard (`reku.foundation.one_by_one`); a loop that is missing here fails.
"""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from reku.catalogue.channel_name import ChannelName
from reku.dispatch import journal, recovery
from reku.foundation.errors import ConfigError, PassingError, SetupError, StageError
from reku.foundation.one_by_one import Budget, Failure, one_by_one
from reku.foundation.settings import settings
from reku.mailbox import maildir
from reku.mailbox.imap import ImapMailbox
from reku.mailbox.maildir import MaildirMailbox
from reku.pickup import push
from reku.privacy import old_files, retention
from reku.process import collecting, daily_files
from reku.process.systems import FILE_FORMATS, bank_named
from reku.responses import bounces
from reku.responses import drain as draining
from reku.responses.hit_journal import SUFFIX
from reku.responses.reports import understand
from reku.sources.agree21 import scan as agree21
from reku.sources.inbox import filing, set_aside
from reku.sources.inbox.folders import InboxFolders
from reku.sources.osplus import control_file, delivery_files
from reku.store.kinds import PreparedKind, ReportKind
from reku.store.states import DeliveryState
from reku.store.tables import claims, files, prepared_files
from reku_testing import world
from reku_testing.by_blz import take_in
from tests.conftest import PROJECT
from tests.sources.conftest import BLZ, Bank, bank, config_dir

__all__ = ["bank", "config_dir"]  # fixtures

SECRET = "Jördis Beispiel-Müßig"
"""What an unexpected error may quote, and nobody may be told."""


class Poison(NamedTuple):
    """Makes functions raise for things that a test calls bad."""

    patch: pytest.MonkeyPatch

    def into(self, owner: Any, name: str, is_bad: Callable[..., bool]) -> None:
        """From now on `owner.name` raises where `is_bad` says yes to its arguments."""
        real = getattr(owner, name)

        def poisoned(*args: Any, **kwargs: Any) -> Any:
            if is_bad(*args):
                raise OverflowError(SECRET)
            return real(*args, **kwargs)

        self.patch.setattr(owner, name, poisoned)


Case = Callable[[Bank, Poison, Path], list[str]]
"""Puts a bad thing among good ones, sees that the good ones are done, and returns what is told of the bad one."""
LOOPS: dict[str, list[Case]] = {}


def loop(place: str) -> Callable[[Case], Case]:
    def keep(case: Case) -> Case:
        LOOPS.setdefault(place, []).append(case)
        return case

    return keep


@loop("sources/inbox/folders.py arrived")
def _a_file_that_cannot_be_looked_at(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bank.put("gut.txt", b"1")
    bank.put("schlecht.txt", b"2")
    poison.into(InboxFolders, "size", lambda _, path: path.endswith("eingang/schlecht.txt"))
    report = take_in(bank.engine, BLZ)
    assert [row.file_name for row in bank.rows(files)] == ["gut.txt"]
    return report.failures


@loop("sources/inbox/scan.py _claim")
def _a_file_that_cannot_be_claimed(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bank.put("gut.txt", b"1")
    bank.put("schlecht.txt", b"2")
    poison.into(InboxFolders, "claim", lambda _, file: file.name == "schlecht.txt")
    report = take_in(bank.engine, BLZ)
    assert [row.file_name for row in bank.rows(files)] == ["gut.txt"]
    return report.failures


@loop("sources/inbox/scan.py handle_each")
def _a_control_file_that_cannot_be_read(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad = bank.control(Auftrags_Nr="R0000001")
    bank.control()
    bank.delivery()
    poison.into(control_file, "read_control_file", lambda *args: args[3].name == bad)
    report = take_in(bank.engine, BLZ)
    assert bank.deliveries() == [(17, "REGISTERED", "")]
    return report.failures


@loop("sources/inbox/scan.py handle_each")
def _a_control_file_that_cannot_be_carried_out(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad = bank.control(Auftrags_Nr="R0000001")
    bank.control()
    bank.delivery()
    poison.into(control_file, "carry_out", lambda *args: args[3].arrived.name == bad)
    report = take_in(bank.engine, BLZ)
    assert bank.deliveries() == [(17, "REGISTERED", "")]
    return report.failures


@loop("sources/inbox/scan.py handle_each")
def _a_delivery_that_cannot_be_taken(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bank.control()
    bad = bank.delivery(1)
    bank.delivery(2)
    poison.into(delivery_files, "take", lambda *args: args[-1].name == bad)
    report = take_in(bank.engine, BLZ)
    assert bank.deliveries() == [(2, "REGISTERED", "")]
    return report.failures


@loop("sources/inbox/scan.py do_each")
def _a_parked_delivery_that_cannot_be_set_free(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    for order in ("R0000001", "R0000002"):
        bank.delivery(1, order=order)
        bank.control(Auftrags_Nr=order)
    poison.into(delivery_files, "unpark", lambda *args: args[3] == "R0000001")
    bank.engine.dispose()
    with_control = take_in(bank.engine, BLZ)
    assert with_control.failures == []  # control files came first: nothing was ever parked
    bank.delivery(2, order="R0000003")
    bank.delivery(2, order="R0000004")
    take_in(bank.engine, BLZ)
    for order in ("R0000003", "R0000004"):
        bank.control(Auftrags_Nr=order)
    poison.into(delivery_files, "unpark", lambda *args: args[3] == "R0000003")
    report = take_in(bank.engine, BLZ)
    assert len(report.freed) == 1
    return report.failures


@loop("sources/inbox/scan.py do_each")
def _a_move_that_cannot_be_finished(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    for name in ("gut.txt", "schlecht.txt"):
        bank.put(name, b"1")
    bank.scan()
    with bank.engine.begin() as connection:
        connection.execute(sa.update(files).values(moving_from=files.c.stored_as))
        (bad,) = connection.scalars(sa.select(files.c.id).where(files.c.file_name == "schlecht.txt"))
    poison.into(filing, "finalise", lambda *args: args[2] == bad)
    report = take_in(bank.engine, BLZ)
    assert [row.id for row in bank.rows(files) if row.moving_from] == [bad]
    return report.failures


@loop("sources/inbox/scan.py _after_failures")
def _a_file_that_cannot_even_be_set_aside(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bank.control()
    for number in (1, 2):
        bank.delivery(number)
    poison.into(delivery_files, "take", lambda *_: True)
    for _ in range(2):
        take_in(bank.engine, BLZ)
    poison.into(set_aside, "set_aside", lambda *args: "_000001_" in args[2])
    report = take_in(bank.engine, BLZ)
    assert [row.verdict for row in bank.rows(files)] == ["PROCESSED", "SET_ASIDE"]
    return report.failures


@loop("privacy/retention.py apply")
def _a_step_of_housekeeping(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    done: list[str] = []

    def good(*_: object) -> Any:
        done.append("good")
        return {}, []

    def bad(*_: object) -> Any:
        raise OverflowError(SECRET)

    poison.patch.setattr(retention, "STEPS", (bad, good))
    with pytest.raises(StageError) as told:
        retention.apply(bank.engine, datetime(2026, 11, 24, tzinfo=UTC))
    assert done == ["good"]
    return [str(told.value)]


@loop("privacy/old_files.py _of_each_bank")
def _a_bank_of_housekeeping(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bank.scan()
    seen: list[str] = []
    poison.patch.setattr(old_files, "banks_present", lambda: ("99950009", BLZ))
    poison.into(old_files, "_originals", lambda *args: args[1] == "99950009")
    poison.into(old_files, "BankFolders", lambda institute: bool(seen.append(institute)))
    _, problems = old_files.originals(bank.engine, datetime(2026, 11, 24, tzinfo=UTC), settings())
    assert seen == [BLZ]
    return problems


@loop("privacy/old_files.py _in_each_mailbox")
def _a_mailbox_of_housekeeping(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    boxes = [MaildirMailbox(tmp / name) for name in ("schlecht", "gut")]
    cleared: list[str] = []
    poison.patch.setattr(old_files, "mailboxes", lambda: [nullcontext(box) for box in boxes])
    poison.into(MaildirMailbox, "remove_old", lambda box, _: bool(cleared.append(box.place)) or "schlecht" in box.place)
    _, problems = old_files.bounce_mails(bank.engine, datetime(2026, 11, 24, tzinfo=UTC), settings())
    assert len(cleared) == 2
    return problems


@loop("privacy/old_files.py _each_file")
def _a_log_of_housekeeping(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    logs = [tmp / "1.log", tmp / "2.log"]
    for log in logs:
        log.write_text("x")
    poison.patch.setattr(old_files, "_old", lambda *_: logs)
    poison.into(Path, "unlink", lambda path, *_: path.name == "1.log")
    _, problems = old_files.logs(bank.engine, datetime(2026, 11, 24, tzinfo=UTC), settings())
    assert [log.exists() for log in logs] == [True, False]
    return problems


@loop("dispatch/recovery.py recover")
def _a_batch_of_a_dead_dispatcher(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    order = world.order(bank.engine)
    delivery = world.delivery(bank.engine, order)
    with bank.engine.begin() as connection:
        for fence in (1, 2):
            ended = datetime(2026, 11, 1, tzinfo=UTC)
            connection.execute(
                sa.insert(claims).values(delivery_id=delivery, fence=fence, institute=BLZ, lease_until=ended)
            )
    poison.into(journal, "read", lambda *args: args[2] == 1)
    with pytest.raises(OverflowError):
        recovery.recover(bank.engine, delivery, tmp)
    with bank.engine.connect() as connection:
        assert connection.scalars(sa.select(claims.c.fence)).all() == [1]
    return ["its dispatch fails by it"]


@loop("process/daily_files.py _show")
def _a_delivery_whose_messages_cannot_be_prepared(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    order = world.order(bank.engine)
    several = [world.delivery(bank.engine, order, number, state=DeliveryState.LOADED) for number in (1, 2)]
    for delivery in several:
        row = world.row(bank.engine, delivery, world.reku_fields())
        world.message(bank.engine, row, channel=ChannelName.TERMINAL)
    shown: list[int] = []
    plan = SimpleNamespace(order_number=world.ORDER, campaign=SimpleNamespace(channels=()))
    poison.patch.setattr(daily_files, "check_dispatchable", lambda _, delivery: shown.append(delivery) or plan)
    poison.into(daily_files, "check_dispatchable", lambda _, delivery: delivery == several[0])
    _, problems = daily_files._show(bank.engine, bank_named(BLZ), date(2026, 12, 31))
    assert shown == several[1:]
    return list(problems)


@loop("dispatch/journal.py remove_settled")
def _a_journal_that_cannot_be_removed(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    for fence in (1, 2):
        (tmp / f"5-{fence}.journal").write_bytes(b"")
    poison.into(journal, "reading", lambda file: file.name == "5-1.journal")
    journal.remove_settled(tmp, 5)
    assert [file.name for file in tmp.glob("5-*")] == ["5-1.journal"]
    return ["housekeeping names it"]


@loop("sources/inbox/scan.py _claim")
def _a_file_of_a_cooperative_bank_that_cannot_be_claimed(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    for name in ("schlecht.txt", "z_gut.txt"):
        bank.put(name, b"1")
    poison.into(InboxFolders, "claim", lambda _, file: file.name == "schlecht.txt")
    report = agree21.take_in(bank.engine, bank_named(BLZ))
    assert [row.file_name for row in bank.rows(files)] == ["z_gut.txt"]
    return report.failures


@loop("sources/inbox/scan.py handle_each")
def _an_unknown_file_of_a_cooperative_bank(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    for name in ("schlecht.txt", "z_gut.txt"):
        bank.put(name, b"1")
    poison.into(filing, "record", lambda *args: args[2].name == "schlecht.txt")
    report = agree21.take_in(bank.engine, bank_named(BLZ))
    assert [row.file_name for row in bank.rows(files)] == ["z_gut.txt"]
    return report.failures


def _customers(bank: Bank, hour: int) -> str:
    """A file of a cooperative bank's customers, which names nobody and is refused when it is read."""
    return bank.put(f"ida_kunden_{BLZ}_20261122{hour:02d}0000.csv", b"Personennummer\r\n")


@loop("sources/inbox/scan.py handle_each")
def _a_file_of_customers_that_cannot_be_imported(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad, good = _customers(bank, 4), _customers(bank, 5)
    poison.into(agree21, "import_file", lambda *args: args[3] == bad)
    report = agree21.take_in(bank.engine, bank_named(BLZ))
    assert [(row.file_name, row.verdict) for row in bank.rows(files)] == [(good, "REFUSED")]
    return report.failures


@loop("sources/inbox/scan.py do_each")
def _a_move_of_a_cooperative_bank_that_cannot_be_finished(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad = _customers(bank, 4)
    _customers(bank, 5)
    agree21.take_in(bank.engine, bank_named(BLZ))
    with bank.engine.begin() as connection:
        connection.execute(sa.update(files).values(moving_from=files.c.stored_as))
        (bad_id,) = connection.scalars(sa.select(files.c.id).where(files.c.file_name == bad))
    poison.into(filing, "finalise", lambda *args: args[2] == bad_id)
    report = agree21.take_in(bank.engine, bank_named(BLZ))
    assert [row.id for row in bank.rows(files) if row.moving_from] == [bad_id]
    return report.failures


@loop("sources/inbox/scan.py _after_failures")
def _a_file_of_customers_that_cannot_even_be_set_aside(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    names = [_customers(bank, hour) for hour in (4, 5)]
    poison.into(agree21, "import_file", lambda *_: True)
    for _ in range(2):
        agree21.take_in(bank.engine, bank_named(BLZ))
    poison.into(set_aside, "set_aside", lambda *args: names[0] in args[2])
    report = agree21.take_in(bank.engine, bank_named(BLZ))
    assert [(row.file_name, row.verdict) for row in bank.rows(files)] == [(names[1], "SET_ASIDE")]
    return report.failures


def _prepared(bank: Bank) -> list[str]:
    """The names of two files with nobody in them, prepared for agreeMailing."""
    names = [f"agreemailing_{BLZ}_K2026-014_2026112404000{number}.csv" for number in (1, 2)]
    when = {"stamped_at": datetime(2026, 11, 24, 3, tzinfo=UTC), "last_day": date(2026, 12, 1)}
    of = {"institute": BLZ, "kind": PreparedKind.AGREE_MAILING, "rows": 0}
    files_of = [{**of, **when, "number": number, "file_name": name} for number, name in enumerate(names, start=1)]
    with bank.engine.begin() as connection:
        connection.execute(sa.insert(prepared_files), files_of)
    return names


@loop("pickup/push.py push_files")
def _a_prepared_file_that_cannot_be_made(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad, good = _prepared(bank)
    poison.patch.setattr(push, "make", lambda *args: {args[-1].file_name: b""})
    poison.into(push, "make", lambda *args: args[-1].file_name == bad)
    pushed, problems = push.push_files(bank.engine, bank_named(BLZ), FILE_FORMATS)
    assert (pushed, bank.names("ausgang")) == (1, [good])
    return problems


@loop("pickup/push.py take_acknowledgements")
def _an_acknowledgement_that_cannot_be_taken(bank: Bank, poison: Poison, _tmp: Path) -> list[str]:
    bad, good = _prepared(bank)
    for name in (bad, good):
        bank.put(f"{name}.ok", b"")
    poison.into(push, "acknowledge", lambda *args: args[2] == bad)
    taken, problems = push.take_acknowledgements(bank.engine, bank_named(BLZ), ("AGREEMAILING",))
    assert (taken, bank.names("eingang")) == (1, [f"{bad}.ok"])
    return problems


@loop("responses/bounces.py collect_all")
def _a_mailbox_that_cannot_be_read(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    boxes = [MaildirMailbox(tmp / name) for name in ("schlecht", "gut")]
    seen: list[str] = []
    poison.patch.setattr(bounces, "mailboxes", lambda: [nullcontext(box) for box in boxes])
    poison.into(MaildirMailbox, "waiting", lambda box: bool(seen.append(box.place)) or "schlecht" in box.place)
    with pytest.raises(OverflowError):
        bounces.collect_all(bank.engine)
    assert len(seen) == 2
    return ["the task fails by it"]


def _mails(tmp: Path, names: Iterable[str]) -> MaildirMailbox:
    (tmp / "mail" / "new").mkdir(parents=True)
    for name in names:
        (tmp / "mail" / "new" / name).write_bytes(b"From: a@kunde.example\n\nHallo")
    return MaildirMailbox(tmp / "mail")


@loop("responses/bounces.py _take_in_or_set_aside")
def _a_mail_that_cannot_be_recorded(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    mailbox = _mails(tmp, "123")
    poison.into(bounces, "_take_in", lambda *args: any(mail.name == "2" for mail in args[2]))
    report = bounces.collect(bank.engine, mailbox)
    assert (report.mails, report.unclear) == (3, 3)
    assert mailbox.count() == {"new": 0, "gesehen": 0, "ungeklaert": 3}
    return ["ungeklaert"]


@loop("responses/bounces.py _take_in_or_set_aside")
def _a_mail_whose_name_is_no_text(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    mailbox = _mails(tmp, ["1", os.fsdecode(b"2\xff"), "3"])
    report = bounces.collect(bank.engine, mailbox)
    assert report.mails == 3
    assert mailbox.count()["new"] == 0
    return ["ungeklaert"]


@loop("mailbox/maildir.py waiting")
def _a_mail_that_cannot_be_read(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    mailbox = _mails(tmp, "123")
    poison.into(maildir, "_beginning", lambda path: path.name == "2")
    assert [(mail.name, bool(mail.data)) for mail in mailbox.waiting()] == [("1", True), ("2", False), ("3", True)]
    assert understand(b"").kind is ReportKind.UNCLEAR
    return ["ungeklaert"]


@loop("mailbox/maildir.py file")
def _a_mail_that_cannot_be_filed(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    mailbox = _mails(tmp, "123")
    poison.into(Path, "rename", lambda path, _: path.name == "2")
    with pytest.raises(OverflowError):
        mailbox.file({"gesehen": [mail.key for mail in mailbox.waiting()]})
    assert mailbox.count() == {"new": 1, "gesehen": 2, "ungeklaert": 0}
    return ["the task fails by it"]


@loop("mailbox/imap.py _fetch")
def _a_mail_that_its_server_cannot_fetch(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    mailbox = object.__new__(ImapMailbox)
    mailbox._selected = "INBOX"
    asked: list[str] = []

    def uid(command: str, *arguments: str) -> list[Any]:
        asked.append(arguments[0])
        if "2" in arguments[0].split(","):
            raise SetupError("The server refuses FETCH.")
        return [
            (f'1 (UID {arguments[0]} INTERNALDATE "01-Nov-2026 00:00:00 +0000" BODY[]<0> {{2}}'.encode(), b"ab"),
            b")",
        ]

    poison.patch.setattr(mailbox, "_uid", uid)
    assert [(mail.uid, mail.data) for mail in mailbox._fetch("INBOX", ["1", "2", "3"])] == [
        ("1", b"ab"),
        ("3", b"ab"),
        ("2", b""),
    ]
    return ["ungeklaert"]


@loop("process/collecting.py collect")
def _a_source_that_cannot_be_collected(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    seen: list[str] = []
    poison.into(collecting, "collect_return_mails", lambda _: True)
    poison.patch.setattr(collecting, "collect_hits", lambda _: seen.append("hits"))
    result = collecting.collect(bank.engine)
    assert seen == ["hits"]
    return list(result.problems)


@loop("responses/drain.py drain")
def _a_journal_that_cannot_be_taken_in(bank: Bank, poison: Poison, tmp: Path) -> list[str]:
    for name in ("a", "b"):
        (tmp / f"{name}{SUFFIX}").write_bytes(b"")
    poison.into(draining, "_next_batch", lambda _engine, file, _journal: file.stem == "a")
    with pytest.raises(StageError) as told:
        draining.drain(bank.engine, tmp)
    assert [file.name for file in tmp.glob(f"*{SUFFIX}")] == [f"a{SUFFIX}"]  # the complete one is done and removed
    return [str(told.value)]


CASES = [
    pytest.param(place, case, id=f"{place}:{case.__name__.strip('_')}") for place in LOOPS for case in LOOPS[place]
]


@pytest.mark.parametrize(("place", "case"), CASES)
def test_one_bad_thing_holds_up_no_other(
    place: str,
    case: Case,
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = case(bank, Poison(monkeypatch), tmp_path)
    assert told, f"{place}: nobody is told"
    assert SECRET not in " ".join(told) + caplog.text


def test_every_loop_that_goes_by_the_guard_has_its_case() -> None:
    assert set(_guarded_loops()) == set(LOOPS)


def _guarded_loops() -> Iterator[str]:
    """Module and function of each call of `one_by_one`."""
    package = PROJECT / "include" / "reku"
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and any(
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "one_by_one"
                for node in ast.walk(function)
            ):
                yield f"{file.relative_to(package)} {function.name}"


# --------------------------------------------------------------------------------------------------------- the guard


def _numbered(error: Exception) -> Callable[[int], None]:
    def handle(number: int) -> None:
        if number == 2:
            raise error

    return handle


def _noted(seen: list[int]) -> Callable[[int], None]:
    def handle(number: int) -> None:
        seen.append(number)
        _numbered(ValueError(SECRET))(number)

    return handle


def test_what_fails_is_named_and_the_others_are_handled() -> None:
    seen: list[int] = []
    done = one_by_one([1, 2, 3], _noted(seen), named=lambda n: f"no. {n}")
    assert seen == [1, 2, 3]
    (failure,) = done.failures
    assert (failure.thing, failure.name) == (2, "no. 2")
    assert failure.why.startswith("ValueError at ")
    assert SECRET not in failure.why


def test_what_stops_is_raised() -> None:
    with pytest.raises(ValueError, match="gone"):
        one_by_one([1, 2, 3], _numbered(ValueError("gone")), named=str, stops=lambda _: True)


def test_what_the_budget_does_not_reach_is_handed_back() -> None:
    handled: list[int] = []
    assert one_by_one([1, 2], handled.append, named=str, is_enough=Budget(0).is_used_up).left == [1, 2]
    assert one_by_one([1, 2], handled.append, named=str, is_enough=Budget(60).is_used_up).left == []
    assert handled == [1, 2]


class _Orig(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__()
        self.sqlstate = sqlstate


def _of_database(kind: type[exc.DBAPIError], state: str | None) -> exc.DBAPIError:
    return kind("SELECT", {}, _Orig(state) if state else psycopg.OperationalError("no answer"))


@pytest.mark.parametrize(
    ("error", "own"),
    [
        (ValueError(), True),
        (OverflowError(), True),
        (MemoryError(), True),
        (RecursionError(), True),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), True),
        (PermissionError(errno.EACCES, "Permission denied"), True),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), True),
        (OSError(errno.ENAMETOOLONG, "File name too long"), True),
        (StageError("the original is missing"), True),
        (_of_database(exc.DataError, "22008"), True),
        (_of_database(exc.IntegrityError, "23505"), True),
        (ConfigError("broken", file="a.yaml"), False),
        (SetupError("no key"), False),
        (PassingError("away"), False),
        (ConnectionResetError(errno.ECONNRESET, "reset"), False),
        (TimeoutError(), False),
        (OSError("the server has dropped the connection"), False),
        (OSError(errno.ENOSPC, "No space left"), False),
        (OSError(errno.EIO, "Input/output error"), False),
        (_of_database(exc.OperationalError, None), False),
        (_of_database(exc.OperationalError, "57P01"), False),
        (_of_database(exc.OperationalError, "40P01"), False),
        (_of_database(exc.OperationalError, "53300"), False),
        (exc.TimeoutError(), False),
    ],
    ids=lambda value: getattr(getattr(value, "orig", None), "sqlstate", None) or type(value).__name__,
)
def test_only_what_is_a_things_own_fault_counts_against_it(error: Exception, own: bool) -> None:
    assert Failure("thing", "name", error).is_its_own is own
