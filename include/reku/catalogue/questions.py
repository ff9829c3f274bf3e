"""What a person is asked for a new file of the configuration, and whether an answer is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError


@dataclass(frozen=True)
class Question:
    """Something that is to be known. `optional`: it may be left out; `owner`: the model whose field it is."""

    key: str
    german: str
    owner: type[BaseModel] | None = None
    field: str = ""
    example: str = ""
    optional: bool = False


def problem_of(question: Question, answer: str) -> str:
    """What is wrong with an answer, in words; empty if nothing is."""
    if not answer:
        return "" if question.optional else "Das wird gebraucht. / This is needed."
    if question.owner is None:
        return ""
    info = question.owner.model_fields[question.field]
    kind: Any = info.annotation
    for extra in info.metadata:
        kind = Annotated[kind, extra]
    try:
        TypeAdapter(kind).validate_python(answer)
    except ValidationError as error:
        return "; ".join(detail["msg"] for detail in error.errors())
    return ""
