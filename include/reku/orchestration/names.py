"""What DAGs and tasks are called: ids in English for programs, names in German for people at Airflow's pages."""

from __future__ import annotations

import zlib

TASKS = {
    "await_control_file": "Auf Steuerungsdatei warten",
    "due_work": "Arbeit des Tages",
    "await_delivery": "Auf Lieferung warten",
    "validate": "Prüfen",
    "release": "Freigeben",
    "upsert_subscribers": "Aboliste füllen",
    "dispatch": "Versenden",
    "collect_responses": "Rückmeldungen sammeln",
    "export_feedback": "Rückmeldungen schreiben",
    "report": "Tagesabschluss",
    "configuration": "Konfiguration fehlerhaft",
    "banks": "Banken auflisten",
    "take_in": "Dateien annehmen",
    "unclaimed": "Was niemandem gehört",
    "data_banks": "Banken mit Daten auflisten",
    "import_data": "Daten übernehmen",
    "daily_files": "Dateien des Tages vorbereiten",
    "emma_banks": "Banken mit EMMA auflisten",
    "look_after_emma": "EMMA-Konto betreuen",
    "return_mails": "Rückläufer lesen",
    "hits": "Öffnungen und Klicks übernehmen",
    "daily_feedback": "Tägliche Rückmeldungen schreiben",
    "alarms": "Alarme melden",
    "heartbeat": "Lebenszeichen senden",
    "metrics": "Kennzahlen melden",
    "remove_reports": "Alte Prüfberichte löschen",
    "apply_retention": "Aufbewahrungsfristen anwenden",
}
"""The name of each task by its id."""


def named(task: str) -> dict[str, str]:
    """Id and name of a task, for its operator."""
    return {"task_id": task, "task_display_name": TASKS[task]}


def dag_id(code: str) -> str:
    """The DAG of an occasion: MCAG002 → reku_mcag002."""
    return f"reku_{code.lower()}"


def start_minute(code: str) -> int:
    """The minute after 03:00 Berlin time at which the DAG of an occasion starts, 0 to 44: spread by a hash of the code.

    CRC-32 and not `hash`, which differs from process to process.
    """
    return zlib.crc32(code.encode()) % 45
