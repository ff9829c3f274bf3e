"""agreeMailing's answers: what became of mails that were handed over, each event once.

Told in docs/agree21.md, "Answers of agreeMailing".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute, UnsubscribeScope
from reku.contact.barring import bar_complained, bar_unsubscribed
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, FileRefused, RecordFile, parse_moment, read
from reku.records.rows import row_faults
from reku.sources.inbox.filing import FileDecision
from reku.sources.inbox.receipts import Line, Status, refusal
from reku.store.events import Event, record
from reku.store.kinds import HITS, EventKind, SuppressionSource, UnsubscribedFrom
from reku.store.states import IS_SENT_WITH_ITS_FILE, FileVerdict, MessageState, in_states
from reku.store.tables import deliveries, files, messages
from reku.vault.sealed_rows import forget_rows

KIND = "AGREEMAILING_ANTWORT"
_BATCH = 5_000
_MOST_LINES = 1_000
"""Rows that are told one by one in a receipt."""


@dataclass(frozen=True)
class AnswersResult:
    """What became of a file of answers. `counts`: events new and known before, references unknown, other rejects."""

    decision: FileDecision
    counts: dict[str, int] = field(default_factory=dict)


def take_answers(
    connection: sa.Connection, bank: Institute, contract: Contract, name: str, order: str, data: bytes, sha256: str
) -> AnswersResult:
    """Take a file of answers in, in the caller's transaction; `order`: number of the order in its name.

    An event of a mail that nobody has acknowledged yet sends it: it was taken. Rows that name no mail of the order are
    told and never guessed, opens and clicks of people who have not consented to be counted are kept out.
    """
    if _is_known(connection, bank.blz, sha256):
        code, advice = FaultCode.DUBLETTE, "Diese Datei ist mit gleichem Inhalt schon übernommen."
        line = Line(Status.DUBLETTE, code, advice)
        return AnswersResult(FileDecision(FileVerdict.DUPLICATE, code, advice, (line,), keep=False))
    try:
        file = read(contract, data, environment=settings().environment, file_name=name)
    except FileRefused as refused:
        first = refused.faults[0]
        told = refusal(refused.faults)
        return AnswersResult(FileDecision(FileVerdict.REFUSED, first.code, first.advice, told))
    faults = {fault.line: fault for fault in reversed(row_faults(contract, file))}
    counts = Counter[str]()
    whole = [(line, row) for line, row in zip(file.lines, file.as_dicts(), strict=True) if line not in faults]
    for start in range(0, len(whole), _BATCH):
        answers = list(_answers(contract, whole[start : start + _BATCH]))
        known = _mails(connection, bank.blz, order, {one.reference for one in answers})
        faults |= {one.line: fault for one in answers if (fault := _fault(one, known))}
        good = [one for one in answers if one.line not in faults]
        new = _record(connection, bank, good, known)
        counts += Counter(events=new, known=len(good) - new)
    counts["unknown_references"] = sum(fault.code == FaultCode.REFERENZ_UNBEKANNT for fault in faults.values())
    counts["rejected"] = len(faults) - counts["unknown_references"]
    return AnswersResult(_decision(file, faults, counts), dict(counts))


@dataclass(frozen=True)
class _Answer:
    line: int
    reference: str
    event: EventKind
    row: Mapping[str, str]

    def as_event(self, message: int, scope: UnsubscribedFrom) -> Event:
        reason, left = self.row["Grund_Code"], self.event is EventKind.UNSUBSCRIBED
        return Event(
            message,
            self.event,
            parse_moment(self.row["Ereignis_Zeit"]),
            _source(reason) if left else reason,
            scope if left else None,
        )


def _answers(contract: Contract, rows: Iterable[tuple[int, dict[str, str]]]) -> Iterator[_Answer]:
    kinds = contract.words("Ereignis_Art")
    for line, row in rows:
        yield _Answer(line, row["Referenz"], EventKind(kinds[row["Ereignis_Art"]]), row)


def _is_known(connection: sa.Connection, institute: str, sha256: str) -> bool:
    of = files.c
    same = (of.institute == institute, of.kind == KIND, of.sha256 == sha256, of.verdict == FileVerdict.PROCESSED)
    return bool(connection.scalar(sa.select(sa.exists().where(*same))))


def _mails(connection: sa.Connection, institute: str, order: str, references: set[str]) -> dict[str, Any]:
    """The jobs of an order by their references, locked: retention may not remove them now."""
    of = messages.c
    of_order = sa.select(deliveries.c.id).where(deliveries.c.institute == institute, deliveries.c.order_number == order)
    wanted = (
        sa.select(of.id, of.reference, of.institute, of.recipient_key, of.person_number, of.tracking)
        .where(of.delivery_id.in_(of_order), of.reference.in_(references), of.channel == ChannelName.AGREE_MAILING)
        .order_by(of.id)
        .with_for_update()
    )
    return {row.reference: row for row in connection.execute(wanted)}


def _fault(one: _Answer, known: Mapping[str, Any]) -> Fault | None:
    if one.reference not in known:
        advice = "Referenz: dazu wurde agreeMailing kein Auftrag übergeben. Der Satz ist nicht übernommen."
        return Fault(FaultCode.REFERENZ_UNBEKANNT, one.line, "Referenz", advice, one.reference)
    if one.event in HITS and not known[one.reference].tracking:
        advice = "Ereignis_Art: Öffnungen und Klicks werden nur mit Einwilligung in die Zählung angenommen."
        return Fault(FaultCode.WERT, one.line, "Ereignis_Art", advice, one.reference)
    return None


def _record(connection: sa.Connection, bank: Institute, answers: list[_Answer], known: Mapping[str, Any]) -> int:
    """The events, who is barred by them, and mails that are known to be sent by them. Returns how many are new."""
    of_order = bank.unsubscribe_scope is UnsubscribeScope.ORDER
    scope = UnsubscribedFrom.ORDER if of_order else UnsubscribedFrom.INSTITUTE
    events = [one.as_event(known[one.reference].id, scope) for one in answers]
    about = {row.id: row for row in known.values()}
    left = {event.message: (_source(event.reason), scope) for event in events if event.kind is EventKind.UNSUBSCRIBED}
    bar_unsubscribed(connection, left, clock.now())
    bar_complained(connection, [about[event.message] for event in events if event.kind is EventKind.COMPLAINED])
    new = record(connection, events)
    _are_sent(connection, [event for event in events if event.kind is not EventKind.NOT_SENT])
    return new


def _source(reason: str) -> SuppressionSource:
    return SuppressionSource(reason) if reason in list(SuppressionSource) else SuppressionSource.LINK


def _are_sent(connection: sa.Connection, events: list[Event]) -> None:
    """Mails that nobody had acknowledged were taken all the same; their names and addresses leave."""
    first: dict[int, Event] = {}
    for event in sorted(events, key=lambda event: event.at):
        first.setdefault(event.message, event)
    moment = clock.now()
    sent = connection.execute(
        sa.update(messages)
        .where(messages.c.id.in_(first), in_states(messages, IS_SENT_WITH_ITS_FILE))
        .values(state=MessageState.SENT, begun_at=moment, ended_at=moment)
        .returning(messages.c.id, messages.c.row_id)
    ).all()
    record(connection, [Event(row.id, EventKind.SENT, first[row.id].at) for row in sent])
    forget_rows(connection, [row.row_id for row in sent if row.row_id is not None])


def _decision(file: RecordFile, faults: Mapping[int | None, Fault], counts: Mapping[str, int]) -> FileDecision:
    """Processed, whatever single rows are: the file's own line first, then each row that was kept out."""
    words = [warning.advice for warning in file.warnings]
    if counts["unknown_references"]:
        words.append(f"{counts['unknown_references']} Sätze mit unbekannter Referenz.")
    if counts["rejected"]:
        words.append(f"{counts['rejected']} Sätze nicht übernommen.")
    code = next((fault.code for fault in (*file.warnings, *faults.values())), "")
    lines = [Line(Status.OK_MIT_WARNUNG if words else Status.OK, code, " ".join(words))]
    lines += [
        Line(Status.ABGELEHNT, fault.code, fault.advice, fault.field, fault.line, fault.reference)
        for _, fault in sorted(faults.items(), key=lambda one: one[0] or 0)[:_MOST_LINES]
    ]
    return FileDecision(FileVerdict.PROCESSED, code, " ".join(words), tuple(lines))
