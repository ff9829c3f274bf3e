"""How a task ends for a reason that a person can understand: in plain lines, the last of its log, without a traceback.

Airflow logs a traceback of its own frames for each exception but SystemExit, which it takes for a failure all the same
("Task exited"). What may pass by itself is tried again; `RETRY_POLICY`, which every task has, keeps the rest from that.
"""

from __future__ import annotations

import logging
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException

from reku.foundation.errors import PassingError, RekuError

log = logging.getLogger(__name__)

LONGEST_LINE = 110
"""Characters that fit into Airflow's log page on a usual screen."""


class PassingFailure(SystemExit):
    """The task has failed and its log says why; Airflow tries it again."""

    def __init__(self, text: str) -> None:
        super().__init__(1)
        self.text = text

    def __str__(self) -> str:
        return self.text


class ToldFailure(PassingFailure):
    """The same, and trying again would change nothing."""


RETRY_POLICY = ExceptionRetryPolicy(rules=[RetryRule(exception=ToldFailure, action=RetryAction.FAIL)])


def fail(text: str) -> NoReturn:
    """Fail for good, with that text as the last lines of the task's log."""
    tell(text, logging.ERROR)
    raise ToldFailure(text)


def skip(why: str) -> NoReturn:
    """Skip the task; Airflow shows the reason of a skip only in a folded part of the log."""
    tell(why, logging.INFO)
    raise AirflowSkipException(why)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a task fail with our own sentence; what may pass by itself is tried again by Airflow."""
    from reku.process.errors import told_database_errors

    try:
        with told_database_errors():
            yield
    except PassingError as error:
        tell(str(error), logging.ERROR)
        raise PassingFailure(str(error)) from None
    except RekuError as error:
        fail(str(error))


def tell(text: str, level: int) -> None:
    """Log a text line by line, so that each begins at the left margin and none has to be scrolled to."""
    for line in lines(text):
        log.log(level, "%s", line)


def lines(text: str) -> list[str]:
    """A text in lines of at most `LONGEST_LINE` characters; a command in backquotes stays in one piece."""
    whole = re.sub(r"`[^`\n]+`", lambda command: command[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    found: list[str] = []
    for paragraph in whole.splitlines():
        found += textwrap.wrap(
            paragraph,
            LONGEST_LINE,
            subsequent_indent="  " if paragraph.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in found]
