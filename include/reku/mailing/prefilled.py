"""Templates in which everything that is the same for everybody stands already, encoded for the mail.

A template of a medium holds little but text, a bank's values, and a few values of a person. The first two are put
together and encoded once for each bank (`quoted`), so that a person's mail costs only the person's values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import Template, nodes
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import escape

from reku.mailing.language import environment
from reku.mailing.quoted import quoted, value_in_html, value_in_text


def prefilled(source: str, constants: Mapping[str, str], *, html: bool) -> Template:
    """The template with all that needs no more than `constants` filled in; it renders to pieces of `quoted`.

    `source` has passed `language.check`, so it holds nothing but text, output and `if`.
    """
    plain = environment(escape if html else str)
    encoding = environment(value_in_html if html else value_in_text)
    body = _Prefilling(plain, constants).body(plain.parse(source).body)
    template: Template = encoding.from_string(_tree(body, encoding))
    return template


def is_constant(source: str, constants: Mapping[str, str]) -> bool:
    """Whether the template says the same to everybody."""
    return _names([*environment(str).parse(source).body]) <= constants.keys()


def _tree(body: list[nodes.Node], environment: SandboxedEnvironment) -> nodes.Template:
    tree = nodes.Template(body, lineno=1)
    tree.set_environment(environment)
    return tree


def _names(body: Iterable[nodes.Node]) -> set[str]:
    return {name.name for name in nodes.Template([*body]).find_all(nodes.Name)}


@dataclass(frozen=True)
class _Prefilling:
    plain: SandboxedEnvironment
    constants: Mapping[str, str]

    def body(self, statements: Iterable[nodes.Node]) -> list[nodes.Node]:
        made: list[nodes.Node] = []
        same: list[nodes.Node] = []  # for everybody, since the last that was not
        for piece in _pieces(statements):
            if _names([piece]) <= self.constants.keys():
                same.append(piece)
            else:
                made += self._text(same)
                made.append(self._if(piece) if isinstance(piece, nodes.If) else piece)
                same = []
        return made + self._text(same)

    def _text(self, same: list[nodes.Node]) -> list[nodes.Node]:
        text = self.plain.from_string(_tree(same, self.plain)).render(self.constants) if same else ""
        return [nodes.Output([nodes.TemplateData(quoted(text))], lineno=1)] if text else []

    def _if(self, node: nodes.If) -> nodes.If:
        others = [self._if(other) for other in node.elif_]
        return nodes.If(node.test, self.body(node.body), others, self.body(node.else_), lineno=node.lineno)


def _pieces(statements: Iterable[nodes.Node]) -> Iterable[nodes.Node]:
    """The statements, with each output for itself."""
    for statement in statements:
        if isinstance(statement, nodes.Output):
            yield from (nodes.Output([output], lineno=statement.lineno) for output in statement.nodes)
        else:
            yield statement
