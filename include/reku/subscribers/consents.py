"""Rows of one delivery that contradict each other about a person's consent: whoever said no once has said no."""

from __future__ import annotations

import logging

import sqlalchemy as sa

log = logging.getLogger(__name__)

_SETTLE = sa.text("""
    WITH contradictory AS (
        SELECT person_number, recipient_key, bool_and(consent) AS consent, bool_and(tracking) AS tracking
        FROM reku.messages WHERE delivery_id = :delivery
        GROUP BY person_number, recipient_key
        HAVING bool_or(consent) <> bool_and(consent) OR bool_or(tracking) <> bool_and(tracking)
    )
    UPDATE reku.messages m SET consent = c.consent, tracking = c.tracking
    FROM contradictory c
    WHERE m.delivery_id = :delivery AND m.person_number = c.person_number AND m.recipient_key = c.recipient_key
        AND (m.consent, m.tracking) <> (c.consent, c.tracking)
""")


def settle_contradictions(connection: sa.Connection, delivery: int) -> int:
    """Let the no hold where rows of one person and address differ about the consent to mails or to tracking.

    One person may consent for one address and not for another: that is no contradiction. Returns how many messages lost
    a consent.
    """
    settled = connection.execute(_SETTLE, {"delivery": delivery}).rowcount
    if settled:
        log.warning(
            "delivery %d: %d rows say yes where another row of the same person and address says no; the no holds."
            " Ask the sender which is right.",
            delivery,
            settled,
        )
    return settled
