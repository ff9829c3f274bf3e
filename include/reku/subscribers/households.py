"""The household rule: one mail for each address in a household (docs/domain.md, "Addresses").

Decided when the delivery is loaded, by its own rows: the contact person gets the mail, else the lowest person number;
of those who may be written to at all. Different Anlass_Daten are different mails: nobody misses a birthday.
"""

from __future__ import annotations

import sqlalchemy as sa

from reku.catalogue.contact import ContactRules

_MARK = sa.text("""
    WITH places AS (
        SELECT m.id, row_number() OVER (
            PARTITION BY m.recipient_key, m.occasion_date,
                CASE WHEN NOT :every_address THEN coalesce(nullif(r.fields ->> :household, ''), 'row ' || r.id) END
            ORDER BY
                m.consent AND m.mailable AND NOT EXISTS (
                    SELECT FROM unnest(CAST(:flags AS text[]), CAST(:values AS text[])) AS f(name, value)
                    WHERE r.fields ->> f.name = f.value
                ) DESC,
                coalesce(r.fields ->> :contact_person = 'J', false) DESC,
                length(m.person_number), m.person_number, r.line
        ) AS place
        FROM reku.messages m JOIN reku.delivery_rows r ON r.id = m.row_id
        WHERE m.delivery_id = :delivery
    )
    UPDATE reku.messages m SET second = true FROM places WHERE places.id = m.id AND places.place > 1
""")


def mark_seconds(connection: sa.Connection, delivery: int, rules: ContactRules) -> int:
    """Mark the delivery's messages whose mail somebody else of the household gets. Returns how many.

    With `one_mail_per_address` everybody who shares an address counts as one household.
    """
    if not (rules.household or rules.one_mail_per_address):
        return 0
    flags = [(field, value) for kind in (rules.estate, rules.refusal) for field in kind for value in kind[field]]
    marked = connection.execute(
        _MARK,
        {
            "delivery": delivery,
            "every_address": rules.one_mail_per_address,
            "household": rules.household or "",
            "contact_person": rules.contact_person or "",
            "flags": [field for field, _ in flags],
            "values": [value for _, value in flags],
        },
    )
    return marked.rowcount
