"""Holds the response files against what really happened, both ways.

What really happened stands in the sink's and the customers' truth files; what must not be sent, and why, in the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reku.simulator.customers import is_control_copy, row_of
from reku.simulator.reported import Response, as_reported, reported
from reku.simulator.truth_file import entries
from reku.simulator.world import LAST_DAY, RETAINED, Bounce, DemoWorld, ExpectedOutcome, PlannedRow, normal_form

_BOUNCED = {f"bounce {Bounce.HARD}": "HBOU", f"bounce {Bounce.SOFT}": "SBOU"}
_MANY = ("OEFF", "KLIC")


@dataclass(frozen=True)
class Discrepancies:
    """`missing`: happened and was not reported. `unexpected`: reported and did not happen, or reported twice.

    `agreed`: how many agree. `mail_faults`: mails that must have come and did not, the reverse, and second mails; one
    sentence each, without personal data.
    """

    missing: tuple[Response, ...]
    unexpected: tuple[Response, ...]
    agreed: int
    mail_faults: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether everything is as it must be."""
        return not (self.missing or self.unexpected or self.mail_faults)


@dataclass(frozen=True)
class ExpectedCounts:
    """How often each event must at least, and may at most, be reported."""

    at_least: Counter[Response]
    at_most: Counter[Response]


RowId = tuple[str, str, int, str]
"""Institute, order number, delivery number and Referenz of a row."""


def compare(
    world: DemoWorld,
    *,
    sink_truth: Path,
    customers_truth: Path,
    files_url: str,
    through_day: int = LAST_DAY,
    in_doubt: Collection[RowId] = (),
) -> Discrepancies:
    """Compare all response files of the demo's banks with the truth, as it must be when demo day `through_day` is over.

    `in_doubt` names the rows whose hand-over was cut off by a crash (from the ledger): whether their mail arrived is
    known to the sink alone, so that VERS, or HBOU by a refusal, is neither demanded nor refused for them, and that a
    person closed them as not sent may be told. A row that is not known by its Referenz, since we have selected it
    ourselves, stands for those of its delivery of which no mail came.
    Raises FileRefused for a response file that breaks its contract.
    """
    due = [row for row in world.rows() if row.day <= through_day]
    sink, acts = list(entries(sink_truth)), list(entries(customers_truth))
    came = [(entry, row_of(world, entry)) for entry in sink if entry["what"] == "taken"]
    received = [row for _, row in came if row is not None]
    of_nobody = sum(row is None and not is_control_copy(entry) for entry, row in came)
    doubted = frozenset(_doubted(in_doubt, due, received))
    expected = _expected(world, due, received, acts, doubted)
    told = Counter(reported(world, files_url))
    missing = expected.at_least - told
    unexpected = told - expected.at_most
    agreed = sum((told - unexpected).values())
    faults = [
        *_mail_faults(due, received, doubted),
        *_refusal_faults(due, sink, doubted),
        *_tracking_faults(world, acts),
    ]
    if of_nobody:
        faults.append(f"{of_nobody} mails came that belong to no row.")
    return Discrepancies(
        tuple(sorted(missing.elements())), tuple(sorted(unexpected.elements())), agreed, tuple(sorted(faults))
    )


def _doubted(in_doubt: Collection[RowId], due: list[PlannedRow], received: list[PlannedRow]) -> Iterator[RowId]:
    """The planned rows that are in doubt."""
    came = set(map(_id, received))
    by_reference = set(in_doubt) & set(map(_id, due))
    yield from by_reference
    of_deliveries = {row_id[:3] for row_id in set(in_doubt) - by_reference}
    yield from (_id(row) for row in due if _id(row)[:3] in of_deliveries and _id(row) not in came)


def _expected(
    world: DemoWorld,
    due: list[PlannedRow],
    received: list[PlannedRow],
    acts: list[dict[str, Any]],
    in_doubt: frozenset[RowId],
) -> ExpectedCounts:
    at_least: Counter[Response] = Counter()
    at_most: Counter[Response] = Counter()

    def expect(row: PlannedRow, kind: str, code: str, *, least: int = 1, most: int = 1) -> None:
        if kind in row.order.wanted_kinds:
            at_least[as_reported(row, kind, code)] += least
            at_most[as_reported(row, kind, code)] += most

    for row in due:
        if row.outcome is ExpectedOutcome.WITHHELD and row.reason == RETAINED:
            expect(row, RETAINED, "")
        elif row.outcome is ExpectedOutcome.WITHHELD:
            expect(row, "NVER", row.reason)
        elif row.outcome is ExpectedOutcome.REFUSED:
            expect(row, "HBOU", Bounce.HARD, least=_id(row) not in in_doubt)
        if _id(row) in in_doubt:
            expect(row, "NVER", "UNGEKLAERT", least=0)
    for row in {_id(row): row for row in received}.values():
        expect(row, "VERS", "", least=_id(row) not in in_doubt)
    for lines in _by_act(acts):
        row = _row(world, lines[0])
        last = lines[-1]
        kind, code = _meaning(last, row)
        if kind:
            # An act that was begun and cut off may have been noticed once more than it was done.
            begun = sum(line["phase"] == "begun" for line in lines)
            expect(row, kind, code, least=last["phase"] == "done", most=begun if kind in _MANY else 1)
    return ExpectedCounts(at_least, at_most)


def _by_act(acts: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The lines of each act of each mail, oldest first."""
    lines: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in acts:
        lines.setdefault((line["mail"], line["act"]), []).append(line)
    return list(lines.values())


def _meaning(act: dict[str, Any], row: PlannedRow) -> tuple[str, str]:
    """Kind and code of the event that an act leads to; an empty kind for none."""
    name = act["act"]
    if name in _BOUNCED:
        return _BOUNCED[name], name.removeprefix("bounce ")
    if name.startswith("unsubscribe "):
        return "ABME", name.removeprefix("unsubscribe ")
    if not row.customer.allows_tracking:
        return "", ""
    if name == "open":
        return "OEFF", ""
    if name == "click" and act.get("counted") == "yes":
        return "KLIC", act["target"]
    return "", ""


def _mail_faults(due: list[PlannedRow], received: list[PlannedRow], in_doubt: frozenset[RowId]) -> Iterator[str]:
    mails = Counter(map(_id, received))
    for row_id, times in mails.items():
        if times > 1:
            yield f"{times} mails for one row: {_place(row_id)}."
    rows = {_id(row): row for row in due}
    for row_id in mails.keys() - rows.keys():
        yield f"A mail came before its day: {_place(row_id)}."
    for row_id, row in rows.items():
        wanted = row.outcome is ExpectedOutcome.SENT
        if mails[row_id] and not wanted:
            yield f"A mail came that must be {row.outcome} ({row.reason or Bounce.HARD}): {_place(row_id)}."
        if wanted and not mails[row_id] and row_id not in in_doubt:
            yield f"No mail came: {_place(row_id)}."
    persons = Counter(
        (row.order.institute, row.order.number, row.customer, row.occasion_date)
        for row in received
        if mails[_id(row)] == 1
    )
    for (institute, order, _, occasion_date), times in persons.items():
        if times > 1:
            yield f"{times} mails to one address of a person for {occasion_date}: order {order}, institute {institute}."


def _tracking_faults(world: DemoWorld, acts: list[dict[str, Any]]) -> Iterator[str]:
    """A pixel and counted links stand in a mail exactly where the person has consented to tracking."""
    for act in acts:
        if act["phase"] != "done" or act["act"] not in ("open", "click"):
            continue
        row = _row(world, act)
        counted = act["pixels"] != "0" if act["act"] == "open" else act["counted"] == "yes"
        if counted and not row.customer.allows_tracking:
            yield f"A mail tracks a person without consent ({act['act']}): {_place(_id(row))}."
        if not counted and row.customer.allows_tracking:
            yield f"A mail does not track a person with consent ({act['act']}): {_place(_id(row))}."


def _refusal_faults(due: list[PlannedRow], sink: list[dict[str, Any]], in_doubt: frozenset[RowId]) -> Iterator[str]:
    refused = Counter(normal_form(entry["recipient"]) for entry in sink if entry["what"] == "refused")
    wanted = [row for row in due if row.outcome is ExpectedOutcome.REFUSED]
    for address, times in Counter(normal_form(row.customer.address) for row in wanted).items():
        rows = [row for row in wanted if normal_form(row.customer.address) == address]
        if refused[address] != times and not any(_id(row) in in_doubt for row in rows):
            yield f"{refused[address]} attempts at an unknown mailbox, not {times}: {_place(_id(rows[0]))}."


def _row(world: DemoWorld, act: dict[str, Any]) -> PlannedRow:
    return world.row_by_id(act["institute"], act["order"], act["delivery"], act["reference"])


def _id(row: PlannedRow) -> RowId:
    return (row.order.institute, row.order.number, row.delivery_number, row.reference)


def _place(row_id: RowId) -> str:
    return f"{row_id[3]} of institute {row_id[0]}"
