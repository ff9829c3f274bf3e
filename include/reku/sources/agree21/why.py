"""Why a rule selects a person or does not: its tree with the truth of each node and the person's values.

Each node is a column of one statement about one person, so that what is told is what a selection would do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue.occasion import Window
from reku.catalogue.selection import AllOf, AnyOf, Condition, Has, HasNo, Not, Selection, parts_of
from reku.records import format_date
from reku.sources.agree21.conditions import RuleRow, any_holding, condition_of
from reku.sources.agree21.impulses import is_open
from reku.sources.agree21.rule_text import told, told_window
from reku.sources.agree21.selecting import pairs_of
from reku.store.tables import person_addresses, persons


@dataclass(frozen=True)
class Node:
    """A part of a rule in German words, whether it holds (None: unknown), and the person's value that it asks for."""

    text: str
    holds: bool | None
    value: str = ""
    parts: tuple[Node, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The tree for people, a node a line."""
        sign = {True: "✓", False: "✗", None: "?"}[self.holds]
        yield f"{'  ' * depth}{sign} {self.text}{f': {self.value}' if self.value else ''}"
        for part in self.parts:
            yield from part.lines(depth + 1)


@dataclass
class _Asked:
    """Columns of the statement, in the order of the nodes."""

    columns: list[sa.ColumnElement[Any]] = field(default_factory=list)

    def add(self, column: sa.ColumnElement[Any]) -> int:
        self.columns.append(column.label(f"c{len(self.columns)}"))
        return len(self.columns) - 1


@dataclass(frozen=True)
class _Part:
    """A node whose truth and value stand in columns of these numbers."""

    text: str
    holds: int
    value: int | None
    parts: tuple[_Part, ...] = ()

    def node(self, row: sa.Row[Any]) -> Node:
        value = "" if self.value is None else _shown(row[self.value])
        return Node(self.text, row[self.holds], value, tuple(part.node(row) for part in self.parts))


def why(
    engine: sa.Engine,
    rule: Selection,
    window: Window,
    institute: str,
    person: str,
    day: date,
    codes: Collection[str] = (),
) -> list[Node]:
    """One tree for each pair of the person (as the tables name it) and Anlass_Datum that the rule looks at.

    That is one for each holding or impulse, and of anniversaries one for each year whose window may be open. A person
    who has none, or whom the imported data lack, has a single node that says so.
    """
    pairs = pairs_of(rule, window, institute, day, optional=True)
    asked = _Asked()
    parts = [
        _Part("Im neuesten Kundenbestand", asked.add(persons.c.missing_since.is_(None)), None),
        _Part(told_window(rule, window), asked.add(pairs.is_in_window), asked.add(pairs.occasion_date)),
    ]
    if rule.row == "impulse" and pairs.row.beside is not None:
        beside = pairs.row.beside
        parts.append(_Part("Code einer Kampagne", asked.add(beside.c.code.in_(codes)), asked.add(beside.c.code)))
        parts.append(
            _Part("Gültig und noch nicht verwendet", asked.add(is_open(beside, day)), asked.add(beside.c.valid_until))
        )
    if rule.where is not None:
        parts.append(_part(rule.where, pairs.row, asked))
    parts += _reachable(institute, asked)
    statement = (
        sa.select(*asked.columns)
        .select_from(pairs.source)
        .where(persons.c.institute == institute, persons.c.person_number == person)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement.order_by(sa.literal_column("c2"))).all()
    if not rows:
        return [Node("In den übernommenen Daten", False)]
    return [_whole(rule, tuple(part.node(row) for part in parts)) for row in rows]


def _whole(rule: Selection, parts: tuple[Node, ...]) -> Node:
    name = {"person": "Person", "holding": "Vertrag", "impulse": "Impuls"}[rule.row]
    truths = [part.holds for part in parts]
    return Node(name, False if False in truths else None if None in truths else True, parts=parts)


def _reachable(institute: str, asked: _Asked) -> list[_Part]:
    """What a mail needs beside the rule; what else speaks against somebody is asked of contact."""
    has_address = sa.exists().where(
        person_addresses.c.institute == institute,
        person_addresses.c.person_number == persons.c.person_number,
        person_addresses.c.recipient_key != "",
    )
    return [
        _Part("Einwilligung in E-Mails", asked.add(persons.c.consent), None),
        _Part("E-Mail-Adresse vorhanden", asked.add(has_address), None),
    ]


def _part(condition: Condition, row: RuleRow, asked: _Asked) -> _Part:
    """A condition with those in it."""
    holds = asked.add(condition_of(condition, row))
    match condition:
        case AllOf() | AnyOf() | Not():
            text = {"all": "Alle davon", "any": "Mindestens eines davon", "not": "Nicht"}[condition.kind]
            return _Part(text, holds, None, tuple(_part(part, row, asked) for part in parts_of(condition)))
        case Has(where=where) | HasNo(where=where):
            text = f"Es gibt {'einen' if condition.kind == 'has' else 'keinen'} Vertrag, für den gilt"
            return _Part(text, holds, None, (_inner(where, row, asked),))
        case _:
            return _Part(told(condition), holds, asked.add(row.column(condition.field)))


def _inner(condition: Condition, row: RuleRow, asked: _Asked) -> _Part:
    """A condition on holdings: it holds if it does for any of them."""
    parts = tuple(_inner(part, row, asked) for part in parts_of(condition))
    return _Part(told(condition), asked.add(any_holding(condition, row)), None, parts)


def _shown(value: Any) -> str:
    if value is None:
        return "unbekannt"
    return format_date(value) if isinstance(value, date) else str(value)
