"""The question that a person is asked about an unusual delivery: Markdown in German and English, metrics only."""

from __future__ import annotations

from reku.foundation.words import Words
from reku.release.anomaly import JudgedMetric, explain
from reku.release.decision import ReleaseDecision
from reku.release.report_text import metric_name

APPROVE, DECLINE = "Freigeben / Approve", "Endgültig ablehnen / Decline for good"
"""The two answers."""
FIRST = Words(
    "Erste Lieferung des Auftrags: sie soll von einer Person angesehen werden (approve_first).",
    "First delivery of the order: a person shall look at it (approve_first).",
)


def subject(label: str) -> str:
    """The headline; `label` names bank, order and delivery number."""
    return f"Freigabe / Release: {label}"


def body(verdict: ReleaseDecision, report: str, until: str) -> str:
    """What is unusual, all other metrics, where the report is, and what each answer does. `until`: Berlin time."""
    return "\n".join(
        (
            "**Auffällig / unusual**",
            "",
            *([f"- {FIRST}"] if verdict.first else []),
            *(_line(metric) for metric in verdict.unusual),
            "",
            "**Unauffällig / as usual**",
            "",
            *(_line(metric) for metric in verdict.metrics if not metric.is_unusual),
            "",
            f"[Bericht / report]({report})",
            "",
            "**Freigeben**: die Lieferung wird geladen und versandt. **Endgültig ablehnen**: nichts davon wird"
            " versandt, alle Zeilen gehen als FREIGABE_VERWEIGERT zurück; das lässt sich nicht zurücknehmen. Eine"
            " Ablehnung ohne Begründung zählt nicht: dann wird noch einmal gefragt."
            f" Ohne Antwort bis {until} wird nichts versandt.",
            "",
            "**Approve**: the delivery is loaded and mailed. **Decline for good**: nothing of it is mailed, all rows go"
            " back as FREIGABE_VERWEIGERT; that cannot be undone. A decline without a reason does not count: the"
            f" question comes again. Without an answer by {until} nothing is mailed.",
        )
    )


def in_short(verdict: ReleaseDecision) -> str:
    """What is unusual, in one English line."""
    told = [f"{metric_name(metric.name).english}: {explain(metric).english}" for metric in verdict.unusual]
    return "; ".join([FIRST.english.rstrip(".")] * verdict.first + told)


def _line(metric: JudgedMetric) -> str:
    name, told = metric_name(metric.name), explain(metric)
    return f"- {name.german}: {told.german} / {name.english}: {told.english}"
