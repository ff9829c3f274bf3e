"""The one SQL statement that says what speaks against messages: one part per reason, joined to the people at hand.

Every part is a set-based join of `people` (the messages asked about) with what bars them, so that a claim of two
hundred finds its rows by index, and a hundred thousand are decided by hash joins. A new reason is a new part.
"""

from __future__ import annotations

import sqlalchemy as sa

from reku.store.states import with_states

BOUNCED = "?"
"""Not a reason: the address has had a hard bounce, so its series has to be counted."""

FOREIGN = "@"
"""Not a reason: the domain is spelt with other letters than mail servers use, so it cannot be compared in SQL."""

CONTESTED = "!"
"""Not a reason: another order has an open message for the person, so it has to be seen whose campaign goes first."""

_PEOPLE = """
    people AS MATERIALIZED (
        SELECT m.id, m.institute, m.order_id, m.delivery_id, m.delivery_number, m.person_number,
            m.recipient_key, m.occasion_date, m.last_day, m.consent, m.mailable, m.second,
            o.ended OR coalesce(o.valid_until < :day, false) AS ended,
            coalesce(c.mandatory, false) AS mandatory,
            coalesce(r.content_key, c.medium) = ANY(CAST(:active AS text[])) AS active,
            lower(split_part(r.address, '@', -1)) AS domain,
            r.fields @> ANY(ARRAY(SELECT CAST(f AS jsonb) FROM unnest(CAST(:estate AS text[])) AS f)) AS estate,
            r.fields @> ANY(ARRAY(SELECT CAST(f AS jsonb) FROM unnest(CAST(:refusal AS text[])) AS f)) AS refusal
        FROM reku.messages m
        JOIN reku.orders o ON o.id = m.order_id
        LEFT JOIN reku.delivery_rows r ON r.id = m.row_id
        LEFT JOIN unnest(CAST(:orders AS text[]), CAST(:media AS text[]), CAST(:mandatory AS boolean[]))
            AS c(order_number, medium, mandatory) ON c.order_number = o.order_number
        WHERE m.id = ANY(CAST(:ids AS bigint[]))
    )
"""

# Joined to the messages themselves: in `people` the planner takes the HMAC for four times as wide as it is.
_BY_ADDRESS = """
    SELECT m.id, CASE s.kind
        WHEN 'UNSUBSCRIBED' THEN 'ABGEMELDET' WHEN 'COMPLAINED' THEN 'BESCHWERDELISTE' ELSE 'BLACKLIST' END AS reason
    FROM reku.messages m JOIN reku.suppressions s ON s.institute = m.institute AND s.recipient_key = m.recipient_key
    WHERE m.id = ANY(CAST(:ids AS bigint[]))
        AND (s.order_id IS NULL OR s.order_id = m.order_id OR :every_order AND s.kind = 'UNSUBSCRIBED')
"""
# Whoever changed the address after unsubscribing or complaining is still the same person: the number bars as well.
_BY_PERSON = """
    SELECT p.id, CASE s.kind WHEN 'UNSUBSCRIBED' THEN 'ABGEMELDET' ELSE 'BESCHWERDELISTE' END
    FROM people p JOIN reku.suppressions s ON s.institute = p.institute AND s.person_number = p.person_number
    WHERE s.kind IN ('UNSUBSCRIBED', 'COMPLAINED') AND s.person_number <> ''
        AND (s.order_id IS NULL OR s.order_id = p.order_id OR :every_order AND s.kind = 'UNSUBSCRIBED')
"""
_BY_DOMAIN = """
    SELECT p.id, 'BLACKLIST'
    FROM people p JOIN reku.barred_domains b ON b.domain = p.domain
    WHERE b.institute = p.institute OR b.institute = :everywhere
"""
_BY_FOREIGN_DOMAIN = """
    SELECT p.id, '@'
    FROM people p
    WHERE octet_length(p.domain) <> length(p.domain) AND EXISTS (
        SELECT FROM reku.barred_domains b
        WHERE b.institute = p.institute OR b.institute = :everywhere
    )
"""
_BARRED = (_BY_ADDRESS, _BY_PERSON, _BY_DOMAIN, _BY_FOREIGN_DOMAIN)

_OWN = """
    SELECT p.id, own.reason
    FROM people p CROSS JOIN LATERAL (VALUES
        (p.ended, 'AUFTRAG_BEENDET'), (p.last_day < :day, 'ABGELAUFEN'), (p.estate, 'NACHLASS'),
        (p.refusal, 'WERBEVERWEIGERER'), (NOT p.consent, 'KEINE_EINWILLIGUNG'), (NOT p.mailable, 'ADRESSE_UNGUELTIG'),
        (p.second, 'DUBLETTE')
    ) AS own(holds, reason)
    WHERE own.holds
"""
_HAS_BOUNCED = """
    SELECT p.id, '?'
    FROM people p
    JOIN reku.messages other ON other.institute = p.institute AND other.recipient_key = p.recipient_key
    JOIN reku.responses r ON r.message_id = other.id AND r.kind = 'BOUNCED_HARD'
"""
_WRITTEN_TO = """
    SELECT p.id, 'DUBLETTE'
    FROM people p JOIN reku.messages other ON other.order_id = p.order_id AND other.person_number = p.person_number
        AND other.recipient_key = p.recipient_key AND other.id <> p.id
        AND (other.occasion_date = p.occasion_date OR other.delivery_number = p.delivery_number)
    WHERE other.state IN {MAY_BE_WITH_THE_PERSON} AND (
        other.occasion_date IN (SELECT occasion_date FROM people)
        OR other.delivery_number IN (SELECT delivery_number FROM people)
    )
"""
_CONTACTED = """
    SELECT contacted.id, told.reason
    FROM (
        SELECT p.id, bool_or(:day BETWEEN c.day AND c.blocked_until) AS blocked,
            count(DISTINCT coalesce(cm.delivery_id, -c.id)) FILTER (
                WHERE c.day > :day - CAST(:cap_days AS integer) AND c.day <= :day
            ) >= CAST(:cap_contacts AS integer) AS capped
        FROM people p
        JOIN reku.contacts c ON c.institute = p.institute AND c.person_number = p.person_number
        LEFT JOIN reku.messages cm ON cm.id = c.message_id
        WHERE p.active AND NOT p.mandatory
            AND (c.blocked_until >= :day OR c.day > :day - CAST(:cap_days AS integer))
            AND (c.message_id IS NULL
                OR cm.state IN {MAY_BE_WITH_THE_PERSON} AND cm.delivery_id <> p.delivery_id)
        GROUP BY p.id
    ) AS contacted CROSS JOIN LATERAL (VALUES (blocked, 'SPERRZEIT'), (capped, 'OBERGRENZE')) AS told(holds, reason)
    WHERE told.holds
"""
"""A contact counts as soon as its message is claimed, and no longer when that ended without a mail. Several addresses
of one person in one delivery are one contact."""
_CONTESTED = """
    SELECT p.id, '!'
    FROM people p JOIN reku.messages other ON other.institute = p.institute AND other.person_number = p.person_number
    WHERE other.state = 'OPEN' AND other.order_id <> p.order_id
"""
_APPOINTMENT = """
    SELECT p.id, 'TERMIN'
    FROM people p JOIN reku.appointments a ON a.institute = p.institute AND a.person_number = p.person_number
    WHERE NOT p.mandatory AND a.day BETWEEN :day AND :day + CAST(:appointment_days AS integer)
"""


def _statement(parts: tuple[str, ...]) -> sa.TextClause:
    joined = "\n    UNION ALL\n".join(parts)
    return with_states(
        f"WITH {_PEOPLE}\n"
        f"SELECT found.id, array_agg(DISTINCT found.reason) AS reasons FROM ({joined}) AS found GROUP BY found.id"
    )


_ALWAYS = (*_BARRED, _OWN, _HAS_BOUNCED, _WRITTEN_TO)
BARRED = _statement(_BARRED)
"""Who has been barred, by whatever and whomever: what may change while a dispatch runs."""


def decisive(*, contacts: bool, appointments: bool) -> sa.TextClause:
    """Everything that may speak against a message; what a bank has no rule for is not looked at."""
    return _STATEMENTS[contacts, appointments]


_STATEMENTS = {
    (contacts, appointments): _statement(_ALWAYS + (_CONTACTED, _CONTESTED) * contacts + (_APPOINTMENT,) * appointments)
    for contacts in (False, True)
    for appointments in (False, True)
}
