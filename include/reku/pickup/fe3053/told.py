"""What the core system has been told: kept as soon as somebody has fetched the file that tells it."""

from __future__ import annotations

import sqlalchemy as sa

_SET = sa.text("""
    INSERT INTO reku.told_core_fields (institute, person_number, field, value)
    SELECT r.institute, r.person_number, r.values[1], r.values[3]
    FROM reku.prepared_rows r JOIN reku.prepared_files f ON f.id = r.file_id
    WHERE r.file_id = :file AND f.kind = 'FE3053' AND r.values[2] = 'S'
    ON CONFLICT (institute, person_number, field) DO UPDATE SET value = EXCLUDED.value
""")
_DELETE = sa.text("""
    DELETE FROM reku.told_core_fields t USING reku.prepared_rows r JOIN reku.prepared_files f ON f.id = r.file_id
    WHERE r.file_id = :file AND f.kind = 'FE3053' AND r.values[2] = 'L'
        AND t.institute = r.institute AND t.person_number = r.person_number AND t.field = r.values[1]
""")


def note_told(connection: sa.Connection, file: int) -> None:
    """Keep what a file for FE 3053 tells, in the transaction in which it is taken; of any other file nothing."""
    connection.execute(_SET, {"file": file})
    connection.execute(_DELETE, {"file": file})
