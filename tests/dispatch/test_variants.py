"""A campaign with variants: each person's is in the mail and in the ledger, and stays when a mail is tried again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.store.tables import messages
from reku_testing import dispatching
from reku_testing.dispatching import DAY, NO_CONTROL_COPY, configure, dispatch, loaded, people, states
from reku_testing.smtp import only
from reku_testing.steps import allow_any_step

MEDIUM = "- {block: send, media: [SCOM_GEBURTSTAG]}"
VARIANTS = """- block: send
        media: [SCOM_GEBURTSTAG]
        variants:
          - {name: kurz, share: 0.4, subject: "Alles Gute!"}
          - {name: lang, share: 0.4}
          - {name: anders, share: 0.2, medium: LBS_GEBURTSTAG}"""


@pytest.fixture
def variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: sa.Engine) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, (MEDIUM, VARIANTS)])


def test_each_person_gets_one_and_the_ledger_knows_which(
    database: sa.Engine, sink: dispatching.Sink, variants: None
) -> None:
    sink.say = only("dot", lambda recipient: "450 4.2.0 later" if recipient.startswith("person1@") else None)
    delivery = loaded(database, people(60))
    dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 59, "OPEN": 1}

    def chosen() -> dict[int, tuple[str, str]]:
        with database.connect() as connection:
            found = connection.execute(sa.select(messages.c.id, messages.c.variant, messages.c.medium)).all()
        return {row.id: (row.variant, row.medium) for row in found}

    first = chosen()
    subjects = Counter(mail["Subject"] for mail in sink.mails())
    by_variant = Counter(variant for id_, (variant, _) in first.items() if id_ != 1)
    assert {variant for variant, _ in first.values()} == {"kurz", "lang", "anders"}
    assert {medium for variant, medium in first.values() if variant == "anders"} == {"LBS_GEBURTSTAG"}
    assert {medium for variant, medium in first.values() if variant != "anders"} == {"SCOM_GEBURTSTAG"}
    assert subjects["Alles Gute!"] == by_variant["kurz"]
    assert (
        sum(count for subject, count in subjects.items() if subject.startswith("Herzlichen Glückwunsch zum"))
        >= (by_variant["lang"])
    )

    sink.say = lambda _point, _recipient: None
    with database.begin() as connection:
        allow_any_step(connection)
        connection.execute(sa.update(messages).values(state="OPEN", retry_at=None))
    dispatch(database, delivery, day=DAY)
    assert states(database) == {"SENT": 60}
    assert chosen() == first


def test_without_variants_the_ledger_names_none(database: sa.Engine, sink: dispatching.Sink) -> None:
    dispatch(database, loaded(database, people(2)), day=DAY)
    with database.connect() as connection:
        assert set(connection.scalars(sa.select(messages.c.variant))) == {""}
