"""Names of the metrics of a delivery (table `metrics`): measured by the gate, judged and shown by the release."""

from __future__ import annotations

ROWS = "rows"
WITHOUT_CONSENT = "without_consent"
UNKNOWN_DOMAINS = "unknown_domains"
IN_PREVIOUS = "in_previous"
DAMAGED = "damaged"
SALUTATIONS = ("1", "2", "3", "4")
"""The values of the role `salutation`; a row without one of them belongs to no metric."""


def salutation(value: str) -> str:
    """Name of the metric that holds the share of one Anrede."""
    return f"salutation_{value}"
