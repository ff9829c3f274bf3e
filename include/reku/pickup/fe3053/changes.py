"""What has changed since the core system was told, fixed in one transaction (docs/agree21.md, "FE 3053").

A change counts as told once somebody has fetched the file; until then each newer file tells it again.
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation import clock
from reku.pickup.fe3053.core_file import CORE_FIELDS, MOST_ROWS
from reku.pickup.file_format import FileStamp
from reku.pickup.prepare import fix_count, new_file
from reku.pickup.supersede import supersede_older
from reku.store.locks import Lock, lock_until_commit

_CHANGES = sa.text("""
    WITH sent AS (
        SELECT m.id, m.person_number, m.delivery_id, m.order_id, m.channel, m.ended_at,
            CAST(m.ended_at AT TIME ZONE 'Europe/Berlin' AS date) AS day, m.state = 'SENT' AS went_out
        FROM reku.messages m
        WHERE m.institute = :institute
            AND (m.state = 'SENT' OR m.state = 'WITHHELD' AND m.reason = 'ZURUECKGEHALTEN')
    ), newest AS (
        SELECT DISTINCT ON (person_number) person_number, day, order_id
        FROM sent WHERE went_out ORDER BY person_number, ended_at DESC, id DESC
    ), contact AS (
        SELECT c.person_number, max(c.day) FILTER (WHERE c.message_id IS NULL) AS by_hand, max(c.blocked_until) AS until
        FROM reku.contacts c LEFT JOIN reku.messages m ON m.id = c.message_id
        WHERE c.institute = :institute AND (c.message_id IS NULL OR m.state = 'SENT')
        GROUP BY c.person_number
    ), mail AS (
        SELECT DISTINCT ON (s.person_number) s.person_number,
            bool_or(NOT s.went_out OR r.id IS NOT NULL) AS came_back
        FROM sent s LEFT JOIN reku.responses r ON r.message_id = s.id AND r.kind = 'BOUNCED_HARD'
        WHERE s.channel = ANY(CAST(:mails AS text[]))
        GROUP BY s.person_number, s.delivery_id ORDER BY s.person_number, s.delivery_id DESC
    ), wanted AS (
        SELECT coalesce(n.person_number, c.person_number) AS person_number, 'last_contact' AS what,
            to_char(greatest(n.day, c.by_hand), 'DD.MM.YYYY') AS value
        FROM newest n FULL JOIN contact c ON c.person_number = n.person_number
        WHERE n.day IS NOT NULL OR c.by_hand IS NOT NULL
        UNION ALL
        SELECT n.person_number, 'last_campaign', o.order_number FROM newest n JOIN reku.orders o ON o.id = n.order_id
        UNION ALL
        SELECT person_number, 'blocked_until', to_char(until, 'DD.MM.YYYY') FROM contact
        UNION ALL
        SELECT person_number, 'email_undeliverable', CASE WHEN came_back THEN 'J' END FROM mail
    ), changed AS (
        SELECT w.person_number, f.field, w.value
        FROM wanted w JOIN unnest(CAST(:fields AS text[]), CAST(:whats AS text[])) AS f(field, what) ON f.what = w.what
        JOIN reku.persons p ON p.institute = :institute AND p.person_number = w.person_number
        LEFT JOIN reku.told_core_fields t
            ON t.institute = :institute AND t.person_number = w.person_number AND t.field = f.field
        WHERE w.value IS DISTINCT FROM t.value
        ORDER BY w.person_number, f.field LIMIT :most
    )
    INSERT INTO reku.prepared_rows (file_id, position, institute, person_number, values)
    SELECT :file, row_number() OVER (ORDER BY person_number, field), :institute, person_number,
        ARRAY[field, CASE WHEN value IS NULL THEN 'L' ELSE 'S' END, coalesce(value, ''),
            CASE WHEN value IS NULL THEN '' ELSE to_char(CAST(:day AS date), 'DD.MM.YYYY') END]
    FROM changed
""")
"""Of a person of whom nothing is known any more (what was sent has left by retention) nothing is told: the core system
keeps what it has."""


def prepare_changes(engine: sa.Engine, bank: Institute, day: date) -> int | None:
    """Fix the file of what has changed. Returns its id; None if nothing has, or the bank allows no field.

    Older ones that nobody has fetched are over: the newer one has their changes.
    """
    if not bank.core_fields:
        return None
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.PREPARED, int(bank.blz))
        supersede_older(connection, bank.blz, CORE_FIELDS.kind)
        file = new_file(connection, CORE_FIELDS, FileStamp(bank.blz, "", 0, 0, clock.now()), last_day=day)
        given = {
            "institute": bank.blz,
            "day": day,
            "file": file,
            "most": MOST_ROWS,
            "mails": ["email", "agree_mailing"],
        }
        fields = {"fields": list(bank.core_fields), "whats": [what.value for what in bank.core_fields.values()]}
        connection.execute(_CHANGES, given | fields)
        return file if fix_count(connection, file) else None
