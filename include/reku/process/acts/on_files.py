"""Acts on files that were set aside."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from reku.foundation.words import Words
from reku.process.acts.act import Act, Concern, number_of
from reku.process.banks import bank_name
from reku.sources.inbox import set_aside
from reku.store.states import FileVerdict
from reku.store.tables import files


def _look_at_file(engine: sa.Engine, subject: str) -> Concern:
    with engine.connect() as connection:
        file = connection.execute(sa.select(files).where(files.c.id == number_of(subject))).one_or_none()
    if file is None:  # a file that is taken in again begins anew
        return Concern(over=Words("Diese Datei wird schon neu eingelesen.", "This file is being taken in again."))
    over = None
    if file.verdict != FileVerdict.SET_ASIDE:
        over = Words(f"Die Datei steht inzwischen auf {file.verdict}.", f"The file is {file.verdict} by now.")
    return Concern(file.institute, bank_name(file.institute), what=f"{file.kind} {file.id}".strip(), over=over)


def _retry_file(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    set_aside.retry(engine, int(subject), actor=actor, note=note)
    return Words("Der nächste Eingangslauf nimmt die Datei noch einmal.", "The next intake takes the file again.")


def _drop_file(engine: sa.Engine, subject: str, actor: str, note: str) -> Words:
    set_aside.drop(engine, int(subject), actor=actor, note=note)
    return Words("Die Datei bleibt abgewiesen.", "The file stays refused.")


FILE_ACTS: Mapping[str, Act] = {
    "retry-file": Act(
        Words("Noch einmal einlesen", "Take in again"),
        Words(
            "Der nächste Eingangslauf nimmt die Datei, als wäre sie eben gekommen.",
            "The next intake takes the file as if it had just arrived.",
        ),
        _look_at_file,
        _retry_file,
    ),
    "drop-file": Act(
        Words("Verwerfen", "Drop"),
        Words("Die Datei bleibt endgültig abgewiesen.", "The file stays refused for good."),
        _look_at_file,
        _drop_file,
        is_final=True,
    ),
}
