"""Every state answers every question, and no row ever takes a step that `states` does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.store import states
from reku.store.states import (
    AFTER_DELIVERY_STATE,
    AFTER_FILE_VERDICT,
    AFTER_MESSAGE_STATE,
    IS_SENT_WITH_ITS_FILE,
    MAY_BE_WITH_THE_PERSON,
    MAY_STILL_GO_OUT,
    MESSAGE_HAS_ENDED,
    DeliveryState,
    FileVerdict,
    MessageState,
    sql_list,
    with_states,
)
from reku.store.tables import messages
from reku_testing import world
from tests.conftest import PROJECT

KINDS = (FileVerdict, DeliveryState, MessageState)
FIRST: Mapping[type[StrEnum], tuple[StrEnum, ...]] = {
    FileVerdict: tuple(FileVerdict),
    DeliveryState: (DeliveryState.PARKED, DeliveryState.REGISTERED, DeliveryState.REFUSED),
    MessageState: (MessageState.OPEN,),
}
"""In what state a row of each kind may begin."""
AFTER: Mapping[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    FileVerdict: AFTER_FILE_VERDICT,  # type: ignore[dict-item]  # Mapping is invariant in its key
    DeliveryState: AFTER_DELIVERY_STATE,  # type: ignore[dict-item]
    MessageState: AFTER_MESSAGE_STATE,  # type: ignore[dict-item]
}
QUESTIONS: dict[str, tuple[StrEnum, ...]] = {
    name: value
    for name, value in vars(states).items()
    if isinstance(value, tuple) and value and isinstance(value[0], StrEnum)
}
ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = sorted(path for path in (PROJECT / "include" / "reku").rglob("*.py") if "migrations" not in path.parts)


def _row(name: str) -> list[str]:
    """The cells of the line of the page that begins with this name; the last such line."""
    lines = [line for line in ARCHITECTURE.splitlines() if line.startswith(f"| `{name}` |")]
    return [cell.strip() for cell in lines[-1].strip("|").split("|")] if lines else []


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_state_answers_every_question(name: str) -> None:
    yes = QUESTIONS[name]
    kind = type(yes[0])
    assert all(type(state) is kind for state in yes)
    assert len(set(yes)) == len(yes)
    assert _row(name)[1:] == ["yes" if state in yes else "no" for state in kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_told(kind: type[StrEnum]) -> None:
    cells = re.findall(r"^\| `([A-Z_]+)` \|.*\| ([^|]+) \|$", ARCHITECTURE, re.MULTILINE)
    heading = {FileVerdict: "## The life of a file", DeliveryState: "## The life of a delivery"}
    section = ARCHITECTURE.split(heading.get(kind, "## The life of a message"))[1].split("\n## ")[0]
    told = {
        state: {name.strip("`, ") for name in following.split()} - {"–"}
        for state, following in re.findall(r"^\| `([A-Z_]+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE)
    }
    assert cells
    assert told == {state.value: {str(next_) for next_ in AFTER[kind].get(state, ())} for state in kind}


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_can_be_reached(kind: type[StrEnum]) -> None:
    reached, ahead = set(FIRST[kind]), list(FIRST[kind])
    while ahead:
        following = AFTER[kind].get(ahead.pop(), frozenset()) - reached
        reached |= following
        ahead += following
    assert reached == set(kind)


def test_what_has_ended_takes_no_further_step() -> None:
    assert not set(MESSAGE_HAS_ENDED) & set(AFTER_MESSAGE_STATE)
    assert {*MESSAGE_HAS_ENDED, *MAY_STILL_GO_OUT, *IS_SENT_WITH_ITS_FILE} == set(MessageState)


def test_the_last_guard_against_a_second_mail_covers_what_may_be_with_the_person(database: sa.Engine) -> None:
    guards = {index.name: index for index in messages.indexes if index.unique}
    assert len(guards) == 2
    with database.connect() as connection:
        for name, index in guards.items():
            assert str(index.dialect_options["postgresql"]["where"]) == f"state IN {sql_list(MAY_BE_WITH_THE_PERSON)}"
            made = connection.scalar(
                sa.text(
                    "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = CAST(:name AS regclass)"
                ),
                {"name": f"reku.{name}"},
            )
            assert set(re.findall(r"'([A-Z_]+)'", made or "")) == set(MAY_BE_WITH_THE_PERSON)


def test_the_databases_of_the_tests_refuse_unknown_steps(database: sa.Engine) -> None:
    delivery = world.delivery(database, world.order(database))
    rows = world.rows(database, delivery, [world.reku_fields(number) for number in range(1, 1 + len(MessageState))])
    ids = [world.message(database, row, state=state) for row, state in zip(rows, MessageState, strict=True)]
    with database.connect() as connection:
        for (message, before), after in product(zip(ids, MessageState, strict=True), MessageState):
            step = sa.update(messages).where(messages.c.id == message).values(state=after)
            if before is after or after in AFTER_MESSAGE_STATE.get(before, ()):
                connection.execute(step)
            else:
                with pytest.raises(sa.exc.DBAPIError, match=f"{after} does not follow {before}"):
                    connection.execute(step)
            connection.rollback()


def test_no_other_module_lists_states() -> None:
    found = [f"{path.relative_to(PROJECT)}:{line}" for path in PACKAGE for line in _listing(path)]
    assert found == []


def test_a_listing_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(
        "A = (MessageState.OPEN, MessageState.SENT)\n"
        "B = row.state in {DeliveryState.LOADED, DeliveryState.PARKED}\n"
        "match state:\n    case DeliveryState.LOADED | DeliveryState.PARKED:\n        pass\n"
        "C = \"SELECT 1 FROM t WHERE state IN ('OPEN', 'SENT')\"\n"
    )
    assert sorted(_listing(bad)) == [1, 2, 4, 6]


def _listing(path: Path) -> Iterator[int]:
    """Lines on which several states stand together outside of `states`: in Python, in SQL."""
    if path.name == "states.py":
        return
    words = "|".join(sorted({state for kind in KINDS for state in kind}))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        several: list[ast.AST] = []
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            several = list(node.elts)
        elif isinstance(node, ast.MatchOr):
            several = [one.value for one in node.patterns if isinstance(one, ast.MatchValue)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.search(rf"'({words})',\s*'({words})'", node.value):
                yield node.lineno
            continue
        if sum(_is_state(one) for one in several) > 1:
            yield getattr(node, "lineno", 0)


def _is_state(node: ast.AST) -> bool:
    names = {kind.__name__ for kind in KINDS}
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names


def test_a_question_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        with_states("SELECT 1 WHERE state IN {HAS_WINGS}")
