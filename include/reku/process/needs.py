"""What needs a person now, across all banks: one list, the most urgent first (docs/operations.md, "Needs a person").

It is worked out from our own tables and the configuration, so that it does not depend on which runs Airflow shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from reku.catalogue import Institute, institutes, occasions
from reku.dispatch import stop_switches
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.words import Words
from reku.process import need_words
from reku.process.automatic_stop import figures_of
from reku.process.banks import bank_name
from reku.process.failed_work import failures
from reku.process.lateness import late_collections, late_reports, runs_not_begun
from reku.process.missed_rhythms import known_orders
from reku.process.need_words import Said
from reku.process.reputation import bad_sendings
from reku.process.systems import is_served, system_of
from reku.store.states import (
    FILE_WAS_REFUSED,
    HOLDS_ITS_NUMBER,
    MAY_STILL_GO_OUT,
    WAS_TAKEN_IN,
    DeliveryState,
    FileVerdict,
    MessageState,
    in_states,
)
from reku.store.tables import (
    deliveries,
    dispatches,
    files,
    messages,
    orders,
    osplus_orders,
    releases,
    return_mails,
)

MISSED_DAYS = 3
"""So many days back an expected delivery that did not come is named."""
KEPT_DAYS = 7
"""So many days a file that was refused and that nobody corrected is named."""


class NeedKind(StrEnum):
    """Why a person is needed; in order of urgency."""

    BROKEN_CONFIGURATION = "BROKEN_CONFIGURATION"  # a file of a bank or an occasion
    STOPPED = "STOPPED"  # a stop is in force
    RELAY_AWAY = "RELAY_AWAY"  # there was no session with the mail server; it is tried again
    TAKEN_BADLY = "TAKEN_BADLY"  # too many of a bank's mails of today come back or are called spam
    FAILED = "FAILED"  # a task has failed, and nothing else here says why
    IN_DOUBT = "IN_DOUBT"  # nobody knows whether mails went out
    REFUSED = "REFUSED"  # a delivery that was refused, and no other one has come for its order
    MISSING = "MISSING"  # a delivery that should be there
    PARKED = "PARKED"  # a delivery that waits for its control file
    WAITING_FOR_RELEASE = "WAITING_FOR_RELEASE"  # a delivery that a person is asked about
    FAULTY_ORDER = "FAULTY_ORDER"  # its newest control file could not be carried out
    NOT_BEGUN = "NOT_BEGUN"  # the day's run of an occasion, though something was due
    NOT_REPORTED = "NOT_REPORTED"  # events that should have been in a response file by now
    NOT_COLLECTED = "NOT_COLLECTED"  # what has come back has not been looked at for long
    SET_ASIDE = "SET_ASIDE"  # a file that was tried three times in vain
    FILE = "FILE"  # a file that was refused or is unknown
    UNCLEAR_MAILS = "UNCLEAR_MAILS"  # return mails that a person has to look at

    @property
    def words(self) -> Words:
        """The kind for people."""
        return _KINDS[self]

    @property
    def weight(self) -> str:
        """How urgent it is: `high` where mails may go wrong, `mid` where a delivery does not go on, else `low`."""
        if self in _HIGH:
            return "high"
        return "low" if self in (NeedKind.FILE, NeedKind.UNCLEAR_MAILS) else "mid"


_HIGH = (
    *(NeedKind.BROKEN_CONFIGURATION, NeedKind.STOPPED, NeedKind.RELAY_AWAY, NeedKind.TAKEN_BADLY),
    NeedKind.IN_DOUBT,
)
_STOP_DISPATCH = (NeedKind.STOPPED, NeedKind.RELAY_AWAY)
_KINDS = {
    NeedKind.BROKEN_CONFIGURATION: Words("Konfiguration fehlerhaft", "broken configuration"),
    NeedKind.STOPPED: Words("angehalten", "stopped"),
    NeedKind.RELAY_AWAY: Words("Mailserver nicht erreichbar", "mail server away"),
    NeedKind.TAKEN_BADLY: Words("Mails kommen schlecht an", "mails taken badly"),
    NeedKind.FAILED: Words("fehlgeschlagen", "failed"),
    NeedKind.IN_DOUBT: Words("ungeklärt", "in doubt"),
    NeedKind.REFUSED: Words("abgewiesen", "refused"),
    NeedKind.MISSING: Words("fehlt", "missing"),
    NeedKind.PARKED: Words("geparkt: ohne Steuerungsdatei", "parked: no control file"),
    NeedKind.WAITING_FOR_RELEASE: Words("wartet auf Freigabe", "waiting for release"),
    NeedKind.FAULTY_ORDER: Words("Auftrag fehlerhaft", "faulty order"),
    NeedKind.NOT_BEGUN: Words("Lauf nicht begonnen", "run not begun"),
    NeedKind.NOT_REPORTED: Words("nicht zurückgemeldet", "not reported"),
    NeedKind.NOT_COLLECTED: Words("Rückläufer nicht gelesen", "not collected"),
    NeedKind.SET_ASIDE: Words("Datei beiseitegelegt", "file set aside"),
    NeedKind.FILE: Words("Datei", "file"),
    NeedKind.UNCLEAR_MAILS: Words("unklare Rückläufer", "unclear return mails"),
}

_ACTS = {
    NeedKind.STOPPED: ("lift",),
    NeedKind.IN_DOUBT: ("resolve-sent", "resolve-unsent"),
    NeedKind.REFUSED: ("retry",),
    NeedKind.PARKED: ("refuse",),
    NeedKind.WAITING_FOR_RELEASE: ("approve", "decline"),
    NeedKind.SET_ASIDE: ("retry-file", "drop-file"),
}


@dataclass(frozen=True)
class Need:
    """One thing that needs a person. `people`: how many are concerned, None where nobody knows.

    `institute`, `occasion` and `order` are empty where it does not concern a single one; `delivery` is the id of a
    delivery that may have a report. `subject` tells it from others of its kind. No personal data.
    """

    kind: NeedKind
    said: Said
    institute: str = ""
    bank: str = ""
    occasion: str = ""
    order: str = ""
    since: datetime | None = None
    people: int | None = None
    delivery: int | None = None
    subject: str = ""

    @property
    def acts(self) -> tuple[str, ...]:
        """Names of what a person may do about it by a page (`process.acts`), to `thing`."""
        return _ACTS.get(self.kind, ())

    @property
    def thing(self) -> str:
        """The number of what it is about: of a delivery, a stop or a file."""
        return self.subject.partition(":")[2]

    @property
    def cause(self) -> str:
        """The same as long as it is the same thing that needs somebody."""
        return f"{self.kind} {self.subject or ' '.join((self.institute, self.occasion, self.order))}".rstrip()


def needs(engine: sa.Engine, institute: str = "") -> list[Need]:
    """All that needs a person, the most urgent kind first, in it the oldest; or what concerns one bank (BLZ)."""
    with engine.connect() as connection:
        found = [
            *_broken_configuration(),
            *_stopped(connection),
            *_relay_away(connection),
            *_taken_badly(connection),
            *_in_doubt(connection),
            *_refused(connection),
            *_missing(connection),
            *_parked(connection),
            *_waiting_for_release(connection),
            *_faulty_orders(connection),
            *_not_begun(connection),
            *_not_reported(connection),
            *_not_collected(connection),
            *_files(connection),
            *_unclear_mails(connection),
        ]
        found += _failed(connection, found)
    place = {kind: number for number, kind in enumerate(NeedKind)}
    wanted = [need for need in found if institute in ("", need.institute) or not need.institute]
    return sorted(wanted, key=lambda need: (place[need.kind], need.since or clock.now(), need.institute, need.order))


def _of_order(
    kind: NeedKind,
    row: Any,
    said: Said,
    since: datetime | None = None,
    people: int | None = None,
    *,
    delivery: int | None = None,
    subject: str = "",
    bank: str = "",
) -> Need:
    """`row` has the institute, the order_number and the occasion; `bank`: its name, where it is known already."""
    name = bank or bank_name(row.institute)
    return Need(kind, said, row.institute, name, row.occasion, row.order_number, since, people, delivery, subject)


def _of_delivery(kind: NeedKind, row: sa.Row[Any], said: Said, since: datetime, people: int | None) -> Need:
    """`row` is one of `deliveries`."""
    return _of_order(kind, row, said, since, people, delivery=row.id, subject=f"deliveries:{row.id}")


def _broken_configuration() -> Iterator[Need]:
    """Each broken file: what it says does not run."""
    for blz in institutes():
        try:
            institutes().get(blz)
        except ConfigError as error:
            yield Need(NeedKind.BROKEN_CONFIGURATION, _broken(error), blz, blz)
    for code in occasions():
        try:
            occasions().get(code)
        except ConfigError as error:
            yield Need(NeedKind.BROKEN_CONFIGURATION, _broken(error), occasion=code)


def _broken(error: ConfigError) -> Said:
    """What is wrong, with the file as it is called within the configuration folder."""
    return need_words.broken_configuration(str(error).replace(f"{settings().config_dir}/", ""))


def _stopped(connection: sa.Connection) -> Iterator[Need]:
    for stop in stop_switches.in_force(connection):
        bank, order = bank_name(stop.institute) if stop.institute else "", stop.order or ""
        what = Words(" ".join(filter(None, (bank, order))) or "alles", " ".join(filter(None, (bank, order))) or "all")
        bad = figures_of(connection, stop.delivery) if stop.delivery is not None else None
        said = (
            need_words.stopped_by_itself(stop.id, bad.delivery, what, bad.tried, bad.hard, bad.complaints)
            if bad
            else need_words.stopped(stop.id, stop.actor, stop.since, what)
        )
        yield Need(
            NeedKind.STOPPED, said, stop.institute or "", bank, "", order, stop.since, subject=f"stops:{stop.id}"
        )


def _relay_away(connection: sa.Connection) -> Iterator[Need]:
    """One line, however many deliveries found no session at their last try and still have somebody to write to."""
    due = (dispatches.c.tries_in_vain > 0, in_states(messages, MAY_STILL_GO_OUT), messages.c.due_at <= clock.now())
    row = connection.execute(
        sa.select(
            sa.func.count(dispatches.c.delivery_id.distinct()).label("deliveries"), sa.func.count().label("people")
        )
        .join(messages, messages.c.delivery_id == dispatches.c.delivery_id)
        .where(*due)
    ).one()
    if row.people:
        yield Need(NeedKind.RELAY_AWAY, need_words.relay_away(row.deliveries), people=row.people)


def _taken_badly(connection: sa.Connection) -> Iterator[Need]:
    """One line for each bank; when it gets grave it is another cause, so that people are told anew."""
    for bad in bad_sendings(connection):
        said = need_words.taken_badly(bad.institute, bad.sent, bad.hard, bad.complaints, is_grave=bad.is_grave)
        subject = f"{bad.institute}{' grave' if bad.is_grave else ''}"
        bank, people = bank_name(bad.institute), bad.hard + bad.complaints
        yield Need(NeedKind.TAKEN_BADLY, said, bad.institute, bank, people=people, subject=subject)


def _not_collected(connection: sa.Connection) -> Iterator[Need]:
    for source, last in late_collections(connection).items():
        yield Need(NeedKind.NOT_COLLECTED, need_words.not_collected(source), since=last, subject=source)


def _failed(connection: sa.Connection, others: Sequence[Need]) -> Iterator[Need]:
    """Tasks that failed, but for those of which something else on the list says what is wrong.

    That is: of an order or a bank that stands there already, or the sum of a day of which anything else does.
    """
    for work in failures(connection):
        of_order = {(need.institute, need.order) for need in others}
        is_said = (
            (work.order and (work.institute, work.order) in of_order)
            or (work.task.endswith("dispatch") and any(need.kind in _STOP_DISPATCH for need in others))
            or (not work.occasion and work.institute and any(need.institute == work.institute for need in others))
            or (work.task == "report" and any(need.occasion in ("", work.occasion) for need in others))
        )
        if not is_said:
            said = need_words.failed(work.task.rpartition(".")[2], work.label)
            bank = bank_name(work.institute) if work.institute else ""
            subject = f"{work.dag} {work.task} {work.label}".rstrip()
            yield Need(
                *(NeedKind.FAILED, said, work.institute or "", bank, work.occasion, work.order, work.at),
                subject=subject,
            )


def _not_begun(connection: sa.Connection) -> Iterator[Need]:
    for occasion, due in runs_not_begun(connection).items():
        yield Need(NeedKind.NOT_BEGUN, need_words.not_begun(occasion), occasion=occasion, since=due)


def _not_reported(connection: sa.Connection) -> Iterator[Need]:
    for institute, since in late_reports(connection).items():
        yield Need(NeedKind.NOT_REPORTED, need_words.not_reported(), institute, bank_name(institute), since=since)


def _in_doubt(connection: sa.Connection) -> Iterator[Need]:
    by = (deliveries.c.id, deliveries.c.institute, deliveries.c.order_number, deliveries.c.occasion)
    statement = (
        sa.select(*by, sa.func.count().label("people"), sa.func.min(messages.c.begun_at).label("since"))
        .join(messages, messages.c.delivery_id == deliveries.c.id)
        .where(in_states(messages, (MessageState.IN_DOUBT,)))
        .group_by(*by)
    )
    for row in connection.execute(statement):
        yield _of_delivery(NeedKind.IN_DOUBT, row, need_words.in_doubt(row.people), row.since, row.people)


def _refused(connection: sa.Connection) -> Iterator[Need]:
    """Refused by intake or gate, unless its order has got another delivery since, of the same number or a later one."""
    c, other = deliveries.c, deliveries.alias("other")
    is_replaced = sa.exists().where(
        other.c.institute == c.institute,
        other.c.order_number == c.order_number,
        other.c.contract == c.contract,
        other.c.delivery_number >= c.delivery_number,
        other.c.state.in_(WAS_TAKEN_IN),
    )
    oldest = clock.today() - timedelta(days=KEPT_DAYS)
    statement = sa.select(deliveries).where(c.state == DeliveryState.REFUSED, c.day >= oldest, ~is_replaced)
    for row in connection.execute(statement):
        said = need_words.refused(row.id, row.delivery_number, row.code, row.advice)
        yield _of_delivery(NeedKind.REFUSED, row, said, row.created_at, row.rows)


def _missing(connection: sa.Connection) -> Iterator[Need]:
    """Expected on one of the last days, since its order is known, its time is over, and it has not come.

    What was refused is named as such. Where we select the people ourselves, the next selection makes up for those
    before: only the last one is named.
    """
    days = [clock.today() - timedelta(days=back) for back in range(MISSED_DAYS, -1, -1)]
    c, known = deliveries.c, institutes().whole
    came = sa.select(c.order_id, c.period_start).where(
        c.period_start.in_(days), c.state.in_((*HOLDS_ITS_NUMBER, DeliveryState.REFUSED))
    )
    there: defaultdict[int, set[date]] = defaultdict(set)
    for order_id, day in connection.execute(came):
        there[order_id].add(day)
    for order in known_orders(connection):
        bank = known.get(order.institute)
        if bank is not None and is_served(bank):
            missed = list(_missed(order, bank, [day for day in days if day not in there[order.id]]))
            if bank.delivers_data:
                missed = [one for one in missed[-1:] if one[0] > max(there[order.id], default=date.min)]
            for day, until in missed:
                say = need_words.not_selected if bank.delivers_data else need_words.missing
                said = say(order.order_number, day, until)
                subject = f"orders:{order.id} {day}"
                yield _of_order(NeedKind.MISSING, order, said, until, subject=subject, bank=bank.name)


def _missed(order: sa.Row[Any], bank: Institute, days: Sequence[date]) -> Iterator[tuple[date, datetime]]:
    """Those of the days on which a delivery of the order was expected, and until when, as far as that is past."""
    source, now = system_of(bank).source, clock.now()
    for day in source.due_days(order, bank, days):
        until = source.expected(order, bank, day).until
        if until <= now and (order.since is None or order.since < until):
            yield day, until


def _parked(connection: sa.Connection) -> Iterator[Need]:
    for row in connection.execute(sa.select(deliveries).where(deliveries.c.state == DeliveryState.PARKED)):
        said = need_words.parked(row.delivery_number, row.advice)
        yield _of_order(NeedKind.PARKED, row, said, row.created_at, row.rows, subject=f"deliveries:{row.id}")


def _waiting_for_release(connection: sa.Connection) -> Iterator[Need]:
    statement = (
        sa.select(deliveries, releases.c.asked_at)
        .join(releases, (releases.c.delivery_id == deliveries.c.id) & releases.c.decision.is_(None))
        .where(deliveries.c.state == DeliveryState.VALIDATED, releases.c.asked_at.is_not(None))
    )
    for row in connection.execute(statement):
        said = need_words.waiting_for_release(row.id, row.delivery_number)
        yield _of_delivery(NeedKind.WAITING_FOR_RELEASE, row, said, row.asked_at, row.accepted)


def _faulty_orders(connection: sa.Connection) -> Iterator[Need]:
    faulty = (
        sa.select(orders)
        .join(osplus_orders, osplus_orders.c.order_id == orders.c.id)
        .where(osplus_orders.c.faulty, ~orders.c.ended)
    )
    for row in connection.execute(faulty):
        yield _of_order(NeedKind.FAULTY_ORDER, row, need_words.faulty_order())


def _files(connection: sa.Connection) -> Iterator[Need]:
    """Set aside, whenever; refused or unknown of the last days, unless it is a delivery, which is named as such.

    A file of the same kind and bank that was taken in later has taken the place of a refused one.
    """
    c, later = files.c, files.alias("later")
    is_replaced = sa.exists().where(
        later.c.institute == c.institute,
        later.c.kind == c.kind,
        later.c.kind != "",
        later.c.id > c.id,
        later.c.verdict.not_in((*FILE_WAS_REFUSED, FileVerdict.SET_ASIDE)),
    )
    is_delivery = sa.exists().where(deliveries.c.file_id == c.id)
    is_recent = c.received_at >= clock.now() - timedelta(days=KEPT_DAYS)
    refused = c.verdict.in_(FILE_WAS_REFUSED) & is_recent & ~is_delivery & ~is_replaced
    for row in connection.execute(sa.select(files).where((c.verdict == FileVerdict.SET_ASIDE) | refused)):
        is_set_aside = row.verdict == FileVerdict.SET_ASIDE
        kind = NeedKind.SET_ASIDE if is_set_aside else NeedKind.FILE
        say = need_words.set_aside_file if is_set_aside else need_words.refused_file
        said = say(row.id, row.kind, row.verdict, row.code, row.advice)
        bank = bank_name(row.institute)
        yield Need(kind, said, row.institute, bank, since=row.received_at, subject=f"files:{row.id}")


def _unclear_mails(connection: sa.Connection) -> Iterator[Need]:
    c = return_mails.c
    whose = sa.func.coalesce(c.institute, "").label("institute")
    statement = (
        sa.select(whose, sa.func.count().label("mails"), sa.func.min(c.taken_at).label("since"))
        .where(c.meaning == "UNCLEAR")
        .group_by(whose)
    )
    for row in connection.execute(statement):
        said, name = need_words.unclear_mails(row.mails), bank_name(row.institute) if row.institute else ""
        yield Need(NeedKind.UNCLEAR_MAILS, said, row.institute, name, since=row.since, people=row.mails)
