"""Holding response files against the truth: what is missing, and what nobody did, is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from reku.catalogue import institutes
from reku.foundation import clock
from reku.records import Head, contracts, format_moment, write
from reku.simulator.truth import Discrepancies, Response, compare
from reku.simulator.world import SAVINGS_BANKS, DemoWorld, ExpectedOutcome, PlannedRow
from tests.simulator.conftest import DAY_1

TARGET = "https://www.sparkasse-musterstadt.example/giro"
NOW = clock.at(DAY_1 + timedelta(days=2), 12)


@dataclass
class Demo:
    """A demo in which everything went as it must, told by this test alone; what follows may spoil it."""

    world: DemoWorld
    folder: Path
    sink: list[dict[str, str]] = field(default_factory=list)
    acts: list[dict[str, object]] = field(default_factory=list)
    reported: list[Response] = field(default_factory=list)

    def play(self, days: int = 3) -> None:
        for row in (row for row in self.world.rows() if row.day <= days):
            if row.outcome is ExpectedOutcome.SENT:
                self.taken(row)
            elif row.outcome is ExpectedOutcome.REFUSED:
                self.sink.append({"what": "refused", "recipient": row.customer.address})
                self.report(row, "HBOU", "5.1.1")
            elif row.outcome is ExpectedOutcome.WITHHELD:
                retained = row.reason == "ZRUE"
                self.report(row, "ZRUE" if retained else "NVER", "" if retained else row.reason)

    def taken(self, row: PlannedRow) -> None:
        feedback_id = f"{row.delivery_number:06d}:{row.order.number}:{row.order.institute}:reku"
        self.sink.append(
            {
                "what": "taken",
                "recipient": row.customer.address,
                "feedback_id": feedback_id,
                "mail": f"m{len(self.sink)}",
            }
        )
        self.report(row, "VERS")
        will, tracked = row.behaviour, row.customer.allows_tracking
        if will.bounces:
            self.act(row, f"bounce {will.bounces}", {}, "HBOU" if will.bounces == "5.1.1" else "SBOU", will.bounces)
        if will.opens:
            self.act(row, "open", {"pixels": "1" if tracked else "0"}, "OEFF" if tracked else "")
        if will.clicks:
            result = {"counted": "yes", "target": TARGET} if tracked else {"counted": "no"}
            self.act(row, "click", result, "KLIC" if tracked else "", TARGET)
        if will.unsubscribes:
            self.act(row, f"unsubscribe {will.unsubscribes}", {}, "ABME", will.unsubscribes)

    def act(self, row: PlannedRow, act: str, result: dict[str, str], kind: str, code: str = "") -> None:
        about = {
            "act": act,
            "mail": self.sink[-1]["mail"],
            "institute": row.order.institute,
            "order": row.order.number,
            "delivery": row.delivery_number,
            "reference": row.reference,
        }
        self.acts += [about | {"phase": "begun"}, about | {"phase": "done"} | result]
        if kind:
            self.report(row, kind, code)

    def report(self, row: PlannedRow, kind: str, code: str = "") -> None:
        scope = row.order.response_scope.split("+") if row.order.response_scope else None
        if scope is None or kind in (*scope, "ABME", "BESC", "HBOU", "ZRUE"):
            self.reported.append(
                Response(row.order.institute, row.order.number, row.delivery_number, row.reference, kind, code)
            )

    def compare(self, **more: object) -> Discrepancies:
        for name, lines in (("sink", self.sink), ("customers", self.acts)):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (self.folder / f"{name}.jsonl").write_text(text)
        for bank in SAVINGS_BANKS:
            events = [event for event in self.reported if event.institute == bank]
            for number, part in enumerate((events[::2], events[1::2]), start=1):
                self.write(bank, number, part)
        return compare(
            self.world,
            sink_truth=self.folder / "sink.jsonl",
            customers_truth=self.folder / "customers.jsonl",
            files_url=str(self.folder),
            **more,  # type: ignore[arg-type]  # through_day, in_doubt
        )

    def write(self, bank: str, number: int, events: list[Response]) -> None:
        contract = contracts()["RESPONSE"]
        columns = [column.name for column in contract.columns]
        records = [
            {
                "Ereignis_ID": f"{number}{index:031x}",
                "Ereignis_Art": event.kind,
                "Ereignis_Zeit": format_moment(NOW),
                "Referenz": event.reference,
                "Personennummer": "1",
                "Auftrags_Nr": event.order,
                "Lieferungs_Nr": f"{event.delivery:06d}",
                "Grund_Code": "" if event.kind == "KLIC" else event.code,
                "Abmelde_Umfang": "LISTE" if event.kind == "ABME" else "",
                "Link_Nr": "1" if event.kind == "KLIC" else "",
                "Link_Ziel": event.code if event.kind == "KLIC" else "",
            }
            for index, event in enumerate(events)
        ]
        head = Head("RESPONSE", contract.version, bank, "", f"{number:06d}", NOW, "EMMA", "FI", "T")
        outbox = self.folder / bank / "ausgang"
        outbox.mkdir(parents=True, exist_ok=True)
        rows = [[record.get(column, "") for column in columns] for record in records]
        data = write(contract, head, columns, rows)
        (outbox / f"response_{bank}_{number:06d}_20261126120000.csv").write_bytes(data)


@pytest.fixture
def demo(world: DemoWorld, reku_settings: Path) -> Demo:
    played = Demo(world, reku_settings)
    played.play()
    return played


def first(demo: Demo, kind: str) -> Response:
    return next(event for event in demo.reported if event.kind == kind)


KINDS = ("VERS", "OEFF", "KLIC", "ABME", "HBOU", "SBOU", "ZRUE", "NVER")


def test_a_right_demo_agrees(demo: Demo) -> None:
    found = demo.compare()
    assert found == Discrepancies((), (), len(demo.reported))
    assert found.agrees
    assert {event.kind for event in demo.reported} == set(KINDS)


@pytest.mark.parametrize("days", [1, 2])
def test_a_demo_can_be_judged_after_each_day(world: DemoWorld, reku_settings: Path, days: int) -> None:
    demo = Demo(world, reku_settings)
    demo.play(days)
    assert demo.compare(through_day=days).agrees
    assert not demo.compare(through_day=days + 1).agrees


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_event_is_found(demo: Demo, kind: str) -> None:
    lost = first(demo, kind)
    demo.reported.remove(lost)
    found = demo.compare()
    assert (found.missing, found.unexpected) == ((lost,), ())
    assert not found.agrees


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_reported_twice_is_found(demo: Demo, kind: str) -> None:
    doubled = first(demo, kind)
    demo.reported.append(doubled)
    found = demo.compare()
    assert (found.missing, found.unexpected) == ((), (doubled,))


@pytest.mark.parametrize(
    ("kind", "code"), [("OEFF", ""), ("KLIC", TARGET), ("ABME", "LINK"), ("HBOU", "5.1.1"), ("NVER", "DUBLETTE")]
)
def test_an_event_that_nobody_caused_is_found(demo: Demo, kind: str, code: str) -> None:
    quiet = next(
        row
        for row in demo.world.rows()
        if row.outcome is ExpectedOutcome.SENT
        and not row.behaviour.opens
        and not row.behaviour.bounces
        and not row.behaviour.unsubscribes
    )
    demo.report(quiet, kind, code)
    assert demo.compare().unexpected == (demo.reported[-1],)


@pytest.mark.parametrize("kind", ["OEFF", "KLIC"])
def test_reactions_of_people_without_consent_must_not_be_reported(demo: Demo, kind: str) -> None:
    row = next(row for row in demo.world.rows() if row.behaviour.clicks and not row.customer.allows_tracking)
    demo.report(row, kind, TARGET if kind == "KLIC" else "")
    assert demo.compare().unexpected == (demo.reported[-1],)


def test_a_wrong_reason_is_both_missing_and_unexpected(demo: Demo) -> None:
    right = first(demo, "NVER")
    wrong = Response(right.institute, right.order, right.delivery, right.reference, "NVER", "SPERRZEIT")
    demo.reported[demo.reported.index(right)] = wrong
    found = demo.compare()
    assert (found.missing, found.unexpected) == ((right,), (wrong,))


def test_a_rejected_row_must_not_be_reported(demo: Demo) -> None:
    demo.report(
        next(row for row in demo.world.rows() if row.outcome is ExpectedOutcome.REJECTED), "NVER", "ADRESSE_UNGUELTIG"
    )
    assert demo.compare().unexpected == (demo.reported[-1],)


def test_kinds_outside_the_scope_of_an_order_must_not_be_reported(demo: Demo) -> None:
    row = next(
        row
        for row in demo.world.rows()
        if row.order.response_scope and row.behaviour.clicks and row.customer.allows_tracking
    )
    event = Response(row.order.institute, row.order.number, row.delivery_number, row.reference, "KLIC", TARGET)
    demo.reported.append(event)
    assert demo.compare().unexpected == (event,)


def test_an_open_cut_off_by_a_crash_may_count_twice_but_not_three_times(demo: Demo) -> None:
    line = next(line for line in demo.acts if line["act"] == "open" and line.get("pixels") == "1")
    demo.acts.insert(0, {name: value for name, value in line.items() if name != "pixels"} | {"phase": "begun"})
    event = Response(
        str(line["institute"]), str(line["order"]), int(str(line["delivery"])), str(line["reference"]), "OEFF"
    )
    assert demo.compare().agrees
    demo.reported.append(event)
    assert demo.compare().agrees
    demo.reported.append(event)
    assert demo.compare().unexpected == (event,)


def a_sent_row(demo: Demo) -> PlannedRow:
    return next(row for row in demo.world.rows() if row.outcome is ExpectedOutcome.SENT)


def the_mail_of(demo: Demo, row: PlannedRow) -> dict[str, str]:
    return next(entry for entry in demo.sink if entry["recipient"] == row.customer.address)


def lose(demo: Demo) -> None:
    demo.sink.remove(the_mail_of(demo, a_sent_row(demo)))


def double(demo: Demo) -> None:
    demo.sink.append(the_mail_of(demo, a_sent_row(demo)) | {"mail": "second"})


def send_withheld(demo: Demo) -> None:
    row = next(row for row in demo.world.rows() if row.reason == "KEINE_EINWILLIGUNG")
    demo.taken(row)


def send_duplicate(demo: Demo) -> None:
    demo.taken(next(row for row in demo.world.rows() if row.reason == "DUBLETTE"))


def send_to_nobody(demo: Demo) -> None:
    demo.sink.append(
        demo.sink[0] | {"what": "taken", "recipient": "x@kunde.example", "feedback_id": "1:R1:99990001:reku"}
    )


def try_dead_again(demo: Demo) -> None:
    demo.sink.append([entry for entry in demo.sink if entry["what"] == "refused"][-1])


def track_without_consent(demo: Demo) -> None:
    next(line for line in demo.acts if line.get("pixels") == "0")["pixels"] = "1"


def forget_to_track(demo: Demo) -> None:
    next(line for line in demo.acts if line.get("counted") == "yes")["counted"] = "no"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose, "No mail came: R0000101-000001-00002 of institute 99990001."),
        (double, "2 mails for one row"),
        (send_withheld, "must be WITHHELD (KEINE_EINWILLIGUNG)"),
        (send_duplicate, "2 mails to one address of a person for 2026-11-24: order R0000101"),
        (send_to_nobody, "1 mails came that belong to no row"),
        (try_dead_again, "2 attempts at an unknown mailbox, not 1"),
        (track_without_consent, "tracks a person without consent (open)"),
        (forget_to_track, "does not track a person with consent (click)"),
    ],
)
def test_a_mail_that_should_not_be_or_is_not_there_is_found(
    demo: Demo, spoil: Callable[[Demo], None], says: str
) -> None:
    spoil(demo)
    found = demo.compare()
    assert any(says in fault for fault in found.mail_faults), found.mail_faults
    assert not found.agrees


def control_copy(demo: Demo, **changes: str) -> dict[str, str]:
    """What the sink notes of the copy of some delivery's mail, spoilt by the changes."""
    bank = institutes()[SAVINGS_BANKS[0]]
    return demo.sink[0] | {
        "what": "taken",
        "recipient": str(bank.control_address),
        "feedback_id": f"000001:R0000101:{bank.blz}:reku",
        "mail": "control",
        **changes,
    }


def test_copies_for_the_control_address_of_a_bank_are_nobodys_mails(demo: Demo) -> None:
    right = demo.compare()
    demo.sink += [control_copy(demo), control_copy(demo, feedback_id=f"000002:I0000201:{SAVINGS_BANKS[0]}:reku")]
    assert demo.compare() == right
    assert right.agrees


@pytest.mark.parametrize(
    "changes",
    [
        {"feedback_id": f"000001:R0000101:{SAVINGS_BANKS[1]}:reku"},
        {"feedback_id": "None"},
        {"feedback_id": "000001:R0000101:99999999:reku"},
        {"recipient": "kontakt@sparkasse-musterstadt.example"},
    ],
)
def test_a_copy_is_its_own_banks_only(demo: Demo, changes: dict[str, str]) -> None:
    """A bank must never see what another one sends."""
    demo.sink.append(control_copy(demo, **changes))
    assert demo.compare().mail_faults == ("1 mails came that belong to no row.",)


def test_mails_in_doubt_are_neither_demanded_nor_refused(demo: Demo) -> None:
    row = a_sent_row(demo)
    row_id = (row.order.institute, row.order.number, row.delivery_number, row.reference)
    lost = next(event for event in demo.reported if event.reference == row.reference and event.kind == "VERS")
    demo.reported.remove(lost)
    assert demo.compare().missing == (lost,)
    assert demo.compare(in_doubt={row_id}).agrees


def test_texts_name_no_person(demo: Demo) -> None:
    demo.sink.clear()
    found = demo.compare()
    text = " ".join([*found.mail_faults, *map(str, found.unexpected)])
    assert text
    assert "@" not in text
