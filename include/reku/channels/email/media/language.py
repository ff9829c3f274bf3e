"""What a template of a medium may say: text, placeholders, `if`, `~` and a few filters.

Everything else that Jinja knows (attributes, calls, loops, imports …) is refused when the medium is compiled, before
the sandbox would have to stop it while filling. What is left cannot fail for any person, whatever the data: there are
only texts, and nothing that one could do with them goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from reku.channels.email.media.placeholders import BANK, DERIVED, LINK, MANDATORY, MAY_BE_EMPTY, OPTIONAL
from reku.channels.email.media.sources import INCLUDE, Source

FILTERS = {"upper": 0, "lower": 0, "capitalize": 0, "trim": 0, "replace": 2}
"""The filters, and how many arguments each takes."""

_CONDITIONS = (nodes.And, nodes.Or, nodes.Not, nodes.Compare)
_ALLOWED = (
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.Operand,
    nodes.Concat,
    nodes.Filter,
    *_CONDITIONS,
)


def environment(shown: Callable[[object], str]) -> SandboxedEnvironment:
    """A Jinja environment without any function, that refuses unknown names.

    `shown`: what stands in the mail for a value: `markupsafe.escape` in HTML, `str` in plain text. Everything that is
    no text of the template itself passes through it; unlike with autoescape, no value gets past it as safe.
    """
    made = SandboxedEnvironment(finalize=shown, undefined=StrictUndefined, keep_trailing_newline=True)
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.tests = {}
    return made


_PARSER = environment(str)


def check_template(
    source: Source, links: Collection[str], fallbacks: Collection[str], *, not_yet: Collection[str] = ()
) -> None:
    """Hold one source against the rules. `not_yet`: placeholders that are filled later than this source.

    Raises ConfigError for a syntax error, anything but placeholders, `if` and the permitted filters, an unknown
    placeholder, a number or a condition where a text belongs, and an optional placeholder that has neither a fallback
    nor an `if` of its own around it.
    """
    known = (*MANDATORY, *OPTIONAL, *BANK, *DERIVED, *MAY_BE_EMPTY, *(LINK + name for name in links))
    known = tuple(name for name in known if name not in not_yet)
    _Rules(source, known, frozenset(fallbacks)).check_nodes(_parsed(source), frozenset())


def check_never_empty(source: Source) -> None:
    """Raises ConfigError if there may be people for whom the source, which has passed `check`, says nothing."""
    if not _says_something(_parsed(source)):
        raise source.fault("The subject is empty, at least for some people. Give it an {% else %}.", 1)


def _parsed(source: Source) -> list[nodes.Node]:
    text = source.text
    if source.file.suffix != ".yaml":  # a file's includes are sources of their own
        text = INCLUDE.sub(lambda match: "\n" * match[0].count("\n"), text)
    try:
        return _PARSER.parse(text).body
    except TemplateSyntaxError as error:
        raise source.fault(f"Not valid Jinja: {error.message}", error.lineno) from None


@dataclass(frozen=True)
class _Rules:
    source: Source
    known: tuple[str, ...]
    fallbacks: frozenset[str]

    def check_nodes(
        self, body: Iterable[nodes.Node], filled: frozenset[str], *, asked: bool = False, text: bool = True
    ) -> None:
        """`filled`: placeholders that are known not to be empty here; `asked`: only a condition looks at them.

        `text`: the mail needs a text here, and no condition.
        """
        for node in body:
            self._allowed(node, text=text)
            self._check(node, filled, asked=asked)

    def _allowed(self, node: nodes.Node, *, text: bool) -> None:
        line = node.lineno or next((inner.lineno for inner in node.find_all(nodes.Node) if inner.lineno), 1)
        if not isinstance(node, _ALLOWED) or (isinstance(node, nodes.Filter) and node.name not in FILTERS):
            raise self.source.fault(
                f"{_described(node)} is not allowed in a mail. "
                f"Allowed are placeholders, if/elif/else, ~ and the filters {', '.join(FILTERS)}.",
                line,
            )
        if text and isinstance(node, _CONDITIONS):
            raise self.source.fault(
                "A condition (and, or, not, ==) stands where a text belongs. "
                "Write {% if … %} … {% else %} … {% endif %}.",
                line,
            )
        if isinstance(node, nodes.Const) and not isinstance(node.value, str):
            raise self.source.fault(
                f"{node.value!r} is no text, and all values of a person are. Write it in quotes.", line
            )
        if isinstance(node, nodes.Operand) and node.op not in ("eq", "ne"):
            raise self.source.fault("Texts can be compared with == and != only.", line)
        if isinstance(node, nodes.Filter):
            more = (*node.kwargs, node.dyn_args, node.dyn_kwargs)
            if len(node.args) != FILTERS[node.name] or any(more):
                raise self.source.fault(f"The filter |{node.name} takes {FILTERS[node.name]} plain arguments.", line)
            if node.name == "replace":
                self._replace(node, line)

    def _replace(self, node: nodes.Filter, line: int) -> None:
        """A text must not grow without end."""
        old, new = (arg.value if isinstance(arg, nodes.Const) else None for arg in node.args)
        inner = sum(other.name == "replace" for other in node.find_all(nodes.Filter))
        if not isinstance(old, str) or not isinstance(new, str) or not old or len(new) > 2 * len(old) or inner >= 3:
            raise self.source.fault(
                "|replace takes two texts in quotes, of which the second has at most twice as many letters as the "
                "first, and stands at most three times behind one value.",
                line,
            )

    def _check(self, node: nodes.Node, filled: frozenset[str], *, asked: bool) -> None:
        if isinstance(node, nodes.Name):
            self._name(node, filled, asked=asked)
        elif isinstance(node, nodes.If):
            self.check_nodes([node.test], filled, asked=True, text=False)
            self.check_nodes(node.body, filled | _implied(node.test, true=True))
            otherwise = filled | _implied(node.test, true=False)
            self.check_nodes([*node.elif_], otherwise)
            self.check_nodes(node.else_, otherwise)
        elif isinstance(node, nodes.CondExpr):
            self.check_nodes([node.test], filled, asked=True, text=False)
            self.check_nodes([node.expr1], filled | _implied(node.test, true=True))
            if node.expr2 is None:
                raise self.source.fault("An inline `if` needs its `else`, or it leaves a gap.", node.lineno)
            self.check_nodes([node.expr2], filled | _implied(node.test, true=False))
        else:
            inside = isinstance(node, _CONDITIONS) and not isinstance(node, nodes.Compare)
            self.check_nodes(node.iter_child_nodes(), filled, asked=asked, text=not inside)

    def _name(self, node: nodes.Name, filled: frozenset[str], *, asked: bool) -> None:
        if node.name not in self.known:
            raise self.source.fault(
                f"There is no placeholder {node.name!r}.", node.lineno, value=node.name, valid=self.known
            )
        may_be_empty = node.name in OPTIONAL or node.name in MAY_BE_EMPTY[1:]
        if may_be_empty and not asked and node.name not in filled and node.name not in self.fallbacks:
            raise self.source.fault(
                f"{node.name!r} may be empty and has no fallback. Give one under `fallbacks` in medium.yaml, "
                f"or write {{% if {node.name} %}} … {{% else %}} … {{% endif %}} around it.",
                node.lineno,
            )


def _implied(test: nodes.Node, *, true: bool) -> frozenset[str]:
    """The placeholders that cannot be empty where the condition holds (or does not)."""
    if isinstance(test, nodes.Name):
        return frozenset({test.name}) if true else frozenset()
    if isinstance(test, nodes.Not):
        return _implied(test.node, true=not true)
    if isinstance(test, nodes.And if true else nodes.Or):
        return _implied(test.left, true=true) | _implied(test.right, true=true)
    return frozenset()


def _says_something(body: Iterable[nodes.Node]) -> bool:
    return any(_speaks(node) for node in body)


def _speaks(node: nodes.Node) -> bool:
    """Whether a node, which has passed the rules, says something for everybody: its placeholders are never empty."""
    if isinstance(node, nodes.If):
        branches = (node.body, *(other.body for other in node.elif_), node.else_)
        return all(_says_something(branch) for branch in branches)
    if isinstance(node, nodes.CondExpr):
        return _speaks(node.expr1) and node.expr2 is not None and _speaks(node.expr2)
    if isinstance(node, nodes.TemplateData):
        return bool(node.data.strip())
    if isinstance(node, nodes.Const):
        return bool(str(node.value).strip())
    if isinstance(node, nodes.Filter):
        return node.node is not None and _speaks(node.node)
    return isinstance(node, nodes.Name) or _says_something(node.iter_child_nodes())


def _described(node: nodes.Node) -> str:
    if isinstance(node, nodes.Getattr):
        return f"The attribute .{node.attr}"
    if isinstance(node, nodes.Filter):
        return f"The filter |{node.name}"
    return {
        "Getitem": "An item […]",
        "Call": "A call (…)",
        "Sub": "A minus (Berater_E-Mail is written Berater_E_Mail)",
        "For": "A loop",
        "Import": "An import",
        "FromImport": "An import",
        "Include": 'An include other than {% include "shared/…" %} in mail.txt or <mj-include> in mail.mjml',
    }.get(type(node).__name__, f"{type(node).__name__}")
