"""The task that looks after the EMMA account of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reku.orchestration.failures import plain_errors
from reku.orchestration.system import BankTask
from reku.process.answers import Counts

if TYPE_CHECKING:
    from airflow.sdk import Context

EMMA = """\
### EMMA accounts

**What it does.** Every ten minutes it looks after the account of each bank that sends by EMMA: who is barred here is
unsubscribed there, imports are followed, and what came back is read (docs/emma.md). The first look after 02:00 holds
both sides against each other. One index of `look_after_emma` is one bank.

**Is it safe to clear?** Yes, any time. Each event is taken in once.

**When it fails**

| red task | meaning | what to do |
| --- | --- | --- |
| `look_after_emma` | its account is away, refuses, or answers otherwise | what the message says; nothing is lost |
| `emma_banks` | the folder of the banks cannot be read | `reku check` |
"""


class LookAfterEmma(BankTask):
    """One look at a bank's EMMA account."""

    def execute(self, context: Context) -> Counts:  # noqa: ARG002 - Airflow calls it so
        from reku.process.emma import look_after_emma
        from reku.store.engine import engine

        with plain_errors():
            return look_after_emma(engine(), self.institute)
