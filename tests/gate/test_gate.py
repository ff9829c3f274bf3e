"""The gate on real files and a real database: what is written, what is refused, and that the numbers add up."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from reku.foundation.errors import StageError
from reku.foundation.settings import settings
from reku.gate.gate import GateResult
from reku.release.decision import decide_release
from reku.store.states import Decision, DeliveryState
from reku.store.tables import deliveries, delivery_rows, files, rejects, rule_counts
from reku_testing import banks, world
from reku_testing.by_blz import validate


@pytest.fixture
def bank(database: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> sa.Engine:
    """A database, and one bank set up: `world.BLZ`."""
    banks.configure(monkeypatch, tmp_path / "config")
    return database


def _people(good: int, bad: int = 0) -> list[dict[str, str]]:
    return [world.reku_fields(n, **({"Anrede": "9"} if n <= bad else {})) for n in range(1, good + bad + 1)]


def _all(engine: sa.Engine, table: sa.Table) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)))


def _delivery(engine: sa.Engine, key: int) -> Any:
    return next(row for row in _all(engine, deliveries) if row.id == key)


def test_good_rows_go_on_with_all_their_fields_as_text(bank: sa.Engine) -> None:
    fields = world.reku_fields(1, Personennummer="0000000042", Titel='Dr. "h.c."', Berater_Nr="0042")
    delivery = world.delivery_file(bank, world.order(bank), [fields])
    assert validate(bank, delivery) == GateResult(delivery, 1, 1, 0, refused=False)
    (row,) = _all(bank, delivery_rows)
    assert (row.institute, row.line, row.reference, row.person_number) == (
        world.BLZ,
        3,
        fields["Referenz"],
        "0000000042",
    )
    assert (row.address, row.occasion_date) == ("person1@kunde.example", date(2026, 11, 24))
    assert row.fields == {name: value for name, value in fields.items() if name != "Referenz"}
    after = _delivery(bank, delivery)
    assert (after.state, after.rows, after.accepted, after.rejected) == (DeliveryState.VALIDATED, 1, 1, 0)


def test_bad_rows_are_listed_once_with_all_their_faults(bank: sa.Engine) -> None:
    bad = world.reku_fields(7, Nachname="", EMail="niemand", Anlass_Code="MCAG003")
    delivery = world.delivery_file(bank, world.order(bank), [*_people(40), bad | {"Referenz": "R-41"}])
    result = validate(bank, delivery)
    assert (result.rows, result.accepted, result.rejected, result.refused) == (41, 40, 1, False)
    (reject,) = _all(bank, rejects)
    assert (reject.line, reject.reference, reject.field, reject.code) == (
        43,
        "R-41",
        "Nachname",
        "PFLICHTFELD",
    )
    assert all(field in reject.advice for field in ("Nachname", "EMail", "Anlass_Code"))
    assert len(reject.advice) <= 200
    assert "niemand" not in reject.advice  # a wrong address is still personal data
    assert len(result.warnings) == 1  # the person stands in the delivery twice
    assert "0000000007" not in result.warnings[0]


@pytest.mark.parametrize(("good", "refused"), [(40, False), (3, True)])
def test_what_every_rule_found_is_counted(bank: sa.Engine, good: int, refused: bool) -> None:
    people = [*_people(good), world.reku_fields(98, Anrede="9"), world.reku_fields(99, Anrede="")]
    delivery = world.delivery_file(bank, world.order(bank), people)
    with bank.begin() as connection:  # an earlier verdict on the same delivery
        old = dict.fromkeys(("rule", "field", "check", "code", "advice"), "old") | {"severity": "reject"}
        connection.execute(
            sa.insert(rule_counts).values(
                delivery_id=delivery, number=1, institute=world.BLZ, looked_at=7, broken=7, **old
            )
        )
    assert validate(bank, delivery).refused is refused
    with bank.connect() as connection:
        counts = connection.execute(sa.select(rule_counts).order_by(rule_counts.c.number)).all()
    assert [row.number for row in counts] == list(range(1, len(counts) + 1))
    assert [
        (row.rule, row.check, row.severity, row.code, row.looked_at, row.broken) for row in counts if row.broken
    ] == [
        ("Anrede.required.1", "required", "reject", "PFLICHTFELD", good + 2, 1),
        ("Anrede.among.2", "among", "reject", "WERT", good + 1, 1),
    ]
    assert {row.institute for row in counts} == {world.BLZ}


def test_a_row_with_very_many_faults_still_fits_into_a_receipt(bank: sa.Engine) -> None:
    broken = dict.fromkeys(world.REKU_COLUMNS, "x" * 300)
    delivery = world.delivery_file(bank, world.order(bank), [*_people(40), broken])
    assert validate(bank, delivery).rejected == 1
    (reject,) = _all(bank, rejects)
    assert reject.reference == "x" * 40
    assert len(reject.advice) <= 200
    assert reject.advice.endswith("weitere")


@pytest.mark.parametrize(
    ("good", "bad", "limit", "refused"),
    [
        (96, 4, {}, False),
        (95, 5, {}, False),
        (94, 6, {}, True),
        (71, 29, {"max_reject_share": 0.29}, False),
        (70, 30, {"max_reject_share": 0.29}, True),
        (94, 6, {"orders": {world.ORDER: {"max_reject_share": 0.5}}}, False),
        (0, 1, {}, True),
    ],
)
def test_above_the_limit_the_whole_delivery_is_refused(
    bank: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    good: int,
    bad: int,
    limit: dict[str, Any],
    refused: bool,
) -> None:
    banks.configure(monkeypatch, tmp_path / "config", **limit)
    delivery = world.delivery_file(bank, world.order(bank), _people(good, bad))
    result = validate(bank, delivery)
    assert result.refused is refused
    assert result.rows == result.accepted + result.rejected == good + bad
    after = _delivery(bank, delivery)
    assert after.state == (DeliveryState.REFUSED if refused else DeliveryState.VALIDATED)
    assert after.code == ("FEHLERQUOTE" if refused else "")
    assert len(_all(bank, delivery_rows)) == (0 if refused else good)
    assert [reject.line for reject in _all(bank, rejects)] == list(range(3, 3 + bad))
    if refused:
        assert f"{bad} von {good + bad} Zeilen" in after.advice
        assert "Anrede" in after.advice


def test_a_rule_of_severity_refuse_refuses_the_file(
    bank: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = banks.configure(monkeypatch, tmp_path / "config")
    rules = (folder / "expectations" / "reku.yaml").read_text(encoding="utf-8")
    (folder / "expectations").unlink()
    (folder / "expectations").mkdir()
    changed = rules.replace("severity: reject", "severity: refuse", 1)
    (folder / "expectations" / "reku.yaml").write_text(changed, encoding="utf-8")
    rows = [*_people(99), world.reku_fields(100, Anlass_Code="MCAG003")]
    result = validate(bank, world.delivery_file(bank, world.order(bank), rows))
    assert (result.refused, result.code, result.accepted) == (True, "ANLASS_ABWEICHEND", 0)
    assert _all(bank, delivery_rows) == []


def test_an_empty_delivery_passes(bank: sa.Engine) -> None:
    delivery = world.delivery_file(bank, world.order(bank), [])
    assert validate(bank, delivery) == GateResult(delivery, 0, 0, 0, refused=False)
    assert _delivery(bank, delivery).state == DeliveryState.VALIDATED


def test_asked_again_the_gate_answers_without_reading(bank: sa.Engine) -> None:
    order = world.order(bank)
    passed = world.delivery_file(bank, order, _people(40, 1))
    refused = world.delivery_file(bank, order, _people(1, 1), number=18)
    first, other = validate(bank, passed), validate(bank, refused)
    for row in _all(bank, files):
        (Path(settings().files_url) / row.stored_as).unlink()
    assert validate(bank, passed) == first
    assert validate(bank, refused) == other
    assert len(_all(bank, rejects)) == 2
    assert len(_all(bank, delivery_rows)) == 40


def test_a_refused_original_that_is_read_again_replaces_its_old_rejects(
    bank: sa.Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    delivery = world.delivery_file(bank, world.order(bank), _people(9, 1))
    assert validate(bank, delivery).refused
    with bank.begin() as connection:
        connection.execute(sa.update(deliveries).values(state=DeliveryState.REGISTERED, code="", advice=""))
    banks.configure(monkeypatch, tmp_path / "config", max_reject_share=0.1)
    assert validate(bank, delivery).accepted == 9
    assert len(_all(bank, rejects)) == 1


def test_the_same_person_twice_stays_two_rows(bank: sa.Engine) -> None:
    twice = [world.reku_fields(1), world.reku_fields(2, Personennummer="0000000001")]
    result = validate(bank, world.delivery_file(bank, world.order(bank), twice))
    assert (result.accepted, len(result.warnings)) == (2, 1)


def test_an_approach_delivery_passes_too(bank: sa.Engine) -> None:
    order = world.order(
        bank, world.APPROACH, interface="IAMW", name="Willkommen_Giro", occasion="MCAC120", rhythm="WOECHENTLICH"
    )
    rows = [world.iamw_fields(n) for n in range(1, 41)] + [world.iamw_fields(41, Ansprache_Nr="I0000816")]
    result = validate(bank, world.delivery_file(bank, order, rows, number=3))
    assert (result.accepted, result.rejected) == (40, 1)
    assert _all(bank, rejects)[0].field == "Ansprache_Nr"


def test_an_original_not_yet_moved_by_intake_is_found(bank: sa.Engine) -> None:
    delivery = world.delivery_file(bank, world.order(bank), _people(1))
    with bank.begin() as connection:
        connection.execute(sa.update(files).values(moving_from=files.c.stored_as, stored_as="anderswo.csv"))
    assert validate(bank, delivery).accepted == 1


def _lose(file: Path) -> None:
    file.unlink()


def _change(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


@pytest.mark.parametrize(("harm", "said"), [(_lose, "is gone"), (_change, "check sum")])
def test_a_lost_or_changed_original_is_said_and_nothing_is_written(
    bank: sa.Engine, harm: Callable[[Path], None], said: str
) -> None:
    delivery = world.delivery_file(bank, world.order(bank), _people(2))
    harm(Path(settings().files_url) / _all(bank, files)[0].stored_as)
    with pytest.raises(StageError, match=said):
        validate(bank, delivery)
    assert _delivery(bank, delivery).state == DeliveryState.REGISTERED
    assert _all(bank, delivery_rows) == []


def test_parked_and_unknown_deliveries_do_not_pass(bank: sa.Engine) -> None:
    parked = world.delivery_file(bank, world.order(bank), _people(1), state=DeliveryState.PARKED)
    with pytest.raises(StageError, match="control file"):
        validate(bank, parked)
    with pytest.raises(StageError, match="no delivery 4711"):
        validate(bank, 4711)


def test_a_bank_that_is_not_set_up_is_named(bank: sa.Engine) -> None:
    delivery = world.delivery_file(bank, world.order(bank, institute="99950009"), _people(1))
    with pytest.raises(StageError, match=r"99950009\.yaml"):
        validate(bank, delivery)


def test_release_lets_a_judged_delivery_through_once(bank: sa.Engine, clock_at: Callable[[datetime], None]) -> None:
    clock_at(world.CREATED)
    delivery = world.delivery(bank, world.order(bank), state=DeliveryState.VALIDATED)
    assert decide_release(bank, delivery).decision is Decision.NORMAL
    released_at = _delivery(bank, delivery).released_at
    assert abs((released_at - world.CREATED).total_seconds()) < 60
    assert decide_release(bank, delivery).decision is Decision.NORMAL
    assert _delivery(bank, delivery).released_at == released_at


@pytest.mark.parametrize("state", ["REFUSED", "DECLINED", "PARKED", "REGISTERED"])
def test_release_stops_everything_else(bank: sa.Engine, state: str) -> None:
    delivery = world.delivery(bank, world.order(bank), state=state)
    with pytest.raises(StageError):
        decide_release(bank, delivery)
    assert _delivery(bank, delivery).state == state


def test_a_loaded_delivery_stays_loaded(bank: sa.Engine) -> None:
    delivery = world.delivery(bank, world.order(bank), state=DeliveryState.LOADED)
    assert decide_release(bank, delivery).decision is Decision.NORMAL


@pytest.mark.processes
def test_importing_the_gate_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys, reku.gate.gate; print({'great_expectations', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
