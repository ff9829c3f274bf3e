"""Control files (`vreku`, `viam`): read and checked as a whole, then carried out or faulty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.catalogue.loader import occasions
from reku.foundation import clock
from reku.foundation.errors import suggest
from reku.foundation.settings import settings
from reku.records import Contract, Fault, FaultCode, FileRefused, RecordFile, contracts, parse_date, read, row_faults
from reku.sources.inbox import filing
from reku.sources.inbox.filing import Arrived, FileDecision
from reku.sources.inbox.folders import InboxFolders
from reku.sources.inbox.receipts import Line, Status, refusal
from reku.sources.osplus import delivery_files as parked
from reku.sources.osplus import order_changes
from reku.sources.osplus.order_changes import Announcement
from reku.store.states import FileVerdict
from reku.store.tables import control_files, orders, osplus_orders

_INTERFACE = {"VREKU": "REKU", "VIAM": "IAMW"}
"""Dateiart of a control file → that of its order's deliveries."""


@dataclass(frozen=True)
class ControlFile:
    """An arrived control file as read. With any fault nothing of it is carried out."""

    arrived: Arrived
    kind: str
    order_number: str
    created_at: datetime
    announcements: tuple[Announcement, ...] = ()
    warnings: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()


def read_control_file(
    institute: Institute, contract: Contract, groups: dict[str, str], arrived: Arrived
) -> ControlFile:
    """Read a control file; what is wrong with it stands in `faults`. `groups` are the parts of its name.

    Raises ConfigError if the file of an occasion that it names is broken.
    """
    control = ControlFile(
        arrived, contract.kind, groups["auftrag"], filing.named_moment(groups["zeit"], arrived.received_at)
    )
    try:
        file = read(contract, arrived.data, environment=settings().environment, file_name=arrived.name)
    except FileRefused as refused:
        return replace(control, faults=refused.faults)
    # A moment to come, by a wrong clock or a slip in the year, would outdo every later control file of the order.
    control = replace(control, created_at=min(file.head.created_at, arrived.received_at))
    faults = list(filing.made_near(file.head.created_at, arrived.received_at))
    faults += [_told_exactly(fault, file) for fault in row_faults(contract, file)]
    faults += _interface_faults(institute, file.head.created_at)
    if not file.rows:
        advice = "Die Steuerungsdatei enthält keinen Satz D. Vollständig neu liefern."
        faults.append(Fault(FaultCode.ANZAHL, advice=advice))
    if faults:
        return replace(control, faults=tuple(faults))
    announcements = tuple(_announcements(file))
    warnings = list(file.warnings)
    for news in announcements:
        if news.event != "ENDE":  # an end must go through even if the occasion has left the catalogue
            faults += _occasion_faults(news)
            warnings += _medium_warnings(news)
    return replace(control, announcements=announcements, warnings=tuple(warnings), faults=tuple(faults))


def _told_exactly(fault: Fault, file: RecordFile) -> Fault:
    """A fault of the order name says what is in it: umlaut, blank or another character."""
    if fault.code != FaultCode.NAME_UMLAUT or fault.line is None:
        return fault
    name = file.rows[file.lines.index(fault.line)][file.columns.index(fault.field)]
    umlauts = "".join(dict.fromkeys(re.findall(r"[äöüÄÖÜßẞ]", name)))
    others = "".join(dict.fromkeys(re.findall(r"[^A-Za-z0-9_.\-\säöüÄÖÜßẞ]", name)))
    named = [
        part
        for part in (
            f"Umlaute ({umlauts})" if umlauts else "",
            "Leerzeichen" if re.search(r"\s", name) else "",
            f"unerlaubte Zeichen ({others})" if others else "",
        )
        if part
    ]
    return replace(fault, advice=f"Die Bezeichnung enthält {' und '.join(named)}. Erlaubt: A-Z a-z 0-9 _ . -")


def _interface_faults(institute: Institute, created_at: datetime) -> Iterator[Fault]:
    active = institute.interface_active_from
    if active is not None and created_at >= active:
        return
    since = f"erst seit {clock.berlin(active):%d.%m.%Y %H:%M} aktiv" if active else "nicht aktiv"
    advice = (
        f"Die EMMA-Schnittstelle des Instituts ist {since}. Nach der Freischaltung die Bezeichnung des Auftrags "
        "im Vertriebsweg EMMA einmal ändern."
    )
    yield Fault(FaultCode.SCHNITTSTELLE_INAKTIV, advice=advice)


def _announcements(file: RecordFile) -> Iterator[Announcement]:
    says_origin = "Herkunft" in file.columns
    for line, row in zip(file.lines, file.as_dicts(), strict=True):
        iam = file.head.kind == "VIAM"
        number, name = (
            (row["Ansprache_Nr"], row["Ansprache_Bezeichnung"])
            if iam
            else (row["Auftrags_Nr"], row["Auftrags_Bezeichnung"])
        )
        once = row.get("Ausfuehrung") == "EINMALIG"
        default_list = f"IAM_{number}_{name}" if iam else f"{row['Anlass_Code']}_{name}"
        yield Announcement(
            line=line,
            event=row["Ereignis"],
            interface=_INTERFACE[file.head.kind],
            order_number=number,
            name=name,
            occasion=row["Anlass_Code"],
            own_occasion=row.get("Ansprache_Typ") == "INDIVIDUAL",
            rhythm="EINMALIG" if once else row["Ausfuehrungsrhythmus"],
            valid_from=parse_date(row["Gueltig_ab"]),
            valid_until=parse_date(row["Gueltig_bis"]) if row["Gueltig_bis"] else None,
            list_name=row["Listen_Name"] or default_list,
            medium=row["Werbemittel"],
            wanted_events=_wanted_events(row["Response_Umfang"]),
            expected_by=time.fromisoformat(row["Erwartet_bis"]),
            origin=row["Herkunft"] if says_origin else "",
            created_at=file.head.created_at,
        )


def _wanted_events(scope: str) -> list[str] | None:
    """The kinds of events that `Response_Umfang` asks for; None if it is empty."""
    words = contracts()["RESPONSE"].words("Ereignis_Art")
    return [words[code] for code in scope.split("+")] if scope else None


def _occasion_faults(news: Announcement) -> Iterator[Fault]:
    if not news.occasion:
        advice = "Ohne Anlass_Code kann die Ansprache nicht laufen. Den eigenen Anlass des Instituts angeben."
        yield Fault(FaultCode.PFLICHTFELD, news.line, "Anlass_Code", advice)
        return
    known = occasions()
    if news.occasion in known and (news.own_occasion or known[news.occasion].is_standard):
        return
    near = suggest(news.occasion, known)
    cure = f"Ist {near} gemeint?" if near else "Einen Anlass des Katalogs angeben."
    advice = f"Der Anlass {news.occasion} ist nicht im Katalog. {cure}"
    yield Fault(FaultCode.ANLASS_UNBEKANNT, news.line, "Anlass_Code", advice)


def _medium_warnings(news: Announcement) -> Iterator[Fault]:
    occasion = occasions().get(news.occasion)
    if news.medium and occasion is not None and news.medium not in occasion.media:
        advice = f"{news.medium} ist für {news.occasion} nicht vorgesehen. Es gilt das Werbemittel der Kampagne."
        yield Fault(FaultCode.WERBEMITTEL, news.line, "Werbemittel", advice)


def carry_out(
    connection: sa.Connection, institute: Institute, folders: InboxFolders, control: ControlFile
) -> tuple[int, FileDecision]:
    """Register a control file and do what it says, all or nothing, in the caller's transaction.

    The newest Erstellt_am of an order counts: an older file changes nothing. A faulty one marks its order, so that
    deliveries are parked until a newer one is good. Returns the id in `files` and the ruling.
    """
    newest = _newest(connection, institute.blz, control.order_number)
    faults, warnings, duplicate = control.faults, list(control.warnings), False
    if not faults and newest is not None and control.created_at < newest:
        ruling = _duplicate("Eine neuere Steuerungsdatei dieses Auftrags ist schon da; diese ändert nichts.")
        return filing.record(connection, folders, control.arrived, control.kind, ruling), ruling
    if not faults:
        try:
            with connection.begin_nested():
                done = [order_changes.carry_out(connection, institute, news) for news in control.announcements]
        except FileRefused as refused:
            faults = refused.faults
        else:
            warnings += [warning for one in done for warning in one.warnings]
            duplicate = all(one.duplicate for one in done)
    if faults:
        ruling = FileDecision(FileVerdict.REFUSED, faults[0].code, faults[0].advice, refusal(faults))
    elif duplicate:
        ruling = _duplicate("Dieser Stand des Auftrags ist schon verarbeitet.")
    else:
        ruling = FileDecision(FileVerdict.PROCESSED, *_first(warnings), receipt=_acceptance(warnings))
    file_id = filing.record(connection, folders, control.arrived, control.kind, ruling)
    is_newer = newest is None or control.created_at > newest
    if is_newer or not duplicate:
        _note(connection, institute.blz, control, file_id, ruling)
    if faults and is_newer:
        _mark_faulty(connection, institute.blz, control.order_number)
    return file_id, ruling


def _newest(connection: sa.Connection, institute: str, order_number: str) -> datetime | None:
    newest: datetime | None = connection.execute(
        sa.select(sa.func.max(control_files.c.created_at)).where(
            control_files.c.institute == institute, control_files.c.order_number == order_number
        )
    ).scalar_one()
    return newest


def _note(connection: sa.Connection, institute: str, control: ControlFile, file_id: int, ruling: FileDecision) -> None:
    connection.execute(
        sa.insert(control_files).values(
            institute=institute,
            file_id=file_id,
            kind=control.kind,
            order_number=control.order_number,
            created_at=control.created_at,
            processed=ruling.verdict != FileVerdict.REFUSED,
            code=ruling.code,
        )
    )


def _mark_faulty(connection: sa.Connection, institute: str, order_number: str) -> None:
    connection.execute(
        sa.update(osplus_orders)
        .where(osplus_orders.c.order_id == orders.c.id)
        .where(orders.c.institute == institute, orders.c.order_number == order_number)
        .values(faulty=True)
    )
    parked.advise_again(connection, institute, order_number)


def _duplicate(advice: str) -> FileDecision:
    line = Line(Status.DUBLETTE, FaultCode.DUBLETTE, advice)
    return FileDecision(FileVerdict.DUPLICATE, FaultCode.DUBLETTE, advice, (line,))


def _first(warnings: list[Fault]) -> tuple[str, str]:
    return (warnings[0].code, warnings[0].advice) if warnings else ("", "")


def _acceptance(warnings: list[Fault]) -> tuple[Line, ...]:
    """OK, or one line for each warning."""
    lines = [Line(Status.OK_MIT_WARNUNG, one.code, one.advice, one.field) for one in warnings]
    return tuple(lines) or (Line(Status.OK),)
