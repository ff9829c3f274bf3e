"""Questions that a command asks a person, unless the answer was given beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reku.catalogue.questions import Question

Given = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Answer a question beforehand; may be repeated."),
]


def answers_to(questions: Sequence[Question], given: Sequence[str] | None, *, ask: bool) -> dict[str, str]:
    """An answer to each question: those given as KEY=VALUE, the others asked, if `ask`, until they hold.

    Wrong usage for a key that is none. Without `ask` what was not given is missing.
    """
    from reku.catalogue.questions import problem_of

    keys = [question.key for question in questions]
    answers = dict(pair(one, keys) for one in given or ())
    for question in questions if ask else ():
        while question.key not in answers:
            example = f" [{question.example}]" if question.example else ""
            may = ", darf leer bleiben" if question.optional else ""
            answer = str(typer.prompt(f"{question.german}{example}{may}", default="", show_default=False)).strip()
            if problem := problem_of(question, answer):
                typer.echo(f"  {problem}", err=True)
            else:
                answers[question.key] = answer
    return answers


def pair(text: str, keys: Sequence[str]) -> tuple[str, str]:
    """KEY=VALUE as key and value. Wrong usage for anything else, and for a key that is not among them."""
    key, equals, value = text.partition("=")
    if not equals or key not in keys:
        raise typer.BadParameter(f"{text!r} is no answer. Write KEY=VALUE with one of {', '.join(keys)}.")
    return key, value
