"""What is sealed opens for its bank and person only, and with its data key only; a key goes with its last row."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from reku.foundation.errors import SetupError, StageError
from reku.foundation.settings import settings
from reku.store.kinds import SealedKind
from reku.store.tables import audit, data_keys, person_numbers
from reku.vault import numbers, rotation
from reku.vault.day_keys import destroy_unused, seal_of_day
from reku.vault.sealing import Seal
from reku_testing.clear_numbers import clear_numbers
from reku_testing.world import BLZ

DAY = date(2026, 11, 22)
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def set_keys(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv("REKU_VAULT_KEYS", ",".join(keys))
    settings.cache_clear()


def keep(engine: sa.Engine, people: dict[str, str], day: date = DAY, institute: str = BLZ) -> None:
    with engine.begin() as connection:
        numbers.keep(connection, institute, people, day)


def clear(engine: sa.Engine, *people: str, institute: str = BLZ) -> dict[str, str]:
    with engine.connect() as connection:
        return clear_numbers(connection, institute, people)


def forget(engine: sa.Engine, *people: str) -> int:
    with engine.begin() as connection:
        connection.execute(sa.delete(person_numbers).where(person_numbers.c.person_number.in_(people)))
        return destroy_unused(connection, BLZ)


def live(engine: sa.Engine) -> list[date]:
    with engine.connect() as connection:
        return list(
            connection.scalars(
                sa.select(data_keys.c.day).where(data_keys.c.wrapped.is_not(None)).order_by(data_keys.c.day)
            )
        )


def test_numbers_come_back_as_they_were_and_stand_nowhere_in_clear(database: sa.Engine) -> None:
    people = {f"p1.{number:032x}": f"{number:010d}" for number in range(300)}
    keep(database, people)
    assert clear(database, *people) == people
    with database.connect() as connection:
        rows = connection.execute(sa.select(person_numbers)).all()
    assert not any(people[row.person_number].encode() in row.sealed for row in rows)
    assert len({row.sealed[:12] for row in rows}) == len(people), "no nonce twice"


def test_a_seal_opens_for_its_bank_and_person_and_with_its_key_only() -> None:
    seal, person = Seal(1, BLZ, b"k" * 32), "p1.0a"
    sealed = seal.seal(person, "Jördis Beispiel-Müßig".encode())
    assert seal.open(person, sealed).decode() == "Jördis Beispiel-Müßig"
    wrong = [
        (Seal(1, "99950002", b"k" * 32), person, sealed),
        (Seal(1, BLZ, b"l" * 32), person, sealed),
        (seal, "p1.0b", sealed),
        (seal, person, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (seal, person, b""),
    ]
    for opener, whose, text in wrong:
        with pytest.raises(StageError, match="does not open"):
            opener.open(whose, text)


def test_a_key_is_destroyed_with_the_last_row_that_it_seals(database: sa.Engine) -> None:
    keep(database, {"p1.0a": "1", "p1.0b": "2"})
    keep(database, {"p1.0c": "3"}, date(2026, 11, 23))
    assert (forget(database, "p1.0a"), live(database)) == (0, [DAY, date(2026, 11, 23)])
    assert (forget(database, "p1.0b"), live(database)) == (1, [date(2026, 11, 23)])
    assert clear(database, "p1.0c") == {"p1.0c": "3"}
    keep(database, {"p1.0d": "4"})
    assert clear(database, "p1.0d") == {"p1.0d": "4"}, "the day has another key now"


def test_a_key_in_the_hands_of_an_import_is_not_destroyed(database: sa.Engine) -> None:
    with database.begin() as earlier:
        seal_of_day(earlier, BLZ, SealedKind.NUMBER, DAY)
    with database.begin() as importing:
        seal_of_day(importing, BLZ, SealedKind.NUMBER, DAY)
        assert forget(database) == 0
    assert forget(database) == 1


def test_who_is_not_kept_any_more_is_counted_and_not_named(database: sa.Engine) -> None:
    keep(database, {"p1.0a": "1"})
    with pytest.raises(StageError, match="numbers of 2 people") as raised:
        clear(database, "p1.0a", "p1.0b", "p1.0c")
    assert "p1." not in str(raised.value)


def test_wrapped_anew_everything_opens_and_the_old_key_may_go(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "AT_ONCE", 2)
    set_keys(monkeypatch, OLD)
    people = {f"p1.0{number}": f"{number}" for number in range(1, 6)}
    for person, number in people.items():
        keep(database, {person: number}, date(2026, 11, int(number)))
    set_keys(monkeypatch, OLD, NEW)
    result = rotation.rotate(database, actor="tester")
    assert (result.rewrapped, result.unopened, len(result.spare)) == (5, {}, 1)
    again = rotation.rotate(database, actor="tester")
    assert (again.rewrapped, again.spare) == (0, result.spare)
    set_keys(monkeypatch, NEW)
    assert clear(database, *people) == people
    with database.connect() as connection:
        notes = connection.scalars(sa.select(audit.c.note).order_by(audit.c.id)).all()
    assert [note.partition(" ")[0] for note in notes] == ["5", "0"]


def test_killed_in_the_middle_it_goes_on_where_it_was(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch, OLD)
    for day in (1, 2, 3):
        keep(database, {f"p1.0{day}": f"{day}"}, date(2026, 11, day))
    set_keys(monkeypatch, OLD, NEW)
    monkeypatch.setattr(rotation, "AT_ONCE", 1)
    some, calls = rotation._rewrap_some, iter((True, False))

    def dying(*arguments: object) -> tuple[int | None, int]:
        if not next(calls):
            raise KeyboardInterrupt
        return some(*arguments)  # type: ignore[arg-type] # passed on as they came

    with monkeypatch.context() as patched:
        patched.setattr(rotation, "_rewrap_some", dying)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(database, actor="tester")
    assert clear(database, "p1.01", "p1.02", "p1.03") == {"p1.01": "1", "p1.02": "2", "p1.03": "3"}
    assert rotation.rotate(database, actor="tester").rewrapped == 2


@pytest.mark.parametrize("keys", [(), (NEW,)], ids=["lost", "another"])
def test_without_the_key_there_is_one_sentence_and_nothing_is_written(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    set_keys(monkeypatch, OLD)
    keep(database, {"p1.0a": "1"})
    set_keys(monkeypatch, *keys)
    for act in (lambda: clear(database, "p1.0a"), lambda: keep(database, {"p1.0b": "2"})):
        with pytest.raises(SetupError, match=r"^REKU_VAULT_KEYS ") as raised:
            act()
        assert str(raised.value).count(". ") == 0
        assert OLD not in str(raised.value)
    with database.connect() as connection:
        assert connection.scalars(sa.select(person_numbers.c.person_number)).all() == ["p1.0a"]


def test_rotation_says_which_key_is_missing_and_does_the_rest(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "AT_ONCE", 1)
    set_keys(monkeypatch, OLD)
    keep(database, {"p1.0a": "1"}, date(2026, 11, 1))
    middle = Fernet.generate_key().decode()
    set_keys(monkeypatch, OLD, middle)
    keep(database, {"p1.0b": "2"}, date(2026, 11, 2))
    set_keys(monkeypatch, middle, NEW)
    result = rotation.rotate(database, actor="tester")
    assert (result.rewrapped, list(result.unopened.values())) == (1, [1])
    assert clear(database, "p1.0b") == {"p1.0b": "2"}
