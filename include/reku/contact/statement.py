"""The one SQL statement that says what speaks against messages: one part per reason, joined to the people at hand.

Every part is a set-based join of `people` (the messages or candidates asked about) with what bars them, so that a
claim of two hundred finds its rows by index, and a hundred thousand are decided by hash joins. A new reason is a new
part.
"""

from __future__ import annotations

from enum import Enum
from itertools import product

import sqlalchemy as sa

from reku.store.states import with_states

BOUNCED = "?"
"""Not a reason: the address has had a hard bounce, so its series has to be counted."""

FOREIGN = "@"
"""Not a reason: the domain is spelt with other letters than mail servers use, so it cannot be compared in SQL."""

CONTESTED = "!"
"""Not a reason: another order has an open message for the person, so it has to be seen whose campaign goes first."""


class Asked(Enum):
    """What is asked about: messages of the ledger, or candidates of a selection, who have none yet."""

    MESSAGES = "reku.messages"
    CANDIDATES = "candidates"


_MESSAGES = """
    SELECT m.id, m.institute, m.order_id, m.delivery_id, m.delivery_number, m.person_number,
        m.recipient_key, m.occasion_date, m.last_day, m.consent, m.mailable, m.second,
        r.content_key, lower(split_part(r.address, '@', -1)) AS domain, r.fields
    FROM reku.messages m LEFT JOIN reku.delivery_rows r ON r.id = m.row_id
    WHERE m.id = ANY(CAST(:ids AS bigint[]))
"""
_CANDIDATES = """
    SELECT m.id, m.institute, m.order_id, 0 AS delivery_id, 0 AS delivery_number, m.person_number,
        m.recipient_key, m.occasion_date, m.last_day, true AS consent, true AS mailable, false AS second,
        CAST(NULL AS text) AS content_key, m.domain, CAST(NULL AS jsonb) AS fields
    FROM candidates m
"""
"""They have no delivery yet (there is none with the id 0), and only their import says something about them."""

_AS_DELIVERED = """
        m.consent, '' AS household, false AS gone,
        m.fields @> ANY(ARRAY(SELECT CAST(f AS jsonb) FROM unnest(CAST(:estate AS text[])) AS f)) AS estate,
        m.fields @> ANY(ARRAY(SELECT CAST(f AS jsonb) FROM unnest(CAST(:refusal AS text[])) AS f)) AS refusal
"""
_AS_IMPORTED = """
        m.consent AND coalesce(i.consent, true) AS consent, i.household,
        i.person_number IS NULL OR i.missing_since IS NOT NULL AS gone,
        i.estate AND :estate_bars AS estate, i.flags && CAST(:refusing AS text[]) AS refusal
"""
_IMPORTED = "LEFT JOIN reku.persons i ON i.institute = m.institute AND i.person_number = m.person_number"
_PEOPLE = """
    people AS MATERIALIZED (
        SELECT m.id, m.institute, m.order_id, m.delivery_id, m.delivery_number, m.person_number,
            m.recipient_key, m.occasion_date, m.last_day, m.mailable, m.second,
            o.ended OR coalesce(o.valid_until < :day, false) AS ended,
            coalesce(c.mandatory, false) AS mandatory,
            coalesce(m.content_key, c.medium) = ANY(CAST(:active AS text[])) AS active,
            m.domain, {told}
        FROM ({asked}) AS m
        JOIN reku.orders o ON o.id = m.order_id
        LEFT JOIN unnest(CAST(:orders AS text[]), CAST(:media AS text[]), CAST(:mandatory AS boolean[]))
            AS c(order_number, medium, mandatory) ON c.order_number = o.order_number
        {imported}
    )
"""

# Joined to the messages themselves: in `people` the planner takes the HMAC for four times as wide as it is.
_BY_ADDRESS = """
    SELECT m.id, CASE s.kind
        WHEN 'UNSUBSCRIBED' THEN 'ABGEMELDET' WHEN 'COMPLAINED' THEN 'BESCHWERDELISTE' ELSE 'BLACKLIST' END AS reason
    FROM {asked} m JOIN reku.suppressions s ON s.institute = m.institute AND s.recipient_key = m.recipient_key
    WHERE {which}
        (s.order_id IS NULL OR s.order_id = m.order_id OR :every_order AND s.kind = 'UNSUBSCRIBED')
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
_OWN = """
    SELECT p.id, own.reason
    FROM people p CROSS JOIN LATERAL (VALUES
        (p.ended, 'AUFTRAG_BEENDET'), (p.last_day < :day, 'ABGELAUFEN'), (p.gone, 'BESTAND'),
        (p.estate, 'NACHLASS'), (p.refusal, 'WERBEVERWEIGERER'), (NOT p.consent, 'KEINE_EINWILLIGUNG'),
        (NOT p.mailable, 'ADRESSE_UNGUELTIG'), (p.second, 'DUBLETTE')
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
_HOUSEHOLD_WRITTEN_TO = """
    SELECT p.id, 'DUBLETTE'
    FROM people p
    JOIN reku.messages other ON other.institute = p.institute AND other.recipient_key = p.recipient_key
        AND other.order_id = p.order_id AND other.occasion_date = p.occasion_date
        AND other.person_number <> p.person_number
    JOIN reku.persons member ON member.institute = other.institute AND member.person_number = other.person_number
        AND member.household = p.household
    WHERE {also} other.state IN {{MAY_BE_WITH_THE_PERSON}}
"""
"""Somebody of the same household has had the mail at this address; a candidate waits for one that is still open."""
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
    WHERE NOT p.mandatory AND a.day BETWEEN :day - CAST(:days_after AS integer) AND :day + CAST(:days_before AS integer)
"""


def _statement(parts: tuple[str, ...], asked: Asked = Asked.MESSAGES, *, imported: bool = False) -> sa.TextClause:
    of_messages = asked is Asked.MESSAGES
    people = _PEOPLE.format(
        asked=_MESSAGES if of_messages else _CANDIDATES,
        told=_AS_IMPORTED if imported else _AS_DELIVERED,
        imported=_IMPORTED if imported else "",
    )
    by_address = _BY_ADDRESS.format(
        asked=asked.value, which="m.id = ANY(CAST(:ids AS bigint[])) AND" if of_messages else ""
    )
    joined = "\n    UNION ALL\n".join((by_address, *parts))
    return with_states(
        f"WITH {people}\n"
        f"SELECT found.id, array_agg(DISTINCT found.reason) AS reasons FROM ({joined}) AS found GROUP BY found.id"
    )


_BARRED = (_BY_PERSON, _BY_DOMAIN, _BY_FOREIGN_DOMAIN)
BARRED = _statement(_BARRED)
"""Who has been barred, by whatever and whomever: what may change while a dispatch runs."""


def decisive(asked: Asked, *, contacts: bool, appointments: bool, imported: bool) -> sa.TextClause:
    """Everything that may speak against what is asked about; what a bank has no rule for is not looked at.

    `imported`: the bank's newest data say whether a person is there, consents and may be written to, and who belongs to
    a household; else the row of the delivery does.
    """
    return _STATEMENTS[asked, contacts, appointments, imported]


def _decisive(asked: Asked, *, contacts: bool, appointments: bool, imported: bool) -> sa.TextClause:
    parts: tuple[str, ...] = (*_BARRED, _OWN, _HAS_BOUNCED, _WRITTEN_TO)
    if imported:
        also = "" if asked is Asked.MESSAGES else "other.state = 'OPEN' OR"
        parts += (_HOUSEHOLD_WRITTEN_TO.format(also=also),)
    parts += (_CONTACTED, _CONTESTED) * contacts + (_APPOINTMENT,) * appointments
    return _statement(parts, asked, imported=imported)


_STATEMENTS = {
    (asked, contacts, appointments, imported): _decisive(
        asked, contacts=contacts, appointments=appointments, imported=imported
    )
    for asked, contacts, appointments, imported in product(Asked, (False, True), (False, True), (False, True))
}
