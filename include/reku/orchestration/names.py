"""Names that others need without Airflow being imported."""

from __future__ import annotations


def dag_id(code: str) -> str:
    """The DAG of an occasion: MCAG002 → reku_mcag002."""
    return f"reku_{code.lower()}"
