"""How a delivery report writes numbers, shares, moments, and the words of closed vocabularies: German, then English."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from reku.foundation import clock
from reku.foundation.words import Words
from reku.release.anomaly import show
from reku.release.report_facts import Facts, Metric
from reku.store import metric_names
from reku.store.kinds import EventKind, Severity
from reku.store.states import Decision, DeliveryState


class ReportVerdict(NamedTuple):
    """The report's first line: `tone` is good, mixed, waiting or bad."""

    tone: str
    german: str
    english: str


METRICS = {
    metric_names.ROWS: Words("Zeilen", "rows"),
    metric_names.WITHOUT_CONSENT: Words("ohne Einwilligung", "without consent"),
    metric_names.UNKNOWN_DOMAINS: Words("unbekannte Maildomains", "unknown mail domains"),
    metric_names.DAMAGED: Words("mit beschädigten Texten", "with damaged texts"),
    metric_names.IN_PREVIOUS: Words("schon in der vorigen Lieferung", "in the previous delivery already"),
    metric_names.salutation("1"): Words("Anrede 1 (Herr)", "salutation 1"),
    metric_names.salutation("2"): Words("Anrede 2 (Frau)", "salutation 2"),
    metric_names.salutation("3"): Words("Anrede 3 (ohne)", "salutation 3"),
    metric_names.salutation("4"): Words("Anrede 4 (Firma)", "salutation 4"),
}
SEVERITIES = {
    Severity.REFUSE: Words("Datei abgelehnt", "refuses the file"),
    Severity.REJECT: Words("Zeile abgelehnt", "rejects the row"),
    Severity.WARN: Words("nur gezählt", "counted only"),
}
DECISIONS = {
    Decision.NORMAL: Words("unauffällig, ohne Rückfrage", "normal, nobody was asked"),
    Decision.APPROVED: Words("von einer Person freigegeben", "approved by a person"),
    Decision.DECLINED: Words("von einer Person verweigert", "declined by a person"),
}
_VERDICTS = {
    DeliveryState.PARKED: ReportVerdict("waiting", "Wartet auf eine Steuerungsdatei", "waits for a control file"),
    DeliveryState.REGISTERED: ReportVerdict("waiting", "Noch nicht geprüft", "not judged yet"),
    DeliveryState.REFUSED: ReportVerdict("bad", "Als Ganzes abgelehnt", "refused as a whole"),
    DeliveryState.DECLINED: ReportVerdict("bad", "Freigabe verweigert", "release declined"),
}


_CURES = {
    DeliveryState.PARKED: Words(
        "Zu tun: den Auftrag in OSPlus einmal umbenennen lassen; mit der Steuerungsdatei geht es von allein weiter.",
        "To do: have the order renamed once in OSPlus; with the control file it goes on by itself.",
    ),
    DeliveryState.REFUSED: Words(
        "Zu tun: vom Absender eine berichtigte Datei mit derselben Nummer verlangen; lag der Fehler bei uns, hilft"
        " „Noch einmal lesen“.",
        "To do: ask the sender for a corrected file with the same number; if the fault was ours, have it read again.",
    ),
    DeliveryState.DECLINED: Words(
        "Nichts zu tun: niemandem daraus wird geschrieben, alle Zeilen gehen zurück.",
        "Nothing to do: nobody of it is written to, and all rows go back.",
    ),
}
_ASKED = Words("Zu tun: freigeben oder endgültig ablehnen.", "To do: approve it, or decline it for good.")
RESPONSES: Mapping[str, Words] = {
    EventKind.OPENED: Words("geöffnet", "opened"),
    EventKind.CLICKED: Words("geklickt", "clicked"),
    EventKind.UNSUBSCRIBED: Words("abgemeldet", "unsubscribed"),
    EventKind.COMPLAINED: Words("beschwert", "complained"),
    EventKind.BOUNCED_HARD: Words("endgültig unzustellbar", "hard bounces"),
    EventKind.BOUNCED_SOFT: Words("vorübergehend unzustellbar", "soft bounces"),
    EventKind.BOUNCED_UNKNOWN: Words("unzustellbar, Grund unbekannt", "unknown bounces"),
}


def cure(facts: Facts) -> Words | None:
    """What a person has to do about the delivery; None if nothing."""
    if facts.state not in _CURES and facts.asked_at is not None and facts.decision is None:
        return _ASKED
    return _CURES.get(facts.state)


def verdict(facts: Facts) -> ReportVerdict:
    """What became of the delivery, in a few words."""
    if facts.state in _VERDICTS:
        return _VERDICTS[facts.state]
    if facts.asked_at is not None and facts.decision is None:
        return ReportVerdict("waiting", "Wartet auf Freigabe", "waits for a person's release")
    if facts.rejected:
        return ReportVerdict("mixed", "Angenommen, einzelne Zeilen abgelehnt", "accepted, some rows rejected")
    return ReportVerdict("good", "Angenommen", "accepted")


def share(part: float, whole: float = 1) -> str:
    """A share in per cent with one decimal and a comma: 4,2 %. A dash where there is no whole."""
    return f"{100 * part / whole:.1f} %".replace(".", ",") if whole else "–"


def moment(value: datetime) -> str:
    """A moment as people in Germany read it: 22.11.2026 02:15."""
    return f"{clock.berlin(value):%d.%m.%Y %H:%M}"


def metric_name(name: str) -> Words:
    """The metric's name for people; an unknown one stays as it is."""
    return METRICS.get(name, Words(name, ""))


def metric_place(metric: Metric) -> tuple[int, str]:
    """Sorts metrics as `METRICS` has them, unknown ones last by name."""
    names = list(METRICS)
    return (names.index(metric.name) if metric.name in names else len(names), metric.name)


def metric_value(metric: Metric, value: float | None) -> str:
    """A value of this metric, as a person is asked about it; a dash for none."""
    if value is None:
        return "–"
    return show(metric.name, value).german


def metric_range(metric: Metric) -> str:
    """The range that passes unasked: `80 – 160`, `bis 10.000`, `ab 80`, or a dash."""
    low, high = (metric_value(metric, bound) for bound in (metric.low, metric.high))
    if metric.low is None:
        return "–" if metric.high is None else f"bis {high}"
    return f"ab {low}" if metric.high is None else f"{low} – {high}"
