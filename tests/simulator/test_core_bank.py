"""What the core banks write can be read by contract, and appears only when it is complete."""

from pathlib import Path

import pytest

from reku.records import match_name, read, row_faults
from reku.simulator.core_bank import content, deliver, file_name
from reku.simulator.world import (
    DeliveryStep,
    DemoWorld,
    ExpectedOutcome,
    PlannedControlFile,
    PlannedData,
    PlannedDelivery,
)


@pytest.mark.parametrize("step", DeliveryStep)
def test_every_file_of_a_step_reads_back(whole_world: DemoWorld, step: DeliveryStep, reku_settings: Path) -> None:
    names = deliver(whole_world, step, str(reku_settings))
    files = whole_world.files(step)
    assert names == [file_name(file) for file in files] != []
    for file, name in zip(files, names, strict=True):
        path = reku_settings / file.institute / "eingang" / name
        assert (path.parent / f"{name}.ok").exists()
        known = match_name(name)
        assert known is not None
        contract, _ = known
        found = read(contract, path.read_bytes(), environment="T", file_name=name)
        assert found.warnings == ()
        assert found.head.created_at == file.created_at
        if isinstance(file, PlannedDelivery):
            check_delivery(found.as_dicts(), file)
            faulty = {fault.reference for fault in row_faults(contract, found)}
            assert faulty == {row.reference for row in file.rows if row.broken}
        elif isinstance(file, PlannedData):
            assert len(list(found.as_dicts())) == len(file.rows)
            assert list(row_faults(contract, found)) == []
        else:
            check_control_file(found.as_dicts(), file)
            assert list(row_faults(contract, found)) == []
    assert not list(reku_settings.rglob("*.tmp"))


def check_delivery(records: object, file: PlannedDelivery) -> None:
    found = list(records)  # type: ignore[call-overload]  # an iterator of dicts
    assert [record["Referenz"] for record in found] == [row.reference for row in file.rows]
    for record, row in zip(found, file.rows, strict=True):
        assert record["Personennummer"] == row.customer.person_number
        if row.outcome is not ExpectedOutcome.REJECTED:
            assert record["EMail"] == row.customer.address
            assert record["Nachname"] == row.customer.last_name
            assert record["Firma"] == row.customer.firm


def check_control_file(records: object, file: PlannedControlFile) -> None:
    (record,) = list(records)  # type: ignore[call-overload]  # as above
    assert record["Ereignis"] == file.event
    assert file.name in (record.get("Auftrags_Bezeichnung"), record.get("Ansprache_Bezeichnung"))
    assert record["Ausfuehrungsrhythmus"] == file.order.rhythm
    assert record["Herkunft"] == file.order.origin


def test_every_row_against_the_contract_is_broken_as_the_world_says(world: DemoWorld) -> None:
    for delivery in world.deliveries:
        name = file_name(delivery)
        known = match_name(name)
        assert known is not None
        found = read(known[0], content(delivery), environment="T", file_name=name)
        codes = {fault.reference: fault.code for fault in row_faults(known[0], found)}
        # What only the rules of the gate see, such as an age, is held against them in tests/quality.
        assert codes == {row.reference: row.reason for row in delivery.rows if row.broken}


def test_the_same_file_has_the_same_bytes(world: DemoWorld) -> None:
    packed = next(delivery for delivery in world.deliveries if delivery.packed)
    assert content(packed) == content(packed)
    assert content(packed)[:2] == b"\x1f\x8b"
