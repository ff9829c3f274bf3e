"""Templates in which everything that is the same for everybody stands already, encoded for the mail.

A template of a medium holds little but text, a bank's values, and a few values of a person. The first two are put
together and encoded once for each bank (`quoted`), so that a person's mail costs only the person's values. Those that
stand for themselves are put in by name, and conditions on them are asked here: Jinja, which is left with whatever is
more than that, would take longer to set up than to render.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from jinja2 import Template, nodes
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import escape

from reku.channels.email.media.language import environment
from reku.channels.email.media.quoted_printable import quoted_printable

_Values: TypeAlias = Mapping[str, str]
_Encoding: TypeAlias = Callable[[str], str]
_Test: TypeAlias = Callable[[_Values], object]
_Answers: TypeAlias = tuple[bool, ...]
_COURSES = 256  # a medium has a handful of conditions; for one with many more, memory must not grow with the people


@dataclass(frozen=True, slots=True)
class _Shown:
    """A placeholder by itself."""

    name: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """An `if`. `test`: the place of its condition among the template's."""

    test: int
    body: tuple[_Piece, ...]
    otherwise: tuple[_Piece, ...]


_Piece: TypeAlias = str | _Shown | _Choice | Template
"""A text as it stands in the mail, a placeholder, an `if`, or a template whose result is still to be encoded."""


class _Course(NamedTuple):
    """A template for all people for whom its conditions have the same answers: texts, and what goes between them."""

    texts: list[str]
    shown: list[tuple[int, str]]
    templates: list[tuple[int, Template]]


@dataclass(frozen=True, slots=True)
class PartialTemplate:
    """A template that holds what is the same for everybody.

    `shown`: the placeholders that `fill` wants encoded. `names`: all that it asks for.
    """

    tests: tuple[_Test, ...]
    course: Callable[[_Answers], _Course]
    encode: _Encoding
    shown: frozenset[str]
    names: frozenset[str]

    def fill(self, values: _Values, encoded: _Values) -> str:
        """The text; `values`: of all `names`, `encoded`: what stands in the text for those that are `shown`."""
        course = self.course(tuple([bool(test(values)) for test in self.tests]))
        filled = course.texts.copy()
        for place, name in course.shown:
            filled[place] = encoded[name]
        for place, template in course.templates:
            filled[place] = self.encode(template.render(values))
        return "".join(filled)


def partial_template(
    source: str, constants: _Values, *, html: bool = False, encode: _Encoding = quoted_printable
) -> PartialTemplate:
    """The template with all that needs no more than `constants` filled in and encoded.

    `encode`: what makes of a text how it stands in the mail. `source` has passed `language.check_template`, so it
    holds nothing but text, output and `if`.
    """
    made = _Prefilling(environment(escape if html else str), constants, encode)
    body = made.plain.parse(source).body
    pieces = made.body(body)
    course = lru_cache(_COURSES)(partial(_course, pieces))
    return PartialTemplate(
        tuple(made.tests), course, encode, frozenset(_shown(pieces)), _names(body) - constants.keys()
    )


def _course(pieces: tuple[_Piece, ...], answers: _Answers) -> _Course:
    chosen = [*_chosen(pieces, answers)]
    return _Course(
        [piece if isinstance(piece, str) else "" for piece in chosen],
        [(place, piece.name) for place, piece in enumerate(chosen) if isinstance(piece, _Shown)],
        [(place, piece) for place, piece in enumerate(chosen) if isinstance(piece, Template)],
    )


def _chosen(pieces: tuple[_Piece, ...], answers: _Answers) -> Iterable[str | _Shown | Template]:
    for piece in pieces:
        if isinstance(piece, _Choice):
            yield from _chosen(piece.body if answers[piece.test] else piece.otherwise, answers)
        else:
            yield piece


def _names(body: Iterable[nodes.Node]) -> frozenset[str]:
    return frozenset(name.name for name in nodes.Template([*body]).find_all(nodes.Name))


def _shown(pieces: Iterable[_Piece]) -> Iterable[str]:
    for piece in pieces:
        if isinstance(piece, _Shown):
            yield piece.name
        elif isinstance(piece, _Choice):
            yield from _shown(piece.body + piece.otherwise)


@dataclass(frozen=True)
class _Prefilling:
    plain: SandboxedEnvironment
    constants: _Values
    encode: _Encoding
    tests: list[_Test] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    def body(self, statements: Iterable[nodes.Node]) -> tuple[_Piece, ...]:
        made: list[_Piece] = []
        same: list[nodes.Node] = []  # for everybody, since the last that was not
        for statement in _single(statements):
            if _names([statement]) <= self.constants.keys():
                same.append(statement)
            else:
                made += self._text(same)
                made.append(self._piece(statement))
                same = []
        return (*made, *self._text(same))

    def _text(self, same: list[nodes.Node]) -> list[_Piece]:
        text = self._template(same).render()
        return [self.encode(text)] if text else []

    def _piece(self, statement: nodes.Node) -> _Piece:
        match statement:
            case nodes.If():
                return self._choice(statement)
            case nodes.Output(nodes=[nodes.Name(name=name)]):
                return _Shown(name)
        return self._template([statement])

    def _choice(self, node: nodes.If) -> _Choice:
        otherwise: tuple[_Piece, ...] = self.body(node.else_)
        for other in reversed(node.elif_):
            otherwise = (_Choice(self._place(other.test), self.body(other.body), otherwise),)
        return _Choice(self._place(node.test), self.body(node.body), otherwise)

    def _place(self, node: nodes.Node) -> int:
        """Of this condition among all; the same one is asked only once."""
        same = repr(node)
        if same not in self._seen:
            self._seen[same] = len(self.tests)
            self.tests.append(self._test(node))
        return self._seen[same]

    def _test(self, node: nodes.Node) -> _Test:
        match node:
            case nodes.Name(name=name) if name not in self.constants:
                return itemgetter(name)
            case nodes.And(left=left, right=right):
                first, second = self._test(left), self._test(right)
                return lambda values: first(values) and second(values)
            case nodes.Or(left=left, right=right):
                first, second = self._test(left), self._test(right)
                return lambda values: first(values) or second(values)
            case nodes.Not(node=inner):
                asked = self._test(inner)
                return lambda values: not asked(values)
            case nodes.Compare(
                expr=nodes.Name(name=name), ops=[nodes.Operand(op="eq", expr=nodes.Const(value=expected))]
            ) if name not in self.constants:
                return lambda values: values[name] == expected
        return self._template([nodes.If(node, [_output("yes")], [], [])]).render

    def _template(self, statements: list[nodes.Node]) -> Template:
        tree = nodes.Template(statements, lineno=1)
        tree.set_environment(self.plain)
        template: Template = self.plain.from_string(tree, globals=dict(self.constants))
        return template


def _output(text: str) -> nodes.Output:
    return nodes.Output([nodes.TemplateData(text)], lineno=1)


def _single(statements: Iterable[nodes.Node]) -> Iterable[nodes.Node]:
    """The statements, with each output for itself."""
    for statement in statements:
        if isinstance(statement, nodes.Output):
            yield from (nodes.Output([output], lineno=statement.lineno) for output in statement.nodes)
        else:
            yield statement
